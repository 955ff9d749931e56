// SPDX-License-Identifier: Apache-2.0
//
// A log through faults by chance and crashes of both kinds, one after the other: what was
// acknowledged at its level is found at the next opening.
#include <algorithm>
#include <optional>

#include <ottla/env/memory/random.hpp>
#include <ottla/sim/sim_disk.hpp>

#include "tests/log/log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using log_test::make_batches;
using log_test::must;
using log_test::t0;

namespace {

struct Run {
  explicit Run(std::uint64_t seed)
      : random(seed), disk({.seed = seed, .crash = {.mode = static_cast<DiskMode>(seed % 4)}}) {
    options.config.segment_bytes =
        static_cast<std::int32_t>(1 + random.next() % 6) * log_test::make_batch(0).facts.size;
    SimFileSystem first = disk.file_system();
    must(first.create_directory("/d", IoReason::other));
    must(first.create_directory("/d/t-0", IoReason::other));
    for (const char* directory : {"/d", "/"}) {
      must(first.sync_directory(directory, IoReason::other));
    }
  }

  SimFaultRates some_rates() {
    SimFaultRates rates;
    for (const SimFault fault :
         {SimFault::io, SimFault::no_space, SimFault::no_descriptors, SimFault::denied,
          SimFault::cut_write, SimFault::sync_keeps, SimFault::sync_reverts}) {
      rates[fault] =
          random.next() % 3 == 0 ? static_cast<std::uint32_t>(random.next() % 50'000) : 0;
    }
    return rates;
  }

  /// One life of a process: opened without faults, and then at work until it is killed.
  void live(SimFileSystem its_files) {
    files.emplace(std::move(its_files));
    RecoveryReport report;
    const LogOpening opening{
        .last_stop = power || sync_failed ? LastStop::system_crash : LastStop::process_crash,
        .now = Timestamp(t0),
        .rewrite_tail = sync_failed};
    auto log =
        Log::open(*files, "/d/t-0", options, opening, make_ref<DirectoryHealth>("/d"), report);
    INFO(log.status());
    REQUIRE(log.ok());
    REQUIRE(log->damage() == nullptr);
    const auto records = log_test::read_all(log->view());
    // The name of a first segment that nobody synced may be lost, and those behind it be found.
    const std::int64_t begin = log->start().value();
    CHECK((begin == start || (power && start == durable)));
    start = begin;
    CHECK(log->end().value() == begin + static_cast<std::int64_t>(records.size()));
    for (std::size_t i = 0; i < records.size(); ++i) {
      REQUIRE(records[i].first == begin + static_cast<std::int64_t>(i));
    }
    CHECK(log->end().value() >= (power ? durable : written));
    written = log->end().value();
    durable = std::max(durable, begin);
    work(*log);
  }

  void work(Log& log) {
    disk.set_rates(some_rates());
    const bool power_next = random.next() % 2 == 0;
    disk.crash_at(disk.calls() + 1 + random.next() % 100,
                  power_next ? CrashKind::power : CrashKind::process);
    power = power_next;
    for (int step = 0; step < 40 && !disk.down(); ++step) {
      const int batches = 1 + static_cast<int>(random.next() % 4);
      if (random.next() % 8 == 0) {
        log.assign_epoch(LeaderEpoch(++epoch));
      }
      (void)log_test::append(log, make_batches(log.end().value(), batches, {.epoch = epoch}));
      written = std::max(written, log.end().value());
      if (random.next() % 3 == 0) {
        LogFlush plan =
            log.plan_flush(random.next() % 4 == 0 ? FlushScope::sealed : FlushScope::data);
        if (plan.run().ok()) {
          log.flushed(plan);
          durable = std::max(durable, plan.end().value());
        }
        log.publish();
      }
    }
  }

  void crash() {
    if (!disk.down()) {
      disk.crash(power ? CrashKind::power : CrashKind::process);
    }
    disk.heal();
  }

  SeededRandom random;
  SimDisk disk;
  LogOptions options{.topic_id = {{std::byte{1}}}, .partition = PartitionId(0)};
  std::optional<AnyFileSystem> files;
  bool power = true;
  bool sync_failed = false;
  std::int32_t epoch = 0;
  std::int64_t start = 0;
  std::int64_t written = 0;
  std::int64_t durable = 0;
};

std::uint64_t sync_failures(const SimDisk& disk) {
  const SimFaultTable table = disk.fault_table();
  return table.fired(IoOperation::sync, SimFault::sync_keeps) +
         table.fired(IoOperation::sync, SimFault::sync_reverts) +
         table.fired(IoOperation::sync, SimFault::no_space) +
         table.fired(IoOperation::sync_directory, SimFault::io);
}

void run_seed(std::uint64_t seed) {
  CAPTURE(seed);
  Run run(seed);
  SimFileSystem files = run.disk.file_system();
  for (int life = 0; life < 6; ++life) {
    CAPTURE(life);
    const std::uint64_t before = sync_failures(run.disk);
    run.live(std::move(files));
    run.crash();
    const bool failed = sync_failures(run.disk) != before;
    run.sync_failed = !run.power && (failed || run.sync_failed);
    if (run.sync_failed) {
      run.written = run.durable;  // pages may have gone back
    }
    files = run.disk.restart();
  }
  CHECK(run.disk.problems().empty());
}

}  // namespace

TEST_CASE("What was acknowledged at its level is found after each crash") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    run_seed(seed);
  }
}

TEST_CASE("The seeds that once lost what was written, or took a torn tail for damage, do not") {
  run_seed(27'810);  // a failed write that could not be undone, then a new epoch at its offset
  run_seed(31'278);  // a refused epoch file was vouched for, and its successor did not get there
}
