// SPDX-License-Identifier: Apache-2.0
//
// Topics whose records are seen before they are written, and what becomes of what was seen.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "partition_fixture.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace partition_test;

namespace {

using Offsets = std::vector<std::int64_t>;
const absl::Status full = error(ErrorCode::kafka_storage_error, Fault::no_space, "disk full");

struct AtOnce : Harness {
  AtOnce() { partition_options.config.visibility = Visibility::at_once; }
};

}  // namespace

TEST_CASE("at once: a batch is read, and who waits is woken, before it is written") {
  AtOnce h;
  h.open_partition();
  const auto bell = make_ref<Bell>();
  REQUIRE(h.partition->add_waiter(bell, h.fetch(0).high_watermark, 1));
  h.produce(0);
  h.produce(1);
  CHECK(bell->rung == 1);
  CHECK(h.values() == numbers(0, 2));
  CHECK(h.values(1) == numbers(1, 2));
  CHECK(h.fetch(0).high_watermark == Offset(2));
  CHECK(h.fetch(2).status.ok());
  CHECK(error_code(h.fetch(3).status) == ErrorCode::offset_out_of_range);
  CHECK(h.write_outs() == 0);
  CHECK(h.told->empty());
  CHECK(h.partition->ends().visible == Offset(0));  // of what is written
  h.env.advance(1ms);
  CHECK(h.write_outs() == 1);
  CHECK(h.offsets() == Offsets{0, 1});
  h.produce(2);
  CHECK(h.values() == numbers(0, 3));
  CHECK(h.fetch(0, 1, true).slices.size() == 1);
  CHECK(h.fetch(2, 1, false).slices.empty());
  CHECK(h.held == 0);
}

TEST_CASE("at once: a waiter for some bytes is woken by as many that are staged") {
  AtOnce h;
  h.open_partition();
  const auto bell = make_ref<Bell>();
  const auto size = static_cast<std::int64_t>(make_batch(0).size());
  REQUIRE(h.partition->add_waiter(bell, h.fetch(0).high_watermark, 2 * size));
  h.produce(0);
  CHECK(bell->rung == 0);
  must(h.write_out());  // what is written meanwhile counts once
  CHECK(bell->rung == 0);
  h.produce(1);
  CHECK(bell->rung == 1);
}

TEST_CASE("at once: what was seen stays where the disk is full, and is written once it is not") {
  AtOnce h;
  h.open_partition();
  h.on_io = failing(IoOperation::write, IoReason::append, full);
  for (int i = 0; i < 3; ++i) h.produce(i);
  CHECK(h.values() == numbers(0, 3));
  const absl::Status late = h.write_out();
  CHECK(fault(late) == Fault::no_space);
  CHECK(outcome(late) == Outcome::unknown);
  CHECK(h.told->empty());
  h.produce(3);
  REQUIRE(h.told->size() == 1);
  CHECK(fault(h.told->front().outcome.status()) == Fault::no_space);
  CHECK(outcome(h.told->front().outcome.status()) == Outcome::not_written);
  CHECK(h.told->front().refused.size() == make_batch(3).size());
  h.env.advance(1s);
  CHECK(h.write_outs() > 5);
  CHECK(h.write_outs() < 20);  // not again and again
  CHECK(h.values() == numbers(0, 3));
  h.on_io = nullptr;
  h.env.advance(200ms);
  CHECK(h.offsets() == Offsets{-1, 0, 1, 2});
  h.append(3, 1);
  CHECK(h.values() == numbers(0, 4));
}

TEST_CASE("at once: what nobody has seen fails like everywhere") {
  AtOnce h;
  h.open_partition();
  CHECK(h.values().empty());
  h.on_io = failing(IoOperation::write, IoReason::append, full);
  h.produce(0);
  h.produce(1);
  must(h.write_out());
  CHECK(h.offsets() == Offsets{-1, -1});
  CHECK(outcome(h.told->front().outcome.status()) == Outcome::not_written);
  CHECK(h.fetch(0).high_watermark == Offset(0));
  h.on_io = nullptr;
  h.append(2, 1);
  CHECK(h.values() == numbers(2, 3));
}

