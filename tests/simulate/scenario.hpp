// SPDX-License-Identifier: Apache-2.0
//
// A scenario: a short script of one program on one simulated disk. Something is made to go wrong
// with one of its calls; the script goes on as far as it can.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ottla/sim/sim_disk.hpp>

#include "program.hpp"
#include "step.hpp"

namespace simulate {

/// What goes wrong. Call 0: nothing does.
struct Plan {
  std::uint64_t call = 0;
  SimFault fault = SimFault::none;
  Repeat repeat = Repeat::once;
};

class World {
 public:
  World(Settings settings, std::uint64_t seed, Plan plan, std::optional<Step> ignored = {})
      : settings_(std::move(settings)), ignored_(ignored), disk_(options(seed)) {
    if (plan.call > 0) {
      disk_.fail_at(plan.call, plan.fault, plan.repeat);
    }
    start_program();
  }
  World(const World&) = delete;

  Program* operator->() { return program_.get(); }
  SimDisk& disk() { return disk_; }
  Known& known() { return known_; }
  const Settings& settings() const { return settings_; }
  /// Calls from here on may be the one that goes wrong.
  void begin() {
    begin_ = disk_.calls();
    if (ignored_) {
      disk_.ignore(ignored_->reason, ignored_->operation);
    }
  }
  std::uint64_t begun() const { return begin_; }
  /// Of all calls.
  const std::vector<IoOperation>& operations() const { return operations_; }

  /// An owner whose opening failed tries it once more, as another process.
  void open() {
    for (int i = 0; i < 2 && !disk_.down(); ++i) {
      const std::uint64_t before = failed_syncs();
      if (program_->open(kept(), false)) {
        synced_until_ = before;
        power_ = false;
        return;
      }
      end(CrashKind::process);
    }
  }
  void end(CrashKind kind) {
    if (disk_.down()) {
      return;
    }
    power_ = power_ || kind == CrashKind::power;
    disk_.crash(kind);
    disk_.restart();
    start_program();
  }
  void reopen_after(CrashKind kind) {
    end(kind);
    open();
  }
  /// Each sync of a file fails, and its pages count as clean.
  void fail_syncs(bool failing) { failing_syncs_ = failing; }

  /// What the program that opens the disk next has to find, if the machine lives on.
  Kept kept() const {
    return power_ || failed_syncs() != synced_until_ ? Kept::durable : Kept::written;
  }

  // ── somebody else's hands ───────────────────────────────────────────────────────────────────

  void put(const std::string& name, std::string_view text) {
    auto files = disk_.file_system();
    if (auto file = files.open(path(name), OpenMode::create, IoReason::other); file.ok()) {
      const Bytes piece = as_bytes(text);
      file->write(0, {&piece, 1}, IoReason::other).IgnoreError();
      file->sync(IoReason::other).IgnoreError();
      sync_names();
    }
  }
  std::string content(const std::string& name) {
    std::string text(1 << 16, '\0');
    const auto file = disk_.file_system().open(path(name), OpenMode::read, IoReason::other);
    const auto read = file.ok() ? file->read(0, std::as_writable_bytes(std::span(text))) : 0;
    text.resize(read.value_or(0));
    return text;
  }
  /// The next opening is asked for it; the record at `damaged` was damaged.
  void repair(Repair how, std::int64_t damaged) {
    known_.repair = how;
    known_.damaged = damaged;
    if (how == Repair::truncate) {
      known_.history.cut_back(damaged, false);
    } else {
      known_.history.taken_out(damaged);
    }
  }
  void erase(const std::string& name) {
    disk_.file_system().remove(path(name), IoReason::other).IgnoreError();
    sync_names();
  }
  void damage(const std::string& name, std::int64_t position) {
    disk_.rot(path(name), position, std::byte{0x10});
  }

 private:
  SimDiskOptions options(std::uint64_t seed) {
    SimDiskOptions options{.seed = seed};
    options.before_call = [this](const IoCall& call) { operations_.push_back(call.operation); };
    options.choose_fault = [this](const IoCall& call) {
      return failing_syncs_ && call.operation == IoOperation::sync ? SimFault::sync_keeps
                                                                   : SimFault::none;
    };
    return options;
  }
  void start_program() {
    program_.reset();
    program_ = std::make_unique<Program>(disk_.file_system(), settings_, known_);
  }
  static std::string path(const std::string& name) { return "/d/" + name; }
  void sync_names() {
    for (const char* directory : {"/d/t-0", "/d", "/"}) {
      disk_.file_system().sync_directory(directory, IoReason::other).IgnoreError();
    }
  }
  std::uint64_t failed_syncs() const {
    const SimFaultTable table = disk_.fault_table();
    std::uint64_t all = 0;
    for (const SimFault fault :
         {SimFault::io, SimFault::no_space, SimFault::sync_keeps, SimFault::sync_reverts}) {
      all += table.fired(IoOperation::sync, fault);
      all += table.fired(IoOperation::sync_directory, fault);
    }
    return all;
  }

  const Settings settings_;
  const std::optional<Step> ignored_;
  bool failing_syncs_ = false;
  std::vector<IoOperation> operations_;
  SimDisk disk_;
  Known known_;
  std::unique_ptr<Program> program_;
  std::uint64_t begin_ = 0;
  std::uint64_t synced_until_ = 0;
  bool power_ = false;
};

struct Scenario {
  std::string name;
  Settings settings;
  std::function<void(World&)> script;
};

/// A batch of one record, and a segment of four of them.
inline constexpr std::int32_t batch_bytes = 75;
inline Settings small_segments() {
  Settings settings;
  settings.config.segment_bytes = 4 * batch_bytes + 10;
  settings.config.index_interval_bytes = batch_bytes - 1;
  settings.config.retention = {};
  return settings;
}

}  // namespace simulate
