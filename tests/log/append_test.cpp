// SPDX-License-Identifier: Apache-2.0
//
// Appending: what is written where, when segments roll, and what an error leaves.
#include <string>

#include "log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;
using namespace std::chrono_literals;

namespace {

std::string file(std::int64_t base, std::string_view suffix = log_suffix) {
  return offset_file_name(Offset(base), suffix);
}

}  // namespace

TEST_CASE("A log has no file before its first batch, and then those that Kafka makes") {
  Disk disk;
  Log log = disk.open();
  CHECK(log.start() == Offset(0));
  CHECK(log.end() == Offset(0));
  CHECK(disk.names().empty());
  REQUIRE(append(log, make_batches(0, 3)).status.ok());
  CHECK(log.end() == Offset(3));
  CHECK(disk.names() == std::vector<std::string>{file(0, offset_index_suffix), file(0),
                                                 file(0, time_index_suffix),
                                                 "leader-epoch-checkpoint", "ottla_manifest"});
  CHECK(disk.content("leader-epoch-checkpoint") == "0\n1\n0 0\n");
  CHECK(offsets(log.view()) == range(0, 3));
}

TEST_CASE("An append is one write a segment, whatever the number of batches") {
  Disk disk;
  disk.options.config.segment_bytes = 1000;
  Log log = disk.open();
  REQUIRE(append(log, make_batches(0, 1)).status.ok());
  int writes = 0;
  disk.hook = [&](IoCall& call) {
    writes += call.operation == IoOperation::write && call.reason == IoReason::append && !call.done;
    return absl::OkStatus();
  };
  REQUIRE(append(log, make_batches(1, 9)).status.ok());
  CHECK(writes == 1);
  REQUIRE(append(log, make_batches(10, 20)).status.ok());
  CHECK(segments(log.view()).size() == 3);
  CHECK(writes == 4);
}

TEST_CASE("What was appended becomes visible when it is published, and not before") {
  Disk disk;
  Log log = disk.open();
  REQUIRE(append(log, make_batches(0, 2)).status.ok());
  const LogView before = log.view();
  const Batch batch = make_batch(2);
  const Bytes piece = batch.bytes.bytes();
  REQUIRE(log.append({&piece, 1}, {&batch.facts, 1}, Timestamp(t0)).status.ok());
  CHECK(log.end() == Offset(2));
  CHECK(offsets(log.view()) == range(0, 2));
  log.publish();
  CHECK(offsets(log.view()) == range(0, 3));
  CHECK(offsets(before) == range(0, 2));
}

TEST_CASE("A segment rolls before the batch that would make it larger than segment.bytes") {
  Disk disk;
  const std::int32_t size = make_batch(0).facts.size;
  disk.options.config.segment_bytes = 3 * size;
  Log log = disk.open();
  REQUIRE(append(log, make_batches(0, 7)).status.ok());
  CHECK(segments(log.view()) == std::vector<std::pair<std::int64_t, std::int64_t>>{
                                    {0, 3 * size}, {3, 3 * size}, {6, size}});
}

TEST_CASE("A segment rolls when an incoming timestamp is later than its first by segment.ms") {
  Disk disk;
  disk.options.config.segment_age = 5s;
  Log log = disk.open();
  REQUIRE(append(log, make_batches(0, 6)).status.ok());  // up to 5 s later
  CHECK(segments(log.view()).size() == 1);
  REQUIRE(append(log, make_batches(6, 1)).status.ok());
  CHECK(segments(log.view()).size() == 2);
  // The clock has no part in it where there are timestamps.
  REQUIRE(append(log, {make_batch(7, {.timestamps = {t0 + 6000}})}, t0 + 1'000'000).status.ok());
  CHECK(segments(log.view()).size() == 2);
}

