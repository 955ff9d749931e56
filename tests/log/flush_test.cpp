// SPDX-License-Identifier: Apache-2.0
//
// What is synced when, in which order, and what a failed sync means.
#include <string>

#include "log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

std::string file(std::int64_t base, std::string_view suffix = log_suffix) {
  return offset_file_name(Offset(base), suffix);
}

struct Flushing : Disk {
  std::vector<std::string> synced;  // names, "." for the directory, ".." for its parent
  std::string failing;

  Flushing() {
    options.config.segment_bytes = 4 * make_batch(0).facts.size;
    hook = [this](IoCall& call) {
      const bool file = call.operation == IoOperation::sync;
      if (call.done || (!file && call.operation != IoOperation::sync_directory)) {
        return absl::OkStatus();
      }
      const std::string name = call.path == directory ? "."
                               : call.path == "/d"    ? ".."
                                                      : std::string(call.path.substr(7));
      synced.push_back(name);
      return name == failing ? error(Fault::io, "input/output error", Outcome::unknown)
                             : absl::OkStatus();
    };
  }

  std::vector<std::string> flush(Log& log, FlushScope scope = FlushScope::data) {
    synced.clear();
    log_test::flush(log, scope);
    return synced;
  }
};

/// A cut that fails in the call that `fails` picks, once a flush of what there is has come amid it.
template <class Fails>
void fail_to_cut(Disk& disk, Log& log, Offset end, Fails fails) {
  LogFlush amid = log.plan_flush(FlushScope::data);
  disk.hook = [&](IoCall& call) {
    if (call.done || !fails(call)) {
      return absl::OkStatus();
    }
    must(amid.run());
    return error(Fault::no_space, "no space left on device");
  };
  CHECK_FALSE(log.truncate_to(end, SteadyTime()).ok());
  disk.hook = [](IoCall&) { return absl::OkStatus(); };
  log.publish();
  log.flushed(amid);
}

using Names = std::vector<std::string>;
const std::string epochs = "leader-epoch-checkpoint";

}  // namespace

TEST_CASE("At the written level nothing is synced") {
  Flushing disk;
  Log log = disk.open();
  must(append(log, make_batches(0, 12)).status);
  log.assign_epoch(LeaderEpoch(3));
  must(append(log, {make_batch(12, {.epoch = 3})}).status);
  must(log.roll(Timestamp(t0)));
  CHECK(disk.synced.empty());
}

TEST_CASE("The first durable answer syncs what is missing, earlier segments first") {
  Flushing disk;
  Log log = disk.open({.last_stop = LastStop::clean, .entry_synced = true});
  disk.put("partition.metadata", "");
  must(append(log, make_batches(0, 9)).status);
  CHECK(log.durable_end() == Offset(0));
  CHECK(disk.flush(log) == Names{file(0), file(4), file(8), epochs, "."});
  CHECK(log.durable_end() == Offset(9));
  CHECK(disk.flush(log).empty());
  must(append(log, make_batches(9, 1)).status);
  CHECK(disk.flush(log) == Names{file(8)});
  must(append(log, make_batches(10, 4)).status);  // rolls: new names
  CHECK(disk.flush(log) == Names{file(8), file(12), "."});
  must(append(log, {make_batch(14, {.epoch = 1})}).status);
  CHECK(disk.flush(log) == Names{file(12), epochs, "."});
}

TEST_CASE("A new partition's own names are synced with its first durable answer, and once") {
  Flushing disk;
  disk.put("partition.metadata", "");
  Log log = disk.open_after(LastStop::process_crash);
  must(append(log, make_batches(0, 1)).status);
  CHECK(disk.flush(log) == Names{file(0), epochs, "partition.metadata", ".", ".."});
  must(append(log, make_batches(1, 1)).status);
  CHECK(disk.flush(log) == Names{file(0)});
}

