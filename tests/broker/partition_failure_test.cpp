// SPDX-License-Identifier: Apache-2.0
//
// Writes that fail: everybody is told the truth, once, and the log goes on where it can.
#include <map>
#include <set>

#include "partition_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace partition_test;

namespace {

using Offsets = std::vector<std::int64_t>;

std::vector<std::byte> copy(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

const absl::Status full = error(ErrorCode::kafka_storage_error, Fault::no_space, "disk full");
const absl::Status broken = error(Fault::io, "input/output error", Outcome::unknown);

}  // namespace

TEST_CASE("On a full disk all that is staged fails, comes back, and offsets begin there again") {
  Harness h;
  h.open_partition();
  h.append(0, 2);
  h.on_io = failing(IoOperation::write, IoReason::append, full);
  for (int i = 2; i < 6; ++i) h.produce(i);
  must(h.write_out());
  CHECK(h.offsets() == Offsets{0, 1, -1, -1, -1, -1});
  for (int i = 2; i < 6; ++i) {
    Told& told = (*h.told)[static_cast<std::size_t>(i)];
    CHECK(told.tag == i);
    CHECK(fault(told.outcome.status()) == Fault::no_space);
    CHECK(outcome(told.outcome.status()) == Outcome::not_written);
    CHECK(copy(told.refused.bytes()) == copy(make_batch(i).bytes()));
  }
  CHECK(h.partition->ends().end == Offset(2));
  CHECK(h.values() == numbers(0, 2));
  h.on_io = nullptr;
  for (int i = 2; i < 6; ++i) {
    h.produce_batch(i, std::move((*h.told)[static_cast<std::size_t>(i)].refused));
  }
  must(h.write_out());
  CHECK(h.values() == numbers(0, 6));
  CHECK(h.offsets() == Offsets{0, 1, -1, -1, -1, -1, 2, 3, 4, 5});
  CHECK(h.partition->metrics().failed_write_outs == 1);
}

TEST_CASE("What was staged while a write failed fails with it; what comes later does not") {
  Harness h;
  h.open_partition();
  bool inside = false;
  h.on_io = [&](IoCall& call) {
    if (!call.done && call.operation == IoOperation::write && call.reason == IoReason::append &&
        !std::exchange(inside, true)) {
      h.produce(1);
      h.produce(2);
      return broken;
    }
    return absl::OkStatus();
  };
  h.produce(0);
  must(h.write_out());
  h.produce(3);
  must(h.write_out());
  CHECK(h.offsets() == Offsets{-1, -1, -1, 0});
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(outcome((*h.told)[i].outcome.status()) == Outcome::not_written);
    CHECK((*h.told)[i].refused.empty());  // sending again would not help
  }
  CHECK(h.values() == std::vector<std::string>{"3"});
}

TEST_CASE("Where the rest of a failed write cannot be cut off, its outcome is unknown") {
  Harness h;
  h.open_partition();
  h.append(0, 1);
  bool cut_fails = true;
  h.on_io = [&](IoCall& call) {
    if (!call.done && call.operation == IoOperation::write && call.reason == IoReason::append &&
        cut_fails) {
      call.torn_at = 100;
      h.produce(2);
      return broken;
    }
    return !call.done && call.operation == IoOperation::truncate && cut_fails ? broken
                                                                              : absl::OkStatus();
  };
  h.produce(1);
  must(h.write_out());
  REQUIRE(h.told->size() == 3);
  CHECK(outcome((*h.told)[1].outcome.status()) == Outcome::unknown);
  CHECK((*h.told)[1].refused.empty());
  CHECK(outcome((*h.told)[2].outcome.status()) == Outcome::not_written);
  h.produce(3);
  must(h.write_out());
  CHECK_FALSE(h.told->back().outcome.ok());  // nothing is ever written behind garbage
  cut_fails = false;
  h.produce(4);
  must(h.write_out());
  CHECK(h.told->back().outcome.ok());
  CHECK(h.values() == std::vector<std::string>{"0", "4"});
}

