// SPDX-License-Identifier: Apache-2.0
//
// Memory that cannot be had, and how much is asked for when it can be had.
#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "partition_fixture.hpp"
#include "tests/log/cleaning_fixture.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/replaced_new.hpp"

#ifdef OTTLA_TEST_SANITIZED

#include <cstdio>

TEST_CASE("Memory that cannot be had: not under a sanitizer") {
  std::puts("SKIPPED: operator new is the sanitizer's");
}

#else

using namespace partition_test;
using test::allocations;
using test::FailingMemory;

namespace {

/// Keeps outcomes without asking for memory.
struct Kept {
  int told = 0;
  bool ok = false;
  Outcome outcome = Outcome::unknown;
  std::int64_t base = -1;
};

class Keeping final : public ProduceReply {
 public:
  explicit Keeping(Kept& kept) : kept_(kept) {}
  void done(absl::StatusOr<ProduceResponse> outcome, SealedBatch) noexcept override {
    ++kept_.told;
    kept_.ok = outcome.ok();
    if (outcome.ok()) {
      kept_.base = outcome->base_offset.value();
    } else {
      kept_.outcome = ottla::outcome(outcome.status());
    }
  }

 private:
  Kept& kept_;
};

constexpr int batches = 24;

/// Whether the failing allocation was reached.
bool try_without_memory(int k, FailingMemory::How how) {
  Harness h;
  h.partition_options.config.log.segment_bytes = 900;
  h.open_partition();
  std::array<Kept, batches> kept;
  std::vector<ProduceRequest> requests;
  for (int i = 0; i < batches; ++i) {
    requests.push_back({.durability = i % 5 == 4 ? Durability::durable : Durability::written,
                        .batch = make_batch(i, {.records = 1 + i % 2}),
                        .reply = make_ref<Keeping>(kept[static_cast<std::size_t>(i)])});
  }
  std::optional<FailingMemory> failing(std::in_place, k, how);
  for (int i = 0; i < batches; ++i) {
    h.partition->produce(std::move(requests[static_cast<std::size_t>(i)]), BatchOrigin::here);
    if (i % 6 == 5) {
      const auto level = i == 11 ? Durability::durable : Durability::written;
      (void)guarded([&] { return h.write_out(level); });
    }
  }
  const bool reached = failing->reached();
  failing.reset();
  h.write_out(Durability::durable).IgnoreError();
  h.env.advance(10ms);
  CHECK(h.held == 0);
  const std::vector<std::string> read = h.values();
  for (int i = 0; i < batches; ++i) {
    const Kept& each = kept[static_cast<std::size_t>(i)];
    CHECK(each.told == 1);
    const std::string value = std::to_string(i);
    if (each.ok) {
      REQUIRE(static_cast<std::size_t>(each.base) < read.size());
      CHECK(read[static_cast<std::size_t>(each.base)] == value);
    } else if (each.outcome == Outcome::not_written) {
      CHECK(std::find(read.begin(), read.end(), value) == read.end());
    }
  }
  return reached;
}

std::map<std::string, std::string> latest_in(const Harness& h) {
  return log_test::latest(must(h.partition->view()));
}

void put(Harness& h, const std::string& key, int value) {
  BatchBuilder builder(BatchFields{});
  const std::string text = std::to_string(value);
  must(builder.append(
      {.timestamp = h.world.wall_now(), .key = as_bytes(key), .value = as_bytes(text)}));
  h.produce_batch(value, must(builder.seal()));
  must(h.write_out());
}

/// A round, of which the `step`-th with the baton lacks its `k`-th allocation. Whether it came to
/// that.
bool compact_without_memory(Harness& h, int step, int k) {
  auto candidate = must(h.partition->find_cleaning({}));
  REQUIRE(candidate);
  const auto round = must(h.partition->begin_cleaning(*std::move(candidate), {.seed = 7}));
  bool reached = false;
  for (int with_baton = 0; round->turn() != CleaningTurn::done;) {
    std::optional<FailingMemory> failing;
    if (round->turn() == CleaningTurn::baton && with_baton++ == step) {
      failing.emplace(k);
    }
    const auto done = h.partition->clean_some(*round);
    reached = reached || (failing && failing->reached());
    failing.reset();
    if (!done.ok()) {
      h.partition->give_up_cleaning();
      return reached;
    }
  }
  return reached;
}

}  // namespace

TEST_CASE("Whichever allocation fails, every batch has one outcome, and the partition goes on") {
  int k = 0;
  while (try_without_memory(k, FailingMemory::How::once)) ++k;
  CHECK(k > 100);
}

TEST_CASE("Without any memory from some moment on nothing breaks, and it goes on when there is") {
  for (int k = 0; try_without_memory(k, FailingMemory::How::for_good); k += 3) {
  }
}

