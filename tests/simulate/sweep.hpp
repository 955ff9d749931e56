// SPDX-License-Identifier: Apache-2.0
//
// Each call of a scenario is the one that goes wrong, in each way that it can; after each of them
// another program finds what it is owed, goes on, ends in one way or another, and finds it again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scenario.hpp"

namespace simulate {

inline constexpr SimFault crashes[] = {SimFault::process_crash, SimFault::power_crash};
inline constexpr SimFault errors[] = {
    SimFault::io,          SimFault::bad_sector, SimFault::no_space,  SimFault::no_descriptors,
    SimFault::read_only,   SimFault::denied,     SimFault::cut_write, SimFault::sync_keeps,
    SimFault::sync_reverts};

struct SweepSettings {
  std::uint64_t states = 4096;    ///< that a power cut may leave, all visited up to here
  std::uint64_t sample = 64;      ///< drawn where they are more
  std::uint64_t after_error = 4;  ///< drawn of those that a power cut after an error leaves
  std::uint64_t every = 1;        ///< which calls go wrong
  std::uint64_t seeds = 1;
  std::optional<std::uint64_t> only_call = {};
};

struct SweepFailure {
  std::string scenario;
  std::uint64_t seed = 0;
  Plan plan;
  std::string where;
  Violation violation;
};

class Sweep {
 public:
  explicit Sweep(const SweepSettings& settings) : settings_(settings) {}

  /// All of it; with `ignored`, until somebody notices.
  void run(const Scenario& scenario, std::optional<Step> ignored = {}) {
    ignored_ = ignored;
    failed_before_ = ignored ? 0 : failures_.size();
    for (std::uint64_t seed = 1; seed <= settings_.seeds && !done(); ++seed) {
      run_seed(scenario, seed);
    }
  }
  std::uint64_t points() const { return points_; }
  /// Those of them in which a call went wrong.
  std::uint64_t faults() const { return faults_; }
  std::uint64_t states() const { return states_; }
  std::uint64_t sampled() const { return sampled_; }
  const SimFaultTable& table() const { return table_; }
  const std::vector<SweepFailure>& failures() const { return failures_; }

 private:
  static constexpr std::size_t most_failures = 3;  // of a scenario
  bool done() const { return failures_.size() >= failed_before_ + (ignored_ ? 1 : most_failures); }

  void run_seed(const Scenario& scenario, std::uint64_t seed) {
    World whole(scenario.settings, seed, {}, ignored_);
    scenario.script(whole);
    const std::uint64_t end = whole.disk().calls();
    const std::vector<IoOperation> operations = whole.operations();
    run_point(scenario, seed, {});
    for (std::uint64_t call = whole.begun() + 1; call <= end; call += settings_.every) {
      if (settings_.only_call.value_or(call) != call) {
        continue;
      }
      for (const SimFault fault : crashes) {
        if (!done()) {
          run_point(scenario, seed, {call, fault});
        }
      }
      for (const SimFault fault : errors) {
        for (const Repeat repeat : {Repeat::once, Repeat::from_then_on}) {
          if (applies(fault, operations[call - 1]) && !done()) {
            run_point(scenario, seed, {call, fault, repeat});
          }
        }
      }
    }
  }

  void run_point(const Scenario& scenario, std::uint64_t seed, Plan plan) {
    World world(scenario.settings, seed, plan, ignored_);
    scenario.script(world);
    ++points_;
    faults_ += plan.call > 0 ? 1 : 0;
    variant_ = plan.call;
    table_ += world.disk().fault_table();
    const auto note = [&](const Known& known, const std::string& where) {
      if (!known.history.violations().empty() && !done()) {
        failures_.push_back({scenario.name, seed, plan, where, known.history.violations().front()});
      }
    };
    for (const SimDiskProblem& problem : world.disk().problems()) {
      world.known().history.violated("files", "misused: " + problem.path);
    }
    note(world.known(), "in the script");
    if (!world.known().history.violations().empty()) {
      return;
    }
    world.disk().heal();
    world.fail_syncs(false);
    if (!(world.disk().down() && plan.fault == SimFault::process_crash)) {
      const bool crash = plan.call == 0 || plan.fault == SimFault::power_crash;
      cut_power(world, crash ? settings_.states : settings_.after_error,
                crash ? settings_.sample : settings_.after_error, note);
    }
    if (!(world.disk().down() && plan.fault == SimFault::power_crash)) {
      const Kept kept = world.kept();
      world.end(CrashKind::process);
      if (world.disk().down()) {
        world.disk().restart();
      }
      judge(world.disk(), world.settings(), world.known(), kept);
      note(world.known(), "after the death of the process");
    }
  }

  template <class Note>
  void cut_power(World& world, std::uint64_t limit, std::uint64_t sample, const Note& note) {
    const auto visit = [&](SimDisk& state) {
      if (ignored_ && done()) {
        return;
      }
      if (ignored_) {
        state.ignore(ignored_->reason, ignored_->operation);
      }
      Known known = world.known();
      ++states_;
      judge(state, world.settings(), known, Kept::durable);
      note(known, "after a power cut");
    };
    const DurableStateCount count =
        world.disk().for_each_durable_state(limit, visit, std::min(sample, limit));
    sampled_ += count.all ? 0 : 1;
  }

  /// A program that nothing goes wrong with, one end of it, and the next one.
  void judge(SimDisk& disk, const Settings& settings, Known& known, Kept kept) {
    const std::uint64_t variant = variant_++ % 5;  // the same again for the same point
    bool goes_on = true;
    {
      Program program(disk.file_system(), settings, known);
      if (!program.open(kept, true)) {
        return;
      }
      const std::int64_t before = known.history.written();
      const int batches = static_cast<int>(1 + variant_ % 4);
      program.append(batches, {.producer = variant_ % 3 == 0 ? 7 : -1});
      goes_on = known.history.written() == before + batches;
      if (variant == 0 || variant == 1) {
        goes_on = program.flush(variant == 0 ? FlushScope::data : FlushScope::sealed) && goes_on;
      }
      program.check(true);
      if (variant == 4) {
        program.close();
        goes_on = program.closed() && goes_on;
      }
    }
    if (!goes_on) {
      known.history.violated("going on", "it takes no appends, flushes, or cannot be closed");
      return;
    }
    const bool power = variant == 0 || variant == 2;
    disk.crash(power ? CrashKind::power : CrashKind::process);
    disk.restart();
    Program next(disk.file_system(), settings, known);
    if (next.open(power ? Kept::durable : Kept::written, true)) {
      next.append(1);
      next.check(true);
    }
  }

  const SweepSettings settings_;
  std::optional<Step> ignored_;
  std::size_t failed_before_ = 0;
  std::uint64_t points_ = 0;
  std::uint64_t faults_ = 0;
  std::uint64_t states_ = 0;
  std::uint64_t sampled_ = 0;  // points
  std::uint64_t variant_ = 0;
  SimFaultTable table_;
  std::vector<SweepFailure> failures_;
};

}  // namespace simulate