TEST_CASE("A segment without timestamps rolls when it is older than segment.ms by the clock") {
  Disk disk;
  disk.options.config.segment_age = 5s;
  Log log = disk.open();
  REQUIRE(append(log, {make_batch(0, {.timestamps = {-1}})}, t0).status.ok());
  REQUIRE(append(log, {make_batch(1, {.timestamps = {-1}})}, t0 + 5000).status.ok());
  CHECK(segments(log.view()).size() == 1);
  REQUIRE(append(log, {make_batch(2, {.timestamps = {-1}})}, t0 + 5001).status.ok());
  CHECK(segments(log.view()).size() == 2);
}

TEST_CASE("A compacted topic's segments roll by max.compaction.lag.ms, too") {
  Disk disk;
  disk.options.config.max_compaction_lag = 3s;
  Log plain = disk.open();
  REQUIRE(append(plain, make_batches(0, 5)).status.ok());
  CHECK(segments(plain.view()).size() == 1);

  Disk other;
  other.options.config = disk.options.config;
  other.options.config.compact = true;
  Log compacted = other.open();
  REQUIRE(append(compacted, make_batches(0, 5)).status.ok());
  CHECK(segments(compacted.view()).size() == 2);
}

TEST_CASE("segment.jitter.ms takes something off segment.ms, another part for each segment") {
  Disk disk;
  disk.options.config.segment_age = 100s;
  disk.options.config.segment_jitter = 90s;
  Log log = disk.open();
  REQUIRE(append(log, make_batches(0, 1000)).status.ok());
  const auto all = segments(log.view());
  CHECK(all.size() > 11);
  std::vector<std::int64_t> sizes;
  for (std::size_t i = 1; i + 1 < all.size(); ++i) {
    const std::int64_t batches = all[i + 1].first - all[i].first;
    CHECK(batches >= 10);
    CHECK(batches <= 101);
    sizes.push_back(batches);
  }
  std::sort(sizes.begin(), sizes.end());
  CHECK(sizes.front() != sizes.back());

  Disk again;
  again.options = disk.options;
  Log same_seed = again.open();
  REQUIRE(append(same_seed, make_batches(0, 1000)).status.ok());
  CHECK(segments(same_seed.view()) == all);
}

TEST_CASE("A segment rolls when an index is full") {
  Disk disk;
  disk.options.config.index_interval_bytes = 0;
  disk.options.config.segment_index_bytes = 24;  // 3 offset entries, 2 time entries
  Log log = disk.open();
  REQUIRE(append(log, make_batches(0, 10)).status.ok());
  CHECK(segments(log.view()).size() == 5);
  CHECK(offsets(log.view()) == range(0, 10));
}

TEST_CASE("A segment rolls before an offset that is too far from its base") {
  Disk disk;
  Log log = disk.open();
  const std::int64_t far = std::int64_t{INT32_MAX};
  REQUIRE(append(log, {make_batch(0), make_batch(far)}).status.ok());
  CHECK(segments(log.view()).size() == 1);
  REQUIRE(append(log, {make_batch(far + 1)}).status.ok());
  CHECK(segments(log.view()).back().first == far + 1);
  CHECK(offsets(log.view()) == std::vector<std::int64_t>{0, far, far + 1});
}

TEST_CASE("A roll on request begins a segment at the end, unless the last one is empty") {
  Disk disk;
  Log log = disk.open();
  must(log.roll(Timestamp(t0)));
  REQUIRE(append(log, make_batches(0, 2)).status.ok());
  must(log.roll(Timestamp(t0)));
  must(log.roll(Timestamp(t0)));
  log.publish();
  CHECK(segments(log.view()).size() == 2);
  CHECK(segments(log.view()).back().first == 2);
  CHECK(offsets(log.view()) == range(0, 2));
}

TEST_CASE("A batch larger than a segment is refused, and nothing of that append is written") {
  Disk disk;
  disk.options.config.segment_bytes = 200;
  Log log = disk.open();
  const Appended done =
      append(log, {make_batch(0), make_batch(1, {.value_size = 500}), make_batch(2)});
  CHECK(done.batches == 0);
  CHECK(error_code(done.status) == ErrorCode::record_list_too_large);
  CHECK(outcome(done.status) == Outcome::not_written);
  CHECK(log.end() == Offset(0));
  CHECK(append(log, make_batches(0, 1)).status.ok());
}

