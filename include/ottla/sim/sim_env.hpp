// SPDX-License-Identifier: Apache-2.0
//
// A simulated process: an Env whose clock, executor and files belong to a SimScheduler's world.
//   SimScheduler world({.seed = seed});
//   SimEnv env(world, disk, {.name = "broker 1"});
//   world.start(env.process(), "main", [&] { ... env ... });
//   const absl::Status ran = world.run();
// The next incarnation of a process that has crashed is a new SimEnv over the same files.
#pragma once

#include <concepts>
#include <string>
#include <utility>

#include <ottla/env/any_file_system.hpp>
#include <ottla/env/env.hpp>
#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/memory/random.hpp>
#include <ottla/sim/sim_clock.hpp>
#include <ottla/sim/sim_executor.hpp>
#include <ottla/sim/sim_scheduler.hpp>

namespace ottla::inline OTTLA_ABI {

struct SimEnvOptions {
  std::string name = "process";
  SimExecutorOptions executor = {};
  Timestamp wall = Timestamp(1'600'000'000'000);
  /// Asked before and after each call of a file, as FaultFileSystem does; it may crash the process.
  /// Afterwards nobody else has run since the call began.
  IoHook on_io = {};
};

namespace sim_impl {
/// The hook around each file call of a process: a preemption point before and after it, in the
/// trace both times; refused where the process is dead; one step for everybody else.
IoHook file_hook(SimScheduler& world, SimProcess process, IoHook also);
}  // namespace sim_impl

/// Of one thread, as its world, which outlives it. Files belong to the world: those that a process
/// opened answer `closed` once it is dead, and what one call does another process never sees half
/// done, unless the file system itself waits inside. Copies of an `Fs` are handles of one.
template <class Fs>
requires(FileSystem<Fs>&& std::copy_constructible<Fs>) class SimEnv {
 public:
  using Clock = SimClock;
  using FileSystem = AnyFileSystem;
  using Executor = SimExecutor;
  using Random = SeededRandom;

  SimEnv(SimScheduler& world, Fs files, SimEnvOptions options = {})
      : world_(world),
        process_(world.begin_process(options.name)),
        clock_(world.steady_hand(), options.wall),
        random_(world.random()),
        files_(files),
        file_system_(FaultFileSystem<Fs>(
            std::move(files), sim_impl::file_hook(world, process_, std::move(options.on_io)))),
        executor_(world, process_, options.executor) {}

  const SimClock& clock() const { return clock_; }
  AnyFileSystem& file_system() { return file_system_; }
  SimExecutor& executor() { return executor_; }
  SeededRandom& random() { return random_; }
  /// Another once the process is dead: what remembers it does nothing more, as in a child of fork.
  std::uint64_t process_generation() const { return alive() ? 1 + process_.value() : 0; }

  SimScheduler& world() { return world_; }
  SimProcess process() const { return process_; }
  bool alive() const { return world_.alive(process_); }
  /// See SimScheduler.
  void crash() { world_.crash(process_); }
  void fail() { world_.fail(process_); }
  /// Steps, drifts and freezes the wall clock.
  SimClock& hands() { return clock_; }
  /// Past the hook: for who looks on from outside.
  Fs& files() { return files_; }

 private:
  SimScheduler& world_;
  const SimProcess process_;
  SimClock clock_;
  SeededRandom random_;
  Fs files_;
  AnyFileSystem file_system_;
  SimExecutor executor_;
};
static_assert(Env<SimEnv<AnyFileSystem>>);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/sim/impl/sim_env.ipp>
#endif
