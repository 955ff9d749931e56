// SPDX-License-Identifier: Apache-2.0
//
// Recovery whose file calls fail, or whose process dies: nothing is taken for corruption, and going
// on later ends in the same bytes.
#include "tests/segment/segment_batches.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

constexpr int batches_written = 60;

/// A segment as a kill leaves it: a torn batch at the end, indexes that were not written to their
/// end.
void make_torn(SegmentDirectory& directory) {
  directory.options.index_interval_bytes = 300;
  {
    Segment segment = directory.create();
    REQUIRE(write_out(segment, some_batches(0, batches_written)).ok());
    REQUIRE(segment.become_inactive().ok());
  }
  std::vector<std::byte> log = directory.content(log_suffix);
  const TestBatch torn = make_batch(1000, {1, 2}, {.size = 200});
  log.insert(log.end(), torn.bytes.begin(), torn.bytes.begin() + 80);
  directory.put(log_suffix, log);
  for (const std::string_view suffix : {offset_index_suffix, time_index_suffix}) {
    std::vector<std::byte> index = directory.content(suffix);
    index.resize(index.size() / 2 / 24 * 24 + 5);
    directory.put(suffix, index);
  }
}

/// Opens, recovers, cuts and ends the segment.
absl::Status recover_and_end(SegmentDirectory& directory, bool trust) {
  OTTLA_ASSIGN(Segment segment, open_segment(directory.fs, "/d", Offset(0), directory.options,
                                             no_timestamp, IndexLoad::prefix));
  OTTLA_TRY(segment.recover({.trust_indexes = trust}).status());
  OTTLA_TRY(segment.cut_tail());
  OTTLA_TRY(segment.become_inactive());
  return segment.index_status();
}

std::vector<std::vector<std::byte>> expected_content() {
  SegmentDirectory fresh;
  fresh.options.index_interval_bytes = 300;
  Segment segment = fresh.create();
  REQUIRE(write_out(segment, some_batches(0, batches_written)).ok());
  REQUIRE(segment.become_inactive().ok());
  return all_content(fresh);
}

}  // namespace

TEST_CASE("recovery twice ends in the same bytes", "[segment]") {
  const bool trust = GENERATE(false, true);
  SegmentDirectory directory;
  make_torn(directory);
  REQUIRE(recover_and_end(directory, trust).ok());
  CHECK(all_content(directory) == expected_content());
  REQUIRE(recover_and_end(directory, trust).ok());
  CHECK(all_content(directory) == expected_content());
}

TEST_CASE("an error of the file while recovery looks is answered, and nothing was changed",
          "[segment]") {
  const bool trust = GENERATE(false, true);
  for (int failing = 0, calls = 1; failing < calls; ++failing) {
    SegmentDirectory directory;
    make_torn(directory);
    Segment segment = directory.open(0, IndexLoad::prefix);
    const auto before = all_content(directory);
    calls = 0;
    directory.hook = [&](IoCall& call) {
      const bool reads = call.operation == IoOperation::read || call.operation == IoOperation::size;
      return reads && !call.done && calls++ == failing ? error(Fault::io, "no") : absl::OkStatus();
    };
    const auto recovered = segment.recover({.trust_indexes = trust});
    directory.hook = [](IoCall&) { return absl::OkStatus(); };
    if (failing < calls && !recovered.ok()) {
      CHECK(fault(recovered.status()) == Fault::io);
      CHECK(all_content(directory) == before);
    } else {
      // Only where indexes were written already, which are hints.
      CHECK(recovered.ok());
      CHECK((failing >= calls || !segment.index_status().ok()));
    }
    REQUIRE(recover_and_end(directory, trust).ok());
    CHECK(all_content(directory) == expected_content());
  }
}

TEST_CASE("a process that dies at any change of recovery leaves what recovery goes on from",
          "[segment]") {
  const bool trust = GENERATE(false, true);
  const std::size_t torn_at = GENERATE(as<std::size_t>(), 0, 7, 4000);
  int deaths = 0;
  for (int dying = 0, calls = 1; dying < calls; ++dying) {
    SegmentDirectory directory;
    make_torn(directory);
    calls = 0;
    bool dead = false;
    directory.hook = [&](IoCall& call) {
      const bool changes =
          call.operation == IoOperation::write || call.operation == IoOperation::truncate;
      if (changes && !call.done && calls++ == dying) {
        dead = true;
        call.torn_at = torn_at;
      }
      return dead ? error(Fault::io, "dead", Outcome::unknown) : absl::OkStatus();
    };
    (void)recover_and_end(directory, trust);
    deaths += dead ? 1 : 0;
    directory.hook = [](IoCall&) { return absl::OkStatus(); };
    REQUIRE(recover_and_end(directory, trust).ok());
    CHECK(all_content(directory) == expected_content());
  }
  CHECK(deaths >= 4);
}

TEST_CASE("a full disk does not keep a segment from being recovered and read", "[segment]") {
  SegmentDirectory directory;
  make_torn(directory);
  Segment segment = directory.open(0, IndexLoad::prefix);
  directory.hook = [](IoCall& call) {
    return call.operation == IoOperation::write && !call.done
               ? error(Fault::no_space, "full", Outcome::unknown)
               : absl::OkStatus();
  };
  REQUIRE(segment.recover().ok());
  CHECK(fault(segment.index_status()) == Fault::no_space);
  CHECK(segment.indexes_damaged());
  for (const TestBatch& batch : some_batches(0, batches_written)) {
    REQUIRE(segment.find(batch.facts.base_offset).value()->header.base_offset ==
            batch.facts.base_offset);
  }
}

