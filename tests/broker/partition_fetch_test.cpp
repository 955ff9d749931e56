// SPDX-License-Identifier: Apache-2.0
//
// What is read from memory and what from files, how far, and who is woken when.
#include "partition_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace partition_test;

namespace {

int reads(Harness& h) { return h.count(IoOperation::read, IoReason::other); }

}  // namespace

TEST_CASE("A consumer that keeps up gets the bytes the producer built, without a file call") {
  Harness h;
  h.open_partition();
  SealedBatch batch = make_batch(0);
  const std::byte* memory = batch.bytes().data();
  h.produce_batch(0, std::move(batch));
  const int before = reads(h);
  const FetchedPartition fetched = h.fetch(0);
  REQUIRE(fetched.slices.size() == 1);
  CHECK(fetched.slices[0].bytes.data() == memory);
  CHECK(fetched.slices[0].verified);
  CHECK(fetched.high_watermark == Offset(1));
  CHECK(fetched.last_stable_offset == Offset(1));
  CHECK(fetched.log_start_offset == Offset(0));
  CHECK(reads(h) == before);
  CHECK(h.write_outs() == 1);  // by the fetch, which found nothing else
  CHECK(h.told->size() == 1);
}

TEST_CASE("What memory does not hold any more comes from the files, up to where memory begins") {
  Harness h;
  h.partition_options.tail_bytes = 3 * 4096;  // batches keep the 4 KiB they were built in
  h.open_partition();
  h.append(0, 20);
  CHECK(h.partition->metrics().tail_bytes == 3 * 4096);
  CHECK(h.values() == numbers(0, 20));
  CHECK(reads(h) > 0);
  const auto metrics = h.partition->metrics();
  CHECK(h.values(17) == numbers(17, 20));
  CHECK(h.partition->metrics().file_fetches == metrics.file_fetches);
  for (const std::size_t max_bytes : {0UL, 1UL, 100UL, 500UL}) {
    CHECK(h.values(0, max_bytes) == numbers(0, 20));
  }
}