TEST_CASE("Batches that do not follow the end are refused") {
  Disk disk;
  Log log = disk.open();
  REQUIRE(append(log, make_batches(0, 3)).status.ok());
  const Appended done = append(log, {make_batch(2)});
  CHECK_FALSE(done.status.ok());
  CHECK(done.batches == 0);
  CHECK(offsets(log.view()) == range(0, 3));
  CHECK(append(log, {make_batch(10)}).status.ok());  // a gap is not ours to judge
  CHECK(log.end() == Offset(11));
}

TEST_CASE("A leader epoch is in its file before the first batch that carries it") {
  Disk disk;
  Log log = disk.open();
  bool early = false;
  disk.hook = [&](IoCall& call) {
    if (call.operation == IoOperation::write && call.reason == IoReason::append && !call.done) {
      early = early || disk.content("leader-epoch-checkpoint") != "0\n2\n0 0\n3 1\n";
    }
    return absl::OkStatus();
  };
  REQUIRE(append(log, {make_batch(0), make_batch(1, {.epoch = 3})}).status.ok());
  CHECK_FALSE(early);
  CHECK(log.epochs().latest() == LeaderEpoch(3));
}

TEST_CASE("A new leader's epoch begins at the end, and is written with its first batch") {
  Disk disk;
  Log log = disk.open();
  REQUIRE(append(log, make_batches(0, 2)).status.ok());
  log.assign_epoch(LeaderEpoch(4));
  CHECK(log.epochs().latest() == LeaderEpoch(0));
  log.publish();
  CHECK(log.epochs().latest() == LeaderEpoch(4));
  CHECK(disk.content("leader-epoch-checkpoint") == "0\n1\n0 0\n");
  REQUIRE(append(log, {make_batch(2, {.epoch = 4})}).status.ok());
  CHECK(disk.content("leader-epoch-checkpoint") == "0\n2\n0 0\n4 2\n");
}

TEST_CASE("When the disk is full an append is undone, and the next one goes on where it was") {
  Disk disk;
  Log log = disk.open();
  REQUIRE(append(log, make_batches(0, 5)).status.ok());
  bool full = true;
  disk.hook = [&](IoCall& call) {
    if (full && call.operation == IoOperation::write && call.reason == IoReason::append &&
        !call.done) {
      call.torn_at = 100;
      return error(Fault::no_space, "no space left", Outcome::unknown);
    }
    return absl::OkStatus();
  };
  const std::int64_t size = disk.size(file(0));
  const Appended done = append(log, make_batches(5, 3));
  CHECK(done.batches == 0);
  CHECK(fault(done.status) == Fault::no_space);
  CHECK(outcome(done.status) == Outcome::not_written);
  CHECK(retriable(done.status));
  CHECK(disk.size(file(0)) == size);
  CHECK(log.end() == Offset(5));
  CHECK(offsets(log.view()) == range(0, 5));
  full = false;
  REQUIRE(append(log, make_batches(5, 3)).status.ok());
  CHECK(offsets(log.view()) == range(0, 8));
}

TEST_CASE("Where what a failed write left cannot be cut off, nothing is appended behind it") {
  Disk disk;
  Log log = disk.open();
  REQUIRE(append(log, make_batches(0, 5)).status.ok());
  bool broken = true;
  disk.hook = [&](IoCall& call) {
    const bool hit = call.reason == IoReason::append || call.reason == IoReason::undo_append;
    if (broken && hit && !call.done && call.operation != IoOperation::open) {
      call.torn_at = 50;
      return error(Fault::io, "input/output error", Outcome::unknown);
    }
    return absl::OkStatus();
  };
  const Appended done = append(log, make_batches(5, 1));
  CHECK(outcome(done.status) == Outcome::unknown);
  CHECK_FALSE(append(log, make_batches(5, 1)).status.ok());
  broken = false;
  REQUIRE(append(log, make_batches(5, 2)).status.ok());
  CHECK(offsets(log.view()) == range(0, 7));
}