TEST_CASE("with trusted indexes only the end of the log is read", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 300;
  std::vector<TestBatch> batches = some_batches(0, 2000);
  Segment segment = directory.create();
  REQUIRE(write_out(segment, batches).ok());
  // Killed here: some groups of entries were written, the rest is lost.
  std::size_t bytes = 0;
  directory.hook = [&](IoCall& call) {
    bytes += call.operation == IoOperation::read && call.done &&
                     call.path == SegmentDirectory::path(log_suffix)
                 ? call.bytes
                 : 0;
    return absl::OkStatus();
  };
  Segment again = directory.open(0, IndexLoad::prefix);
  const SegmentRecovery report = again.recover({.trust_indexes = true}).value();
  CHECK(report.clean());
  CHECK(report.scanned_from > segment.size() / 2);
  CHECK(bytes < static_cast<std::size_t>(segment.size()));
  CHECK(again.end() == segment.end());
  REQUIRE(segment.become_inactive().ok());
  const auto written = all_content(directory);
  REQUIRE(again.become_inactive().ok());
  CHECK(all_content(directory) == written);
}

TEST_CASE("an index entry that the log does not confirm is not trusted", "[segment]") {
  SegmentDirectory directory;
  make_torn(directory);
  const std::string_view lies = GENERATE(as<std::string_view>(), ".index", ".timeindex");
  std::vector<std::byte> index = directory.content(lies);
  const std::size_t entry = lies == offset_index_suffix ? 8 : 12;
  const std::size_t field =
      GENERATE(as<std::size_t>(), 3, 7);  // low bytes of offset and position, or of the timestamp
  for (std::size_t at = 0; at + entry <= index.size(); at += entry) {
    index[at + field] ^= std::byte{1};
  }
  directory.put(lies, index);
  Segment segment = directory.open(0, IndexLoad::prefix);
  CHECK(segment.recover({.trust_indexes = true}).value().scanned_from == 0);
  REQUIRE(recover_and_end(directory, true).ok());
  CHECK(all_content(directory) == expected_content());
}

TEST_CASE("a time index that was cut further than the offset index is made anew from there",
          "[segment]") {
  SegmentDirectory directory;
  make_torn(directory);
  std::vector<std::byte> index = directory.content(time_index_suffix);
  const bool changed = GENERATE(false, true);
  if (changed) {
    index[12 * 4] = std::byte{0xff};  // a timestamp that descends
  } else {
    index.resize(12 * 4 + 3);
  }
  directory.put(time_index_suffix, index);
  REQUIRE(recover_and_end(directory, true).ok());
  CHECK(all_content(directory) == expected_content());
}

TEST_CASE("what is written after recovery gets the entries of a writer that never stopped",
          "[segment]") {
  const bool trust = GENERATE(false, true);
  const std::vector<TestBatch> more = some_batches(500, 40, 11);
  SegmentDirectory directory;
  make_torn(directory);
  {
    Segment segment = directory.open(0, IndexLoad::prefix);
    REQUIRE(segment.recover({.trust_indexes = trust}).ok());
    REQUIRE(segment.cut_tail().ok());
    REQUIRE(write_out(segment, more).ok());
    REQUIRE(segment.become_inactive().ok());
  }
  SegmentDirectory fresh;
  fresh.options = directory.options;
  Segment segment = fresh.create();
  REQUIRE(write_out(segment, some_batches(0, batches_written)).ok());
  REQUIRE(write_out(segment, more).ok());
  REQUIRE(segment.become_inactive().ok());
  CHECK(all_content(directory) == all_content(fresh));
}

TEST_CASE("an index entry that points at what looks like a batch inside a value is not trusted",
          "[segment]") {
  BatchHeader fake;
  fake.base_offset = Offset(3);
  fake.last_offset_delta = 0;
  fake.batch_length = 100;
  std::vector<std::byte> value(200);
  fake.write(value.data());
  BatchBuilder builder({.base_offset = Offset(1), .leader_epoch = LeaderEpoch(0)});
  REQUIRE(builder.append({.timestamp = Timestamp(9), .value = Bytes(value)}).ok());
  const SealedBatch outer = builder.seal().value();
  const TestBatch first = make_batch(0, {1});
  std::vector<std::byte> log = first.bytes;
  log.insert(log.end(), outer.bytes().begin(), outer.bytes().end());
  const TestBatch last = make_batch(4, {10});
  log.insert(log.end(), last.bytes.begin(), last.bytes.end());
  const auto inside = std::search(log.begin(), log.end(), value.begin(), value.begin() + 61);
  REQUIRE(inside != log.end());

  SegmentDirectory directory;
  directory.put(log_suffix, log);
  std::vector<std::byte> index(8);
  store_big_endian(index.data(), std::int32_t{3});
  store_big_endian(index.data() + 4, static_cast<std::int32_t>(inside - log.begin()));
  directory.put(offset_index_suffix, index);
  directory.put(time_index_suffix, {});
  Segment segment = directory.open(0, IndexLoad::prefix);
  const SegmentRecovery report = segment.recover({.trust_indexes = true}).value();
  CHECK(report.clean());
  CHECK(report.next_offset == Offset(5));
}
