// SPDX-License-Identifier: Apache-2.0
//
// When staged batches are written, by whom, and who is told in which order.
#include "partition_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace partition_test;

using Offsets = std::vector<std::int64_t>;

TEST_CASE("A batch that nobody waits for is written by the delay, and then no timer is left") {
  Harness h;
  h.open_partition();
  h.produce(0);
  h.env.advance(999us);
  CHECK(h.write_outs() == 0);
  CHECK(h.told->empty());
  h.env.advance(1us);
  CHECK(h.write_outs() == 1);
  CHECK(h.offsets() == Offsets{0});
  CHECK(h.env.advance(10s) == 0);
  h.produce(1);
  h.env.advance(1ms);
  CHECK(h.offsets() == Offsets{0, 1});
  CHECK(h.env.advance(10s) == 0);
}

TEST_CASE("One timer serves all that is staged within the delay, with one write") {
  Harness h;
  h.open_partition();
  for (int i = 0; i < 50; ++i) {
    h.produce(i, {.records = 2});
    h.env.advance(10us);
  }
  CHECK(h.env.advance(10s) == 1);
  CHECK(h.write_outs() == 1);
  REQUIRE(h.told->size() == 50);
  for (int i = 0; i < 50; ++i) {
    CHECK((*h.told)[static_cast<std::size_t>(i)].tag == i);
    CHECK((*h.told)[static_cast<std::size_t>(i)].outcome->base_offset == Offset(2 * i));
  }
}

