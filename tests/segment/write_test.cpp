// SPDX-License-Identifier: Apache-2.0
//
// Writing: one write a call, what a failing one leaves behind, when a segment is full.
#include "tests/segment/segment_batches.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

std::vector<std::byte> joined(const std::vector<TestBatch>& batches) {
  std::vector<std::byte> all;
  for (const TestBatch& batch : batches) {
    all.insert(all.end(), batch.bytes.begin(), batch.bytes.end());
  }
  return all;
}

/// Fails writes of that reason, with so many bytes written all the same.
IoHook failing_writes(IoReason reason, std::size_t torn_at, Fault what = Fault::no_space) {
  return [=](IoCall& call) {
    if (call.operation == IoOperation::write && call.reason == reason && !call.done) {
      call.torn_at = torn_at;
      return error(what, "no", Outcome::unknown);
    }
    return absl::OkStatus();
  };
}

std::vector<BatchFacts> facts_of(const std::vector<TestBatch>& batches) {
  std::vector<BatchFacts> facts;
  for (const TestBatch& batch : batches) {
    facts.push_back(batch.facts);
  }
  return facts;
}

}  // namespace

TEST_CASE("several batches are one write, in any pieces", "[segment]") {
  SegmentDirectory directory;
  Segment segment = directory.create();
  const std::vector<TestBatch> batches = some_batches(0, 20);
  const std::vector<std::byte> all = joined(batches);
  int writes = 0;
  directory.hook = [&](IoCall& call) {
    writes += call.operation == IoOperation::write && call.done ? 1 : 0;
    return absl::OkStatus();
  };
  // A batch's header may be a piece of its own: the retry of a frozen batch has a new one.
  const Bytes pieces[] = {Bytes(all).first(61), Bytes(all).subspan(61, 500),
                          Bytes(all).subspan(561)};
  REQUIRE(segment.write_out(pieces, facts_of(batches)).ok());
  CHECK(writes == 1);
  CHECK(directory.content(log_suffix) == all);
  const SegmentEnd end = segment.end();
  CHECK(end.size == static_cast<std::int64_t>(all.size()));
  CHECK(end.next_offset == batches.back().facts.last_offset + 1);
}

TEST_CASE("the largest timestamp has the last offset of the first batch that has it", "[segment]") {
  SegmentDirectory directory;
  Segment segment = directory.create();
  CHECK(segment.end().largest == TimestampOffset{no_timestamp, Offset(0)});
  REQUIRE(write_out(segment, {make_batch(0, {-1, -1})}).ok());
  CHECK(segment.end().largest == TimestampOffset{no_timestamp, Offset(0)});
  REQUIRE(write_out(segment, {make_batch(2, {7, 9, 8}), make_batch(5, {9})}).ok());
  CHECK(segment.end().largest == TimestampOffset{Timestamp(9), Offset(4)});
  REQUIRE(write_out(segment, {make_batch(6, {3})}).ok());
  CHECK(segment.end().largest == TimestampOffset{Timestamp(9), Offset(4)});
}

TEST_CASE("a write that fails leaves nothing behind", "[segment]") {
  const std::size_t torn_at = GENERATE(as<std::size_t>(), 0, 1, 61, 300, 1000);
  SegmentDirectory directory;
  Segment segment = directory.create();
  REQUIRE(write_out(segment, some_batches(0, 5)).ok());
  const auto before = directory.content(log_suffix);
  const SegmentEnd end = segment.end();
  directory.hook = failing_writes(IoReason::append, torn_at);
  const absl::Status failed = write_out(segment, some_batches(100, 20));
  CHECK(fault(failed) == Fault::no_space);
  CHECK(outcome(failed) == Outcome::not_written);
  CHECK(segment.end() == end);
  CHECK(directory.content(log_suffix) == before);
  directory.hook = [](IoCall&) { return absl::OkStatus(); };
  REQUIRE(write_out(segment, some_batches(100, 20)).ok());
  CHECK(segment.find(Offset(100)).value()->position == end.size);
}

TEST_CASE("a write that can neither be done nor undone may still appear, and stops the segment",
          "[segment]") {
  SegmentDirectory directory;
  Segment segment = directory.create();
  REQUIRE(write_out(segment, some_batches(0, 5)).ok());
  const auto before = directory.content(log_suffix);
  const SegmentEnd end = segment.end();
  directory.hook = [](IoCall& call) {
    if (call.operation == IoOperation::truncate && !call.done) {
      return error(Fault::io, "cannot cut");
    }
    return failing_writes(IoReason::append, 333, Fault::io)(call);
  };
  const absl::Status failed = write_out(segment, some_batches(100, 20));
  CHECK(outcome(failed) == Outcome::unknown);
  CHECK(segment.end() == end);
  CHECK(directory.content(log_suffix).size() == before.size() + 333);

  // Not behind the garbage: the next one cuts it, or is not written.
  const absl::Status refused = write_out(segment, some_batches(100, 1));
  CHECK(fault(refused) == Fault::io);
  CHECK(outcome(refused) == Outcome::not_written);
  CHECK(directory.content(log_suffix).size() == before.size() + 333);
  directory.hook = [](IoCall&) { return absl::OkStatus(); };
  const std::vector<TestBatch> batches = some_batches(100, 1);
  REQUIRE(write_out(segment, batches).ok());
  CHECK(directory.content(log_suffix).size() == before.size() + batches[0].bytes.size());
}