TEST_CASE("Without memory for index entries a batch is written, and those that come later are") {
  bool reached = true;
  for (int k = 0; reached; ++k) {
    CAPTURE(k);
    Harness h;
    h.partition_options.config.log.index_interval_bytes = 50;
    h.open_partition();
    h.append(0, 1);
    std::array<Kept, 3> kept;
    std::vector<ProduceRequest> requests;
    for (Kept& each : kept) {
      requests.push_back({.batch = make_batch(1), .reply = make_ref<Keeping>(each)});
    }
    {
      const FailingMemory failing(k, FailingMemory::How::for_good);
      for (ProduceRequest& each : requests) {
        h.partition->produce(std::move(each), BatchOrigin::here);
      }
      (void)guarded([&] { return h.write_out(); });
      reached = failing.reached();
    }
    h.write_out().IgnoreError();
    const std::size_t before = h.values().size();
    h.append(10, 5);
    REQUIRE(h.values().size() == before + 5);
  }
}

TEST_CASE("Records are deleted and found, whichever allocation failed at first") {
  bool reached = true;
  for (int k = 0; reached; ++k) {
    INFO("allocation " << k);
    Harness h;
    h.partition_options.config.log.segment_bytes = 300;
    h.open_partition();
    h.append(0, batches);
    const auto by_time = [&] {
      return h.partition->list_offsets({.timestamp = Timestamp(1'600'000'000'000)},
                                       IsolationLevel::read_uncommitted);
    };
    const auto delete_records = [&](std::int64_t before) {
      return h.partition->delete_records(
          Offset(before), [](Offset) { return absl::OkStatus(); }, after(h.world.steady_now(), 1s));
    };
    {
      const FailingMemory failing(k);
      const auto deleted = delete_records(10);
      CHECK((deleted.ok() || fault(deleted.status()) == Fault::no_memory));
      const absl::Status ticked = guarded([&] { return h.tick().status(); });
      CHECK((ticked.ok() || fault(ticked) == Fault::no_memory));
      guarded([&] { by_time(); }).IgnoreError();
      reached = failing.reached();
    }
    h.env.advance(2min);
    CHECK(must(delete_records(12)) == Offset(12));
    CHECK(by_time().offset == Offset(12));
    must(h.tick());
    h.append(batches, 2);
    CHECK(h.values(12) == numbers(12, batches + 2));
    must(h.partition->close(after(h.world.steady_now(), 1s)).status());
  }
}

TEST_CASE("Compaction loses no key, whichever allocation fails") {
  const bool killed = GENERATE(false, true);
  for (int step = 0; step < 3; ++step) {
    bool reached = true;
    for (int k = 0; reached; ++k) {
      CAPTURE(killed, step, k);
      Harness h;
      TopicConfig& config = h.partition_options.config;
      config.log.compact = true;
      config.log.segment_bytes = 300;
      config.min_cleanable_dirty_ratio = 0;
      h.partition_options.tail_bytes = 0;
      h.open_partition();
      for (int i = 0; i < 4; ++i) put(h, "once" + std::to_string(i), i);
      for (int i = 4; i < 20; ++i) put(h, "often" + std::to_string(i % 3), i);
      const auto values = latest_in(h);
      reached = compact_without_memory(h, step, k);
      REQUIRE(latest_in(h) == values);
      LogOpening opening{.last_stop = LastStop::process_crash};
      if (h.health->writable()) {
        put(h, "once0", 20);
        compact_without_memory(h, 0, 1'000'000);
        put(h, "once0", 0);
        REQUIRE(h.health->writable());
        REQUIRE(latest_in(h) == values);
        if (!killed) {
          const CleanEnd end = must(h.partition->close(after(h.world.steady_now(), 1s)));
          opening = {.last_stop = LastStop::clean, .clean_end = end, .recovery_point = end.end};
        }
      }
      h.open_partition(opening);
      REQUIRE(latest_in(h) == values);
    }
  }
}

TEST_CASE("In the steady state a batch asks for no memory of its own") {
  Harness h;
  h.partition_options.tail_bytes = 64 * 4096;
  h.open_partition();
  Kept kept;
  const Ref<ProduceReply> reply = make_ref<Keeping>(kept);
  const auto rounds = [&](int n) {
    int asked = 0;
    for (int i = 0; i < n; ++i) {
      ProduceRequest request{.batch = make_batch(1, {.value_size = 3000}), .reply = reply};
      const int before = allocations;
      h.partition->produce(std::move(request), BatchOrigin::here);
      asked += allocations - before;
    }
    return asked;
  };
  rounds(2000);
  const int write_outs = h.write_outs();
  const int asked = rounds(2000);
  // What is left is the file system in memory, and the hook before it, once a write-out.
  CHECK(asked <= (h.write_outs() - write_outs) * 16);
  CHECK(h.told->empty());
  CHECK(kept.told > 3900);
}

#endif
