// SPDX-License-Identifier: Apache-2.0
//
// What recovery needs besides the batches, to take a whole log for a whole one: it is on the device
// before anything that depends on it is acknowledged.
#include <algorithm>

#include "disk_log_fixture.hpp"
#include "tests/log/cleaning_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using disk_test::Owner;
using disk_test::partition;
using log_test::make_batch;
using log_test::make_batches;
using log_test::must;
using log_test::t0;

namespace {

/// In each state that a power cut leaves, or 200 of them: where the log ends at least.
std::int64_t shortest(const SimDisk& left, bool compact = false) {
  std::int64_t fewest = INT64_MAX;
  left.for_each_durable_state(200, [&](SimDisk& state) {
    const Owner next(state.file_system(), 9, {.compact = compact});
    CHECK(next.log.damage() == nullptr);
    fewest = std::min(fewest, next.log.end().value());
  });
  return fewest;
}

}  // namespace

TEST_CASE("A segment behind offsets that a leader left out outlives a power cut") {
  SimDisk disk;
  Owner owner(disk.file_system(), 0);
  must(log_test::append(owner.log, make_batches(0, 3)).status);
  must(log_test::append(owner.log, make_batches(5, 1)).status);
  log_test::flush(owner.log);
  disk.crash(CrashKind::power);
  CHECK(shortest(disk) == 6);
}

TEST_CASE("A compacted log outlives a power cut after another process has written its notes") {
  SimDisk disk;
  {
    Owner owner(disk.file_system(), 0, {.compact = true});
    for (std::int64_t i = 0; i < 10; ++i) {
      must(log_test::append(owner.log, {log_test::keyed_batch(i, {{"k", "v"}})}).status);
    }
    log_test::flush(owner.log);
    must(log_test::clean(owner.log));
    log_test::flush(owner.log);
  }
  disk.crash(CrashKind::process);
  Owner next(disk.restart(), 1, {.compact = true});
  for (int i = 0; i < 2; ++i) {  // the second one notes what the flush of the first one did
    const std::int64_t end = next.log.end().value();
    must(log_test::append(next.log, {log_test::keyed_batch(end, {{"k", "w"}})}).status);
    log_test::flush(next.log);
  }
  disk.crash(CrashKind::power);
  CHECK(shortest(disk, true) == 12);
}

TEST_CASE("After a failed sync it is known whose the log is, too") {
  SimDisk disk;
  {
    Owner owner(disk.file_system(), 0);
    must(log_test::append(owner.log, make_batches(0, 1)).status);
    // The log, its epochs and partition.metadata.
    disk.fail_at(disk.calls() + 5, SimFault::sync_keeps);
    REQUIRE_FALSE(log_test::try_flush(owner.log).ok());
    REQUIRE(disk.fault_table().fired(IoOperation::sync, IoReason::flush, SimFault::sync_keeps) ==
            1);
  }
  disk.crash(CrashKind::process);
  Owner next(disk.restart(), 1);
  log_test::flush(next.log);
  disk.crash(CrashKind::power);
  disk.for_each_durable_state(200, [&](SimDisk& state) {
    Owner last(state.file_system(), 9);
    CHECK(must(last.directory.topic_id(partition)) == log_test::id(1));
  });
}

TEST_CASE("A hole is none of another program's where a manifest lies beside it") {
  log_test::Disk d;
  d.options.config.segment_bytes = 3 * make_batch(0).facts.size;
  {
    Log log = d.open();
    must(log_test::append(log, make_batches(0, 8)).status);
  }
  d.cut("00000000000000000000.log", 2 * make_batch(0).facts.size);
  d.put("ottla_manifest", "torn");
  const Log log = d.open({.last_stop = LastStop::system_crash, .foreign = true});
  CHECK(log.end() == Offset(2));
}

TEST_CASE("What a flush made known of records that were cut off is not noted later") {
  log_test::Disk d;
  {
    Log log = d.open();
    must(log_test::append(log, make_batches(0, 4)).status);
    log_test::flush(log);
    must(log.truncate_to(Offset(1), SteadyTime()).status());
    log.publish();
    must(log_test::append(log, make_batches(1, 1)).status);
  }
  const Log log = d.open({.last_stop = LastStop::process_crash});
  CHECK(log.damage() == nullptr);
  CHECK(log.end() == Offset(2));
}

TEST_CASE("An index that was made anew is on the device") {
  SimDisk disk;
  {
    Owner owner(disk.file_system(), 0);
    must(log_test::append(owner.log, make_batches(0, 7)).status);
    log_test::flush(owner.log);
    const PartitionOffset point{partition, owner.log.recovery_point()};
    must(owner.directory.write_checkpoint(CheckpointKind::recovery_point, {&point, 1},
                                          Durability::durable));
  }
  disk.crash(CrashKind::process);
  must(disk.restart().remove("/d/t-0/00000000000000000000.timeindex", IoReason::other));
  {
    const Owner next(disk.file_system(), 1);
    CHECK(next.report.has(RecoveryReport::Kind::index_rebuilt));
  }
  disk.crash(CrashKind::power);
  disk.for_each_durable_state(200, [&](SimDisk& state) {
    const Owner last(state.file_system(), 9);
    Decompressor decompressor;
    const auto found =
        must(last.log.view().find_timestamp(Timestamp(t0 + 2000), Offset(7), decompressor));
    REQUIRE(found);
    CHECK(found->offset == Offset(2));
  });
}

TEST_CASE("A cut that could not be noted is noted when it is tried again") {
  log_test::Disk d;
  {
    Log log = d.open();
    must(log_test::append(log, make_batches(0, 4)).status);
    log_test::flush(log);
    must(log_test::append(log, make_batches(4, 1)).status);
    d.hook = [](IoCall& call) {
      return call.reason == IoReason::checkpoint ? error(Fault::no_space, "full")
                                                 : absl::OkStatus();
    };
    CHECK_FALSE(log.truncate_to(Offset(1), SteadyTime()).ok());
    d.hook = [](IoCall&) { return absl::OkStatus(); };
    must(log.truncate_to(Offset(1), SteadyTime()).status());
  }
  const Log log = d.open({.last_stop = LastStop::process_crash});
  CHECK(log.damage() == nullptr);
  CHECK(log.end() == Offset(1));
}
