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
#include <ottla/sim/impl/process_file_system.hpp>
#include <ottla/sim/sim_clock.hpp>
#include <ottla/sim/sim_executor.hpp>
#include <ottla/sim/sim_scheduler.hpp>

namespace ottla::inline OTTLA_ABI {

struct SimEnvOptions {
  std::string name = "process";
  SimExecutorOptions executor = {};
  Timestamp wall = Timestamp(1'600'000'000'000);
  /// Asked before and after each call of a file, as FaultFileSystem does; it may crash the process,
  /// and wait. Unless it does, nobody else runs from one to the other.
  IoHook on_io = {};
};

/// Of one thread, as its world, which outlives it. Files belong to the world: those that a process
/// opened answer `closed` once it is dead, its locks on directories are free then, and what one
/// call does nobody sees half done, unless the file system itself waits inside. Copies of an `Fs`
/// are handles of one.
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
        file_system_(files_of_process(std::move(files), std::move(options.on_io))),
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
  AnyFileSystem files_of_process(Fs files, IoHook on_io) {
    using Faulty = FaultFileSystem<Fs>;
    using Files = sim_impl::ProcessFileSystem<Faulty>;
    const sim_impl::ProcessSteps steps(world_, process_);
    const auto locks = make_ref<typename Files::Locks>(steps);
    world_.on_end(process_, [locks](bool) { locks->release_all(); });
    if (!on_io) {
      on_io = [](IoCall&) { return absl::OkStatus(); };
    }
    return AnyFileSystem(Files(Faulty(std::move(files), std::move(on_io)), steps, locks));
  }

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
