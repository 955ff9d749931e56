// SPDX-License-Identifier: Apache-2.0
//
// A world for tests: files in memory (or whatever is given), a clock that is set, tasks that run
// when they are told to, and the same random numbers for the same seed. Time limits are tested
// without waiting for them:
//   MemoryEnv env;
//   ...; env.advance(std::chrono::minutes(5));  // runs each timer on the way, in order
#pragma once

#include <optional>
#include <utility>

#include <ottla/env/any_file_system.hpp>
#include <ottla/env/env.hpp>
#include <ottla/env/memory/clock.hpp>
#include <ottla/env/memory/executor.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/env/memory/random.hpp>
#include <ottla/env/posix/process.hpp>

namespace ottla::inline OTTLA_ABI {

struct MemoryEnvOptions {
  std::uint64_t seed = 1;
  Timestamp wall = Timestamp(1'600'000'000'000);
  /// None: files in memory, without a limit.
  std::optional<AnyFileSystem> files = {};
};

class MemoryEnv {
 public:
  using Clock = MemoryClock;
  using FileSystem = AnyFileSystem;
  using Executor = MemoryExecutor;
  using Random = SeededRandom;

  explicit MemoryEnv(MemoryEnvOptions options = {})
      : clock_(options.wall),
        random_(options.seed),
        files_(options.files ? *std::move(options.files) : files_in_memory(clock_)),
        executor_(clock_) {}

  const MemoryClock& clock() const { return clock_; }
  AnyFileSystem& file_system() { return files_; }
  MemoryExecutor& executor() { return executor_; }
  SeededRandom& random() { return random_; }
  std::uint64_t process_generation() { return ottla::process_generation(); }

  /// Runs what is due, then moves on by `time`, stopping at each timer; how many tasks ran.
  std::size_t advance(std::chrono::nanoseconds time) { return executor_.advance(time); }
  std::size_t run_until_idle() { return executor_.run_until_idle(); }
  /// Steps the wall clock alone.
  void set_wall(Timestamp time) { clock_.set_wall(time); }

 private:
  static AnyFileSystem files_in_memory(MemoryClock clock) {
    return AnyFileSystem(
        MemoryFileSystem({.wall_now = [clock = std::move(clock)] { return clock.wall_now(); }}));
  }

  MemoryClock clock_;
  SeededRandom random_;
  AnyFileSystem files_;
  MemoryExecutor executor_;
};
static_assert(Env<MemoryEnv>);

}  // namespace ottla::inline OTTLA_ABI
