// SPDX-License-Identifier: Apache-2.0
//
// A small pool of threads for short tasks and timers, and a thread for each spawned body. One idle
// thread sleeps until the next timer, the others until there is work: nothing wakes up for nothing.
// With two threads or more one is never given a task of a lane, and tasks of one lane run one after
// the other: what hangs with a device takes one thread. As many devices may hang as there are
// threads but one; with a single thread everything does.
// With `.threads = 0` no thread is ever started: tasks run inside `await` and `run_once`.
#pragma once

#include <memory>

#include <absl/status/statusor.h>

#include <ottla/base/ref.hpp>
#include <ottla/env/executor.hpp>
#include <ottla/env/posix/process.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {
class ExecutorState;
}  // namespace env_impl

struct PosixExecutorOptions {
  int threads = 2;
  /// How long the destructor waits for tasks and bodies that are running. What is stuck then (in a
  /// hung disk, say) is left behind with its thread.
  std::chrono::nanoseconds close_timeout = std::chrono::seconds(30);
  /// How long `await` looks at the bell before it sleeps, where there is a second processor.
  std::chrono::nanoseconds spin = std::chrono::microseconds(2);
};

/// Threads block all signals: those are for the program's own. What a task throws is caught and
/// counted. In a child of fork nothing runs, and the destructor leaves the parent's threads alone.
class PosixExecutor {
 public:
  static absl::StatusOr<std::unique_ptr<PosixExecutor>> open(PosixExecutorOptions options = {});
  PosixExecutor(const PosixExecutor&) = delete;
  PosixExecutor& operator=(const PosixExecutor&) = delete;
  ~PosixExecutor();

  void post(Task task);
  TimerId post_at(SteadyTime when, Task task, TaskLane lane = no_lane);
  bool cancel(TimerId timer);
  absl::Status spawn(std::string_view name, Task body);
  bool await(Doorbell& bell, SteadyTime deadline);
  std::size_t run_once(std::chrono::nanoseconds budget);
  bool stopping() const;

  /// Tasks and bodies that threw.
  std::uint64_t thrown() const;

 private:
  explicit PosixExecutor(Ref<env_impl::ExecutorState> state);

  Ref<env_impl::ExecutorState> state_;
  ProcessMark made_in_;
};
static_assert(Executor<PosixExecutor>);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/env/impl/posix_executor.ipp>
#endif
