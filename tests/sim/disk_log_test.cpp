// SPDX-License-Identifier: Apache-2.0
//
// A log on the simulated disk: the power is cut, and whatever state that leaves, recovery finds
// every record that was flushed.
#include <algorithm>

#include "disk_fixture.hpp"
#include "disk_log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using disk_test::Opened;
using log_test::make_batches;
using log_test::must;
using log_test::t0;

namespace {

/// A partition's directory, made and synced.
struct LogDisk {
  SimDisk disk;
  LogOptions options{.topic_id = {{std::byte{1}}}, .partition = PartitionId(0)};

  explicit LogDisk(SimDiskOptions disk_options = {}) : disk(std::move(disk_options)) {
    options.config.segment_bytes = 3 * log_test::make_batch(0).facts.size;
    SimFileSystem files = disk.file_system();
    disk_test::make_partition(files);
    auto metadata =
        must(files.open("/d/t-0/partition.metadata", OpenMode::create, IoReason::other));
    must(metadata.sync(IoReason::other));
    must(files.sync_directory("/d/t-0", IoReason::other));
  }
};

/// What was acknowledged at its level.
struct Acknowledged {
  std::int64_t written = 0;
  std::int64_t durable = 0;
};

/// Appends `n` batches one by one; those whose offset is below `flushed` are flushed.
Acknowledged append_some(Log& log, std::int64_t n, std::int64_t flushed) {
  Acknowledged done;
  for (std::int64_t offset = log.end().value(); offset < n; ++offset) {
    if (!log_test::append(log, make_batches(offset, 1)).status.ok()) {
      break;
    }
    done.written = offset + 1;
    if (offset < flushed) {
      if (!log_test::try_flush(log, FlushScope::data).ok()) {
        break;
      }
      done.durable = offset + 1;
    }
  }
  return done;
}

/// Opens what is left, and answers where the log ends. All its records are the ones appended.
std::int64_t recover(SimFileSystem files, const LogOptions& options,
                     LastStop stop = LastStop::system_crash) {
  Opened opened(std::move(files), options, stop);
  INFO(opened.log.status());
  REQUIRE(opened.log.ok());
  CHECK(opened.log->damage() == nullptr);
  const auto records = log_test::read_all(opened.log->view());
  for (std::size_t i = 0; i < records.size(); ++i) {
    REQUIRE(records[i].first == static_cast<std::int64_t>(i));
    REQUIRE(records[i].second.starts_with(std::to_string(i)));
  }
  REQUIRE(opened.log->end().value() == static_cast<std::int64_t>(records.size()));
  return opened.log->end().value();
}

/// Over all states that are left: the fewest and the most records found, and how many states.
struct Found {
  std::int64_t fewest = 1 << 20;
  std::int64_t most = 0;
  DurableStateCount states = {};
};
Found recover_each(const LogDisk& left, std::uint64_t limit) {
  Found found;
  found.states = left.disk.for_each_durable_state(limit, [&](SimDisk& state) {
    const std::int64_t end = recover(state.file_system(), left.options);
    found.fewest = std::min(found.fewest, end);
    found.most = std::max(found.most, end);
  });
  return found;
}

}  // namespace

TEST_CASE("What was flushed is found in each state that a power cut can leave") {
  for (const std::int64_t flushed : {0, 1, 2, 4}) {
    LogDisk d;
    Opened opened(d.disk.file_system(), d.options, LastStop::clean);
    REQUIRE(opened.log.ok());
    const Acknowledged done = append_some(*opened.log, flushed + 1, flushed);
    CHECK(done.durable == flushed);
    d.disk.crash(CrashKind::power);
    const Found found = recover_each(d, 4096);
    CHECK(found.states.all);
    CHECK(found.fewest == flushed);
    CHECK(found.most == flushed + 1);
  }
}

TEST_CASE("Each mode's power cuts leave what was flushed") {
  for (const DiskMode mode : {DiskMode::ext4_ordered, DiskMode::xfs, DiskMode::btrfs}) {
    LogDisk d({.crash = {.mode = mode}});
    Opened opened(d.disk.file_system(), d.options, LastStop::clean);
    append_some(*opened.log, 8, 4);
    d.disk.crash(CrashKind::power);
    const Found found = recover_each(d, 4096);
    CHECK(found.states.all);
    CHECK(found.fewest >= 4);
    CHECK(found.most == 8);
  }
}

TEST_CASE("What was flushed outlives a leader epoch that was not") {
  for (const DiskMode mode : {DiskMode::adversarial, DiskMode::xfs}) {
    LogDisk d({.crash = {.mode = mode, .torn = false, .garbage = false}});
    d.options.config.segment_bytes = 1 << 20;
    Opened opened(d.disk.file_system(), d.options, LastStop::clean);
    append_some(*opened.log, 2, 2);
    opened.log->assign_epoch(LeaderEpoch(1));
    must(log_test::append(*opened.log, make_batches(2, 1, {.epoch = 1})).status);
    d.disk.crash(CrashKind::power);
    const Found found = recover_each(d, 4096);
    CHECK(found.states.all);
    CHECK(found.fewest == 2);
  }
}

