// SPDX-License-Identifier: Apache-2.0
//
// Who is told that records are on the device, when, and what a failed sync means.
#include "partition_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace partition_test;

namespace {

using Offsets = std::vector<std::int64_t>;

int syncs(Harness& h) { return h.count(IoOperation::sync, IoReason::flush); }

const absl::Status broken = error(Fault::io, "input/output error", Outcome::unknown);

}  // namespace

TEST_CASE("Only who asked for it waits for the device") {
  Harness h;
  h.open_partition();
  h.produce(0);
  h.produce(1, {}, Durability::durable);
  must(h.write_out());
  CHECK(h.offsets() == Offsets{0});
  CHECK(syncs(h) == 0);
  CHECK(h.values() == numbers(0, 2));
  must(h.write_out(Durability::durable));
  CHECK(h.offsets() == Offsets{0, 1});
  CHECK(syncs(h) > 0);
  CHECK(h.partition->ends().durable == Offset(2));
}

TEST_CASE("A durable batch that nobody waits for is synced by the timer") {
  Harness h;
  h.open_partition();
  h.produce(0, {}, Durability::durable);
  h.env.advance(1ms);
  CHECK(h.offsets() == Offsets{0});
  CHECK(h.partition->metrics().syncs == 1);
  CHECK(h.env.advance(10s) == 0);
  // Written by somebody else's wait, and still told.
  h.produce(1, {}, Durability::durable);
  must(h.write_out());
  h.env.advance(1ms);
  CHECK(h.offsets() == Offsets{0, 1});
  CHECK(h.env.advance(10s) == 0);
}

TEST_CASE("What is written while a sync runs is not told durable by it, and synced next") {
  Harness h;
  h.open_partition();
  bool inside = false;
  h.on_io = [&](IoCall& call) {
    if (!call.done && call.operation == IoOperation::sync && !std::exchange(inside, true)) {
      h.produce(1, {}, Durability::durable);  // another thread's
      must(h.write_out());
      CHECK(h.told->empty());
    }
    return absl::OkStatus();
  };
  h.produce(0, {}, Durability::durable);
  must(h.write_out(Durability::durable));
  CHECK(h.offsets() == Offsets{0});
  h.env.advance(1ms);
  CHECK(h.offsets() == Offsets{0, 1});
  CHECK(h.partition->metrics().syncs == 2);
  CHECK(h.held == 0);
}

TEST_CASE("One sync answers all who were written before it") {
  Harness h;
  h.open_partition();
  h.append(0, 1, {});
  must(h.write_out(Durability::durable));
  const int before = syncs(h);
  for (int i = 1; i < 30; ++i) h.produce(i, {}, Durability::durable);
  must(h.write_out(Durability::durable));
  CHECK(syncs(h) == before + 1);
  CHECK(h.told->size() == 30);
  must(h.write_out(Durability::durable));
  CHECK(syncs(h) == before + 1);
}

