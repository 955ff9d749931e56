// SPDX-License-Identifier: Apache-2.0
//
// Compaction of a partition that has producers with ids: where each stopped is told by the log
// alone, as long as it counts as active.
#include <map>
#include <string>

#include "partition_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace partition_test;

namespace {

SealedBatch keyed(const std::string& key, std::int64_t producer, std::int32_t sequence,
                  std::int64_t timestamp) {
  BatchFields fields;
  if (producer >= 0) {
    fields.producer_id = ProducerId(producer);
    fields.producer_epoch = ProducerEpoch(0);
    fields.base_sequence = sequence;
  }
  BatchBuilder builder(fields);
  must(builder.append(
      {.timestamp = Timestamp(timestamp), .key = as_bytes(key), .value = as_bytes("v")}));
  return must(builder.seal());
}

/// The clock is at the batches' time.
struct Compacted : Harness {
  Compacted() {
    TopicConfig& config = partition_options.config;
    config.log.compact = true;
    config.log.delete_old = false;
    config.log.segment_bytes = 300;
    config.min_cleanable_dirty_ratio = 0;
  }
  void send(const std::string& key, std::int64_t producer = -1, std::int32_t sequence = 0) {
    produce_batch(0, keyed(key, producer, sequence, world.wall_now().value()));
    must(write_out());
  }
  void clean() {
    auto candidate = must(partition->find_cleaning({}));
    REQUIRE(candidate.has_value());
    const auto round = must(partition->begin_cleaning(*std::move(candidate), {.seed = 7}));
    while (round->turn() != CleaningTurn::done) {
      must(partition->clean_some(*round).status());
    }
  }
  /// Records of each producer's batches.
  std::map<std::int64_t, std::vector<std::int32_t>> batches() {
    std::map<std::int64_t, std::vector<std::int32_t>> all;
    std::int64_t from = 0;
    for (;;) {
      const FetchedPartition fetched = fetch(from);
      must(fetched.status);
      if (fetched.slices.empty()) {
        return all;
      }
      for (const Slice& slice : fetched.slices) {
        BatchCursor cursor(slice.bytes.bytes());
        while (const BatchView* batch = cursor.next()) {
          all[batch->header().producer_id.value()].push_back(batch->header().record_count);
          from = batch->header().next_offset().value();
        }
        must(cursor.status());
      }
    }
  }
  void reopen_without_snapshots() {
    must(partition->close(after(world.steady_now(), 10s)).status());
    partition = {};
    for (const std::string& name : names()) {
      if (name.ends_with(producer_snapshot_suffix)) {
        must(memory.remove(path(name), IoReason::other));
      }
    }
    open_partition({.last_stop = LastStop::clean, .now = world.wall_now()});
  }
};

using Counts = std::vector<std::int32_t>;

}  // namespace

TEST_CASE("A producer's last batch is kept empty by compaction, and known when it is repeated") {
  Compacted harness;
  harness.partition_options.tail_bytes = 0;
  harness.open_partition();
  harness.send("a", 7, 0);
  harness.send("a", 7, 1);
  for (int i = 0; i < 20; ++i) {
    harness.send(i % 2 == 0 ? "a" : "b");
  }
  harness.clean();
  CHECK(harness.batches()[7] == Counts{0});
  CHECK(harness.batches()[-1].size() < 10);
  harness.reopen_without_snapshots();
  harness.told->clear();
  harness.send("a", 7, 1);
  harness.send("a", 7, 3);
  REQUIRE(harness.told->size() == 2);
  CHECK(must(harness.told->front().outcome).base_offset == Offset(1));
  CHECK(error_code(harness.told->back().outcome.status()) ==
        ErrorCode::out_of_order_sequence_number);
  CHECK(harness.held == 0);
}

TEST_CASE("A producer's newest batch is durable before compaction leaves the one before it") {
  Compacted harness;
  harness.partition_options.tail_bytes = 0;
  harness.open_partition();
  harness.send("a", 7, 0);
  for (int i = 0; i < 20; ++i) {
    harness.send(i % 2 == 0 ? "a" : "b");
  }
  must(harness.write_out(Durability::durable));
  harness.send("c", 7, 1);
  const Offset end = harness.partition->ends().end;
  REQUIRE(harness.partition->ends().durable < end);
  harness.clean();
  CHECK(harness.partition->ends().durable >= end);
  CHECK(harness.batches()[7] == Counts{1});
}

TEST_CASE("Of a producer that has expired compaction leaves nothing") {
  Compacted harness;
  harness.partition_options.tail_bytes = 0;
  harness.open_partition();
  harness.send("a", 7, 0);
  harness.env.advance(25h);
  harness.send("a", 8, 0);
  for (int i = 0; i < 20; ++i) {
    harness.send(i % 2 == 0 ? "a" : "b");
  }
  must(harness.tick());
  harness.clean();
  CHECK(harness.batches().count(7) == 0);
  CHECK(harness.batches()[8] == Counts{0});
}

TEST_CASE("After a step of the wall clock no producer is forgotten, and no compaction begins") {
  Compacted harness;
  harness.partition_options.clock =
      make_ref<ClockWatch>(harness.world, make_ref<Events>(harness.world, EventSink()));
  harness.open_partition();
  harness.send("a", 7, 0);
  for (int i = 0; i < 20; ++i) {
    harness.send("a");
  }
  harness.env.set_wall(harness.world.wall_now() + 25 * 3'600'000);
  must(harness.tick());
  harness.send("a", 7, 0);
  CHECK(harness.partition->metrics().repeated == 1);
  auto candidate = must(harness.partition->find_cleaning({}));
  REQUIRE(candidate.has_value());
  const auto round = harness.partition->begin_cleaning(*std::move(candidate), {.seed = 7});
  CHECK(error_code(round.status()) == ErrorCode::offset_not_available);  // asked again

  harness.env.advance(10min);
  must(harness.tick());
  harness.send("a", 7, 1);
  CHECK(harness.partition->metrics().refused == 1);
  harness.clean();
}

TEST_CASE("Snapshots of segments that compaction took away go with them") {
  Compacted harness;
  harness.open_partition();
  for (int i = 0; i < 40; ++i) {
    harness.send(i % 2 == 0 ? "a" : "b", 7, i);
  }
  harness.clean();
  std::vector<std::string> without_log;
  for (const std::string& name : harness.names()) {
    if (name.ends_with(producer_snapshot_suffix) &&
        !harness.has(name.substr(0, name.find('.')) + std::string(log_suffix))) {
      without_log.push_back(name);
    }
  }
  CHECK(without_log.empty());
}

TEST_CASE("A log whose producers cannot be read is not compacted before they can") {
  Compacted harness;
  harness.partition_options.tail_bytes = 0;
  harness.open_partition();
  harness.send("a", 7, 0);
  for (int i = 0; i < 20; ++i) {
    harness.send(i % 2 == 0 ? "a" : "b");
  }
  must(harness.partition->close(after(harness.world.steady_now(), 10s)).status());
  bool broken = true;
  harness.on_io = [&](IoCall& call) {
    return broken && call.path.ends_with(producer_snapshot_suffix) &&
                   call.operation == IoOperation::open
               ? error(Fault::io, "input/output error")
               : absl::OkStatus();
  };
  harness.open_partition({.last_stop = LastStop::clean, .now = harness.world.wall_now()});
  CHECK_FALSE(must(harness.partition->find_cleaning({})).has_value());  // nothing is stable
  broken = false;
  harness.send("c");
  harness.clean();
  CHECK(harness.batches()[7] == Counts{0});
}
