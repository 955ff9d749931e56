// SPDX-License-Identifier: Apache-2.0
//
// Readers on the simulated disk: in the middle of each call of a writer whose calls fail and whose
// process, or machine, dies; and on what that leaves, before it is recovered.
#include <optional>

#include <ottla/env/memory/random.hpp>
#include <ottla/log/read_only_log.hpp>
#include <ottla/sim/sim_disk.hpp>

#include "tests/log/log_fixture.hpp"
#include "tests/log/read_only_files.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using log_test::make_batches;
using log_test::must;
using log_test::t0;

namespace {

const std::string directory = "/d/t-0";

struct Run {
  explicit Run(std::uint64_t seed)
      : random(seed),
        disk({.seed = seed,
              .crash = {.mode = static_cast<DiskMode>(seed % 4)},
              .before_call = [this](const IoCall&) { read_beside(); },
              .choose_fault = [this](const IoCall& call) { return fault_of(call); }}) {
    options.config.segment_bytes =
        static_cast<std::int32_t>(1 + random.next() % 6) * log_test::make_batch(0).facts.size;
    options.config.index_interval_bytes = 100;
    SimFileSystem first = disk.file_system();
    must(first.create_directory("/d", IoReason::other));
    must(first.create_directory(directory, IoReason::other));
    must(first.sync_directory("/d", IoReason::other));
    must(first.sync_directory("/", IoReason::other));
  }

  SimFault fault_of(const IoCall& call) {
    const bool fails = working && !reading && call.operation == IoOperation::write &&
                       call.reason == IoReason::append && random.next() % 10 == 0;
    return !fails                   ? SimFault::none
           : random.next() % 2 == 0 ? SimFault::cut_write
                                    : SimFault::no_space;
  }

  /// All that `its` has is one record after the other, each as it was written.
  std::int64_t check(ReadOnlyLog& its) {
    std::vector<std::pair<std::int64_t, std::string>> records;
    try {
      records = log_test::read_all(its.view());
    } catch (const std::exception&) {
      REQUIRE(disk.down());
      return 0;
    }
    for (std::size_t i = 0; i < records.size(); ++i) {
      const std::int64_t offset = its.view().start().value() + static_cast<std::int64_t>(i);
      REQUIRE(records[i].first == offset);
      REQUIRE(records[i].second.starts_with(std::to_string(offset)));
    }
    const auto end = its.view().start().value() + static_cast<std::int64_t>(records.size());
    REQUIRE(its.view().end().value() == end);
    return end;
  }

  void read_beside() {
    if (!working || reading || disk.down() || random.next() % 3 == 0) {
      return;
    }
    reading = true;
    absl::Status refreshed;
    if (!reader) {
      auto opened = ReadOnlyLog::open(*readers_files, directory);
      refreshed = opened.status();
      if (opened.ok()) {
        reader.emplace(*std::move(opened));
      }
    } else {
      refreshed = reader->refresh();
    }
    if (!disk.down()) {  // else in one of the reader's own calls
      INFO(refreshed);
      CHECK((refreshed.ok() || error_code(refreshed) == ErrorCode::offset_out_of_range));
      check(*reader);
      ++looked;
    }
    reading = false;
  }

  /// What a reader finds before recovery is what recovery keeps.
  void judge(SimFileSystem files) {
    AnyFileSystem only(log_test::reading(files));
    const LogOpening opening{.last_stop = power ? LastStop::system_crash : LastStop::process_crash,
                             .now = Timestamp(t0)};
    std::optional<std::int64_t> end;
    Offset start{0};
    {
      auto found = must(ReadOnlyLog::open(only, directory, opening));
      start = found.view().start();
      end = check(found);
    }
    files_.emplace(std::move(files));
    RecoveryReport report;
    log.emplace(must(
        Log::open(*files_, directory, options, opening, make_ref<DirectoryHealth>("/d"), report)));
    REQUIRE(log->damage() == nullptr);
    CHECK(log->end() == Offset(*end));
    CHECK(log->start() == start);
  }

  void work() {
    readers_files.emplace(log_test::reading(disk.file_system()));
    reader.reset();
    power = random.next() % 2 == 0;
    disk.crash_at(disk.calls() + 1 + random.next() % 600,
                  power ? CrashKind::power : CrashKind::process);
    working = true;
    for (int step = 0; step < 60 && !disk.down(); ++step) {
      const int batches = 1 + static_cast<int>(random.next() % 4);
      (void)log_test::append(*log, make_batches(log->end().value(), batches));
      if (random.next() % 3 == 0) {
        LogFlush plan =
            log->plan_flush(random.next() % 4 == 0 ? FlushScope::sealed : FlushScope::data);
        if (plan.run().ok()) {
          log->flushed(plan);
        }
        log->publish();
      }
    }
    working = false;
    if (!disk.down()) {
      disk.crash(power ? CrashKind::power : CrashKind::process);
    }
    log.reset();
  }

  SeededRandom random;
  SimDisk disk;
  LogOptions options{.topic_id = {{std::byte{1}}}, .partition = PartitionId(0)};
  std::optional<AnyFileSystem> files_;
  std::optional<AnyFileSystem> readers_files;
  std::optional<Log> log;
  std::optional<ReadOnlyLog> reader;
  bool power = true;
  bool working = false;
  bool reading = false;
  int looked = 0;
};

}  // namespace

TEST_CASE("A reader sees a prefix in the middle of a writer's calls, and what recovery keeps") {
  int looked = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    CAPTURE(seed);
    Run run(seed);
    SimFileSystem files = run.disk.file_system();
    for (int life = 0; life < 4; ++life) {
      CAPTURE(life);
      run.judge(std::move(files));
      run.work();
      run.reader.reset();
      files = run.disk.restart();
    }
    looked += run.looked;
  }
  CHECK(looked > 10'000);
}
