// SPDX-License-Identifier: Apache-2.0
//
// Compaction on the simulated disk: whatever call the power is cut in, and whatever state that
// leaves, each key has the value that it had, what was deleted stays deleted, and the next opening
// goes on.
#include <algorithm>

#include "disk_log_fixture.hpp"
#include "tests/log/cleaning_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using disk_test::Opened;
using log_test::Keyed;
using log_test::must;
using log_test::t0;

namespace {

using Values = std::map<std::string, std::string>;

/// Record `i` of the one history that all lives have: every third is a tombstone.
Keyed record(std::int64_t i) {
  const std::string key(1, static_cast<char>('a' + i * 5 % 7));
  return {key, i % 3 == 2 ? std::nullopt : std::optional(std::to_string(i))};
}
Values history(std::int64_t end) {
  Values values;
  for (std::int64_t i = 0; i < end; ++i) {
    const auto [key, value] = record(i);
    values.erase(key);
    if (value) {
      values.emplace(key, *value);
    }
  }
  return values;
}

struct LogDisk {
  SimDisk disk;
  LogOptions options{.topic_id = {{std::byte{1}}}, .partition = PartitionId(0)};

  explicit LogDisk(SimDiskOptions disk_options = {}) : disk(std::move(disk_options)) {
    options.config.segment_bytes = 4 * log_test::keyed_batch(0, {record(0)}).facts.size;
    options.config.index_interval_bytes = 70;
    options.config.compact = true;
    disk_test::make_partition(disk.file_system());
  }
};

/// What a life has come to when its disk went down.
struct Life {
  std::int64_t written = 0;
  std::int64_t durable = 0;
  std::optional<Offset> checkpoint = {};
  int rounds = 0;

  absl::Status append(Log& log, std::int64_t end) {
    for (; written < end; ++written) {
      const auto batch = log_test::keyed_batch(written, {record(written)}, t0 + written);
      OTTLA_TRY(log_test::append(log, {batch}).status);
    }
    OTTLA_TRY(log_test::try_flush(log));
    durable = written;
    return absl::OkStatus();
  }
  /// Horizons that one round sets have passed in the next one.
  absl::Status clean(Log& log) {
    log_test::CleaningSettings settings{.checkpoint = checkpoint};
    settings.config.delete_retention = std::chrono::milliseconds(10);
    settings.options.now = Timestamp(t0 + 1000 * ++rounds);
    settings.options.io_bytes = 150;
    OTTLA_ASSIGN(const auto end, log_test::clean(log, settings));
    checkpoint = end ? end : checkpoint;
    return absl::OkStatus();
  }
  absl::Status run(Log& log) {
    OTTLA_TRY(append(log, 14));
    OTTLA_TRY(clean(log));
    OTTLA_TRY(append(log, 22));
    OTTLA_TRY(clean(log));
    OTTLA_TRY(append(log, 25));
    return clean(log);
  }
};

/// What a broken promise looks like, in one word; empty where none was broken.
std::string look_at(SimFileSystem files, const LogOptions& options, Life life, LastStop stop) {
  Opened opened(files, options, stop);
  if (!opened.log.ok() || opened.log->damage() != nullptr) {
    return "damaged";
  }
  Log& log = *opened.log;
  const std::int64_t end = log.end().value();
  if (end < (stop == LastStop::system_crash ? life.durable : life.written)) {
    return "shorter";
  }
  if (life.durable == 0 && log.start() > Offset(0)) {
    return "";  // nothing was promised: not even the name of the first segment is there
  }
  if (log_test::latest(log.view()) != history(end)) {
    return "different";
  }
  for (const DirectoryEntry& entry : must(files.list("/d/t-0"))) {
    if (entry.name.ends_with(".cleaned") || entry.name.ends_with(".swap")) {
      return "left over";
    }
  }
  // It goes on: more is written, two rounds come to their end.
  life.written = end;
  for (int round = 0; round < 2; ++round) {
    must(life.append(log, life.written + 5));
    must(life.clean(log));
    if (log_test::latest(log.view()) != history(life.written)) {
      return "different after another round";
    }
  }
  return "";
}

std::string judge(SimFileSystem files, const LogOptions& options, const Life& life, LastStop stop) {
  try {
    return look_at(std::move(files), options, life, stop);
  } catch (const std::exception& thrown) {
    return thrown.what();  // it cannot be read, or does not go on
  }
}

Life run(LogDisk& d) {
  Life life;
  Opened opened(d.disk.file_system(), d.options, LastStop::clean);
  if (opened.log.ok()) {
    life.run(*opened.log).IgnoreError();
  }
  return life;
}

/// Over power cuts in every `step`th call of a life: how many states were judged bad.
struct Verdict {
  std::uint64_t states = 0;
  std::uint64_t bad = 0;
  std::string first;
};
Verdict cut_everywhere(SimDiskOptions disk_options, std::uint64_t limit, std::uint64_t step,
                       const std::function<void(LogDisk&)>& prepare = {}) {
  LogDisk whole(disk_options);
  const std::uint64_t begin = whole.disk.calls();
  run(whole);
  Verdict verdict;
  for (std::uint64_t call = begin + 1; call <= whole.disk.calls(); call += step) {
    disk_options.seed = call;
    LogDisk d(disk_options);
    if (prepare) {
      prepare(d);
    }
    d.disk.crash_at(call, CrashKind::power);
    const Life life = run(d);
    if (!d.disk.down() || (prepare && verdict.bad > 0)) {
      break;
    }
    d.disk.for_each_durable_state(limit, [&](SimDisk& state) {
      ++verdict.states;
      const std::string what = judge(state.file_system(), d.options, life, LastStop::system_crash);
      if (!what.empty() && verdict.bad++ == 0) {
        verdict.first = what + ", call " + std::to_string(call);
      }
    });
  }
  return verdict;
}

}  // namespace

