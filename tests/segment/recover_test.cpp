// SPDX-License-Identifier: Apache-2.0
//
// Recovery: a log cut or changed anywhere, what is found good, and what is touched.
#include "tests/segment/segment_batches.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

struct Written {
  SegmentDirectory directory;
  std::vector<TestBatch> batches;
  std::vector<std::vector<std::byte>> content;  // of a clean stop

  explicit Written(int count = 40, std::int32_t interval = 300) : batches(some_batches(0, count)) {
    directory.options.index_interval_bytes = interval;
    Segment segment = directory.create();
    REQUIRE(write_out(segment, batches).ok());
    REQUIRE(segment.become_inactive().ok());
    content = all_content(directory);
  }
  std::int64_t position_of(std::size_t index) const {
    std::int64_t position = 0;
    for (std::size_t i = 0; i < index; ++i) position += batches[i].facts.size;
    return position;
  }
  /// The files that a fresh writer of the first `count` batches would have made.
  std::vector<std::vector<std::byte>> written_fresh(std::size_t count) const {
    SegmentDirectory fresh;
    fresh.options = directory.options;
    Segment segment = fresh.create();
    REQUIRE(
        write_out(segment, {batches.begin(), batches.begin() + static_cast<std::ptrdiff_t>(count)})
            .ok());
    REQUIRE(segment.become_inactive().ok());
    return all_content(fresh);
  }
};

bool log_has(Written& written, std::size_t size) {
  return std::ranges::equal(written.directory.content(log_suffix),
                            Bytes(written.content[0]).first(size));
}

void check_recovered(Written& written, Segment& segment, std::size_t count) {
  const SegmentEnd end = segment.end();
  CHECK(end.size == written.position_of(count));
  CHECK(end.next_offset ==
        (count == 0 ? Offset(0) : written.batches[count - 1].facts.last_offset + 1));
  REQUIRE(segment.cut_tail().ok());
  REQUIRE(segment.become_inactive().ok());
  CHECK(all_content(written.directory) == written.written_fresh(count));
}

}  // namespace

TEST_CASE("a log cut at any byte of its last two batches ends with its last whole one",
          "[segment]") {
  const bool trust = GENERATE(false, true);
  Written written;
  const std::size_t count = written.batches.size();
  const std::vector<std::byte>& log = written.content[0];
  for (auto size = static_cast<std::size_t>(written.position_of(count - 2)); size <= log.size();
       ++size) {
    written.directory.put(log_suffix, Bytes(log).first(size));
    // As a kill leaves them: entries are written after their batches, those of the time index
    // first.
    const std::vector<std::vector<std::byte>> left = written.written_fresh(count - 2);
    written.directory.put(offset_index_suffix, Bytes(left[1]).first(left[1].size() / 16 * 8));
    written.directory.put(time_index_suffix, left[2]);
    Segment segment = written.directory.open(0, IndexLoad::prefix);
    const SegmentRecovery report = segment.recover({.trust_indexes = trust}).value();
    const std::size_t whole = size == log.size() ? count
                              : static_cast<std::int64_t>(size) >= written.position_of(count - 1)
                                  ? count - 1
                                  : count - 2;
    CHECK(report.valid_end == written.position_of(whole));
    CHECK(report.file_size == static_cast<std::int64_t>(size));
    CHECK(report.clean() == (report.valid_end == report.file_size));
    CHECK(report.problem.empty() == report.clean());
    CHECK_FALSE(report.batch_follows);
    CHECK(log_has(written, size));
    check_recovered(written, segment, whole);
  }
}

TEST_CASE("a changed bit in the last two batches is found, wherever it is", "[segment]") {
  const bool trust = GENERATE(false, true);
  Written written(12);
  const std::vector<std::byte>& log = written.content[0];
  const std::size_t count = written.batches.size();
  const std::int64_t first = written.position_of(count - 2);
  const std::int64_t second = written.position_of(count - 1);
  std::size_t accepted = 0;
  for (std::size_t bit = static_cast<std::size_t>(first) * 8; bit < log.size() * 8; ++bit) {
    std::vector<std::byte> changed = log;
    changed[bit / 8] ^= std::byte{1} << bit % 8;
    written.directory.put(log_suffix, changed);
    written.directory.put(offset_index_suffix, written.content[1]);
    written.directory.put(time_index_suffix, written.content[2]);
    Segment segment = written.directory.open(0, IndexLoad::prefix);
    const SegmentRecovery report = segment.recover({.trust_indexes = trust}).value();
    const auto at = static_cast<std::int64_t>(bit / 8);
    const std::int64_t batch = at < second ? first : second;
    const std::int64_t field = at - batch;
    if (report.scanned_from > batch) {
      CHECK(trust);  // an index entry behind it was confirmed
      continue;
    }
    // Base offset and leader epoch have no checksum: a higher one is seen where it does not fit
    // what follows.
    if (field < 8 || (field >= 12 && field < 16)) {
      CHECK(report.valid_end >= batch);
      accepted += report.clean() ? 1U : 0U;
      continue;
    }
    CHECK(report.valid_end == batch);
    CHECK(report.batch_follows == (batch == first));
  }
  CHECK(accepted < 2 * 12 * 8);
}

