// SPDX-License-Identifier: Apache-2.0
//
// Where not one byte can be written any more: what is old goes, the log closes, and indexes that
// could not be written are made anew once there is room.
#include "killed.hpp"
#include "tests/support/catch.hpp"

using namespace log_test;
using namespace std::chrono_literals;

namespace {

absl::Status no_room(const IoCall& call) {
  return call.operation == IoOperation::write && !call.done
             ? error(Fault::no_space, "no space left")
             : absl::OkStatus();
}

/// Three segments of three batches, offsets 0 to 8, with timestamps a day before the files'.
struct Old : Disk {
  static constexpr std::int64_t day = 86'400'000;

  Old() { options.config.segment_bytes = 3 * make_batch(0).facts.size; }

  void fill(Log& log) const {
    for (int i = 0; i < 9; ++i) {
      must(append(log, {make_batch(i, {.timestamps = {t0 - day + i * 1000}})}).status);
    }
  }
  static std::int64_t find(const Log& log, std::int64_t second) {
    Decompressor decompressor;
    const auto found = must(
        log.view().find_timestamp(Timestamp(t0 - day + second * 1000), log.end(), decompressor));
    return found ? found->offset.value() : -1;
  }
};

}  // namespace

TEST_CASE("On a full disk what is too old goes, though all of it is") {
  Old disk;
  disk.options.config.retention = 1h;
  Log log = disk.open();
  disk.fill(log);
  disk.hook = [](IoCall& call) { return no_room(call); };
  CHECK(must(log.retention_start(log.end(), Timestamp(t0))) == Offset(9));
}

TEST_CASE("On a full disk that has no room for a new segment either, the closed ones go first") {
  Old disk;
  disk.options.config.retention = 1h;
  Log log = disk.open();
  disk.fill(log);
  disk.hook = [](IoCall& call) {
    return call.operation == IoOperation::open && call.reason == IoReason::roll && !call.done
               ? error(Fault::no_space, "no space left")
               : absl::OkStatus();
  };
  CHECK(must(log.retention_start(log.end(), Timestamp(t0))) == Offset(6));
  disk.hook = [](IoCall&) { return absl::OkStatus(); };
  CHECK(must(log.retention_start(log.end(), Timestamp(t0))) == Offset(9));
}

TEST_CASE("On a full disk a log closes, and its next opening goes on from there") {
  Old disk;
  std::optional<CleanEnd> end;
  {
    Log log = disk.open();
    disk.fill(log);
    disk.hook = [](IoCall& call) { return no_room(call); };
    end = must(log.close());
  }
  disk.hook = [](IoCall&) { return absl::OkStatus(); };
  Log log =
      disk.open({.last_stop = LastStop::clean, .clean_end = end, .recovery_point = Offset(9)});
  CHECK(log.end() == Offset(9));
  for (std::int64_t second = 0; second < 9; ++second) {
    CHECK(Old::find(log, second) == second);
  }
  CHECK(append(log, {make_batch(9)}).status.ok());
  CHECK(offsets(log.view()) == range(0, 10));
}

TEST_CASE("Indexes that were left half made are not believed") {
  for (const auto& [kind, what] : {std::pair(IoOperation::read, Fault::no_descriptors),
                                   std::pair(IoOperation::write, Fault::no_space),
                                   std::pair(IoOperation::sync, Fault::no_memory)}) {
    CAPTURE(static_cast<int>(kind));
    Old disk;
    std::optional<CleanEnd> end;
    {
      Log log = disk.open();
      disk.fill(log);
      end = must(log.close());
    }
    must(disk.memory.remove(disk.path(file(3, time_index_suffix)), IoReason::other));
    bool met = false;
    disk.hook = [&, its_kind = kind, fails = what](IoCall& call) {
      const bool now = call.operation == its_kind && !call.done &&
                       call.path.find(file(3, "")) != std::string_view::npos;
      met = met || now;
      return now ? error(fails, "not now") : absl::OkStatus();
    };
    LogOpening opening{.last_stop = LastStop::clean, .clean_end = end, .recovery_point = Offset(9)};
    {
      const auto log = disk.try_open(opening);
      CHECK(met);
      CHECK(log.ok() == (what == Fault::no_space));
      if (log.ok()) {
        CHECK(Old::find(*log, 4) == 4);
      }
    }
    disk.hook = [](IoCall&) { return absl::OkStatus(); };
    opening.last_stop = LastStop::process_crash;
    Log log = disk.open(opening);
    for (std::int64_t second = 0; second < 9; ++second) {
      CHECK(Old::find(log, second) == second);
    }
    must(log.repair_indexes().status());
    CHECK(disk.size(file(3, time_index_suffix)) > 0);
    CHECK(Old::find(log, 4) == 4);
  }
}

TEST_CASE(
    "An empty time index of a segment that had timestamps was left by a death in the middle") {
  Old disk;
  {
    Log log = disk.open();
    disk.fill(log);
    must(log.close().status());
  }
  for (const std::string_view suffix : {offset_index_suffix, time_index_suffix}) {
    disk.put(file(3, suffix), "");
  }
  Log log = disk.open_after(LastStop::process_crash, 9);
  CHECK(Old::find(log, 4) == 4);
  CHECK(must(log.repair_indexes()) == 1);
  CHECK(disk.size(file(3, time_index_suffix)) > 0);
  CHECK(must(log.repair_indexes()) == 0);
  CHECK(Old::find(log, 4) == 4);
}