TEST_CASE("at once: of what was seen a part is written, and the rest behind it later") {
  AtOnce h;
  h.partition_options.config.log.segment_bytes = 150;  // two batches
  h.open_partition();
  int writes = 0;
  h.on_io = [&](IoCall& call) {
    const bool append = call.operation == IoOperation::write && call.reason == IoReason::append;
    return append && !call.done && ++writes > 1 ? full : absl::OkStatus();
  };
  for (int i = 0; i < 5; ++i) h.produce(i);
  CHECK(h.values() == numbers(0, 5));
  CHECK(fault(h.write_out()) == Fault::no_space);
  const std::int64_t written = h.partition->ends().end.value();
  CHECK(written > 0);
  CHECK(written < 5);
  CHECK(h.offsets().size() == static_cast<std::size_t>(written));
  CHECK(h.values() == numbers(0, 5));
  h.on_io = nullptr;
  must(h.write_out());
  CHECK(h.offsets() == Offsets{0, 1, 2, 3, 4});
  CHECK(h.values() == numbers(0, 5));
}

TEST_CASE("at once: committed readers, and what is deleted, go by what is written") {
  AtOnce h;
  h.open_partition();
  h.append(0, 1);
  h.produce(1);
  FetchedPartition into;
  h.partition->fetch({.offset = Offset(0)}, 1 << 20, true, into, IsolationLevel::read_committed);
  CHECK(into.slices.size() == 1);
  CHECK(into.last_stable_offset == Offset(1));
  CHECK(into.high_watermark == Offset(2));
  const auto latest = [&](IsolationLevel isolation) {
    return h.partition->list_offsets({.timestamp = at_latest}, isolation).offset;
  };
  CHECK(latest(IsolationLevel::read_uncommitted) == Offset(2));
  CHECK(latest(IsolationLevel::read_committed) == Offset(1));
  const auto start = h.partition->delete_records(
      Offset(-1), [](Offset) { return absl::OkStatus(); }, after(h.world.steady_now(), 1s));
  CHECK(must(start) == Offset(2));
  CHECK(h.offsets() == Offsets{0, 1});
}

TEST_CASE("at once: closing on a full disk says that it does not know of what was seen") {
  AtOnce h;
  h.open_partition();
  h.append(0, 1);
  h.produce(1);
  CHECK(h.values() == numbers(0, 2));
  h.on_io = failing(IoOperation::write, IoReason::append, full);
  CHECK(fault(h.partition->close(after(h.world.steady_now(), 1s)).status()) == Fault::no_space);
  REQUIRE(h.told->size() == 2);
  CHECK(outcome((*h.told)[1].outcome.status()) == Outcome::unknown);
}

TEST_CASE("at once: closing writes what was staged behind what was kept") {
  AtOnce h;
  h.open_partition();
  bool is_full = true;
  h.on_io = [&](IoCall& call) {
    if (!is_full || call.done || call.operation != IoOperation::write ||
        call.reason != IoReason::append) {
      return absl::OkStatus();
    }
    for (int i = 1; i < 5; ++i) h.produce(i);  // while this is being written
    CHECK(h.values() == numbers(0, 5));
    is_full = false;
    return full;
  };
  h.produce(0);
  CHECK_FALSE(h.write_out().ok());
  const auto end = h.partition->close(after(h.world.steady_now(), 1s));
  CHECK(must(end).end == Offset(5));
  CHECK(h.offsets() == Offsets{0, 1, 2, 3, 4});
}

TEST_CASE("at once: who reads what is committed is woken by what is written") {
  AtOnce h;
  h.open_partition();
  const auto fetch = [&](std::int64_t offset) {
    FetchedPartition into;
    h.partition->fetch({.offset = Offset(offset)}, 1 << 20, true, into,
                       IsolationLevel::read_committed);
    return into;
  };
  h.produce(0);
  CHECK(fetch(0).slices.size() == 1);  // it writes what is staged
  const auto bell = make_ref<Bell>();
  bool inside = false;
  h.on_io = [&](IoCall& call) {
    if (!call.done && call.operation == IoOperation::write && call.reason == IoReason::append &&
        !std::exchange(inside, true)) {
      const FetchedPartition seen = fetch(1);
      CHECK(seen.slices.empty());
      CHECK(h.partition->add_waiter(bell, seen.high_watermark, 1, seen.last_stable_offset));
      CHECK(bell->rung == 0);
    }
    return absl::OkStatus();
  };
  h.produce(1);
  must(h.write_out());
  CHECK(inside);
  CHECK(bell->rung == 1);
  CHECK(fetch(1).slices.size() == 1);
}

