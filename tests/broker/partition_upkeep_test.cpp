// SPDX-License-Identifier: Apache-2.0
//
// Retention, deleting records, rest, closing, removal.
#include "partition_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace partition_test;

namespace {

using Offsets = std::vector<std::int64_t>;

/// Segments of two batches each.
struct Small : Harness {
  Small() {
    partition_options.config.log.segment_bytes =
        static_cast<std::int32_t>(2 * make_batch(0).size());
    partition_options.config.log.retention = std::nullopt;
    partition_options.config.log.file_delete_delay = 60s;
  }
  int files(std::string_view ending) {
    int n = 0;
    for (const std::string& name : names()) {
      n += name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending;
    }
    return n;
  }
  absl::StatusOr<Offset> delete_records(std::int64_t before) {
    return partition->delete_records(
        Offset(before),
        [this](Offset start) {
          checkpoints.push_back(start);
          CHECK(partition->ends().start < start);  // W7: noted before anybody sees it
          return absl::OkStatus();
        },
        after(world.steady_now(), 1s));
  }
};

}  // namespace

TEST_CASE("Retention notes the new start, renames segments, and removes them after the delay") {
  Small h;
  h.partition_options.config.log.retention_bytes = 4 * static_cast<int>(make_batch(0).size());
  h.open_partition();
  h.append(0, 10);
  must(h.tick());
  REQUIRE(h.checkpoints == std::vector<Offset>{Offset(6)});
  CHECK(h.partition->ends().start == Offset(6));
  CHECK(h.files(".log") == 2);
  CHECK(h.files(".log.deleted") == 3);
  CHECK(error_code(h.fetch(5).status) == ErrorCode::offset_out_of_range);
  CHECK(h.values(6) == numbers(6, 10));
  h.env.advance(59s);
  CHECK(h.files(".deleted") == 9);
  h.env.advance(2s);
  CHECK(h.files(".deleted") == 0);
  CHECK(h.env.advance(600s) == 0);  // no timer is left
  CHECK(h.held == 0);
}

TEST_CASE("A start is seen before the first segment below it is taken away") {
  Small h;
  h.open_partition();
  h.append(0, 10);
  int renamed = 0;
  h.on_io = [&](IoCall& call) {
    if (call.operation == IoOperation::rename && call.reason == IoReason::delete_segment) {
      ++renamed;
      CHECK(h.partition->ends().start == Offset(6));
    }
    return absl::OkStatus();
  };
  CHECK(must(h.delete_records(6)) == Offset(6));
  CHECK(renamed > 0);
  CHECK(h.held == 0);
}

TEST_CASE("Files that somebody reads, or that cannot be removed, are tried again") {
  Small h;
  h.partition_options.config.log.retention_bytes = 0;
  h.open_partition();
  h.append(0, 5);
  must(h.tick());
  REQUIRE(h.files(".deleted") > 0);
  h.on_io = failing(IoOperation::remove, IoReason::delete_segment, error(Fault::io, "no"));
  h.env.advance(70s);
  CHECK(h.files(".deleted") > 0);
  h.on_io = nullptr;
  must(h.tick());
  h.append(5, 5);
  must(h.tick());
  h.env.advance(70s);
  CHECK(h.files(".deleted") == 0);
}

TEST_CASE("Where the new start cannot be noted no segment goes") {
  Small h;
  h.partition_options.config.log.retention_bytes = 0;
  h.open_partition();
  h.append(0, 10);
  const auto ticked = h.partition->tick([](Offset) { return error(Fault::no_space, "disk full"); });
  CHECK(fault(ticked.status()) == Fault::no_space);
  CHECK(h.files(".deleted") == 0);
  CHECK(h.partition->ends().start == Offset(0));
  must(h.tick());
  CHECK(h.files(".deleted") > 0);
}

TEST_CASE("Retention comes again where others are writing") {
  Small h;
  h.partition_options.config.log.retention_bytes = 0;
  h.open_partition();
  bool inside = false;
  h.on_io = [&](IoCall& call) {
    if (!call.done && call.reason == IoReason::append && !std::exchange(inside, true)) {
      CHECK(must(h.tick()));
      CHECK(h.checkpoints.empty());
    }
    return absl::OkStatus();
  };
  h.append(0, 10);
  CHECK_FALSE(must(h.tick()));
  CHECK_FALSE(h.checkpoints.empty());
}