TEST_CASE("Where there are more states than can be visited, a sample finds what was flushed") {
  LogDisk d;
  Opened opened(d.disk.file_system(), d.options, LastStop::clean);
  append_some(*opened.log, 12, 5);
  d.disk.crash(CrashKind::power);
  const Found found = recover_each(d, 500);
  CHECK_FALSE(found.states.all);
  CHECK(found.fewest >= 5);
  CHECK(found.most > 5);
}

TEST_CASE("A power cut in the middle of any call leaves what was flushed before it") {
  const auto run = [](LogDisk& d) {
    Opened opened(d.disk.file_system(), d.options, LastStop::clean);
    return opened.log.ok() ? append_some(*opened.log, 6, 5) : Acknowledged();
  };
  LogDisk whole;
  const std::uint64_t begin = whole.disk.calls();
  CHECK(run(whole).durable == 5);
  CHECK(whole.disk.problems().empty());
  CHECK(whole.disk.open_files().empty());
  for (std::uint64_t call = begin + 1; call <= whole.disk.calls(); ++call) {
    LogDisk d({.seed = call});
    d.disk.crash_at(call, CrashKind::power);
    const Acknowledged done = run(d);
    REQUIRE(d.disk.down());
    CAPTURE(call);
    CHECK(recover_each(d, 64).fewest >= done.durable);
  }
}

TEST_CASE("A process that dies in the middle of any call leaves what it had written") {
  const auto run = [](LogDisk& d) {
    Opened opened(d.disk.file_system(), d.options, LastStop::clean);
    return opened.log.ok() ? append_some(*opened.log, 8, 2) : Acknowledged();
  };
  LogDisk whole;
  const std::uint64_t begin = whole.disk.calls();
  run(whole);
  for (std::uint64_t call = begin + 1; call <= whole.disk.calls(); ++call) {
    LogDisk d({.seed = call});
    d.disk.crash_at(call, CrashKind::process);
    const Acknowledged done = run(d);
    REQUIRE(d.disk.down());
    CAPTURE(call);
    CHECK(recover(d.disk.restart(), d.options, LastStop::process_crash) >= done.written);
  }
}

TEST_CASE("A recovery whose machine dies is done again, and finds as much") {
  LogDisk d;
  Opened opened(d.disk.file_system(), d.options, LastStop::clean);
  append_some(*opened.log, 6, 4);
  d.disk.crash(CrashKind::power);
  d.disk.for_each_durable_state(20, [&](SimDisk& state) {
    for (std::uint64_t call = 1; call < 200; call += 3) {
      state.crash_at(state.calls() + call, CrashKind::power);
      Opened again(state.file_system(), d.options, LastStop::system_crash);
      if (!state.down()) {
        break;
      }
      state.restart();
    }
    state.heal();
    CHECK(recover(state.file_system(), d.options) >= 4);
  });
}

TEST_CASE("What a recovery has cut off does not come back, though it died before it was done") {
  const log_test::BatchShape shape{.value_size = 1000};  // none shares a sector with all others
  const std::int64_t size = make_batches(0, 1, shape).front().facts.size;
  const std::string path = "/d/t-0/00000000000000000000.log";
  LogDisk d;
  d.options.config.segment_bytes = static_cast<int>(10 * size);
  {
    Opened opened(d.disk.file_system(), d.options, LastStop::system_crash);
    must(log_test::append(*opened.log, make_batches(0, 4, shape)).status);
    log_test::flush(*opened.log);
    // A tail that nobody was promised: torn in its third batch, the fourth is whole.
    auto file = must(d.disk.file_system().open(path, OpenMode::read_write, IoReason::other));
    must(disk_test::write(file, 2 * size + 100, "torn"));
    must(file.sync(IoReason::other));
  }
  for (std::uint64_t call = 1; must(d.disk.file_system().status(path)).size > 2 * size; ++call) {
    d.disk.crash(CrashKind::power);
    d.disk.restart();
    d.disk.crash_at(d.disk.calls() + call, CrashKind::process);
    Opened dying(d.disk.file_system(), d.options, LastStop::system_crash);
    REQUIRE(d.disk.down());
    d.disk.restart();
  }
  Opened next(d.disk.file_system(), d.options, LastStop::system_crash);
  must(log_test::append(*next.log, make_batches(2, 1, shape)).status);
  d.disk.crash(CrashKind::power);
  CHECK(recover_each(d, 4096).most == 3);
}