TEST_CASE("Indexes are synced with their closed segment, when nobody waits") {
  Flushing disk;
  Log log = disk.open();
  must(append(log, make_batches(0, 9)).status);
  disk.flush(log);
  // All records are durable, but what recovery may trust ends where an index is not.
  CHECK(log.durable_end() == Offset(9));
  CHECK(log.recovery_point() == Offset(0));
  const Names sealed = disk.flush(log, FlushScope::sealed);
  CHECK(sealed == Names{file(0), file(0, offset_index_suffix), file(0, time_index_suffix),
                        file(4, producer_snapshot_suffix), file(4), file(4, offset_index_suffix),
                        file(4, time_index_suffix), file(8, producer_snapshot_suffix), file(8)});
  CHECK(log.recovery_point() == Offset(9));
  CHECK(disk.flush(log, FlushScope::sealed).empty());
  // The manifest learns of it with the next append.
  CHECK(disk.content("ottla_manifest").find("segment") == std::string::npos);
  must(append(log, make_batches(9, 1)).status);
  const auto manifest = Manifest::parse(disk.content("ottla_manifest"));
  REQUIRE(manifest.has_value());
  REQUIRE(manifest->segments().size() == 2);
  const SealedSegment& segment = manifest->segments().at(Offset(4));
  CHECK(segment.last == Offset(7));
  CHECK(segment.size == 4 * make_batch(0).facts.size);
  CHECK(segment.largest == Timestamp(t0 + 7000));
  std::uint32_t digest = 0;
  const std::string log_text = disk.content(file(4));
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t size = log_text.size() / 4;
    digest = crc32c(as_bytes(log_text).subspan(i * size, batch_header_size), digest);
  }
  CHECK(segment.digest == digest);
  CHECK(manifest->synced() == Offset(9));
}

TEST_CASE("How far the log is durable is noted once a second at most, and when it is closed") {
  Flushing disk;
  disk.options.config.segment_bytes = 1 << 20;
  Log log = disk.open();
  const auto durable_append = [&](std::int64_t at, std::int64_t now) {
    must(append(log, make_batches(at, 1), now).status);
    disk.flush(log);
  };
  const auto noted = [&] { return Manifest::parse(disk.content("ottla_manifest"))->synced(); };
  durable_append(0, t0);
  CHECK_FALSE(noted().has_value());
  durable_append(1, t0 + 1);
  CHECK(noted() == Offset(1));
  durable_append(2, t0 + 1000);
  CHECK(noted() == Offset(1));
  durable_append(3, t0 + 1001);
  CHECK(noted() == Offset(3));
  durable_append(4, t0);  // the clock was put back
  CHECK(noted() == Offset(4));
  must(log.close());
  CHECK(noted() == Offset(5));
}

TEST_CASE("A flush speaks for what was appended when it was planned") {
  Flushing disk;
  Log log = disk.open();
  must(append(log, make_batches(0, 2)).status);
  LogFlush plan = log.plan_flush(FlushScope::data);
  must(append(log, make_batches(2, 2)).status);
  must(plan.run());
  log.flushed(plan);
  CHECK(plan.end() == Offset(2));
  CHECK(log.durable_end() == Offset(2));
  log.flushed(plan);
  CHECK(log.durable_end() == Offset(2));
}

TEST_CASE("A flush that a cut has overtaken says nothing") {
  Flushing disk;
  Log log = disk.open();
  must(append(log, make_batches(0, 4)).status);
  LogFlush plan = log.plan_flush(FlushScope::data);
  must(log.truncate_to(Offset(2), SteadyTime()).status());
  must(append(log, make_batches(2, 2)).status);
  must(plan.run());
  log.flushed(plan);
  CHECK(log.durable_end() == Offset(0));
  // And what was durable is not, once it is cut off.
  disk.flush(log);
  CHECK(log.durable_end() == Offset(4));
  must(log.truncate_to(Offset(3), SteadyTime()).status());
  log.publish();
  CHECK(log.durable_end() == Offset(3));
}

TEST_CASE("A failed sync is final for the directory: no write follows it, and reading goes on") {
  for (const std::string& failing : {file(0), file(4), epochs, std::string(".")}) {
    Flushing disk;
    Log log = disk.open();
    must(append(log, make_batches(0, 6)).status);
    disk.failing = failing;
    LogFlush plan = log.plan_flush(FlushScope::data);
    const absl::Status status = plan.run();
    INFO(failing);
    CHECK(error_code(status) == ErrorCode::kafka_storage_error);
    CHECK(outcome(status) == Outcome::unknown);
    CHECK_FALSE(disk.health->writable());
    disk.failing.clear();
    int writes = 0;
    const IoHook before = disk.hook;
    disk.hook = [&](IoCall& call) {
      writes += call.operation == IoOperation::write || call.operation == IoOperation::rename ||
                call.operation == IoOperation::truncate || call.operation == IoOperation::remove ||
                (call.operation == IoOperation::open && call.mode != OpenMode::read);
      return absl::OkStatus();
    };
    CHECK_FALSE(append(log, make_batches(6, 1)).status.ok());
    CHECK_FALSE(log.roll(Timestamp(t0)).ok());
    CHECK_FALSE(log.close().ok());
    CHECK_FALSE(log.plan_flush(FlushScope::data).run().ok());
    CHECK_FALSE(log.truncate_to(Offset(1), SteadyTime()).ok());
    CHECK_FALSE(log.delete_segments(Offset(0), SteadyTime()).ok());
    CHECK(writes == 0);
    CHECK(offsets(log.view()) == range(0, 6));
  }
}

