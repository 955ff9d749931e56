// SPDX-License-Identifier: Apache-2.0
//
// The repair of a damaged log, with a death of the process, a power cut or a failure in each of its
// calls: a log is damaged as it was, or less so, and repairing again comes to the same end.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <ottla/sim/sim_disk.hpp>

#include "tests/log/log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using log_test::make_batches;
using log_test::must;
using log_test::t0;

namespace {

using Offsets = std::vector<std::int64_t>;
using Ranges = std::vector<SkippedRange>;

std::string path(std::int64_t base) {
  return "/d/t-0/" + offset_file_name(Offset(base), log_suffix);
}

/// What is wrong with a log of 14 batches, four a segment, and what is left of it by either choice.
struct Damaging {
  const char* name;
  void (*damage)(SimFileSystem& files, std::int64_t batch_size);
  Offsets good;      // that are there
  Ranges skipped;    // what readers are told
  std::int64_t cut;  // where a log that is truncated ends
};

void flip(SimFileSystem& files, std::int64_t base, std::int64_t position) {
  auto file = must(files.open(path(base), OpenMode::read_write, IoReason::other));
  std::byte byte[1];
  must(file.read(position, byte).status());
  byte[0] ^= std::byte{0x10};
  const Bytes piece(byte);
  must(file.write(position, {&piece, 1}, IoReason::other));
  must(file.sync(IoReason::other));
}

const Damaging damagings[] = {
    {"a batch in the middle",
     [](SimFileSystem& files, std::int64_t size) { flip(files, 4, size + 70); },
     {0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13},
     {{Offset(5), Offset(6)}},
     5},
    {"batches of two segments",
     [](SimFileSystem& files, std::int64_t size) {
       flip(files, 0, 2 * size + 70);
       flip(files, 12, 70);
     },
     {0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13},
     {{Offset(2), Offset(3)}, {Offset(12), Offset(13)}},
     2},
    {"a segment that is missing",
     [](SimFileSystem& files, std::int64_t) {
       must(files.remove(path(8), IoReason::other));
       must(files.sync_directory("/d/t-0", IoReason::other));
     },
     {0, 1, 2, 3, 4, 5, 6, 7, 12, 13},
     {{Offset(8), Offset(12)}},
     8},
    {"the last batch",
     [](SimFileSystem& files, std::int64_t size) { flip(files, 12, size + 70); },
     {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
     {{Offset(13), Offset(14)}},
     13},
};

/// By its checkpoint: on the device since before the damage, or lowered before the log is cut.
Offset recovery_point(Repair how) { return Offset(how == Repair::truncate ? 0 : 14); }

struct LogDisk {
  SimDisk disk;
  LogOptions options{.topic_id = {{std::byte{1}}}, .partition = PartitionId(0)};

  LogDisk(const Damaging& damaging, SimDiskOptions disk_options) : disk(std::move(disk_options)) {
    const std::int32_t size = log_test::make_batch(0).facts.size;
    options.config.segment_bytes = 4 * size;
    options.config.index_interval_bytes = 70;
    SimFileSystem files = disk.file_system();
    for (const char* directory : {"/d", "/d/t-0"}) {
      must(files.create_directory(directory, IoReason::other));
    }
    for (const char* directory : {"/d/t-0", "/d", "/"}) {
      must(files.sync_directory(directory, IoReason::other));
    }
    AnyFileSystem fs(files);
    RecoveryReport report;
    Log log = must(open(fs, {.last_stop = LastStop::clean}, report));
    must(log_test::append(log, make_batches(0, 14)).status);
    must(log.close().status());
    for (const DirectoryEntry& entry : must(files.list("/d/t-0"))) {
      must(must(files.open("/d/t-0/" + entry.name, OpenMode::read_write, IoReason::other))
               .sync(IoReason::other));
    }
    damaging.damage(files, size);
  }
  absl::StatusOr<Log> open(AnyFileSystem& files, LogOpening opening, RecoveryReport& report) const {
    opening.now = Timestamp(t0);
    return Log::open(files, "/d/t-0", options, opening, make_ref<DirectoryHealth>("/d"), report);
  }
  absl::Status repair(SimFileSystem its_files, Repair how) const {
    AnyFileSystem files(std::move(its_files));
    RecoveryReport report;
    return open(files, {.recovery_point = recovery_point(how), .repair = how}, report).status();
  }
};

/// What a reader gets who goes on where each error of a repaired range says.
absl::Status read(const LogView& view, Offsets& offsets, Ranges& skipped) {
  const auto buffers = make_ref<ReadBuffers>();
  for (Offset at = view.start(); at < view.end();) {
    const auto read = view.read({at, view.end(), 1 << 20}, *buffers);
    if (const auto range = skipped_range(read.status())) {
      skipped.push_back(*range);
      at = range->next;
      continue;
    }
    OTTLA_TRY(read.status());
    if (read->pieces.empty()) {
      return error(Fault::internal, "nothing was read");
    }
    for (const SharedBytes& piece : read->pieces) {
      BatchCursor batches(piece.bytes());
      while (const BatchView* batch = batches.next()) {
        offsets.push_back(batch->header().base_offset.value());
        at = batch->header().next_offset();
      }
    }
  }
  return absl::OkStatus();
}

/// What a broken promise looks like, in one word; empty where none was broken.
std::string look_at(const LogDisk& d, SimFileSystem its_files, const Damaging& damaging, Repair how,
                    LastStop stop) {
  AnyFileSystem files(its_files);
  RecoveryReport report;
  {
    const auto log =
        d.open(files, {.last_stop = stop, .recovery_point = recovery_point(how)}, report);
    // Before the log is marked a power cut may leave what looks like a torn tail: cut as asked for.
    if (!log.ok() || (report.has(RecoveryReport::Kind::cut) && how != Repair::truncate)) {
      return "not opened, or cut";
    }
    Offsets offsets;
    Ranges skipped;
    read(log->view(), offsets, skipped).IgnoreError();  // up to what is damaged
    if (offsets.size() < static_cast<std::size_t>(damaging.cut) ||
        !std::equal(offsets.begin(), offsets.begin() + damaging.cut, damaging.good.begin())) {
      return "less than before the damage";
    }
  }
  const bool skip = how == Repair::skip_range;
  const absl::Status again = d.repair(its_files, how);
  if (!again.ok() && fault(again) != Fault::invalid_argument) {
    return "not repaired: " + again.ToString();
  }
  auto log = d.open(
      files, {.last_stop = LastStop::system_crash, .recovery_point = recovery_point(how)}, report);
  if (!log.ok() || log->damage() != nullptr) {
    return "still damaged";
  }
  const std::int64_t end = skip ? 14 : damaging.cut;
  if (log->end() != Offset(end) || !log_test::append(*log, make_batches(end, 1)).status.ok()) {
    return "ends elsewhere";
  }
  Offsets expected = damaging.good;
  if (!skip) {
    expected.resize(static_cast<std::size_t>(damaging.cut));
  }
  expected.push_back(end);
  Offsets offsets;
  Ranges skipped;
  if (!read(log->view(), offsets, skipped).ok() || offsets != expected) {
    return "other records";
  }
  if (skipped != (skip ? damaging.skipped : Ranges())) {
    return "other ranges";
  }
  const auto names = must(files.list("/d/t-0"));
  const bool kept = std::any_of(names.begin(), names.end(), [](const DirectoryEntry& entry) {
    return entry.name.find(".log.cut-") != std::string::npos;
  });
  return kept || (skip && damaging.name == damagings[2].name) ? "" : "nothing is kept";
}

std::string judge(const LogDisk& d, SimFileSystem files, const Damaging& damaging, Repair how,
                  LastStop stop) {
  try {
    return look_at(d, std::move(files), damaging, how, stop);
  } catch (const std::exception& thrown) {
    return thrown.what();
  }
}

/// The calls of a repair that nothing disturbs.
std::pair<std::uint64_t, std::uint64_t> calls_of(const Damaging& damaging, Repair how) {
  LogDisk whole(damaging, {});
  const std::uint64_t begin = whole.disk.calls();
  must(whole.repair(whole.disk.file_system(), how));
  const std::uint64_t end = whole.disk.calls();
  CHECK(judge(whole, whole.disk.file_system(), damaging, how, LastStop::clean) == "");
  CHECK(whole.disk.problems().empty());
  return {begin, end};
}

void for_each_call(const std::function<void(const Damaging&, Repair, std::uint64_t)>& visit) {
  for (const Damaging& damaging : damagings) {
    for (const Repair how : {Repair::skip_range, Repair::truncate}) {
      const auto [begin, end] = calls_of(damaging, how);
      CHECK(end - begin > 40);
      for (std::uint64_t call = begin + 1; call <= end; ++call) {
        visit(damaging, how, call);
      }
    }
  }
}

struct Verdict {
  std::uint64_t states = 0;
  std::uint64_t bad = 0;
  std::string first;

  void add(const std::string& what, const Damaging& damaging, Repair how, std::uint64_t call) {
    ++states;
    if (!what.empty() && bad++ == 0) {
      first = what + ", " + damaging.name + ", " + (how == Repair::truncate ? "truncate" : "skip") +
              ", call " + std::to_string(call);
    }
  }
};

Verdict cut_everywhere(DiskMode mode, std::uint64_t limit,
                       const std::function<void(LogDisk&)>& prepare = {}) {
  Verdict verdict;
  for_each_call([&](const Damaging& damaging, Repair how, std::uint64_t call) {
    if (prepare && verdict.bad > 0) {
      return;
    }
    LogDisk d(damaging, {.seed = call, .crash = {.mode = mode}});
    if (prepare) {
      prepare(d);
    }
    d.disk.crash_at(call, CrashKind::power);
    d.repair(d.disk.file_system(), how).IgnoreError();
    REQUIRE(d.disk.down());
    d.disk.for_each_durable_state(limit, [&](SimDisk& state) {
      verdict.add(judge(d, state.file_system(), damaging, how, LastStop::system_crash), damaging,
                  how, call);
    });
  });
  return verdict;
}

}  // namespace

TEST_CASE("A process that dies in any call of a repair leaves a log that can be repaired") {
  Verdict verdict;
  for_each_call([&](const Damaging& damaging, Repair how, std::uint64_t call) {
    LogDisk d(damaging, {.seed = call});
    d.disk.crash_at(call, CrashKind::process);
    d.repair(d.disk.file_system(), how).IgnoreError();
    REQUIRE(d.disk.down());
    verdict.add(judge(d, d.disk.restart(), damaging, how, LastStop::process_crash), damaging, how,
                call);
  });
  INFO(verdict.first);
  CHECK(verdict.bad == 0);
  CHECK(verdict.states > 400);
}

TEST_CASE("A power cut in any call of a repair leaves a log that can be repaired") {
  for (const DiskMode mode : {DiskMode::adversarial, DiskMode::ext4_ordered}) {
    const Verdict verdict = cut_everywhere(mode, mode == DiskMode::adversarial ? 16 : 4);
    INFO(verdict.first);
    CHECK(verdict.bad == 0);
    CHECK(verdict.states > 600);
  }
}

TEST_CASE("Any call of a repair may fail, and repairing again comes to the same end") {
  for (const SimFault fault : {SimFault::io, SimFault::no_space}) {
    Verdict verdict;
    for_each_call([&](const Damaging& damaging, Repair how, std::uint64_t call) {
      LogDisk d(damaging, {.seed = call});
      d.disk.fail_at(call, fault);
      d.repair(d.disk.file_system(), how).IgnoreError();
      d.disk.heal();
      verdict.add(judge(d, d.disk.file_system(), damaging, how, LastStop::process_crash), damaging,
                  how, call);
    });
    INFO(verdict.first);
    CHECK(verdict.bad == 0);
  }
}

TEST_CASE("A repair whose syncs are ignored is noticed") {
  const auto bad_without = [](IoReason reason, IoOperation operation) {
    return cut_everywhere(DiskMode::adversarial, 16,
                          [&](LogDisk& d) { d.disk.ignore(reason, operation); })
        .bad;
  };
  CHECK(bad_without(IoReason::repair, IoOperation::sync) > 0);
  CHECK(bad_without(IoReason::repair, IoOperation::sync_directory) > 0);
  CHECK(bad_without(IoReason::checkpoint, IoOperation::sync) > 0);
}
