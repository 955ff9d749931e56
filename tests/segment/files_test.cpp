// SPDX-License-Identifier: Apache-2.0
//
// The files of a segment: made, opened, renamed away, removed.
#include "tests/segment/segment_batches.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

std::vector<std::string> names(SegmentDirectory& directory) {
  std::vector<std::string> names;
  const std::vector<DirectoryEntry> entries = directory.memory.list("/d").value();
  for (const DirectoryEntry& entry : entries) {
    names.push_back(entry.name);
  }
  return names;
}

}  // namespace

TEST_CASE("a new segment has its log and both indexes, empty", "[segment]") {
  SegmentDirectory directory;
  const Segment segment = directory.create(42);
  CHECK(segment.name() == "00000000000000000042.log");
  CHECK(names(directory) == std::vector<std::string>{"00000000000000000042.index",
                                                     "00000000000000000042.log",
                                                     "00000000000000000042.timeindex"});
  for (const auto& content : all_content(directory, 42)) {
    CHECK(content.empty());
  }
}

TEST_CASE("a new segment never takes the place of one that has data", "[segment]") {
  SegmentDirectory directory;
  {
    Segment segment = directory.create();
    REQUIRE(write_out(segment, some_batches(0, 3)).ok());
  }
  const auto before = all_content(directory);
  CHECK(fault(create_segment(directory.fs, "/d", Offset(0)).status()) == Fault::already_exists);
  CHECK(all_content(directory) == before);
}

TEST_CASE("an empty log of that name is used, and left indexes are emptied", "[segment]") {
  SegmentDirectory directory;
  directory.put(log_suffix, {});
  directory.put(offset_index_suffix, as_bytes("left over"));
  Segment segment = directory.create();
  CHECK(directory.content(offset_index_suffix).empty());
  REQUIRE(write_out(segment, some_batches(0, 3)).ok());
}

TEST_CASE("a segment is found again as it was left", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 300;
  const std::vector<TestBatch> batches = some_batches(7, 40);
  SegmentEnd end;
  {
    Segment segment = directory.create(7);
    REQUIRE(write_out(segment, batches).ok());
    end = segment.end();
    REQUIRE(segment.become_inactive().ok());
    REQUIRE(segment.close().ok());
  }
  Segment segment = directory.open(7);
  CHECK(segment.size() == end.size);
  CHECK(segment.end().largest == end.largest);
  CHECK(fault(write_out(segment, some_batches(1000, 1))) == Fault::invalid_argument);
  REQUIRE(segment.find_end().ok());
  CHECK(segment.end() == end);
  REQUIRE(write_out(segment, some_batches(1000, 1)).ok());
}

TEST_CASE("a segment without an index says so, and finds everything", "[segment]") {
  const std::string_view missing = GENERATE(as<std::string_view>(), ".index", ".timeindex");
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 300;
  const std::vector<TestBatch> batches = some_batches(0, 40);
  {
    Segment segment = directory.create();
    REQUIRE(write_out(segment, batches).ok());
    REQUIRE(segment.become_inactive().ok());
  }
  const auto before = all_content(directory);
  REQUIRE(directory.memory.remove(SegmentDirectory::path(missing), IoReason::other).ok());
  Segment segment = directory.open();
  CHECK(segment.indexes_damaged());
  CHECK(segment.find(batches[30].facts.last_offset).value()->header.base_offset ==
        batches[30].facts.base_offset);
  REQUIRE(segment.recover({.durable_end = Offset(INT64_MAX)}).ok());
  REQUIRE(segment.become_inactive().ok());
  CHECK_FALSE(segment.indexes_damaged());
  CHECK(all_content(directory) == before);
}

TEST_CASE("a segment that is missing, or larger than one can be, is an error", "[segment]") {
  SegmentDirectory directory;
  CHECK(fault(open_segment(directory.fs, "/d", Offset(0)).status()) == Fault::not_found);
  CHECK(names(directory).empty());
  {
    auto file = directory.memory.open(SegmentDirectory::path(log_suffix), OpenMode::create,
                                      IoReason::other);
    REQUIRE(file->truncate(std::int64_t{INT32_MAX} + 1, IoReason::other).ok());
  }
  CHECK(fault(open_segment(directory.fs, "/d", Offset(0)).status()) == Fault::corrupt);
}

TEST_CASE("a renamed segment is read on until it is removed", "[segment]") {
  SegmentDirectory directory;
  const std::vector<TestBatch> batches = some_batches(0, 10);
  Segment segment = directory.create();
  REQUIRE(write_out(segment, batches).ok());
  std::vector<std::string> renames;
  directory.hook = [&](IoCall& call) {
    if (call.operation == IoOperation::rename && !call.done) {
      renames.emplace_back(call.path);
    }
    return absl::OkStatus();
  };
  REQUIRE(rename_to_deleted(directory.fs, "/d", Offset(0)).ok());
  CHECK(renames.front() == SegmentDirectory::path(log_suffix));
  CHECK(names(directory) == std::vector<std::string>{"00000000000000000000.index.deleted",
                                                     "00000000000000000000.log.deleted",
                                                     "00000000000000000000.timeindex.deleted"});
  CHECK(segment.find(batches[5].facts.base_offset).value().has_value());
  CHECK(remove_deleted(directory.fs, "/d", Offset(0)).value());
  CHECK(names(directory).empty());
  CHECK(remove_deleted(directory.fs, "/d", Offset(0)).value());
}

TEST_CASE("a large log is removed in steps", "[segment]") {
  SegmentDirectory directory;
  {
    Segment segment = directory.create();
    REQUIRE(write_out(segment, {make_batch(0, {1}, {.size = 1000})}).ok());
  }
  REQUIRE(rename_to_deleted(directory.fs, "/d", Offset(0)).ok());
  CHECK_FALSE(remove_deleted(directory.fs, "/d", Offset(0), 400).value());
  CHECK(directory.memory.status(SegmentDirectory::path(".log.deleted"))->size == 600);
  CHECK_FALSE(remove_deleted(directory.fs, "/d", Offset(0), 400).value());
  CHECK(remove_deleted(directory.fs, "/d", Offset(0), 400).value());
  CHECK(names(directory).empty());
}

TEST_CASE("a step of making a segment that fails is answered, and done again later", "[segment]") {
  SegmentDirectory directory;
  int calls = 0;
  int failing = 0;
  directory.hook = [&](IoCall& call) {
    return !call.done && calls++ == failing ? error(Fault::io, "no") : absl::OkStatus();
  };
  for (bool failed = true; failed; ++failing) {
    calls = 0;
    const auto segment = create_segment(directory.fs, "/d", Offset(0));
    failed = calls > failing;
    CHECK(segment.ok() != failed);
  }
  CHECK(failing > 3);
}