TEST_CASE("The tails of all partitions keep to one budget") {
  Harness h;
  h.tails = make_ref<TailBudget>(std::int64_t{40'000});
  h.partition_options.tail_bytes = 1 << 20;
  h.open_partition();
  h.append(0, 40);
  CHECK(h.tails->used.load() <= 70'000);  // a sixteenth of its own when all together are too much
  CHECK(h.tails->used.load() == static_cast<std::int64_t>(h.partition->metrics().tail_bytes));
  CHECK(h.values() == numbers(0, 40));
  h.env.advance(10ms);  // a timer may hold it
  h.partition = {};
  CHECK(h.tails->used.load() == 0);
}

TEST_CASE("A fetch keeps to its bytes, but for one batch where it may have that") {
  Harness h;
  h.open_partition();
  h.append(0, 10);
  const std::size_t size = make_batch(0).size();
  const auto bytes = [&](std::size_t max_bytes, bool at_least_one, std::int32_t of_partition) {
    FetchedPartition into;
    const std::size_t answered = h.partition->fetch(
        {.offset = Offset(2), .max_bytes = of_partition}, max_bytes, at_least_one, into);
    std::size_t sum = 0;
    for (const Slice& slice : into.slices) sum += slice.bytes.size();
    CHECK(sum == answered);
    CHECK(into.status.ok());
    return answered;
  };
  CHECK(bytes(500, true, 1000) == 500 / size * size);
  CHECK(bytes(1000, true, 500) == 500 / size * size);
  CHECK(bytes(3 * size, false, 1 << 20) == 3 * size);
  CHECK(bytes(1 << 20, false, static_cast<std::int32_t>(2 * size)) == 2 * size);
  CHECK(bytes(1, true, 1 << 20) == size);
  CHECK(bytes(1, false, 1 << 20) == 0);
  CHECK(bytes(0, true, -5) == size);
  CHECK(bytes(0, false, -5) == 0);
}

TEST_CASE("Offsets that are not there, and other leaders' epochs, are told so") {
  Harness h;
  h.partition_options.epoch = LeaderEpoch(5);
  h.open_partition();
  h.append(0, 3);
  CHECK(error_code(h.fetch(4).status) == ErrorCode::offset_out_of_range);
  CHECK(error_code(h.fetch(-1).status) == ErrorCode::offset_out_of_range);
  CHECK(h.fetch(4).high_watermark == Offset(3));
  CHECK(h.fetch(3).status.ok());
  const auto with_epoch = [&](int epoch) {
    FetchedPartition into;
    h.partition->fetch({.current_leader_epoch = LeaderEpoch(epoch)}, 1000, true, into);
    CHECK(into.slices.empty() != into.status.ok());
    return error_code(into.status);
  };
  CHECK(with_epoch(5) == ErrorCode::none);
  CHECK(with_epoch(-1) == ErrorCode::none);
  CHECK(with_epoch(4) == ErrorCode::fenced_leader_epoch);
  CHECK(with_epoch(6) == ErrorCode::unknown_leader_epoch);
}

TEST_CASE("A kept fetch is woken once, when enough is visible, and what it waits for is written") {
  Harness h;
  h.open_partition();
  const auto bell = make_ref<Bell>();
  const auto size = static_cast<std::int64_t>(make_batch(0).size());
  REQUIRE(h.partition->add_waiter(bell, Offset(0), 2 * size));
  h.produce(0);
  CHECK(h.write_outs() == 0);
  CHECK(bell->rung == 0);
  h.produce(1);
  CHECK(h.write_outs() == 1);  // by the producer: somebody waits for it
  CHECK(bell->rung == 1);
  h.produce(2);
  CHECK(h.write_outs() == 1);
  must(h.write_out());
  CHECK(bell->rung == 1);
  CHECK(h.partition->metrics().waiters == 0);
}

TEST_CASE("A fetch is not kept where something came since it looked") {
  Harness h;
  h.open_partition();
  const auto bell = make_ref<Bell>();
  h.append(0, 1);
  CHECK_FALSE(h.partition->add_waiter(bell, Offset(0), 1));
  h.produce(1);
  CHECK_FALSE(h.partition->add_waiter(bell, Offset(1), 1));  // staged: a fetch will write it
  CHECK(h.partition->add_waiter(bell, Offset(1), 10'000));
  must(h.write_out());
  CHECK(bell->rung == 0);
}

TEST_CASE("A committed fetch behind an open transaction is kept, whatever is staged") {
  Harness h;
  {
    BatchBuilder builder({.leader_epoch = LeaderEpoch(0),
                          .is_transactional = true,
                          .producer_id = ProducerId(7),
                          .producer_epoch = ProducerEpoch(0),
                          .base_sequence = 0});
    must(builder.append({.timestamp = Timestamp(1), .value = as_bytes(std::string_view("open"))}));
    const SharedBytes bytes = must(builder.seal()).freeze();
    Log log = h.open();
    must(
        log_test::append(log, {{bytes, BatchFacts::of(BatchHeader::parse(bytes.bytes()))}}).status);
    must(log.close().status());
  }
  h.open_partition();
  h.produce(1);
  FetchedPartition seen;
  h.partition->fetch({.offset = Offset(0)}, 1 << 20, true, seen, IsolationLevel::read_committed);
  must(seen.status);
  CHECK(seen.slices.empty());
  CHECK(seen.last_stable_offset == Offset(0));
  CHECK(seen.high_watermark == Offset(2));
  CHECK(h.partition->add_waiter(make_ref<Bell>(), seen.high_watermark, 1, seen.last_stable_offset));
}

TEST_CASE("A waiter is kept once, and the oldest gives way when there are too many") {
  Harness h;
  h.open_partition();
  const auto first = make_ref<Bell>();
  for (int i = 0; i < 3; ++i) REQUIRE(h.partition->add_waiter(first, Offset(0), 1));
  CHECK(h.partition->metrics().waiters == 1);
  std::vector<Ref<Bell>> others;
  for (std::size_t i = 0; i < FetchWaiters::most; ++i) {
    others.push_back(make_ref<Bell>());
    REQUIRE(h.partition->add_waiter(others.back(), Offset(0), 1));
  }
  CHECK(first->rung == 1);
  CHECK(h.partition->metrics().waiters == FetchWaiters::most);
  h.produce(0);
  CHECK(h.partition->metrics().waiters == 0);
  int rung = 0;
  for (const auto& bell : others) rung += bell->rung;
  CHECK(rung == static_cast<int>(FetchWaiters::most));
  CHECK(first->rung == 1);
}

TEST_CASE("Those who wait for little are woken before those who wait for more") {
  FetchWaiters waiters;
  const auto a = make_ref<Bell>();
  const auto b = make_ref<Bell>();
  const auto c = make_ref<Bell>();
  Ref<Wakeable> pushed_out;
  waiters.add(a, 10, pushed_out);
  waiters.add(b, 5, pushed_out);
  waiters.add(c, 10, pushed_out);
  CHECK_FALSE(waiters.due(4));
  CHECK(waiters.due(5));
  std::array<Ref<Wakeable>, 2> out;
  REQUIRE(waiters.take_due(9, out) == 1);
  CHECK(out[0].get() == b.get());
  CHECK_FALSE(waiters.due(9));
  waiters.add(b, 10, pushed_out);
  REQUIRE(waiters.take_due(10, out) == 2);
  CHECK(out[0].get() == a.get());
  CHECK(out[1].get() == c.get());
  CHECK(waiters.due(10));
  REQUIRE(waiters.take_due(10, out) == 1);
  CHECK(waiters.empty());
  CHECK_FALSE(waiters.due(UINT64_MAX - 1));
  CHECK_FALSE(pushed_out);
}

TEST_CASE("Offsets are looked up by place and by time") {
  Harness h;
  h.partition_options.epoch = LeaderEpoch(2);
  h.open_partition();
  const auto ask = [&](Timestamp timestamp, int epoch = -1) {
    return h.partition->list_offsets(
        {.timestamp = timestamp, .current_leader_epoch = LeaderEpoch(epoch)}, {});
  };
  CHECK(ask(at_latest).offset == Offset(0));
  CHECK(ask(at_max_timestamp).offset == Offset(-1));
  for (int i = 0; i < 5; ++i) h.produce(i, {.timestamp = 1000 + 100 * i});
  h.produce(5, {.timestamp = 1050});
  must(h.write_out());
  h.produce(6, {.timestamp = 9000});  // not visible yet
  CHECK(ask(at_latest).offset == Offset(6));
  CHECK(ask(at_latest).leader_epoch == LeaderEpoch(2));
  CHECK(ask(at_latest).timestamp == no_timestamp);
  CHECK(ask(at_earliest).offset == Offset(0));
  const auto largest = ask(at_max_timestamp);
  CHECK(largest.offset == Offset(4));
  CHECK(largest.timestamp == Timestamp(1400));
  CHECK(largest.leader_epoch == LeaderEpoch(2));
  CHECK(ask(Timestamp(1101)).offset == Offset(2));
  CHECK(ask(Timestamp(1101)).timestamp == Timestamp(1200));
  CHECK(ask(Timestamp(1401)).offset == Offset(-1));
  CHECK(ask(Timestamp(1401)).error == ErrorCode::none);
  CHECK(ask(Timestamp(-7)).error == ErrorCode::unsupported_version);
  CHECK(ask(at_latest, 1).error == ErrorCode::fenced_leader_epoch);
  CHECK(ask(at_latest, 2).error == ErrorCode::none);
}

TEST_CASE("A file that cannot be read is told of, with what is known besides") {
  Harness h;
  h.partition_options.tail_bytes = 0;
  h.open_partition();
  h.append(0, 3);
  h.on_io = [](IoCall& call) {
    return call.operation == IoOperation::read ? error(Fault::io, "input/output error")
                                               : absl::OkStatus();
  };
  const FetchedPartition fetched = h.fetch(0);
  CHECK(fault(fetched.status) == Fault::io);
  CHECK(fetched.slices.empty());
  CHECK(fetched.high_watermark == Offset(3));
  h.on_io = nullptr;
  CHECK(h.values() == numbers(0, 3));
}