TEST_CASE("what does not fit behind the end is refused, and nothing is written", "[segment]") {
  SegmentDirectory directory;
  Segment segment = directory.create(1000);
  REQUIRE(write_out(segment, {make_batch(1000, {1, 2, 3})}).ok());
  const auto refused = [&](std::vector<TestBatch> batches) {
    return fault(write_out(segment, batches)) == Fault::invalid_argument;
  };
  CHECK(refused({make_batch(1002, {4})}));
  CHECK(refused({make_batch(1003, {4}), make_batch(1003, {4})}));
  CHECK(refused({make_batch(1000 + std::int64_t{INT32_MAX} + 1, {4})}));
  TestBatch wrong = make_batch(1003, {4});
  wrong.facts.size += 1;
  CHECK(refused({wrong}));
  wrong.facts.size = 0;
  CHECK(refused({wrong}));
  CHECK(segment.end().next_offset == Offset(1003));
  REQUIRE(write_out(segment, {make_batch(1000 + std::int64_t{INT32_MAX}, {4})}).ok());
}

TEST_CASE("index entries that cannot be written do not stop the data", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 0;
  Segment segment = directory.create();
  directory.hook = failing_writes(IoReason::index_append, 500);
  std::vector<TestBatch> batches;
  for (std::int64_t i = 0; i < 700; ++i) {
    batches.push_back(make_batch(i, {i}));
    REQUIRE(write_out(segment, {batches.back()}).ok());
  }
  CHECK(fault(segment.index_status()) == Fault::no_space);
  for (const TestBatch& batch : batches) {
    REQUIRE(segment.find(batch.facts.base_offset).value()->header.base_offset ==
            batch.facts.base_offset);
  }
  directory.hook = [](IoCall&) { return absl::OkStatus(); };
  REQUIRE(segment.become_inactive().ok());
  Segment again = directory.open();
  REQUIRE(again.find_end().ok());
  CHECK(again.end() == segment.end());
  CHECK_FALSE(again.indexes_damaged());
}

TEST_CASE("the time index reaches the file before the offset index does", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 0;
  Segment segment = directory.create();
  std::vector<std::string> writes;
  directory.hook = [&](IoCall& call) {
    if (call.operation == IoOperation::write && call.reason == IoReason::index_append &&
        call.done) {
      writes.emplace_back(call.path);
    }
    return absl::OkStatus();
  };
  for (std::int64_t i = 0; i < 1100; ++i) {
    REQUIRE(write_out(segment, {make_batch(i, {i % 3 == 0 ? i : 0})}).ok());  // fewer time entries
  }
  const std::string offsets = SegmentDirectory::path(offset_index_suffix);
  const std::string times = SegmentDirectory::path(time_index_suffix);
  CHECK(writes == std::vector<std::string>{times, offsets, times, offsets});
}

TEST_CASE("a segment that ends writes its last time entry, once", "[segment]") {
  SegmentDirectory directory;
  Segment segment = directory.create();
  REQUIRE(write_out(segment, {make_batch(0, {50, 70})}).ok());
  REQUIRE(segment.become_inactive().ok());
  REQUIRE(segment.become_inactive().ok());
  CHECK(directory.content(time_index_suffix).size() == 12);
  CHECK(segment.close().ok());
  CHECK(directory.open().end().largest == TimestampOffset{Timestamp(70), Offset(1)});
}

TEST_CASE("the last time entry has a slot of its own in a full index", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 0;
  directory.options.index_bytes = 36;
  Segment segment = directory.create();
  for (std::int64_t i = 0; i < 6; ++i) {
    REQUIRE(write_out(segment, {make_batch(i, {100 + i})}).ok());
  }
  REQUIRE(segment.become_inactive().ok());
  CHECK(directory.content(time_index_suffix).size() == 36);
  CHECK(directory.open().end().largest == TimestampOffset{Timestamp(105), Offset(5)});
}

TEST_CASE("a segment of batches without timestamps has no time entry", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 0;
  Segment segment = directory.create();
  for (std::int64_t i = 0; i < 5; ++i) {
    REQUIRE(write_out(segment, {make_batch(i, {-1})}).ok());
  }
  REQUIRE(segment.become_inactive().ok());
  CHECK(directory.content(time_index_suffix).empty());
  CHECK(directory.content(offset_index_suffix).size() == 4 * 8);
  CHECK(directory.open().largest_timestamp() == Timestamp(1'650'000'000'000));  // of the file
}

