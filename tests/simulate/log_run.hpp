// SPDX-License-Identifier: Apache-2.0
//
// A log on the simulated disk, life after life: at work among faults until its process or the
// machine dies, opened again (and killed while it recovers), and asked for all that it owes. A run
// is a function of its options.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ottla/env/any_file_system.hpp>
#include <ottla/env/memory/random.hpp>
#include <ottla/log/log.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/sim/sim_disk.hpp>

#include "history.hpp"
#include "reading.hpp"
#include "step.hpp"

namespace simulate {

using namespace ottla;

inline constexpr Timestamp now{1'700'000'000'000};

struct RunOptions {
  std::uint64_t seed = 0;
  int lives = 6;
  int steps = 80;                      ///< of a life, at most
  std::uint32_t faults = 0xffff'ffff;  ///< a bit for each SimFault that may come
  std::optional<Step> ignored = {};
};

struct RunResult {
  std::vector<Violation> violations;
  int lives = 0;
  /// Lives of 50 operations at least and a roll, whose crash found data that was not synced, and
  /// after which all that was owed was looked for.
  int cycles = 0;
  SimFaultTable faults;
  std::uint64_t trace = 0;
};

/// Answers that are not true: of these a log can only tell.
inline constexpr SimFault lies[] = {
    SimFault::bad_sector, SimFault::lost_write, SimFault::misdirected_write, SimFault::stale_read,
    SimFault::bit_rot,    SimFault::sync_late,  SimFault::sync_elsewhere};
inline constexpr SimFault failures[] = {
    SimFault::io,     SimFault::no_space,  SimFault::no_descriptors, SimFault::read_only,
    SimFault::denied, SimFault::cut_write, SimFault::sync_keeps,     SimFault::sync_reverts,
    SimFault::delay,  SimFault::hang,      SimFault::process_crash,  SimFault::power_crash};

inline std::uint64_t fired(const SimFaultTable& table, SimFault fault) {
  std::uint64_t all = 0;
  for (int i = 0; i < SimFaultTable::operations; ++i) {
    all += table.fired(static_cast<IoOperation>(i), fault);
  }
  return all;
}

class LogRun {
 public:
  explicit LogRun(const RunOptions& options)
      : options_(options),
        random_(options.seed),
        lying_(random_.next() % 8 == 0),
        disk_(
            {.seed = options.seed, .crash = {.mode = static_cast<DiskMode>(random_.next() % 4)}}) {
    log_options_.config.segment_bytes = static_cast<std::int32_t>(300 + random_.next() % 2'500);
    log_options_.producer_id_expiration = std::chrono::milliseconds::max();
    SimFileSystem first = disk_.file_system();
    (void)first.create_directory("/d", IoReason::other);
    (void)first.create_directory("/d/t-0", IoReason::other);
    (void)first.sync_directory("/d", IoReason::other);
    (void)first.sync_directory("/", IoReason::other);
    boot_ = first.volume("/").value().boot_id;
    if (options.ignored) {
      disk_.ignore(options.ignored->reason, options.ignored->operation);
    }
  }

  RunResult run() {
    files_.emplace(disk_.file_system());
    RunResult result;
    for (bool cycle = false;; ++result.lives) {
      auto log = open();
      if (given_up_ || !log.ok() || !history_.violations().empty()) {
        break;
      }
      result.cycles += cycle ? 1 : 0;
      if (result.lives == options_.lives) {
        break;
      }
      cycle = live(*log);
    }
    result.violations = history_.violations();
    for (const SimDiskProblem& problem : disk_.problems()) {
      result.violations.push_back({"files", "misused: " + problem.path});
    }
    result.faults = disk_.fault_table();
    result.trace = disk_.trace_hash();
    return result;
  }

 private:
  using Told = History::Told;

  std::uint64_t draw(std::uint64_t below) { return random_.next() % below; }
  bool one_in(std::uint64_t n) { return draw(n) == 0; }
  bool allowed(SimFault fault) const {
    return (options_.faults >> static_cast<unsigned>(fault) & 1U) != 0;
  }

  /// A choice of kinds, and how likely each is.
  SimFaultRates swarm() {
    SimFaultRates rates;
    const auto add = [&](SimFault fault, std::uint64_t most) {
      const std::uint64_t rate = one_in(3) ? draw(most) : 0;
      rates[fault] = allowed(fault) ? static_cast<std::uint32_t>(rate) : 0;
    };
    for (const SimFault fault : failures) {
      const bool ends = fault == SimFault::process_crash || fault == SimFault::power_crash;
      add(fault, ends ? 3'000 : 30'000);
    }
    for (const SimFault fault : lies) {
      if (lying_) {
        add(fault, 10'000);
      }
    }
    return rates;
  }

  /// Arguments are evaluated in any order: not two draws in one call.
  void crash_in(std::uint64_t calls) {
    const CrashKind kind = one_in(2) ? CrashKind::power : CrashKind::process;
    disk_.crash_at(disk_.calls() + 1 + calls, kind);
  }

  // ── a life ──────────────────────────────────────────────────────────────────────────────────

  /// Whether it was a whole cycle, once an opening has checked what it left.
  bool live(Log& log) {
    const std::uint64_t syncs = failed_syncs();
    const std::int64_t last = last_segment(log);
    const int done = work(log);
    const bool rolled = last_segment(log) != last;
    const bool unsynced = history_.written() > history_.durable();
    end_life(failed_syncs() != syncs);
    return done >= 50 && rolled && unsynced;
  }

  std::int64_t last_segment(const Log& log) const {
    const auto segments = log.view().segments();
    return segments.ok() && !segments->empty() ? segments->back().base.value() : -1;
  }

  void end_life(bool sync_failed) {
    if (!disk_.down()) {
      disk_.crash(one_in(2) ? CrashKind::power : CrashKind::process);
    }
    note_death(sync_failed);
  }
  void note_death(bool sync_failed) {
    disk_.heal();
    const std::uint64_t boots = boots_;
    files_.emplace(restart());
    power_ = boots_ != boots;
    if (clean_end_) {
      sync_failed_ = false;
      return;
    }
    sync_failed_ = !power_ && (sync_failed || sync_failed_);
  }
  SimFileSystem restart() {
    SimFileSystem next = disk_.restart();
    const auto volume = next.volume("/");
    if (volume.ok() && volume->boot_id != boot_) {
      boot_ = volume->boot_id;
      ++boots_;
    }
    return next;
  }

  std::uint64_t failed_syncs() const {
    const SimFaultTable table = disk_.fault_table();
    std::uint64_t all = 0;
    for (int i = 1; i < sim_faults; ++i) {
      const auto fault = static_cast<SimFault>(i);
      if (fault != SimFault::delay && fault != SimFault::process_crash &&
          fault != SimFault::power_crash) {
        all += table.fired(IoOperation::sync, fault);
        all += table.fired(IoOperation::sync_directory, fault);
      }
    }
    return all;
  }
  bool lied() const {
    const SimFaultTable table = disk_.fault_table();
    return std::any_of(std::begin(lies), std::end(lies),
                       [&](SimFault fault) { return fired(table, fault) > 0; });
  }

  // ── opening ─────────────────────────────────────────────────────────────────────────────────

  /// Some are killed, or meet faults, while they recover.
  absl::StatusOr<Log> open() {
    while (one_in(4)) {
      const std::uint64_t syncs = failed_syncs();
      disk_.set_rates(swarm());
      if (one_in(2)) {
        crash_in(draw(40));
      }
      RecoveryReport report;
      { auto log = try_open(report); }
      told_ = told_ || !report.findings.empty();
      clean_end_.reset();  // it may have been used
      const bool power_before = power_;
      end_life(failed_syncs() != syncs);
      power_ = power_ || power_before;
    }
    disk_.set_rates({});
    RecoveryReport report;
    auto log = try_open(report);
    check(log, report);
    clean_end_.reset();
    return log;
  }

  absl::StatusOr<Log> try_open(RecoveryReport& report) {
    LogOpening opening{
        .last_stop = power_ || sync_failed_ ? LastStop::system_crash : LastStop::process_crash,
        .log_start = Offset(history_.start()),
        .now = now,
        .rewrite_tail = sync_failed_};
    if (clean_end_) {
      opening.last_stop = LastStop::clean;
      opening.clean_end = clean_end_;
    }
    return Log::open(*files_, "/d/t-0", log_options_, opening, make_ref<DirectoryHealth>("/d"),
                     report);
  }

  void check(const absl::StatusOr<Log>& log, const RecoveryReport& report) {
    if (!log.ok()) {
      if (!lied()) {
        history_.violated("opening", log.status().ToString());
      }
      return;
    }
    Reading reading;
    const absl::Status read = read_log(*log, reading);
    Found& found = reading.found;
    // A device that says that it has synced what it has not leaves no trace.
    const SimFaultTable table = disk_.fault_table();
    const bool late =
        fired(table, SimFault::sync_late) > 0 || fired(table, SimFault::sync_elsewhere) > 0;
    found.told_of_loss = lied() && (late || !read.ok() || log->damage() != nullptr || told_ ||
                                    !report.findings.empty());
    found.lied = lied();
    told_ = false;
    if (!lied() && (!read.ok() || log->damage() != nullptr)) {
      history_.violated("opening", read.ok() ? log->damage()->why : read.ToString());
    }
    if (lied() && found.end > written_) {
      given_up_ = true;  // no checksum covers where a batch begins: this one is far away now
      return;
    }
    history_.opened(found, power_ || sync_failed_ ? Kept::durable : Kept::written);
    if (!lied()) {
      check_epochs(*log, reading, history_);
      check_producers(*log, reading, history_);
      if (found.end % 4 == 0) {  // it takes long
        check_times(*log, reading, history_);
      }
    }
  }

  // ── work ────────────────────────────────────────────────────────────────────────────────────

  /// How many operations there were.
  int work(Log& log) {
    disk_.set_rates(swarm());
    crash_in(one_in(4) ? draw(60) : 150 + draw(400));
    int done = 0;
    for (int step = 0; step < options_.steps && !disk_.down(); ++step) {
      if (one_in(10)) {
        log.assign_epoch(LeaderEpoch(++epoch_));
      }
      const auto batches = static_cast<int>(1 + draw(4));
      append(log, batches);
      done += batches;
      if (one_in(4)) {
        flush(log, one_in(4) ? FlushScope::sealed : FlushScope::data);
        ++done;
      }
      if (one_in(12)) {
        trim(log);
        ++done;
      }
      if (one_in(12)) {
        Reading reading;
        const bool whole = read_log(log, reading).ok();
        reading.found.lied = reading.found.told_of_loss = lied();
        if (whole) {
          history_.read(reading.found);
        }
      }
    }
    if (!disk_.down() && one_in(3)) {
      close(log);
    }
    return done;
  }

  void append(Log& log, int n) {
    std::vector<SharedBytes> batches;
    std::vector<Bytes> pieces;
    std::vector<BatchFacts> facts;
    std::vector<Record> records;
    for (int i = 0; i < n; ++i) {
      records.push_back({log.end().value() + i, epoch_, "=" + std::to_string(++written_)});
      records.back().value.resize(records.back().value.size() + draw(120), '.');
      batches.push_back(batch_of(records.back()));
      pieces.push_back(batches.back().bytes());
      facts.push_back(BatchFacts::of(BatchHeader::parse(pieces.back())));
    }
    const Appended appended = log.append(pieces, facts, now);
    for (std::size_t i = 0; i < records.size(); ++i) {
      const Told told = i < appended.batches                               ? Told::written
                        : outcome(appended.status) == Outcome::not_written ? Told::refused
                                                                           : Told::unknown;
      history_.appended(records[i].offset, records[i], told);
    }
    log.publish();
  }
  SharedBytes batch_of(const Record& record) {
    BatchFields fields{.base_offset = Offset(record.offset),
                       .leader_epoch = LeaderEpoch(record.epoch)};
    if (const auto producer = static_cast<std::int64_t>(draw(4)); producer < 3) {
      fields.producer_id = ProducerId(producer);
      fields.producer_epoch = ProducerEpoch(0);
      fields.base_sequence = next_sequence_++;
    }
    BatchBuilder builder(fields);
    const Timestamp its_own(now.value() + record.offset);
    builder.append({.timestamp = its_own, .value = as_bytes(record.value).subspan(1)})
        .IgnoreError();
    return std::move(*builder.seal()).freeze();
  }

  void flush(Log& log, FlushScope scope) {
    LogFlush plan = log.plan_flush(scope);
    if (plan.run().ok()) {
      log.flushed(plan);
      history_.flushed(std::min(plan.end().value(), history_.written()));
    }
    log.publish();
  }

  /// Retention, as its owner does it: the checkpoint first.
  void trim(Log& log) {
    const std::int64_t span = history_.durable() - history_.start();
    if (span <= 0) {
      return;
    }
    const Offset start(history_.start() +
                       static_cast<std::int64_t>(draw(static_cast<std::uint64_t>(span) / 2 + 1)));
    if (log.raise_start(start, log.end()).ok()) {
      history_.start_raised(start.value());
      (void)log.delete_segments(start, SteadyTime());
      (void)log.remove_deleted(after(SteadyTime(), std::chrono::hours(1)));
    }
    log.publish();
  }

  void close(Log& log) {
    auto end = log.close();
    if (end.ok()) {
      clean_end_ = *end;
      history_.flushed(history_.written());
    }
  }

  const RunOptions options_;
  SeededRandom random_;
  const bool lying_;
  SimDisk disk_;
  LogOptions log_options_{.topic_id = {{std::byte{1}}}, .partition = PartitionId(0)};
  std::optional<AnyFileSystem> files_;
  History history_;
  std::optional<CleanEnd> clean_end_;
  bool power_ = true;
  bool sync_failed_ = false;
  bool given_up_ = false;
  bool told_ = false;  // of something, by an opening that did not last
  std::string boot_;
  std::uint64_t boots_ = 0;
  std::int32_t epoch_ = 0;
  std::int64_t written_ = 0;
  std::int32_t next_sequence_ = 0;
};

}  // namespace simulate
