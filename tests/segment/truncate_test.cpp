// SPDX-License-Identifier: Apache-2.0
//
// Cutting a segment back: what is left is what a writer that stopped there had written.
#include "tests/segment/segment_batches.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

std::vector<std::vector<std::byte>> written_fresh(const SegmentOptions& options,
                                                  const std::vector<TestBatch>& batches) {
  SegmentDirectory fresh;
  fresh.options = options;
  Segment segment = fresh.create();
  REQUIRE(write_out(segment, batches).ok());
  REQUIRE(segment.become_inactive().ok());
  return all_content(fresh);
}

}  // namespace

TEST_CASE("a segment cut at any offset goes on as if nothing more had been written", "[segment]") {
  SegmentOptions options;
  options.index_interval_bytes = 300;
  const std::vector<TestBatch> batches = some_batches(0, 40);
  const std::vector<TestBatch> more = some_batches(500, 30, 7);
  for (Offset target(-1); target <= batches.back().facts.last_offset + 2; target += 3) {
    SegmentDirectory directory;
    directory.options = options;
    Segment segment = directory.create();
    REQUIRE(write_out(segment, batches).ok());
    const std::int64_t before = segment.size();
    const std::int64_t cut = segment.truncate_to(target).value();
    std::vector<TestBatch> left = batches;
    std::erase_if(left, [&](const TestBatch& batch) { return batch.facts.last_offset >= target; });
    CHECK(segment.size() == before - cut);
    CHECK(segment.end().next_offset ==
          (left.empty() ? Offset(0) : left.back().facts.last_offset + 1));
    CHECK(segment.find(target).value() == std::nullopt);
    REQUIRE(write_out(segment, more).ok());
    left.insert(left.end(), more.begin(), more.end());
    REQUIRE(segment.become_inactive().ok());
    CHECK(all_content(directory) == written_fresh(options, left));
  }
}

TEST_CASE("a cut behind the end cuts nothing", "[segment]") {
  SegmentDirectory directory;
  Segment segment = directory.create();
  REQUIRE(write_out(segment, {make_batch(0, {1, 2})}).ok());
  directory.hook = [](IoCall& call) {
    return call.operation == IoOperation::truncate ? error(Fault::io, "no") : absl::OkStatus();
  };
  CHECK(segment.truncate_to(Offset(2)).value() == 0);
  CHECK(fault(segment.truncate_to(Offset(1)).status()) == Fault::io);
  CHECK(segment.end().next_offset == Offset(2));
}

TEST_CASE("a segment whose indexes are damaged is cut all the same", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 300;
  const std::vector<TestBatch> batches = some_batches(0, 40);
  {
    Segment segment = directory.create();
    REQUIRE(write_out(segment, batches).ok());
    REQUIRE(segment.become_inactive().ok());
  }
  for (const std::string_view suffix : {offset_index_suffix, time_index_suffix}) {
    std::vector<std::byte> index = directory.content(suffix);
    index.pop_back();
    directory.put(suffix, index);
  }
  Segment segment = directory.open();
  REQUIRE(segment.truncate_to(batches[20].facts.last_offset).value() > 0);
  CHECK(segment.indexes_damaged());
  CHECK(segment.end().next_offset == batches[19].facts.last_offset + 1);
  CHECK(segment.find(batches[10].facts.last_offset).value()->header.base_offset ==
        batches[10].facts.base_offset);
  REQUIRE(segment.recover().ok());
  REQUIRE(segment.become_inactive().ok());
  CHECK(all_content(directory) ==
        written_fresh(directory.options, {batches.begin(), batches.begin() + 20}));
}

TEST_CASE("what is appended after a cut is read, and what was there is checked no less",
          "[segment]") {
  SegmentDirectory directory;
  const std::vector<TestBatch> batches = some_batches(0, 10);
  {
    Segment segment = directory.create();
    REQUIRE(write_out(segment, batches).ok());
    REQUIRE(segment.become_inactive().ok());
  }
  Segment segment = directory.open();
  REQUIRE(segment.find_end().ok());
  REQUIRE(segment.read_batches(0, 1 << 20).ok());  // all checked
  REQUIRE(segment.truncate_to(batches[5].facts.last_offset).ok());
  const std::int64_t position = segment.size();
  std::vector<TestBatch> bad = {make_batch(500, {1})};
  REQUIRE(write_out(segment, bad).ok());
  bad[0].bytes[65] ^= std::byte{1};
  std::vector<std::byte> log = directory.content(log_suffix);
  std::ranges::copy(bad[0].bytes, log.begin() + position);
  directory.put(log_suffix, log);
  // Believed, as this process built it.
  CHECK(segment.read_batches(position, 100).value().size() == bad[0].bytes.size());
  REQUIRE(segment.close().ok());
  CHECK(fault(directory.open().read_batches(position, 100).status()) == Fault::corrupt);
}
