// SPDX-License-Identifier: Apache-2.0
//
// A log directory on the simulated disk, from its very first call on: what was acknowledged as
// durable is there in each state that a power cut can leave, and what was refused is not.
#include <ottla/env/fault_file_system.hpp>

#include "disk_log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using disk_test::Owner;
using disk_test::partition;
using log_test::make_batches;
using log_test::t0;
using test::must;

namespace {

const disk_test::Owning one_segment{.segment_batches = 8};

/// In each state that is left, or `limit` of them: where the log ends, fewest and most.
std::pair<std::int64_t, std::int64_t> ends(const SimDisk& left, std::uint64_t limit) {
  std::int64_t fewest = INT64_MAX;
  std::int64_t most = -1;
  left.for_each_durable_state(limit, [&](SimDisk& state) {
    const Owner next(state.file_system(), 9, one_segment);
    CHECK(next.log.damage() == nullptr);
    fewest = std::min(fewest, next.log.end().value());
    most = std::max(most, next.log.end().value());
  });
  return {fewest, most};
}

const DiskMode modes[] = {DiskMode::adversarial, DiskMode::ext4_ordered, DiskMode::xfs,
                          DiskMode::btrfs};

}  // namespace

TEST_CASE("The first flush makes all names durable, from the data directory's own on") {
  for (const DiskMode mode : modes) {
    for (const Durability made : {Durability::written, Durability::durable}) {
      SimDisk disk({.crash = {.mode = mode}});
      Owner owner(disk.file_system(), 0, {.made = made, .segment_batches = 8});
      must(log_test::append(owner.log, make_batches(0, 2)).status);
      log_test::flush(owner.log, FlushScope::data);
      disk.crash(CrashKind::power);
      CHECK(ends(disk, 1000) == std::pair<std::int64_t, std::int64_t>(2, 2));
    }
  }
}

TEST_CASE("A directory that a killed process had just made is made durable by the next one") {
  for (std::uint64_t call = 1;; ++call) {
    CAPTURE(call);
    SimDisk disk;
    disk.crash_at(call, CrashKind::process);
    bool whole = true;
    try {
      const Owner killed(disk.file_system(), 0, one_segment);
    } catch (const std::runtime_error&) {
      whole = false;
    }
    if (whole) {
      break;
    }
    Owner owner(disk.restart(), 1, one_segment);
    must(log_test::append(owner.log, make_batches(0, 1)).status);
    log_test::flush(owner.log, FlushScope::data);
    disk.crash(CrashKind::power);
    CHECK(ends(disk, 200) == std::pair<std::int64_t, std::int64_t>(1, 1));
  }
}

TEST_CASE("What is said not to be written does not come back") {
  for (const DiskMode mode : modes) {
    SimDisk disk({.crash = {.mode = mode}});
    bool failing = false;
    Owner owner(FaultFileSystem(disk.file_system(),
                                [&](IoCall& call) {
                                  if (!failing || call.operation != IoOperation::write) {
                                    return absl::OkStatus();
                                  }
                                  call.torn_at = call.bytes - 1;
                                  return error(Fault::io, "all but a byte", Outcome::unknown);
                                }),
                0, one_segment);
    must(log_test::append(owner.log, make_batches(0, 1)).status);
    log_test::flush(owner.log, FlushScope::data);
    failing = true;
    const absl::Status refused = log_test::append(owner.log, make_batches(1, 4)).status;
    CHECK(outcome(refused) == Outcome::not_written);
    disk.crash(CrashKind::power);
    CHECK(ends(disk, 1000) == std::pair<std::int64_t, std::int64_t>(1, 1));
  }
}

TEST_CASE("What lies in a new directory is known as ours, whatever a power cut leaves of it") {
  SimDisk disk;
  AnyFileSystem files(disk.file_system());
  DirectoryReport found;
  const auto directory = must(log_test::open_directory(files, 1, found));
  int states = 0;
  disk.for_each_durable_state(4096, [&](SimDisk& state) {
    AnyFileSystem after(state.file_system());
    auto again = must(log_test::open_directory(after, 2, found));
    CHECK_FALSE(again.take_opening(partition, Timestamp(t0)).foreign);
    ++states;
  });
  CHECK(states >= 5);
}