TEST_CASE("a damaged batch in the middle is told from a torn tail", "[segment]") {
  Written written;
  const std::int64_t bad = written.position_of(20);
  const std::int64_t field = GENERATE(0, 8, 9, 10, 11, 16, 20, 21, 70);
  std::vector<std::byte> log = written.content[0];
  log[static_cast<std::size_t>(bad + field)] ^= std::byte{0x41};
  const bool torn_too = GENERATE(false, true);
  log.erase(log.end() - (torn_too ? 30 : 0), log.end());
  written.directory.put(log_suffix, log);
  Segment segment = written.directory.open();
  const SegmentRecovery report = segment.recover().value();
  CHECK(report.valid_end == bad);
  CHECK(report.batch_follows);
  CHECK(report.problem.find("00000000000000000000.log") != std::string::npos);
  // Its owner decides: what is good is served, nothing is appended, nothing was cut.
  CHECK(segment.find(written.batches[19].facts.last_offset).value()->position ==
        written.position_of(19));
  CHECK(segment.find(written.batches[20].facts.last_offset).value() == std::nullopt);
  CHECK(fault(write_out(segment, some_batches(1000, 1))) == Fault::corrupt);
  CHECK(written.directory.content(log_suffix) == log);
  REQUIRE(segment.cut_tail().ok());
  CHECK(written.directory.content(log_suffix).size() == static_cast<std::size_t>(bad));
  CHECK(write_out(segment, some_batches(1000, 1)).ok());
}

TEST_CASE("what looks like a batch inside a torn one is not taken for a batch of the log",
          "[segment]") {
  // A value of the torn batch is a whole batch, with offsets that could be the next ones, and what
  // could be the beginning of another, but that its offset is too low.
  const TestBatch inner = make_batch(1000, {5, 6, 7});
  std::vector<std::byte> value = inner.bytes;
  const bool followed = GENERATE(false, true);
  if (followed) {
    BatchHeader next;
    next.base_offset = Offset(1002);
    next.batch_length = 5000;
    value.resize(value.size() + batch_header_size);
    next.write(value.data() + inner.bytes.size());
  }
  BatchBuilder builder({.base_offset = Offset(40), .leader_epoch = LeaderEpoch(0)});
  REQUIRE(builder.append({.timestamp = Timestamp(9), .value = Bytes(value)}).ok());
  REQUIRE(
      builder.append({.timestamp = Timestamp(9), .value = as_bytes(std::string(200, 'x'))}).ok());
  const SealedBatch outer = builder.seal().value();
  SegmentDirectory directory;
  std::vector<std::byte> log = make_batch(0, {1}).bytes;
  const auto good = static_cast<std::int64_t>(log.size());
  const Bytes torn = outer.bytes().first(outer.size() - 20);
  log.insert(log.end(), torn.begin(), torn.end());
  directory.put(log_suffix, log);
  Segment segment = directory.open();
  const SegmentRecovery report = segment.recover().value();
  CHECK(report.valid_end == good);
  CHECK_FALSE(report.batch_follows);
}

TEST_CASE("a whole batch behind the smallest damaged one is seen", "[segment]") {
  SegmentDirectory directory;
  const TestBatch first = make_batch(0, {1});
  const SealedBatch emptied = emptied_batch(BatchHeader::parse(make_batch(1, {2}).bytes));
  const TestBatch last = make_batch(2, {3});
  std::vector<std::byte> log = first.bytes;
  log.insert(log.end(), emptied.bytes().begin(), emptied.bytes().end());
  log.insert(log.end(), last.bytes.begin(), last.bytes.end());
  log[first.bytes.size() + 30] ^= std::byte{1};
  directory.put(log_suffix, log);
  Segment segment = directory.open();
  const SegmentRecovery report = segment.recover().value();
  CHECK(report.valid_end == first.facts.size);
  CHECK(report.batch_follows);
}