TEST_CASE("a segment that reserved room ends where its data ends", "[segment]") {
  SegmentDirectory directory;
  directory.options.reserve_bytes = 1 << 20;
  std::vector<std::string> calls;
  directory.hook = [&](IoCall& call) {
    if (!call.done && call.path == SegmentDirectory::path(log_suffix) &&
        (call.operation == IoOperation::reserve || call.operation == IoOperation::truncate)) {
      calls.push_back((call.operation == IoOperation::reserve ? "reserve " : "truncate ") +
                      std::to_string(call.position));
    }
    return absl::OkStatus();
  };
  Segment segment = directory.create();
  const std::vector<TestBatch> batches = some_batches(0, 3);
  REQUIRE(write_out(segment, batches).ok());
  REQUIRE(segment.become_inactive().ok());
  CHECK(calls ==
        std::vector<std::string>{"reserve 1048576", "truncate " + std::to_string(segment.size())});
}

TEST_CASE("batches fit until the segment has its bytes", "[segment]") {
  SegmentDirectory directory;
  Segment segment = directory.create();
  const std::vector<TestBatch> batches = {
      make_batch(0, {1}, {.size = 400}), make_batch(1, {1}, {.size = 400}),
      make_batch(2, {1}, {.size = 200}), make_batch(3, {1}, {.size = 100})};
  const std::vector<BatchFacts> facts = facts_of(batches);
  CHECK(segment.fitting(facts, {.segment_bytes = 1000}).value() == 3);
  CHECK(segment.fitting(facts, {.segment_bytes = 999}).value() == 2);
  CHECK(segment.fitting(facts, {.segment_bytes = 100}).value() ==
        1);  // an empty one takes any batch
  CHECK(segment.fitting(facts, {}).value() == 4);
  REQUIRE(write_out(segment, {batches[0]}).ok());
  CHECK(segment.fitting(std::span(facts).subspan(1), {.segment_bytes = 799}).value() == 0);
  CHECK(segment.fitting(std::span(facts).subspan(1), {.segment_bytes = 800}).value() == 1);
}

TEST_CASE("batches fit until one is too young for the first one", "[segment]") {
  using std::chrono::milliseconds;
  SegmentDirectory directory;
  Segment segment = directory.create();
  const std::vector<TestBatch> batches = {make_batch(0, {100}), make_batch(1, {150}),
                                          make_batch(2, {151}), make_batch(3, {-1})};
  const std::vector<BatchFacts> facts = facts_of(batches);
  CHECK(segment.fitting(facts, {.max_age = milliseconds(50)}).value() == 2);
  CHECK(segment.fitting(facts, {.max_age = milliseconds(51)}).value() == 4);
  REQUIRE(write_out(segment, {batches[0]}).ok());
  REQUIRE(segment.become_inactive().ok());
  REQUIRE(segment.close().ok());

  Segment again = directory.open();  // which has to look for the first timestamp
  REQUIRE(again.find_end().ok());
  CHECK(again.fitting(std::span(facts).subspan(1), {.max_age = milliseconds(49)}).value() == 0);
  CHECK(again.fitting(std::span(facts).subspan(1), {.max_age = milliseconds(50)}).value() == 1);
}

TEST_CASE("without a first timestamp a segment's age is that since it was created", "[segment]") {
  using std::chrono::milliseconds;
  SegmentDirectory directory;
  Segment segment = create_segment(directory.fs, "/d", Offset(0), {}, Timestamp(1000)).value();
  REQUIRE(write_out(segment, {make_batch(0, {-1})}).ok());
  const std::vector<BatchFacts> facts = facts_of({make_batch(1, {5'000'000})});
  CHECK(segment.fitting(facts, {.max_age = milliseconds(20), .now = Timestamp(1020)}).value() == 1);
  CHECK(segment.fitting(facts, {.max_age = milliseconds(20), .now = Timestamp(1021)}).value() == 0);
}

TEST_CASE("batches fit until an index is full, and until an offset is too far", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 0;
  directory.options.index_bytes = 40;  // 5 offset entries; 3 time entries, one of them the last
  Segment segment = directory.create();
  std::vector<TestBatch> batches;
  for (std::int64_t i = 0; i < 10; ++i) {
    batches.push_back(make_batch(i, {100 + i}));
  }
  const std::vector<BatchFacts> facts = facts_of(batches);
  CHECK(segment.fitting(facts, {}).value() == 3);  // the second and the third get an entry
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(segment.fitting(std::span(facts).subspan(i), {}).value() == 3 - i);
    REQUIRE(write_out(segment, {batches[i]}).ok());
  }
  CHECK(segment.fitting(std::span(facts).subspan(3), {}).value() == 0);

  Segment other = create_segment(directory.fs, "/d", Offset(50), {}).value();
  const std::vector<BatchFacts> far =
      facts_of({make_batch(50, {1}), make_batch(50 + std::int64_t{INT32_MAX}, {1}),
                make_batch(51 + std::int64_t{INT32_MAX}, {1})});
  CHECK(other.fitting(far, {}).value() == 2);
}