TEST_CASE("Records are deleted up to an offset, which is noted first") {
  Small h;
  h.open_partition();
  h.append(0, 10);
  CHECK(*h.delete_records(5) == Offset(5));
  CHECK(h.checkpoints == std::vector<Offset>{Offset(5)});
  CHECK(h.values(5) == numbers(5, 10));
  CHECK(h.files(".log.deleted") == 2);
  CHECK(error_code(h.fetch(4).status) == ErrorCode::offset_out_of_range);
  CHECK(h.partition->list_offsets({.timestamp = at_earliest}, {}).offset == Offset(5));
  CHECK(error_code(h.delete_records(11).status()) == ErrorCode::offset_out_of_range);
  CHECK(error_code(h.delete_records(-2).status()) == ErrorCode::offset_out_of_range);
  CHECK(*h.delete_records(-1) == Offset(10));
  CHECK(h.values(10).empty());
  h.append(10, 1);
  CHECK(h.values(10) == numbers(10, 11));
  CHECK(*h.partition->delete_records(
            Offset(3), [](Offset) { return absl::OkStatus(); }, never) == Offset(10));
}

TEST_CASE("A topic that is only compacted lets no records be deleted") {
  Small h;
  h.partition_options.config.log.delete_old = false;
  h.open_partition();
  CHECK(error_code(h.delete_records(0).status()) == ErrorCode::policy_violation);
}

TEST_CASE("A partition that is not used gives its memory back, and is read from its files") {
  Harness h;
  h.open_partition();
  h.append(0, 10);
  h.partition->rest();
  CHECK(h.partition->metrics().tail_bytes > 0);  // used since the last time
  h.partition->rest();
  CHECK(h.partition->metrics().tail_bytes == 0);
  CHECK(h.tails->used.load() == 0);
  CHECK(h.values() == numbers(0, 10));
  h.append(10, 5);
  CHECK(h.values(12) == numbers(12, 15));
  CHECK(h.values() == numbers(0, 15));
}

TEST_CASE("Closing writes and syncs everything, tells everybody, and refuses from then on") {
  Harness h;
  h.open_partition();
  const auto bell = make_ref<Bell>();
  h.append(0, 2);
  REQUIRE(h.partition->add_waiter(bell, Offset(2), 1'000'000));
  h.produce(2);
  h.produce(3, {}, Durability::durable);
  const auto end = h.partition->close(never);
  REQUIRE(end.ok());
  CHECK(end->end == Offset(4));
  CHECK(h.offsets() == Offsets{0, 1, 2, 3});
  CHECK(bell->rung == 1);
  const auto ends = h.partition->ends();
  CHECK(ends.end == Offset(4));
  CHECK(ends.recovery_point == Offset(4));
  h.produce(4);
  CHECK(fault(h.told->back().outcome.status()) == Fault::closed);
  CHECK_FALSE(h.told->back().refused.empty());
  CHECK(fault(h.fetch(0).status) == Fault::closed);
  CHECK(fault(h.write_out()) == Fault::closed);
  CHECK(fault(h.partition->flush(FlushScope::data, never)) == Fault::closed);
  CHECK(fault(h.partition->close(never).status()) == Fault::closed);
  CHECK(h.partition->list_offsets({}, {}).error == ErrorCode::not_leader_or_follower);
  CHECK_FALSE(h.partition->add_waiter(bell, Offset(4), 1));
  must(h.tick());
  CHECK(h.tails->used.load() == 0);
  CHECK(h.env.advance(10s) <= 2);
  h.open_partition({.last_stop = LastStop::clean, .clean_end = *end});
  CHECK(h.values() == numbers(0, 4));
  CHECK(h.held == 0);
}

TEST_CASE("Closing does not wait for a disk that hangs beyond its deadline") {
  Harness h;
  h.open_partition();
  const IoOperation hanging = GENERATE(IoOperation::write, IoOperation::sync);
  bool inside = false;
  h.on_io = [&](IoCall& call) {
    const bool mine = call.reason == IoReason::append || call.reason == IoReason::flush;
    if (!call.done && mine && call.operation == hanging && !std::exchange(inside, true)) {
      h.produce(1);
      const SteadyTime deadline = after(h.world.steady_now(), 2s);
      const auto closed = h.partition->close(deadline);
      CHECK(fault(closed.status()) == Fault::timed_out);
      CHECK(h.world.steady_now() == deadline);
    }
    return absl::OkStatus();
  };
  h.produce(0, {}, Durability::durable);
  h.write_out(Durability::durable).IgnoreError();
  REQUIRE(h.told->size() == 2);
  for (const Told& told : *h.told) {
    CHECK(outcome(told.outcome.status()) == Outcome::unknown);
  }
}