TEST_CASE("Of a write that spans a roll the part that is there is acknowledged") {
  Harness h;
  h.partition_options.config.log.segment_bytes = 400;
  h.open_partition();
  h.on_io = [&](IoCall& call) {
    return !call.done && call.reason == IoReason::roll && call.operation == IoOperation::open &&
                   call.path.find("/00000000000000000000.") == std::string_view::npos
               ? full
               : absl::OkStatus();
  };
  for (int i = 0; i < 10; ++i) h.produce(i, {}, Durability::written);
  must(h.write_out());
  const auto end = h.partition->ends().end;
  CHECK(end > Offset(0));
  CHECK(end < Offset(10));
  REQUIRE(h.told->size() == 10);
  for (int i = 0; i < 10; ++i) {
    const Told& told = (*h.told)[static_cast<std::size_t>(i)];
    CHECK(told.tag == i);
    CHECK(told.outcome.ok() == (Offset(i) < end));
    CHECK(told.refused.empty() == told.outcome.ok());
  }
  CHECK(h.values() == numbers(0, static_cast<int>(end.value())));
}

TEST_CASE("An acknowledgement that waits for the device is not lost with batches that fail") {
  Harness h;
  h.open_partition();
  h.produce(0, {}, Durability::durable);
  must(h.write_out());
  h.on_io = failing(IoOperation::write, IoReason::append, full);
  h.produce(1);
  must(h.write_out());
  h.on_io = nullptr;
  h.produce(2);
  must(h.write_out(Durability::durable));
  CHECK(h.offsets() == Offsets{-1, 1, 0});
}

TEST_CASE("A damaged log is read up to there, and takes nothing") {
  Harness h;
  h.open_partition();
  h.append(0, 3);
  const auto clean = must(h.partition->close(never));
  h.partition = {};
  h.flip("00000000000000000000.log", 200);
  h.open_partition({.last_stop = LastStop::clean, .clean_end = clean});
  h.told->clear();
  h.produce(3);
  if (!h.told->empty()) {
    CHECK(error_code(h.told->back().outcome.status()) == ErrorCode::kafka_storage_error);
    CHECK(fault(h.told->back().outcome.status()) == Fault::corrupt);
  }
}

TEST_CASE("Whichever file call fails, once or for good, nobody is told a lie") {
  const bool for_good = GENERATE(false, true);
  const Fault why = GENERATE(Fault::io, Fault::no_space, Fault::no_descriptors);
  for (int k = 0;; ++k) {
    Harness h;
    h.partition_options.config.log.segment_bytes = 600;
    h.partition_options.config.log.index_interval_bytes = 1;
    h.open_partition();
    int calls = 0;
    h.on_io = [&](IoCall& call) {
      const bool hit = !call.done && (for_good ? calls >= k : calls == k);
      calls += !call.done;
      return hit ? error(why, "injected", Outcome::unknown) : absl::OkStatus();
    };
    for (int i = 0; i < 24; ++i) {
      h.produce(i, {.records = 1 + i % 2}, i % 5 == 4 ? Durability::durable : Durability::written);
      if (i % 4 == 3)
        h.write_out(i % 8 == 7 ? Durability::durable : Durability::written).IgnoreError();
      if (i == 12) h.tick().IgnoreError();
    }
    h.env.advance(10ms);
    h.write_out(Durability::durable).IgnoreError();
    h.on_io = nullptr;
    CHECK(h.held == 0);
    std::set<int> tags;
    std::set<std::string> never_there;
    std::map<std::int64_t, std::string> there;
    for (const Told& told : *h.told) {
      CHECK(tags.insert(told.tag).second);
      if (told.outcome.ok()) {
        there[told.outcome->base_offset.value()] = std::to_string(told.tag);
      } else if (outcome(told.outcome.status()) == Outcome::not_written) {
        never_there.insert(std::to_string(told.tag));
      }
    }
    CHECK(tags.size() == 24);
    const auto check = [&](const std::vector<std::string>& read) {
      for (const auto& [offset, value] : there) {
        REQUIRE(static_cast<std::size_t>(offset) < read.size());
        CHECK(read[static_cast<std::size_t>(offset)] == value);
      }
      for (const std::string& value : read) CHECK(never_there.count(value) == 0);
    };
    check(h.values());
    h.open_partition({.last_stop = LastStop::process_crash});
    check(h.values());
    if (calls < k) break;
  }
}