TEST_CASE("256 KiB of staged batches are written by whoever stages the last of them") {
  Harness h;
  h.open_partition();
  const Shape large{.value_size = 16'000};
  int n = 0;
  while (h.write_outs() == 0) h.produce(n++, large);
  CHECK(n == 17);  // 16,000 and a few bytes each
  CHECK(h.told->size() == 17);
  for (int i = 0; i < 16; ++i) h.produce(n++, large);
  CHECK(h.write_outs() == 1);
  h.produce(n++, large);
  CHECK(h.write_outs() == 2);
  CHECK(h.values() == numbers(0, 34));
}

TEST_CASE("Under load the timer leaves to the large writes what is younger than the delay") {
  Harness h;
  h.open_partition();
  const Shape large{.value_size = 16'000};
  for (int i = 0; i < 17 * 20 + 1; ++i) {
    h.produce(i, large);  // a large write every 850 us
    h.env.advance(50us);
  }
  CHECK(h.write_outs() == 20);
  h.env.advance(899us);
  CHECK(h.write_outs() == 20);
  h.env.advance(1us);  // 1 ms after the last large write, behind which the last batch was staged
  CHECK(h.write_outs() == 21);
}

TEST_CASE("Whoever waits has it written at once, all of it together") {
  Harness h;
  h.open_partition();
  for (int i = 0; i < 5; ++i) h.produce(i);
  CHECK(h.told->empty());
  CHECK(h.partition->ends().end == Offset(0));
  must(h.write_out());
  CHECK(h.write_outs() == 1);
  CHECK(h.offsets() == Offsets{0, 1, 2, 3, 4});
  CHECK(h.partition->ends().end == Offset(5));
  must(h.write_out());
  CHECK(h.write_outs() == 1);
  CHECK(h.count(IoOperation::sync, IoReason::flush) == 0);
}

TEST_CASE("Nothing is told to who wants no acknowledgement") {
  Harness h;
  h.open_partition();
  h.partition->produce(
      {.acks = Acks::none, .batch = make_batch(0), .reply = make_ref<Recorder>(h.told, 0, nullptr)},
      BatchOrigin::here);
  h.produce(1);
  must(h.write_out());
  CHECK(h.offsets() == Offsets{1});
  CHECK(h.values() == numbers(0, 2));
}

TEST_CASE("Batches carry offsets, the leader's epoch and their checksum on the disk") {
  Harness h;
  h.partition_options.epoch = LeaderEpoch(7);
  h.open_partition();
  h.append(0, 3, {.records = 4});
  const std::string log = h.content("00000000000000000000.log");
  BatchCursor batches(as_bytes(log));
  std::int64_t next = 0;
  while (const BatchView* batch = batches.next()) {
    CHECK(batch->header().base_offset == Offset(next));
    CHECK(batch->header().leader_epoch == LeaderEpoch(7));
    next += 4;
  }
  CHECK(batches.ok());
  CHECK(next == 12);
  CHECK(h.partition->epochs() == std::vector<EpochStart>{{LeaderEpoch(7), Offset(0)}});
}

TEST_CASE("A topic with LogAppendTime stamps the clock, and the acknowledgement says so") {
  Harness h;
  h.partition_options.config.timestamp_type = TimestampType::log_append_time;
  h.open_partition();
  const Timestamp now = h.world.wall_now();
  h.produce(0, {.timestamp = 5});
  must(h.write_out());
  CHECK((*h.told)[0].outcome->log_append_time == now);
  const FetchedPartition fetched = h.fetch(0);
  const BatchView batch = *BatchView::parse(fetched.slices[0].bytes.bytes());
  CHECK(batch.header().max_timestamp == now);
  RecordCursor records = batch.records();
  CHECK(records.next()->timestamp() == now);
}

TEST_CASE("Batches staged while others are written go with the next write") {
  Harness h;
  h.open_partition();
  bool inside = false;
  h.on_io = [&](IoCall& call) {
    if (!call.done && call.operation == IoOperation::write && call.reason == IoReason::append &&
        !inside) {
      inside = true;  // as other threads would
      for (int i = 1; i < 4; ++i) h.produce(i);
      CHECK(h.told->empty());
    }
    return absl::OkStatus();
  };
  h.produce(0);
  must(h.write_out());
  CHECK(h.offsets() == Offsets{0});
  h.env.advance(1ms);
  CHECK(h.offsets() == Offsets{0, 1, 2, 3});
  CHECK(h.write_outs() == 2);
  CHECK(h.held == 0);
}

TEST_CASE("A reply may produce, and its own reply comes after the others") {
  Harness h;
  h.open_partition();
  int more = 3;
  std::function<void()> again = [&] {
    if (more > 0) {
      h.produce_batch(10 + more--, make_batch(10), Durability::written, BatchOrigin::here, again);
      must(h.write_out());
    }
  };
  h.produce_batch(0, make_batch(0), Durability::written, BatchOrigin::here, again);
  h.produce(1);
  must(h.write_out());
  CHECK(h.offsets() == Offsets{0, 1, 2, 3, 4});
}

TEST_CASE("A disk that hangs lets producers go on up to the budget, then they are told to retry") {
  Harness h;
  h.partition_options.staged_bytes = 2000;
  h.partition_options.produce_timeout = 5s;
  h.open_partition();
  std::vector<absl::Status> waited;
  bool inside = false;
  h.on_io = [&](IoCall& call) {
    if (!call.done && call.operation == IoOperation::write && call.reason == IoReason::append &&
        !std::exchange(inside, true)) {
      // This call of another thread's hangs; here are the others.
      const SteadyTime before = h.world.steady_now();
      for (int i = 1; i < 20; ++i) h.produce(i, {.value_size = 100});
      CHECK(h.told->size() == 9);  // 11 of 168 bytes have room
      CHECK(h.world.steady_now() == after(before, 9 * 5s));
      waited.push_back(
          h.partition->write_out(Durability::written, after(h.world.steady_now(), 1s)));
      waited.push_back(
          h.partition->write_out(Durability::durable, after(h.world.steady_now(), 1s)));
      CHECK(h.world.steady_now() == after(before, 47s));
    }
    return absl::OkStatus();
  };
  h.produce(0, {.value_size = 100});
  must(h.write_out());
  REQUIRE(waited.size() == 2);
  for (const absl::Status& status : waited) {
    CHECK(fault(status) == Fault::timed_out);
    CHECK(outcome(status) == Outcome::unknown);
  }
  const Told& refused = h.told->front();
  CHECK(error_code(refused.outcome.status()) == ErrorCode::request_timed_out);
  CHECK(outcome(refused.outcome.status()) == Outcome::not_written);
  CHECK(retriable(refused.outcome.status()));
  CHECK_FALSE(refused.refused.empty());
  must(h.write_out());
  CHECK(h.told->size() == 20);
  CHECK(h.partition->ends().end == Offset(11));
}

TEST_CASE("Who is not to wait so long for a disk that hangs is told to retry at his deadline") {
  Harness h;
  h.partition_options.staged_bytes = 2000;
  h.open_partition();
  bool inside = false;
  h.on_io = [&](IoCall& call) {
    if (!call.done && call.operation == IoOperation::write && call.reason == IoReason::append &&
        !std::exchange(inside, true)) {
      const SteadyTime before = h.world.steady_now();
      for (int i = 1; i < 20; ++i) {
        h.partition->produce({.deadline = after(before, 100ms),
                              .batch = make_batch(i, {.value_size = 100}),
                              .reply = make_ref<Recorder>(h.told, i, nullptr)},
                             BatchOrigin::here);
      }
      CHECK(h.told->size() == 9);
      CHECK(h.world.steady_now() == after(before, 100ms));
    }
    return absl::OkStatus();
  };
  h.produce(0, {.value_size = 100});
  must(h.write_out());
  const absl::Status refused = h.told->front().outcome.status();
  CHECK(error_code(refused) == ErrorCode::request_timed_out);
  CHECK(outcome(refused) == Outcome::not_written);
  CHECK(retriable(refused));
}