TEST_CASE("at once: on a full disk records are deleted all the same") {
  AtOnce h;
  h.open_partition();
  h.append(0, 10);
  h.on_io = failing(IoOperation::write, IoReason::append, full);
  h.produce(10);
  CHECK(h.values(10) == numbers(10, 11));
  CHECK_FALSE(h.write_out().ok());
  const auto remove = [&](std::int64_t before) {
    return h.partition->delete_records(
        Offset(before), [](Offset) { return absl::OkStatus(); }, after(h.world.steady_now(), 1s));
  };
  CHECK(must(remove(6)) == Offset(6));
  CHECK(fault(remove(-1).status()) == Fault::no_space);
}

TEST_CASE("at once: a look-up by time finds what readers see") {
  AtOnce h;
  h.open_partition();
  h.produce(0);
  CHECK(h.fetch(0).high_watermark == Offset(1));
  const auto look_up = [&] {
    return h.partition->list_offsets({.timestamp = Timestamp(Shape().timestamp)},
                                     IsolationLevel::read_uncommitted);
  };
  CHECK(look_up().offset == Offset(0));
  h.on_io = failing(IoOperation::write, IoReason::append, full);
  h.produce(1);
  CHECK(h.values(1) == numbers(1, 2));
  CHECK(look_up().error == ErrorCode::offset_not_available);
}

TEST_CASE("at once: visible is not durable, so a topic cannot ask for both") {
  const auto both =
      resolve_topic_config({}, {{"ottla.visibility", "at_once"}, {"flush.messages", "1"}});
  CHECK(error_code(both.status()) == ErrorCode::invalid_config);
  CHECK(must(resolve_topic_config({}, {{"ottla.visibility", "at_once"}})).visibility ==
        Visibility::at_once);
}

TEST_CASE("at once: a commit of what was seen and never written is lowered before others read it") {
  using namespace test;
  bool is_full = false;
  const auto hook = [&](IoCall& call) {
    const bool hit = is_full && !call.done && call.operation == IoOperation::write &&
                     call.path.find("orders-0") != std::string_view::npos;
    return hit ? full : absl::OkStatus();
  };
  MemoryEnv env({.files = AnyFileSystem(FaultFileSystem(MemoryFileSystem(), hook))});
  const ConsumerConfig billing = {.group = "billing",
                                  .topics = {"orders"},
                                  .offset_reset = OffsetReset::earliest,
                                  .auto_commit = false};
  {
    const MemoryBroker broker = open_with_topic(env, 1, {{"ottla.visibility", "at_once"}});
    is_full = true;
    auto producer = must(TextProducer::open(broker, {.linger = 0ms, .close_timeout = 0ms}));
    for (int i = 0; i < 5; ++i) {
      must(producer.send({.topic = "orders", .value = std::to_string(i)}).status());
    }
    TextConsumer consumer = must(TextConsumer::open(broker, billing));
    CHECK(drain(consumer).size() == 5);
    must(consumer.commit());
    CHECK(fault(broker.close()) == Fault::no_space);
  }
  is_full = false;
  std::vector<std::string> told;
  const MemoryBroker broker =
      open(env, {.on_event = [&](const BrokerEvent& event) { told.push_back(event.code); }});
  produce_numbers(broker, 100, 2);
  TextConsumer consumer = must(TextConsumer::open(broker, billing));
  CHECK(drain(consumer) ==
        std::vector<std::string>{"orders-0@0 null=n100", "orders-0@1 null=n101"});
  CHECK(std::count(told.begin(), told.end(), "offset_lowered") == 1);
}

TEST_CASE("at once: what was seen, and what was staged behind it, is written before a repair") {
  AtOnce h;
  h.open_partition();
  bool once = true;
  h.on_io = [&](IoCall& call) {
    if (call.done || call.operation != IoOperation::write || call.reason != IoReason::append) {
      return absl::OkStatus();
    }
    if (std::exchange(once, false)) {
      for (int i = 1; i < 5; ++i) h.produce(i);
    }
    return full;
  };
  h.produce(0);
  CHECK(h.values() == numbers(0, 1));
  CHECK_FALSE(h.write_out().ok());
  h.on_io = {};
  const auto reopen = [&]() -> absl::StatusOr<ReopenedLog<AnyFileSystem>> {
    return ReopenedLog<AnyFileSystem>{h.open({.last_stop = LastStop::process_crash}),
                                      h.partition->epoch(), std::nullopt, absl::OkStatus()};
  };
  must(h.partition->repair(
      reopen, [] { return absl::OkStatus(); }, after(h.world.steady_now(), 1s)));
  CHECK(h.values() == numbers(0, 5));
  CHECK(h.offsets() == Offsets{0, 1, 2, 3, 4});
}