TEST_CASE("What cannot be opened cannot be synced, and that is no failed sync") {
  Flushing disk;
  {
    Log log = disk.open();
    must(append(log, make_batches(0, 12)).status);
  }
  disk.flip(file(4), 2 * static_cast<std::size_t>(make_batch(0).facts.size) + 16);  // magic
  Log log = disk.open_after(LastStop::process_crash);
  LogFlush plan = log.plan_flush(FlushScope::data);
  CHECK(fault(plan.run()) == Fault::corrupt);
  CHECK(disk.health->writable());
  CHECK(log.durable_end() == Offset(0));
}

TEST_CASE("A closed log is durable as a whole, and the marker's line matches it at the next open") {
  Flushing disk;
  LogOpening opening{.last_stop = LastStop::clean, .entry_synced = true};
  {
    Log log = disk.open(opening);
    must(append(log, make_batches(0, 9)).status);
    disk.synced.clear();
    opening.clean_end = must(log.close());
    CHECK(disk.synced == Names{file(9, producer_snapshot_suffix), file(8, offset_index_suffix),
                               file(8, time_index_suffix), file(0), file(0, offset_index_suffix),
                               file(0, time_index_suffix), file(4, producer_snapshot_suffix),
                               file(4), file(4, offset_index_suffix), file(4, time_index_suffix),
                               file(8, producer_snapshot_suffix), file(8), epochs, "."});
    CHECK(opening.clean_end->end == Offset(9));
    CHECK(opening.clean_end->segment == Offset(8));
    CHECK(opening.clean_end->size == make_batch(0).facts.size);
    CHECK(opening.clean_end->last_position == 0);
  }
  Log log = disk.open(opening);
  CHECK(disk.report.last_stop == LastStop::clean);
  CHECK(disk.report.scanned_bytes == 0);
  CHECK(log.recovery_point() == Offset(9));
  disk.synced.clear();
  CHECK(must(log.close()) == *opening.clean_end);
  CHECK(disk.synced == Names{});  // nothing was changed
}

TEST_CASE("A clean-stop marker that does not match a log is stale for it: it is recovered") {
  Disk disk;
  LogOpening opening{.last_stop = LastStop::clean};
  {
    Log log = disk.open();
    must(append(log, make_batches(0, 5)).status);
    opening.clean_end = must(log.close());
  }
  const std::string good = disk.content(file(0));
  const auto scanned = [&] {
    const Log log = disk.open(opening);
    return disk.report.scanned_bytes;
  };
  CHECK(scanned() == 0);
  disk.put(file(0), good + good.substr(0, 30));  // longer
  CHECK(scanned() > 0);
  CHECK(disk.report.last_stop == LastStop::system_crash);
  CHECK(disk.report.has(RecoveryReport::Kind::cut));
  disk.put(file(0), good);
  disk.flip(file(0), good.size() - 70);  // in the last batch's header
  opening.recovery_point = Offset(5);
  Log log = disk.open(opening);
  CHECK(disk.report.scanned_bytes > 0);
  REQUIRE(log.damage() != nullptr);  // it was durable
  CHECK(log.end() == Offset(4));
}

TEST_CASE("What is being cut back is not durable by a flush that comes amid it") {
  Disk disk;
  Log log = disk.open();
  must(append(log, make_batches(0, 2)).status);
  flush(log, FlushScope::data);
  must(append(log, make_batches(2, 1)).status);
  fail_to_cut(disk, log, Offset(1), [](const IoCall& call) {
    return call.operation == IoOperation::write && call.reason == IoReason::checkpoint;
  });
  CHECK(log.end() == Offset(3));
  CHECK(log.durable_end() == Offset(2));
}

TEST_CASE("What a cut did not come to delete is not durable by a flush that comes amid it") {
  Disk disk;
  disk.options.config.segment_bytes = 2 * make_batch(0).facts.size;
  Log log = disk.open();
  must(append(log, make_batches(0, 4)).status);
  flush(log, FlushScope::data);
  must(append(log, make_batches(4, 2)).status);
  fail_to_cut(disk, log, Offset(1), [&](const IoCall& call) {
    return call.operation == IoOperation::rename && call.path == disk.path(file(4));
  });
  CHECK(log.end() == Offset(6));
  CHECK(log.durable_end() == Offset(4));
}
