// SPDX-License-Identifier: Apache-2.0
//
// What a log gives up: old segments, deleted records, what it is cut back by.
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

/// Three segments of four batches, a second apart: offsets 0 to 11.
struct Twelve : Disk {
  Log log;

  explicit Twelve(const LogConfig& config = {}) : log(make(config)) {}
  Log make(const LogConfig& config) {
    options.config = config;
    options.config.segment_bytes = 4 * make_batch(0).facts.size;
    Log made = open();
    must(append(made, make_batches(0, 12)).status);
    return made;
  }
  int retain(std::int64_t now, std::int64_t high_watermark = 12) {
    const Offset start = must(log.retention_start(Offset(high_watermark), Timestamp(now)));
    must(log.raise_start(start, Offset(high_watermark)));
    log.publish();
    const int deleted = must(log.delete_segments(start, SteadyTime()));
    log.publish();
    return deleted;
  }
};

}  // namespace

TEST_CASE("Retention by time takes whole old segments, and the log begins behind them") {
  Twelve disk({.retention = 10s});
  CHECK(disk.retain(t0 + 13'000) == 0);
  CHECK(disk.retain(t0 + 13'001) == 1);
  CHECK(disk.log.start() == Offset(4));
  CHECK(offsets(disk.log.view()) == range(4, 12));
  CHECK(disk.log.epochs().entries()[0].start == Offset(4));
  CHECK_FALSE(disk.has(file(0)));
  CHECK(disk.has(file(0) + ".deleted"));
  CHECK(disk.has(file(0, offset_index_suffix) + ".deleted"));
}

TEST_CASE("Where every segment may go, a new one is begun first") {
  Twelve disk({.retention = 10s});
  CHECK(disk.retain(t0 + 1'000'000) == 3);
  CHECK(disk.log.start() == Offset(12));
  CHECK(disk.log.end() == Offset(12));
  CHECK(segments(disk.log.view()) == std::vector<std::pair<std::int64_t, std::int64_t>>{{12, 0}});
  REQUIRE(append(disk.log, make_batches(12, 1)).status.ok());
  CHECK(offsets(disk.log.view()) == range(12, 13));
  CHECK(disk.retain(t0 + 2'000'000, 12) == 0);  // not above the high watermark
}

TEST_CASE("Retention by size keeps at least retention.bytes") {
  Twelve disk({.retention = std::nullopt, .retention_bytes = 9 * make_batch(0).facts.size});
  CHECK(disk.retain(t0) == 0);
  Twelve smaller({.retention = std::nullopt, .retention_bytes = 8 * make_batch(0).facts.size});
  CHECK(smaller.retain(t0) == 1);
}

TEST_CASE("Records are deleted at once, their segments with the next retention") {
  Twelve disk({.retention = std::nullopt});
  CHECK(error_code(disk.log.raise_start(Offset(13), Offset(12))) == ErrorCode::offset_out_of_range);
  must(disk.log.raise_start(Offset(9), Offset(12)));
  disk.log.publish();
  CHECK(offsets(disk.log.view()) == range(9, 12));
  must(disk.log.raise_start(Offset(5), Offset(12)));  // never lowered
  disk.log.publish();
  CHECK(disk.log.start() == Offset(9));
  CHECK(disk.has(file(0)));
  CHECK(disk.retain(t0) == 2);
  CHECK_FALSE(disk.has(file(4)));
}

TEST_CASE("Segments are renamed oldest first, and removed when their delay has passed") {
  Twelve disk({.retention = 1s, .file_delete_delay = 60s});
  std::vector<std::string> renamed;
  disk.hook = [&](IoCall& call) {
    if (call.operation == IoOperation::rename && !call.done && call.path.ends_with(log_suffix)) {
      renamed.emplace_back(call.path.substr(disk.directory.size() + 1));
    }
    return absl::OkStatus();
  };
  CHECK(disk.retain(t0 + 10'000) == 2);
  CHECK(renamed == std::vector<std::string>{file(0), file(4)});
  CHECK(must(disk.log.remove_deleted(SteadyTime(59s))) == SteadyTime(60s));
  CHECK(disk.has(file(0) + ".deleted"));
  CHECK_FALSE(must(disk.log.remove_deleted(SteadyTime(60s))).has_value());
  CHECK_FALSE(disk.has(file(0) + ".deleted"));
  CHECK_FALSE(disk.has(file(4, time_index_suffix) + ".deleted"));
}

TEST_CASE("What was renamed for deletion is removed at the next open") {
  Twelve disk({.retention = 1s});
  CHECK(disk.retain(t0 + 10'000) == 2);
  const Log log = disk.open_after(LastStop::process_crash);
  CHECK(log.start() == Offset(8));
  CHECK_FALSE(disk.has(file(0) + ".deleted"));
  CHECK(offsets(log.view()) == range(8, 12));
}

TEST_CASE("What waited to be removed at a clean stop is no news") {
  for (const LastStop stop : {LastStop::clean, LastStop::process_crash}) {
    Twelve disk({.retention = 1s});
    CHECK(disk.retain(t0 + 10'000) == 2);
    LogOpening opening{.last_stop = stop};
    opening.clean_end = must(disk.log.close());
    const Log log = disk.open(opening);
    CHECK(disk.report.findings.empty() == (stop == LastStop::clean));
    CHECK_FALSE(disk.has(file(0) + ".deleted"));
  }
}

TEST_CASE("An interrupted deletion leaves a log that begins somewhere, without a hole") {
  for (int k = 0; k < 20; ++k) {
    Twelve disk({.retention = 1s});
    const Offset start = must(disk.log.retention_start(Offset(12), Timestamp(t0 + 10'000)));
    CHECK(start == Offset(8));
    must(disk.log.raise_start(start, Offset(12)));
    int calls = 0;
    disk.hook = [&](IoCall& call) {
      return call.operation == IoOperation::rename && !call.done && calls++ >= k
                 ? error(Fault::io, "input/output error")
                 : absl::OkStatus();
    };
    const bool done = disk.log.delete_segments(start, SteadyTime()).ok();
    CHECK((done || calls > k));
    disk.log.publish();
    CHECK(offsets(disk.log.view()) == range(8, 12));
    disk.hook = [](IoCall&) { return absl::OkStatus(); };
    for (const LastStop stop : {LastStop::process_crash, LastStop::system_crash}) {
      const Log log = disk.open_after(stop, 0, 8);
      INFO("rename " << k << ", stop " << static_cast<int>(stop));
      CHECK(offsets(log.view()) == range(8, 12));
      CHECK(log.damage() == nullptr);
    }
  }
}

TEST_CASE("A log is cut back by whole batches, and ends where it was told") {
  Twelve disk;
  CHECK_FALSE(must(disk.log.truncate_to(Offset(12), SteadyTime())));
  CHECK(must(disk.log.truncate_to(Offset(6), SteadyTime())));
  disk.log.publish();
  CHECK(disk.log.end() == Offset(6));
  CHECK(offsets(disk.log.view()) == range(0, 6));
  CHECK_FALSE(disk.has(file(8)));
  REQUIRE(append(disk.log, make_batches(6, 4)).status.ok());
  CHECK(offsets(disk.log.view()) == range(0, 10));
  const Log log = disk.open_after(LastStop::system_crash);
  CHECK(offsets(log.view()) == range(0, 10));
}

TEST_CASE("A log that is read is not cut back meanwhile") {
  Twelve disk;
  const LogView before = disk.log.view();
  bool inside = false;
  const auto buffers = make_ref<ReadBuffers>();
  disk.hook = [&](IoCall& call) {
    if (call.operation == IoOperation::read && !call.done && !inside &&
        call.path.find(file(4)) != std::string_view::npos) {
      inside = true;
      CHECK(error_code(disk.log.truncate_to(Offset(6), SteadyTime()).status()) ==
            ErrorCode::offset_not_available);
    }
    return absl::OkStatus();
  };
  CHECK(must(before.read({Offset(5), Offset(12)}, *buffers)).bytes > 0);
  CHECK(inside);
  CHECK(must(disk.log.truncate_to(Offset(6), SteadyTime())));
  CHECK(error_code(before.read({Offset(5), Offset(12)}, *buffers).status()) ==
        ErrorCode::offset_not_available);
  disk.log.publish();
  CHECK(offsets(disk.log.view()) == range(0, 6));
}

TEST_CASE("A log can be begun anew at another offset") {
  Twelve disk;
  must(disk.log.truncate_fully_and_start_at(Offset(100), Timestamp(t0), SteadyTime()));
  disk.log.publish();
  CHECK(disk.log.start() == Offset(100));
  CHECK(disk.log.end() == Offset(100));
  CHECK(disk.log.epochs().empty());
  REQUIRE(append(disk.log, make_batches(100, 2)).status.ok());
  CHECK(offsets(disk.log.view()) == range(100, 102));
  CHECK(offsets(disk.open_after(LastStop::process_crash).view()) == range(100, 102));
}

TEST_CASE("What was sealed is not asked for again after a cut, whatever crashes") {
  Twelve disk;
  flush(disk.log);
  REQUIRE(append(disk.log, make_batches(12, 1)).status.ok());  // notes what was sealed
  CHECK(disk.content("ottla_manifest").find("segment 4 7 ") != std::string::npos);
  CHECK(must(disk.log.truncate_to(Offset(6), SteadyTime())));
  disk.log.publish();
  for (const LastStop stop : {LastStop::process_crash, LastStop::system_crash}) {
    const Log log = disk.open_after(stop, 6);
    CHECK(log.damage() == nullptr);
    CHECK(offsets(log.view()) == range(0, 6));
  }
}

TEST_CASE("Damaged indexes are noticed by those who read, and made anew") {
  LogConfig config;
  config.index_interval_bytes = 0;
  Twelve disk(config);
  must(disk.log.close());
  const std::string index = disk.content(file(0, offset_index_suffix));
  std::string wrong = index;
  wrong[7] = static_cast<char>(wrong[7] + 5);  // a position inside a batch
  disk.put(file(0, offset_index_suffix), wrong);
  disk.log = disk.open();
  CHECK(must(disk.log.repair_indexes()) == 0);  // nobody has looked yet
  CHECK(offsets(disk.log.view(), 1) == range(1, 12));
  CHECK(must(disk.log.repair_indexes()) == 1);
  disk.log.publish();
  CHECK(disk.content(file(0, offset_index_suffix)) == index);
  CHECK(offsets(disk.log.view()) == range(0, 12));
}

TEST_CASE("Records without a timestamp are as old as the last write to their segment") {
  Disk disk;
  disk.options.config.retention = std::chrono::hours(1);
  Log log = disk.open();
  must(append(log, {make_batch(0, {.timestamps = {-1}})}, t0).status);
  const std::int64_t later = t0 + 7'200'000;
  must(append(log, {make_batch(1, {.timestamps = {-1}})}, later).status);
  CHECK(must(log.retention_start(log.end(), Timestamp(later + 3'600'000))) == Offset(0));
  CHECK(must(log.retention_start(log.end(), Timestamp(later + 3'600'001))) == Offset(2));
}
