// SPDX-License-Identifier: Apache-2.0
//
// Nothing runs unless it is driven, and time passes only where somebody waits for it: `await` runs
// what is due and, when nothing is, moves the clock to the next timer, at last to its deadline.
// Used from one thread, it does the same each time.
#pragma once

#include <atomic>
#include <deque>
#include <optional>

#include <ottla/base/mutex.hpp>
#include <ottla/env/executor.hpp>
#include <ottla/env/impl/awaiting_threads.hpp>
#include <ottla/env/memory/clock.hpp>
#include <ottla/env/timer_queue.hpp>

namespace ottla::inline OTTLA_ABI {

/// Tasks run in the thread that drives: first what was posted, in order, then due timers by their
/// time. It starts no threads, so `spawn` is `unsupported`.
class MemoryExecutor {
 public:
  explicit MemoryExecutor(MemoryClock clock) : clock_(std::move(clock)) {}
  MemoryExecutor(const MemoryExecutor&) = delete;
  MemoryExecutor& operator=(const MemoryExecutor&) = delete;
  ~MemoryExecutor();

  void post(Task task);
  TimerId post_at(SteadyTime when, Task task, TaskLane lane = no_lane);
  bool cancel(TimerId timer);
  absl::Status spawn(std::string_view name, Task body);
  /// Until `never` with nothing to run, it sleeps: another thread has to ring or to post.
  bool await(Doorbell& bell, SteadyTime deadline);
  /// At most what is due when it begins, by the clock of this world: a task takes no time.
  std::size_t run_once(std::chrono::nanoseconds budget);
  bool stopping() const { return stopping_.load(std::memory_order_acquire); }

  /// Runs until nothing is due; how many. Never returns if tasks go on posting tasks.
  std::size_t run_until_idle();
  /// Moves the clock on by `time`, stopping at each timer on the way to run it, and what it posts.
  std::size_t advance(std::chrono::nanoseconds time);

  /// Tasks that threw.
  std::uint64_t thrown() const { return thrown_.load(std::memory_order_relaxed); }

 private:
  std::optional<Task> next_task() OTTLA_REQUIRES(mutex_);
  bool run_next();
  bool drop_task();
  void run(Task task);
  bool move_to_timer(SteadyTime latest);

  MemoryClock clock_;
  Mutex mutex_{Mutex::Kind::leaf};
  std::deque<Task> ready_ OTTLA_GUARDED_BY(mutex_);
  TimerQueue timers_ OTTLA_GUARDED_BY(mutex_);
  env_impl::AwaitingThreads awaiting_ OTTLA_GUARDED_BY(mutex_);
  std::atomic<bool> stopping_{false};  // set under mutex_
  std::atomic<std::uint64_t> thrown_{0};
};
static_assert(Executor<MemoryExecutor>);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/env/impl/memory_executor.ipp>
#endif
