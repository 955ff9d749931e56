// SPDX-License-Identifier: Apache-2.0
//
// One simulated process's executor: a few actors for tasks and timers, one for each spawned body,
// all in virtual time. As PosixExecutor, but that the seed says who goes on.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include <ottla/env/executor.hpp>
#include <ottla/env/timer_queue.hpp>
#include <ottla/sim/sim_scheduler.hpp>

namespace ottla::inline OTTLA_ABI {

struct SimExecutorOptions {
  /// Actors that run tasks. 0: tasks run inside `await` and `run_once`, and nothing is spawned.
  int threads = 2;
  /// How long the destructor waits for tasks and bodies that run. What is stuck then is abandoned.
  std::chrono::nanoseconds close_timeout = std::chrono::seconds(30);
};

/// Called by actors of its world, and, while the world does not run, by their thread: `await` and
/// `run_once` run the world then. When the process crashes nothing more runs, and when it fails
/// the executor ends, in no time: see SimScheduler.
class SimExecutor {
 public:
  /// Before: `world` outlives it; `process` has no other executor.
  SimExecutor(SimScheduler& world, SimProcess process, SimExecutorOptions options = {});
  SimExecutor(const SimExecutor&) = delete;
  SimExecutor& operator=(const SimExecutor&) = delete;
  /// Before: not called by a task of its own.
  ~SimExecutor();

  void post(Task task);
  TimerId post_at(SteadyTime when, Task task, TaskLane lane = no_lane);
  bool cancel(TimerId timer);
  absl::Status spawn(std::string_view name, Task body);
  bool await(Doorbell& bell, SteadyTime deadline);
  /// At most what is due when it begins.
  std::size_t run_once(std::chrono::nanoseconds budget);
  bool stopping() const { return stopping_; }

  /// Tasks and bodies that threw.
  std::uint64_t thrown() const { return thrown_; }

 private:
  struct Awaiting {
    Doorbell* bell;
    int nudging = 0;
  };

  void work();
  void run(Task task);
  std::optional<Task> next_task();
  bool drop_task();
  void added_work();
  void nudge_all();
  void stop();
  void leave_unrun();
  void await_inside(Doorbell& bell, SteadyTime deadline);
  std::size_t run_due(std::chrono::nanoseconds budget);

  // No lock: between two preemption points there is nobody else.
  SimScheduler& world_;
  const SimProcess process_;
  const SimExecutorOptions options_;
  std::deque<Task> ready_;
  TimerQueue timers_;
  std::vector<Awaiting*> awaiting_;
  char work_ = 0;  // parked on
  bool timers_turn_ = false;
  bool stopping_ = false;
  bool crashed_ = false;
  std::uint64_t thrown_ = 0;
};
static_assert(Executor<SimExecutor>);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/sim/impl/sim_executor.ipp>
#endif