TEST_CASE("A deleted topic's partition writes nothing more, and everybody is told") {
  Harness h;
  h.open_partition();
  const auto bell = make_ref<Bell>();
  h.append(0, 1);
  REQUIRE(h.partition->add_waiter(bell, Offset(1), 1'000'000));
  h.produce(1);
  h.produce(2, {}, Durability::durable);
  const int before = h.write_outs();
  must(h.partition->remove(never));
  must(h.partition->remove(never));
  CHECK(h.offsets() == Offsets{0, -1, -1});
  CHECK(error_code((*h.told)[1].outcome.status()) == ErrorCode::unknown_topic_id);
  CHECK(outcome((*h.told)[1].outcome.status()) == Outcome::not_written);
  CHECK(bell->rung == 1);
  CHECK(error_code(h.fetch(0).status) == ErrorCode::unknown_topic_id);
  h.produce(3);
  CHECK(error_code(h.told->back().outcome.status()) == ErrorCode::unknown_topic_id);
  CHECK(error_code(h.write_out()) == ErrorCode::unknown_topic_id);
  CHECK(error_code(h.partition->close(never).status()) == ErrorCode::unknown_topic_id);
  h.env.advance(10s);
  CHECK(h.write_outs() == before);
  CHECK(h.tails->used.load() == 0);
}

TEST_CASE("Removal waits for who is writing; what was written then was acknowledged") {
  Harness h;
  h.open_partition();
  bool inside = false;
  h.on_io = [&](IoCall& call) {
    if (!call.done && call.reason == IoReason::append && !std::exchange(inside, true)) {
      h.produce(1);
      const SteadyTime deadline = after(h.world.steady_now(), 2s);
      CHECK(fault(h.partition->remove(deadline)) == Fault::timed_out);
    }
    return absl::OkStatus();
  };
  h.produce(0);
  h.write_out().IgnoreError();
  REQUIRE(h.told->size() == 2);
  CHECK(outcome((*h.told)[0].outcome.status()) == Outcome::unknown);
  CHECK(outcome((*h.told)[1].outcome.status()) == Outcome::unknown);
  CHECK(h.env.advance(10s) <= 1);
}

TEST_CASE("A new leader epoch is in its file before the first batch that carries it") {
  Harness h;
  h.open_partition();
  h.append(0, 2);
  h.partition_options.epoch = LeaderEpoch(1);
  h.open_partition({.last_stop = LastStop::process_crash});
  const std::string file = "leader-epoch-checkpoint";
  CHECK(h.content(file).find("\n1 ") == std::string::npos);
  bool seen = false;
  h.on_io = [&](IoCall& call) {
    if (!call.done && call.operation == IoOperation::write && call.reason == IoReason::append) {
      seen = true;
      CHECK(h.content(file).find("\n1 2") != std::string::npos);
    }
    return absl::OkStatus();
  };
  h.append(2, 1);
  CHECK(seen);
  CHECK(h.partition->epochs() ==
        std::vector<EpochStart>{{LeaderEpoch(0), Offset(0)}, {LeaderEpoch(1), Offset(2)}});
}

TEST_CASE("Failing disks are events, if somebody listens") {
  Harness h;
  std::vector<std::string> events;
  h.partition_options.events = make_ref<Events>(
      h.world, [&](const BrokerEvent& event) { events.push_back(event.code + " " + event.file); });
  h.open_partition();
  h.on_io = failing(IoOperation::write, IoReason::append, error(Fault::no_space, "disk full"));
  h.produce(0);
  must(h.write_out());
  CHECK(events == std::vector<std::string>{"write_failed t-0"});
  h.on_io = failing(IoOperation::sync, IoReason::flush, error(Fault::io, "gone"));
  h.produce(1);
  CHECK_FALSE(h.write_out(Durability::durable).ok());
  CHECK(events == std::vector<std::string>{"write_failed t-0", "sync_failed t-0"});
}