TEST_CASE("After a failed sync the tail is written anew, since the device may never have got it") {
  const auto fewest_after = [](bool rewrite) {
    LogDisk d({.crash = {.torn = false, .garbage = false}});
    std::int64_t flushed = 0;
    {
      Opened opened(d.disk.file_system(), d.options, LastStop::clean);
      append_some(*opened.log, 1, 1);
      must(log_test::append(*opened.log, make_batches(1, 1)).status);
      d.disk.fail_at(d.disk.calls() + 1, SimFault::sync_keeps);
      CHECK(outcome(log_test::try_flush(*opened.log, FlushScope::data)) == Outcome::unknown);
      CHECK_FALSE(log_test::append(*opened.log, make_batches(2, 1)).status.ok());
    }
    d.disk.crash(CrashKind::process);
    Opened again(
        d.disk.restart(), d.options,
        {.last_stop = LastStop::system_crash, .now = Timestamp(t0), .rewrite_tail = rewrite});
    CHECK(again.log->end() == Offset(2));
    log_test::flush(*again.log, FlushScope::data);
    flushed = again.log->end().value();
    CHECK(flushed == 2);
    d.disk.crash(CrashKind::power);
    return recover_each(d, 4096).fewest;
  };
  CHECK(fewest_after(true) == 2);
  CHECK(fewest_after(false) == 1);  // so the test would notice
}

TEST_CASE("A flush that is ignored is noticed") {
  LogDisk d;
  d.disk.ignore(IoReason::flush, IoOperation::sync);
  Opened opened(d.disk.file_system(), d.options, LastStop::clean);
  CHECK(append_some(*opened.log, 2, 2).durable == 2);
  CHECK(d.disk.ignored() > 0);
  d.disk.crash(CrashKind::power);
  int harmed = 0;
  d.disk.for_each_durable_state(500, [&](SimDisk& state) {
    const Opened left(state.file_system(), d.options, LastStop::system_crash);
    harmed +=
        !left.log.ok() || left.log->damage() != nullptr || left.log->end() < Offset(2) ? 1 : 0;
  });
  CHECK(harmed > 0);
}

TEST_CASE("What a failed write left at the end of a segment does not come back below a newer one") {
  bool fails = false;
  LogDisk d({.choose_fault = [&](const IoCall& call) {
    return !fails                                    ? SimFault::none
           : call.operation == IoOperation::write    ? SimFault::cut_write
           : call.operation == IoOperation::truncate ? SimFault::io
                                                     : SimFault::none;
  }});
  Opened first(d.disk.file_system(), d.options, LastStop::system_crash);
  Log& log = *first.log;
  REQUIRE(append_some(log, 2, 2).durable == 2);
  fails = true;
  REQUIRE_FALSE(log_test::append(log, make_batches(2, 1)).status.ok());
  fails = false;
  must(log_test::append(log, make_batches(2, 1, {.value_size = 100})).status);  // in a new segment
  REQUIRE(must(log.view().segments()).size() == 2);
  log_test::flush(log, FlushScope::data);
  d.disk.crash(CrashKind::power);
  d.disk.for_each_durable_state(
      4096, [&](SimDisk& state) { CHECK(recover(state.file_system(), d.options) == 3); });
}

TEST_CASE("A cut whose sync was not tried is synced before a newer segment is written") {
  const bool cut_at_once = GENERATE(true, false);
  CAPTURE(cut_at_once);
  bool writes_fail = false;
  bool cuts_fail = false;
  LogDisk d({.choose_fault = [&](const IoCall& call) {
    const auto at = call.operation;
    return writes_fail && at == IoOperation::write    ? SimFault::cut_write
           : cuts_fail && at == IoOperation::truncate ? SimFault::io
                                                      : SimFault::none;
  }});
  bool syncs_fail = false;
  AnyFileSystem files(FaultFileSystem(d.disk.file_system(), [&](IoCall& call) {
    const bool hit = syncs_fail && call.operation == IoOperation::sync && !call.done;
    return hit ? error(Fault::no_descriptors, "too many open files") : absl::OkStatus();
  }));
  RecoveryReport report;
  Log log = must(Log::open(files, "/d/t-0", d.options,
                           {.last_stop = LastStop::system_crash, .now = Timestamp(t0)},
                           make_ref<DirectoryHealth>("/d"), report));
  REQUIRE(append_some(log, 2, 2).durable == 2);
  writes_fail = true;
  cuts_fail = !cut_at_once;
  syncs_fail = true;
  const absl::Status failed = log_test::append(log, make_batches(2, 1)).status;
  REQUIRE(outcome(failed) == Outcome::unknown);
  writes_fail = cuts_fail = false;
  for (int i = 0; i < 2; ++i) {
    CHECK(fault(log_test::append(log, make_batches(2, 1)).status) == Fault::no_descriptors);
  }
  syncs_fail = false;
  must(log_test::append(log, make_batches(2, 1, {.value_size = 100})).status);  // in a new segment
  REQUIRE(must(log.view().segments()).size() == 2);
  log_test::flush(log, FlushScope::data);
  d.disk.crash(CrashKind::power);
  d.disk.for_each_durable_state(
      4096, [&](SimDisk& state) { CHECK(recover(state.file_system(), d.options) == 3); });
}
