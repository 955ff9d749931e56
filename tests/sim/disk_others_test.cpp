// SPDX-License-Identifier: Apache-2.0
//
// A directory that somebody else had, or that looks so, opened again and again by processes that
// die there: gaps between its segments are no torn tails, however often that happens.
#include <string>
#include <vector>

#include "disk_log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using disk_test::Owner;
using disk_test::partition;
using log_test::make_batches;
using log_test::must;

namespace {

const std::string root = "/d";

/// Segments [0, 3), [5, 8) and [8, 9), closed as at a clean stop; no recovery point is noted.
void close_with_gap(SimDisk& disk) {
  Owner owner(disk.file_system(), 0, {.made = Durability::durable});
  must(log_test::append(owner.log, make_batches(0, 3)).status);
  must(log_test::append(owner.log, make_batches(5, 4)).status);
  owner.directory.note_closed(partition, must(owner.log.close()));
  must(owner.directory.close(owner.directory.clean_ends()));
}

/// What is left of that, on the device: without these files.
void leave_without(SimDisk& disk, const std::vector<std::string>& names) {
  SimFileSystem files = disk.file_system();
  for (const std::string& name : names) {
    must(files.remove(root + "/" + name, IoReason::other));
  }
  must(files.sync_directory(root, IoReason::other));
  must(files.sync_directory(root + "/t-0", IoReason::other));
  disk.crash(CrashKind::power);
  disk.restart();
}

const std::vector<std::string> of_ours = {".ottla_run", ".ottla_clean", ".ottla_reserve",
                                          "t-0/ottla_manifest"};

/// Opened, and in the middle of that the machine dies, or the process, and then the machine.
/// Whether opening came to its end before.
bool die_opening(SimDisk& disk, std::uint64_t call, CrashKind kind) {
  disk.crash_at(disk.calls() + call, kind);
  try {
    const Owner opened(disk.file_system(), 1);
    if (!disk.down()) {
      return true;
    }
  } catch (const std::runtime_error&) {
    REQUIRE(disk.down());
  }
  if (kind == CrashKind::process) {
    const Owner next(disk.restart(), 2);
    CHECK(next.log.end() == Offset(9));
    disk.crash(CrashKind::power);
  }
  return false;
}

void check_whole(SimDisk& disk) {
  disk.for_each_durable_state(64, [&](SimDisk& state) {
    const Owner last(state.file_system(), 9);
    CHECK(last.log.damage() == nullptr);
    CHECK_FALSE(last.report.has(RecoveryReport::Kind::cut));
    CHECK(last.log.end() == Offset(9));
  });
}

/// At each call of the opening.
void check_each_death(const std::vector<std::string>& missing) {
  for (const CrashKind kind : {CrashKind::power, CrashKind::process}) {
    std::uint64_t call = 1;
    for (;; ++call) {
      CAPTURE(call);
      SimDisk disk;
      close_with_gap(disk);
      leave_without(disk, missing);
      if (die_opening(disk, call, kind)) {
        break;
      }
      check_whole(disk);
    }
    CHECK(call > 20);
  }
}

}  // namespace

TEST_CASE("A stop cut short between its markers, and an opening after it, lose nothing") {
  check_each_death({".kafka_cleanshutdown"});
}

TEST_CASE("Kafka's clean stop behind ours, and an opening after it that died, lose nothing") {
  check_each_death({".ottla_clean"});
}

TEST_CASE("A directory of Kafka's own outlives a first opening that dies") {
  std::vector<std::string> missing = of_ours;
  check_each_death(missing);  // after a clean stop
  missing.emplace_back(".kafka_cleanshutdown");
  check_each_death(missing);
}