TEST_CASE("With flush.messages=1 acknowledged and visible mean durable") {
  Harness h;
  h.partition_options.config.flush_messages = 1;
  h.open_partition();
  const auto bell = make_ref<Bell>();
  REQUIRE(h.partition->add_waiter(bell, Offset(0), 1));
  h.produce(0);
  h.produce(1, {.value_size = 300'000});  // a piece that is written at once
  CHECK(h.write_outs() == 1);
  CHECK(h.told->empty());
  CHECK(h.fetch(0).slices.empty());
  CHECK(h.fetch(0).status.ok());
  CHECK(h.fetch(2).status.ok());
  CHECK(h.partition->list_offsets({.timestamp = at_latest}, {}).offset == Offset(0));
  CHECK(bell->rung == 0);
  h.env.advance(1ms);
  CHECK(bell->rung == 1);
  CHECK(h.offsets() == Offsets{0, 1});
  CHECK(h.values().size() == 2);
  h.produce(2);
  must(h.write_out());
  CHECK(h.offsets() == Offsets{0, 1, 2});
  CHECK(h.partition->ends().durable == Offset(3));
}

TEST_CASE("With flush.messages=1 records that want no acknowledgement become visible, too") {
  Harness h;
  h.partition_options.config.flush_messages = 1;
  h.open_partition();
  h.partition->produce({.acks = Acks::none, .batch = make_batch(0)}, BatchOrigin::here);
  h.env.advance(1ms);
  CHECK(h.values() == numbers(0, 1));
  CHECK(h.env.advance(10s) == 0);
}

TEST_CASE("A failed sync is final: who waits cannot know, who comes is refused, reads go on") {
  Harness h;
  h.open_partition();
  h.append(0, 2);
  h.produce(2, {}, Durability::durable);
  h.produce(3);
  h.on_io = failing(IoOperation::sync, IoReason::flush, broken);
  const absl::Status failed = h.write_out(Durability::durable);
  CHECK(error_code(failed) == ErrorCode::kafka_storage_error);
  CHECK(outcome(failed) == Outcome::unknown);
  CHECK(h.offsets() == Offsets{0, 1, -1, 3});
  const Told& told = (*h.told)[2];
  CHECK(error_code(told.outcome.status()) == ErrorCode::kafka_storage_error);
  CHECK(outcome(told.outcome.status()) == Outcome::unknown);
  CHECK(told.refused.empty());
  CHECK_FALSE(h.health->writable());
  h.on_io = nullptr;
  h.produce(4, {}, Durability::durable);
  h.produce(5);
  CHECK(h.offsets() == Offsets{0, 1, -1, 3, -1, -1});
  CHECK(outcome(h.told->back().outcome.status()) == Outcome::not_written);
  CHECK_FALSE(h.write_out(Durability::durable).ok());
  CHECK(h.values() == numbers(0, 4));
  CHECK(h.env.advance(10s) <= 1);  // the timer finds nothing to do
}

TEST_CASE(
    "Without a descriptor nothing is synced, who waits cannot know, and the next sync may do") {
  Harness h;
  h.open_partition();
  h.produce(0, {}, Durability::durable);
  h.on_io = failing(IoOperation::sync, IoReason::flush,
                    error(Fault::no_descriptors, "too many open files"));
  const absl::Status refused = h.write_out(Durability::durable);
  CHECK(fault(refused) == Fault::no_descriptors);
  CHECK(outcome(refused) == Outcome::unknown);
  REQUIRE(h.told->size() == 1);
  CHECK(fault(h.told->front().outcome.status()) == Fault::no_descriptors);
  CHECK(h.health->writable());
  h.on_io = nullptr;
  h.produce(1, {}, Durability::durable);
  must(h.write_out(Durability::durable));
  CHECK(h.offsets() == Offsets{-1, 1});
  CHECK(h.partition->ends().durable == Offset(2));
}

TEST_CASE("A sync that fails while the next batch is being written tells that one, too") {
  Harness h;
  h.open_partition();
  h.produce(0, {}, Durability::durable);
  must(h.write_out());
  h.produce(1, {}, Durability::durable);
  bool syncing = false;
  h.on_io = [&](IoCall& call) -> absl::Status {
    if (call.operation == IoOperation::sync) return broken;
    if (call.operation == IoOperation::write && !std::exchange(syncing, true)) {
      CHECK_FALSE(h.write_out(Durability::durable).ok());
    }
    return absl::OkStatus();
  };
  h.write_out().IgnoreError();
  CHECK(h.offsets() == Offsets{-1, -1});
}

TEST_CASE("Another partition's failed sync makes outcomes unknown here, and appends fail") {
  Harness h;
  h.open_partition();
  h.produce(0, {}, Durability::durable);
  must(h.write_out());
  h.health->fail();
  CHECK(outcome(h.write_out(Durability::durable)) == Outcome::unknown);
  REQUIRE(h.told->size() == 1);
  CHECK(outcome(h.told->front().outcome.status()) == Outcome::unknown);
  CHECK(h.values() == numbers(0, 1));
}

TEST_CASE("A sync that hangs keeps nobody beyond his deadline, and appends go on") {
  Harness h;
  h.open_partition();
  bool inside = false;
  h.on_io = [&](IoCall& call) {
    if (!call.done && call.operation == IoOperation::sync && !std::exchange(inside, true)) {
      const SteadyTime before = h.world.steady_now();
      const SteadyTime deadline = after(before, 3s);
      CHECK(fault(h.partition->write_out(Durability::durable, deadline)) == Fault::timed_out);
      CHECK(fault(h.partition->flush(FlushScope::sealed, deadline)) == Fault::timed_out);
      CHECK(h.world.steady_now() == deadline);
      h.append(1, 3);
      CHECK(h.values() == numbers(0, 4));
    }
    return absl::OkStatus();
  };
  h.produce(0, {}, Durability::durable);
  must(h.write_out(Durability::durable));
  CHECK(h.offsets() == Offsets{0, 1, 2, 3});
}

TEST_CASE("Closed segments are synced in the background, and the recovery point moves on") {
  Harness h;
  h.partition_options.config.log.segment_bytes = 400;
  h.open_partition();
  h.append(0, 20);
  CHECK(h.partition->ends().recovery_point == Offset(0));
  CHECK(syncs(h) == 0);
  h.env.run_until_idle();
  const auto ends = h.partition->ends();
  CHECK(ends.recovery_point > Offset(10));
  CHECK(syncs(h) > 0);
  const int before = syncs(h);
  h.env.advance(10s);
  CHECK(syncs(h) == before);
  must(h.partition->flush(FlushScope::sealed, after(h.world.steady_now(), 1s)));
  CHECK(h.partition->ends().recovery_point == Offset(20));
}