TEST_CASE("garbage and zeros behind the end are no batches", "[segment]") {
  Written written(10);
  std::vector<std::byte> log = written.content[0];
  const std::size_t garbage = GENERATE(as<std::size_t>(), 1, 11, 60, 61, 300, 700'000);
  const bool zeros = GENERATE(false, true);
  std::uint32_t seed = 5;
  for (std::size_t i = 0; i < garbage; ++i) {
    seed = seed * 1664525 + 1013904223;
    log.push_back(zeros ? std::byte{0} : std::byte(seed >> 24));
  }
  written.directory.put(log_suffix, log);
  Segment segment = written.directory.open();
  CHECK(fault(segment.find_end()) == Fault::corrupt);
  const SegmentRecovery report = segment.recover().value();
  CHECK_FALSE(report.clean());
  CHECK_FALSE(report.batch_follows);
  check_recovered(written, segment, 10);
}

TEST_CASE("batches out of order, or of an older leader, end a log", "[segment]") {
  SegmentDirectory directory;
  const auto good_ones = [&](const std::vector<TestBatch>& batches) {
    std::vector<std::byte> log;
    for (const TestBatch& batch : batches) {
      log.insert(log.end(), batch.bytes.begin(), batch.bytes.end());
    }
    directory.put(log_suffix, log, 10);
    Segment segment = directory.open(10);
    int good = 0;
    const auto count = [&](const BatchHeader&, std::int64_t) {
      ++good;
      return absl::OkStatus();
    };
    const bool clean = segment.recover({}, count).value().clean();
    CHECK(clean == (good == std::ssize(batches)));
    return good;
  };
  const std::int64_t farthest = 10 + std::int64_t{INT32_MAX};
  const auto epoch = [](std::int32_t value) { return BatchShape{.epoch = LeaderEpoch(value)}; };
  CHECK(good_ones({make_batch(9, {1})}) == 0);
  CHECK(good_ones({make_batch(10, {1, 1}), make_batch(11, {1})}) == 1);
  CHECK(good_ones({make_batch(10, {1}), make_batch(10, {1})}) == 1);
  CHECK(good_ones({make_batch(12, {1}), make_batch(20, {1})}) == 2);
  CHECK(good_ones({make_batch(farthest - 1, {1, 1})}) == 1);
  CHECK(good_ones({make_batch(farthest, {1, 1})}) == 0);
  CHECK(good_ones({make_batch(farthest + 1, {1})}) == 0);
  CHECK(good_ones({make_batch(10, {1}, epoch(3)), make_batch(11, {1}, epoch(2))}) == 1);
  CHECK(good_ones({make_batch(10, {1}, epoch(3)), make_batch(11, {1}, epoch(-1)),
                   make_batch(12, {1}, epoch(3))}) == 3);
}

TEST_CASE("each good batch is shown, and may be refused", "[segment]") {
  Written written;
  std::size_t shown = 0;
  Segment segment = written.directory.open();
  const auto visit = [&](const BatchHeader& header, std::int64_t position) {
    CHECK(position == written.position_of(shown));
    CHECK(BatchFacts::of(header).last_offset == written.batches[shown].facts.last_offset);
    return ++shown == 8 ? error(Fault::corrupt, "an epoch that nobody led") : absl::OkStatus();
  };
  const SegmentRecovery report = segment.recover({}, visit).value();
  CHECK(shown == 8);
  CHECK(report.valid_end == written.position_of(7));
  CHECK(report.problem == "an epoch that nobody led");
  CHECK(report.batch_follows);

  const auto stop = [](const BatchHeader&, std::int64_t) { return error(Fault::no_memory, "no"); };
  CHECK(fault(segment.recover({}, stop).status()) == Fault::no_memory);
}

TEST_CASE("below the durable end headers are checked, and checksums are not", "[segment]") {
  Written written;
  std::vector<std::byte> log = written.content[0];
  log[static_cast<std::size_t>(written.position_of(10)) + 70] ^= std::byte{1};
  written.directory.put(log_suffix, log);
  const Offset bad = written.batches[10].facts.last_offset;
  Segment segment = written.directory.open();
  CHECK(segment.recover({.durable_end = bad}).value().valid_end == written.position_of(10));
  CHECK(segment.recover({.durable_end = bad + 1}).value().clean());
  // What was not checked then is checked when it is read.
  CHECK(fault(segment.read_batches(written.position_of(10), 100).status()) == Fault::corrupt);
  CHECK(segment.read_batches(written.position_of(11), 1 << 20).ok());
}

TEST_CASE("an entry is due only beyond the interval, in recovery too", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 3000;
  std::vector<TestBatch> batches;
  for (std::int64_t i = 0; i < 30; ++i) {
    batches.push_back(make_batch(i, {i}, {.size = 1000}));
  }
  {
    Segment segment = directory.create();
    REQUIRE(write_out(segment, batches).ok());
    REQUIRE(segment.become_inactive().ok());
  }
  const auto written = all_content(directory);
  Segment segment = directory.open();
  REQUIRE(segment.recover().ok());
  REQUIRE(segment.become_inactive().ok());
  CHECK(all_content(directory) == written);
}

TEST_CASE("recovery of a batch larger than its window", "[segment]") {
  SegmentDirectory directory;
  const TestBatch small = make_batch(0, {1});
  const TestBatch large = make_batch(1, {2, 3}, {.size = 700'000});
  const TestBatch last = make_batch(3, {4});
  {
    Segment segment = directory.create();
    REQUIRE(write_out(segment, {small, large, last}).ok());
  }
  const std::vector<std::byte> log = directory.content(log_suffix);
  Segment segment = directory.open();
  CHECK(segment.recover().value().clean());
  CHECK(segment.end().next_offset == Offset(4));
  for (const std::size_t at : {small.bytes.size() + 30, small.bytes.size() + 500'000,
                               small.bytes.size() + large.bytes.size() - 1}) {
    std::vector<std::byte> changed = log;
    changed[at] ^= std::byte{1};
    directory.put(log_suffix, changed);
    const SegmentRecovery report = segment.recover().value();
    CHECK(report.valid_end == small.facts.size);
    CHECK(report.batch_follows);
  }
}
