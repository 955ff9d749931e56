// SPDX-License-Identifier: Apache-2.0
//
// Look-ups by time and retention after a power cut: indexes that nobody synced are not trusted, and
// none has to be written for a log to be read.
#include <optional>
#include <string>

#include "disk_log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using disk_test::Opened;
using log_test::make_batch;
using log_test::must;
using log_test::t0;

namespace {

constexpr std::int64_t late = t0 + 7'200'000;  // of the second record
constexpr std::size_t most_states = 300;

/// A partition's directory, made and synced.
struct IndexDisk {
  SimDisk disk;
  LogOptions options{.topic_id = {{std::byte{1}}}, .partition = PartitionId(0)};

  explicit IndexDisk(DiskMode mode)
      : disk({.crash = {.mode = mode}, .wall_now = [] { return Timestamp(t0); }}) {
    options.config.retention = std::chrono::hours(1);
    options.config.index_interval_bytes = 1;
    disk_test::make_partition(disk.file_system());
  }
};

/// A record each, flushed each.
void append(Log& log, int from, int to, std::size_t value_size = 10) {
  for (int i = from; i < to; ++i) {
    must(log_test::append(log, {make_batch(i, {.timestamps = {i == 1 ? late : t0 + i},
                                               .value_size = value_size})})
             .status);
    log_test::flush(log, FlushScope::data);
  }
}

/// Where the record with the largest timestamp is, the first one a second after t0, and what
/// retention would leave.
std::string answers(const Log& log) {
  Decompressor decompressor;
  const LogView view = log.view();
  const auto text = [](const absl::StatusOr<std::optional<FoundOffset>>& found) {
    return !found.ok() ? found.status().ToString()
           : *found    ? std::to_string((*found)->offset.value())
                       : std::string("none");
  };
  return text(view.find_max_timestamp(view.end(), decompressor)) + " " +
         text(view.find_timestamp(Timestamp(t0 + 1000), view.end(), decompressor));
}

void check_each(IndexDisk& at, const LogOpening& opening, std::int64_t end) {
  at.disk.crash(CrashKind::power);
  at.disk.for_each_durable_state(
      most_states,
      [&](SimDisk& state) {
        Opened after(state.file_system(), at.options, opening);
        REQUIRE(after.log.ok());
        REQUIRE(after.log->end() == Offset(end));
        REQUIRE(answers(*after.log) == "1 1");
        REQUIRE(must(after.log->retention_start(after.log->end(), Timestamp(late))) == Offset(0));
      },
      most_states);
}

LogOpening after_clean_stop(const CleanEnd& end) {
  return {.last_stop = LastStop::clean,
          .clean_end = end,
          .recovery_point = end.end,
          .now = Timestamp(late),
          .entry_synced = true};
}

const DiskMode modes[] = {DiskMode::adversarial, DiskMode::ext4_ordered};

}  // namespace

TEST_CASE("The indexes of a segment that ends at the recovery point are made anew") {
  for (const DiskMode mode : modes) {
    IndexDisk at(mode);
    at.options.config.segment_bytes = 3 * make_batch(0).facts.size;
    Opened before(at.disk.file_system(), at.options, LastStop::clean);
    append(*before.log, 0, 3);
    const Offset point = before.log->recovery_point();
    REQUIRE(point == Offset(3));
    append(*before.log, 3, 4);  // which rolls
    check_each(
        at, {.last_stop = LastStop::system_crash, .recovery_point = point, .now = Timestamp(late)},
        4);
  }
}

TEST_CASE("A clean stop syncs the indexes also where nothing else is to be synced") {
  for (const DiskMode mode : modes) {
    IndexDisk at(mode);
    CleanEnd end;
    {
      Opened before(at.disk.file_system(), at.options, LastStop::clean);
      append(*before.log, 0, 4, std::size_t{1} << 20);  // the last one with a snapshot
      end = must(before.log->close());
    }
    check_each(at, after_clean_stop(end), 4);
  }
}

TEST_CASE("A clean stop after a kill syncs the indexes that were trusted") {
  for (const DiskMode mode : modes) {
    IndexDisk at(mode);
    {
      Opened before(at.disk.file_system(), at.options, LastStop::clean);
      append(*before.log, 0, 4);
      at.disk.crash(CrashKind::process);
    }
    CleanEnd end;
    {
      Opened again(at.disk.restart(), at.options, LastStop::process_crash);
      // As the broker does where acknowledgements are durable.
      log_test::flush(*again.log, FlushScope::data);
      end = must(again.log->close());
    }
    check_each(at, after_clean_stop(end), 4);
  }
}

TEST_CASE("On a disk that is full after a power cut a log can be read") {
  for (const DiskMode mode : modes) {
    IndexDisk at(mode);
    at.options.config.segment_bytes = 3 * make_batch(0).facts.size;
    Opened before(at.disk.file_system(), at.options, LastStop::clean);
    append(*before.log, 0, 8);
    at.disk.crash(CrashKind::power);
    at.disk.for_each_durable_state(
        most_states,
        [&](SimDisk& state) {
          std::int64_t used = 0;
          SimFileSystem files = state.file_system();
          for (const DirectoryEntry& entry : must(files.list("/d/t-0"))) {
            used += must(files.status("/d/t-0/" + entry.name)).size;
          }
          state.set_max_bytes(used);
          Opened after(state.file_system(), at.options, LastStop::system_crash);
          REQUIRE(after.log.ok());
          REQUIRE(after.log->damage() == nullptr);
          REQUIRE(after.log->end() == Offset(8));
          REQUIRE(answers(*after.log) == "1 1");
        },
        most_states);
  }
}