TEST_CASE("Compaction leaves what a key has at last, and little else") {
  LogDisk d;
  Opened opened(d.disk.file_system(), d.options, LastStop::clean);
  Life life;
  must(life.run(*opened.log));
  CHECK(log_test::latest(opened.log->view()) == history(25));
  CHECK(log_test::offsets(opened.log->view()).size() < 14);
  CHECK(d.disk.problems().empty());
}

TEST_CASE("A power cut in any call of a compaction loses no value and brings none back") {
  const Verdict verdict = cut_everywhere({}, 10, 1);
  INFO(verdict.first);
  CHECK(verdict.bad == 0);
  CHECK(verdict.states > 2000);
}

TEST_CASE("Each mode's power cuts in a compaction lose no value and bring none back") {
  for (const DiskMode mode : {DiskMode::ext4_ordered, DiskMode::xfs, DiskMode::btrfs}) {
    const Verdict verdict = cut_everywhere({.crash = {.mode = mode}}, 6, 3);
    INFO(verdict.first);
    CHECK(verdict.bad == 0);
    CHECK(verdict.states > 200);
  }
}

TEST_CASE("A process that dies in any call of a compaction leaves all values") {
  LogDisk whole;
  const std::uint64_t begin = whole.disk.calls();
  run(whole);
  for (std::uint64_t call = begin + 1; call <= whole.disk.calls(); ++call) {
    LogDisk d({.seed = call});
    d.disk.crash_at(call, CrashKind::process);
    const Life life = run(d);
    REQUIRE(d.disk.down());
    CAPTURE(call);
    CHECK(judge(d.disk.restart(), d.options, life, LastStop::process_crash) == "");
  }
}

TEST_CASE("A compaction whose syncs are ignored is noticed") {
  const auto bad_without = [](IoReason reason, IoOperation operation) {
    return cut_everywhere({}, 12, 3, [&](LogDisk& d) { d.disk.ignore(reason, operation); }).bad;
  };
  CHECK(bad_without(IoReason::compaction, IoOperation::sync) > 0);
  CHECK(bad_without(IoReason::compaction, IoOperation::sync_directory) > 0);
  CHECK(bad_without(IoReason::checkpoint, IoOperation::sync) > 0);
}
