// SPDX-License-Identifier: Apache-2.0
//
// Who is told that records are on the device, when, and what a failed sync means.
#include <algorithm>

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

TEST_CASE("Who waits for the device holds up nobody else, and each is told in order") {
  Harness h;
  h.open_partition();
  h.produce(0, {}, Durability::durable);
  h.produce(1);
  h.produce(2, {}, Durability::durable);
  h.produce(3);
  must(h.write_out());
  CHECK(h.offsets() == Offsets{1, 3});
  CHECK(syncs(h) == 0);
  must(h.write_out(Durability::durable));
  CHECK(h.offsets() == Offsets{1, 3, 0, 2});
  SECTION("where the device fails, only those hear of it") {
    h.on_io = failing(IoOperation::sync, IoReason::flush, broken);
    h.produce(4, {}, Durability::durable);
    h.produce(5);
    must(h.write_out());
    CHECK(h.offsets() == Offsets{1, 3, 0, 2, 5});
    CHECK_FALSE(h.write_out(Durability::durable).ok());
    REQUIRE(h.told->size() == 6);
    CHECK(outcome(h.told->back().outcome.status()) == Outcome::unknown);
  }
  SECTION("where the write fails, each has its batch again") {
    h.on_io = failing(IoOperation::write, IoReason::append,
                      error(ErrorCode::kafka_storage_error, "no room"));
    h.produce(4, {.records = 4}, Durability::durable);
    h.produce(5, {.records = 5});
    h.produce(6, {.records = 6}, Durability::durable);
    h.write_out().IgnoreError();
    REQUIRE(h.told->size() == 7);
    std::vector<int> tags;
    std::vector<int> back;
    for (std::size_t i = 4; i < 7; ++i) {
      tags.push_back((*h.told)[i].tag);
      back.push_back(BatchHeader::parse((*h.told)[i].refused.bytes()).record_count);
    }
    CHECK(tags == std::vector<int>{5, 4, 6});
    CHECK(back == tags);
  }
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

TEST_CASE("With flush.messages=1 what is visible after a crash does not end before it begins") {
  Harness h;
  h.partition_options.config.flush_messages = 1;
  h.open_partition();
  h.append(0, 5);
  h.open_partition({.last_stop = LastStop::process_crash, .log_start = Offset(3)});
  const auto ends = h.partition->ends();
  CHECK(ends.start == Offset(3));
  CHECK(ends.durable == Offset(0));  // is not known yet
  CHECK(ends.visible == Offset(3));
  CHECK(h.values(3).empty());
  h.append(5, 1);
  CHECK(h.values(3) == numbers(3, 6));
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
  CHECK(h.offsets() == Offsets{0, 1, 3, -1});
  const Told& told = (*h.told)[3];
  CHECK(error_code(told.outcome.status()) == ErrorCode::kafka_storage_error);
  CHECK(outcome(told.outcome.status()) == Outcome::unknown);
  CHECK(told.refused.empty());
  CHECK_FALSE(h.health->writable());
  h.on_io = nullptr;
  h.produce(4, {}, Durability::durable);
  h.produce(5);
  CHECK(h.offsets() == Offsets{0, 1, 3, -1, -1, -1});
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
  CHECK(h.offsets() == Offsets{1, 2, 3, 0});
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

TEST_CASE("Neither those who wait for the device nor the others are told last") {
  ReplyQueue replies;
  for (int i = 0; i < 40; ++i) {
    const Durability durability = i % 2 == 0 ? Durability::written : Durability::durable;
    replies.reserve_one(durability);
    replies.push(durability, {.reply = {}, .base = Offset(i), .last = Offset(i)});
  }
  replies.settle(Offset(40), Offset(40));
  const ReplyQueue::Taken taken = replies.take();
  REQUIRE(taken.size() == ReplyQueue::most_taken);
  CHECK(std::count_if(taken.begin(), taken.end(), [](const ReplyQueue::Entry& entry) {
          return entry.base.value() % 2 == 1;
        }) == ReplyQueue::most_taken / 2);
}
