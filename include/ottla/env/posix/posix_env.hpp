// SPDX-License-Identifier: Apache-2.0
//
// The world as it is: the system's clocks, threads and random numbers, and its files or files in
// memory, chosen when it is opened.
//   auto env = PosixEnv::open({.executor = {.threads = 0}, .files = memory_files()});
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include <ottla/env/any_file_system.hpp>
#include <ottla/env/env.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/env/posix/clock.hpp>
#include <ottla/env/posix/executor.hpp>
#include <ottla/env/posix/file_system.hpp>
#include <ottla/env/posix/process.hpp>
#include <ottla/env/posix/random.hpp>

namespace ottla::inline OTTLA_ABI {

/// An empty file system in memory, stamped by the system's clock. `max_bytes`: 0 for no limit.
inline AnyFileSystem memory_files(std::int64_t max_bytes = 0) {
  return AnyFileSystem(MemoryFileSystem(
      {.max_bytes = max_bytes, .wall_now = [] { return PosixClock().wall_now(); }}));
}

struct PosixEnvOptions {
  PosixExecutorOptions executor = {};
  /// None: the system's, with its defaults.
  std::optional<AnyFileSystem> files = {};
};

class PosixEnv {
 public:
  using Clock = PosixClock;
  using FileSystem = AnyFileSystem;
  using Executor = PosixExecutor;
  using Random = PosixRandom;

  static absl::StatusOr<std::unique_ptr<PosixEnv>> open(PosixEnvOptions options = {}) {
    OTTLA_ASSIGN(auto executor, PosixExecutor::open(options.executor));
    return std::unique_ptr<PosixEnv>(
        new PosixEnv(options.files ? *std::move(options.files) : AnyFileSystem(PosixFileSystem()),
                     std::move(executor)));
  }

  const PosixClock& clock() const { return clock_; }
  AnyFileSystem& file_system() { return files_; }
  PosixExecutor& executor() { return *executor_; }
  PosixRandom& random() { return random_; }
  std::uint64_t process_generation() { return ottla::process_generation(); }

 private:
  PosixEnv(AnyFileSystem files, std::unique_ptr<PosixExecutor> executor)
      : files_(std::move(files)), executor_(std::move(executor)) {}

  PosixClock clock_;
  PosixRandom random_;
  AnyFileSystem files_;
  std::unique_ptr<PosixExecutor> executor_;  // ends first: its tasks may use the rest
};
static_assert(Env<PosixEnv>);

}  // namespace ottla::inline OTTLA_ABI