TEST_CASE("An append that fails behind a roll keeps what went into the segment before") {
  Disk disk;
  disk.options.config.segment_bytes = 3 * make_batch(0).facts.size;
  Log log = disk.open();
  disk.hook = [&](IoCall& call) {
    const bool second = call.path.find(file(3)) != std::string_view::npos;
    return second && call.operation == IoOperation::write && !call.done
               ? error(Fault::no_space, "no space left")
               : absl::OkStatus();
  };
  const Appended done = append(log, make_batches(0, 6));
  CHECK(done.batches == 3);
  CHECK(fault(done.status) == Fault::no_space);
  CHECK(log.end() == Offset(3));
  CHECK(offsets(log.view()) == range(0, 3));
  disk.hook = [](IoCall&) { return absl::OkStatus(); };
  REQUIRE(append(log, make_batches(3, 3)).status.ok());
  CHECK(offsets(log.view()) == range(0, 6));
}

TEST_CASE("Epochs of batches that did not get there are forgotten") {
  Disk disk;
  Log log = disk.open();
  disk.hook = [](IoCall& call) {
    return call.operation == IoOperation::write && call.reason == IoReason::append && !call.done
               ? error(Fault::no_space, "no space left")
               : absl::OkStatus();
  };
  CHECK_FALSE(append(log, {make_batch(0), make_batch(1, {.epoch = 3})}).status.ok());
  CHECK(log.epochs().latest() == LeaderEpoch(0));
  disk.hook = [](IoCall&) { return absl::OkStatus(); };
  REQUIRE(append(log, make_batches(0, 2)).status.ok());
  CHECK(disk.content("leader-epoch-checkpoint") == "0\n1\n0 0\n");
}

TEST_CASE("An existing file with data never becomes a new segment") {
  Disk disk;
  Log log = disk.open();
  REQUIRE(append(log, make_batches(0, 2)).status.ok());
  disk.put(file(2), "somebody's");
  const absl::Status rolled = log.roll(Timestamp(t0));
  CHECK(fault(rolled) == Fault::already_exists);
  CHECK(disk.content(file(2)) == "somebody's");
  disk.put(file(2), "");
  must(log.roll(Timestamp(t0)));
  REQUIRE(append(log, make_batches(2, 2)).status.ok());
  CHECK(offsets(log.view()) == range(0, 4));
}

TEST_CASE("Preallocated segments end where their data ends") {
  Disk disk;
  disk.options.config.preallocate = true;
  disk.options.config.segment_bytes = 1 << 20;
  Log log = disk.open();
  REQUIRE(append(log, make_batches(0, 2)).status.ok());
  CHECK(disk.size(file(0)) == 2 * make_batch(0).facts.size);
}

TEST_CASE("A roll that failed leaves no file behind that later appends pass") {
  Disk disk;
  disk.options.config.segment_bytes = 2 * make_batch(0).facts.size + 10;
  Log log = disk.open();
  REQUIRE(append(log, make_batches(0, 1)).status.ok());
  bool full = true;
  disk.hook = [&](IoCall& call) {
    return full && call.reason == IoReason::roll && call.path.ends_with(time_index_suffix)
               ? error(Fault::no_descriptors, "none left")
               : absl::OkStatus();
  };
  const auto large = make_batches(1, 1, {.value_size = 60});
  CHECK(fault(append(log, large).status) == Fault::no_descriptors);
  CHECK(disk.has("00000000000000000001.log"));
  full = false;
  // Small ones go on in the segment before.
  REQUIRE(append(log, make_batches(1, 4)).status.ok());
  CHECK_FALSE(disk.has("00000000000000000001.log"));
  CHECK(offsets(log.view()) == range(0, 5));
  const auto stop = GENERATE(LastStop::process_crash, LastStop::system_crash);
  log = disk.open({.last_stop = stop});
  CHECK(disk.report.findings.empty());
  CHECK(offsets(log.view()) == range(0, 5));
}
