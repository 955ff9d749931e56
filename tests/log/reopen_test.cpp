// SPDX-License-Identifier: Apache-2.0
//
// What opening a log costs: it must not grow with the log.
#include <string>

#include "log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

struct Cost {
  std::int64_t log_bytes = 0;
  std::int64_t index_bytes = 0;
  int opened = 0;
};

/// Opens a log of `mebibytes` in segments of 8 MiB, after `stop`.
Cost cost_of(int mebibytes, LastStop stop) {
  Disk disk;
  disk.options.config.segment_bytes = 8 << 20;
  LogOpening opening{.last_stop = stop};
  {
    Log log = disk.open();
    std::int64_t offset = 0;
    for (int i = 0; i < mebibytes; ++i) {
      std::vector<Batch> batches;
      for (int j = 0; j < 64; ++j) {
        batches.push_back(make_batch(offset++, {.value_size = 16'300}));
      }
      must(append(log, batches).status);
    }
    if (stop == LastStop::clean) {
      opening.clean_end = must(log.close());
    } else {
      flush(log);
      opening.recovery_point = log.recovery_point();
    }
  }
  Cost cost;
  disk.hook = [&](IoCall& call) {
    if (call.operation == IoOperation::read && call.done) {
      (call.path.ends_with(log_suffix) ? cost.log_bytes : cost.index_bytes) +=
          static_cast<std::int64_t>(call.bytes);
    }
    cost.opened += call.operation == IoOperation::open && call.done;
    return absl::OkStatus();
  };
  const Log log = disk.open(opening);
  CHECK(log.end() == Offset(mebibytes * 64));
  return cost;
}

}  // namespace

TEST_CASE("Opening reads as much of a large log as of a small one") {
  for (const LastStop stop : {LastStop::clean, LastStop::process_crash, LastStop::system_crash}) {
    const Cost small = cost_of(6, stop);
    const Cost large = cost_of(62, stop);  // the last segment as full
    INFO("stop " << static_cast<int>(stop));
    CHECK(large.log_bytes <= small.log_bytes + 4096);
    CHECK(large.index_bytes <= small.index_bytes + 4096);
    CHECK(large.opened <= small.opened + 1);  // the producer snapshot of the last segment's base
    if (stop == LastStop::clean) {
      CHECK(large.log_bytes <= 32 << 10);
      CHECK(large.opened <= 6);
    }
  }
}

TEST_CASE("After the death of the process the tail is read from the last written index entry on") {
  const Cost cost = cost_of(6, LastStop::process_crash);
  CHECK(cost.log_bytes <= 6 << 20);
  // Entries are written 512 at a time: with one every 16 KiB that is 8 MiB of log. A longer log has
  // some.
  Disk disk;
  disk.options.config.index_interval_bytes = 1024;
  {
    Log log = disk.open();
    for (int i = 0; i < 40; ++i) {
      std::vector<Batch> batches;
      for (std::int64_t j = 0; j < 64; ++j) {
        batches.push_back(make_batch(i * 64 + j, {.value_size = 2'000}));
      }
      must(append(log, batches).status);
    }
  }
  std::int64_t read = 0;
  disk.hook = [&](IoCall& call) {
    read += call.operation == IoOperation::read && call.done && call.path.ends_with(log_suffix)
                ? static_cast<std::int64_t>(call.bytes)
                : 0;
    return absl::OkStatus();
  };
  const Log log = disk.open_after(LastStop::process_crash);
  CHECK(log.end() == Offset(40 * 64));
  const std::int64_t size = disk.size(offset_file_name(Offset(0), log_suffix));
  CHECK(size > 5'000'000);
  CHECK(read < 1'400'000);  // up to 512 batches of 2 KB, and the window
}

TEST_CASE("A log that is opened and closed without a write writes nothing") {
  Disk disk;
  const int records = GENERATE(0, 3);
  std::optional<CleanEnd> end;
  {
    Log log = disk.open();
    log.assign_epoch(LeaderEpoch(0));
    REQUIRE((records == 0 || append(log, make_batches(0, records)).status.ok()));
    end = must(log.close());
  }
  int calls = 0;
  disk.hook = [&](IoCall& call) {
    calls += call.operation == IoOperation::write || call.operation == IoOperation::rename ||
             call.operation == IoOperation::sync || call.operation == IoOperation::sync_directory;
    return absl::OkStatus();
  };
  for (int i = 0; i < 2; ++i) {
    Uuid era;
    era.bytes[0] = static_cast<std::byte>(i + 1);
    Log log = disk.open({.last_stop = LastStop::clean, .clean_end = end, .era = era});
    log.assign_epoch(LeaderEpoch(0));
    end = must(log.close());
  }
  CHECK(calls == 0);
  CHECK(must(disk.try_open({.last_stop = LastStop::clean, .clean_end = end})).end() ==
        Offset(records));
}
