// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/env/memory/executor.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE MemoryExecutor::~MemoryExecutor() {
  {
    Lock lock(mutex_);
    stopping_.store(true, std::memory_order_release);
  }
  while (drop_task()) {
  }
}

// Whether there was one. What its destruction calls finds that the end has begun.
OTTLA_INLINE bool MemoryExecutor::drop_task() {
  std::optional<Task> dropped;  // destroyed after the lock
  Lock lock(mutex_);
  if (ready_.empty()) {
    dropped = timers_.take_due(never);
  } else {
    dropped = std::move(ready_.front());
    ready_.pop_front();
  }
  lock.unlock();
  return dropped.has_value();
}

OTTLA_INLINE void MemoryExecutor::post(Task task) {
  Mutex::expect_none_held();
  Lock lock(mutex_);
  if (!stopping()) {
    ready_.push_back(std::move(task));
    awaiting_.nudge_all(lock);
  }
}

OTTLA_INLINE TimerId MemoryExecutor::post_at(SteadyTime when, Task task, TaskLane) {
  Mutex::expect_none_held();
  Lock lock(mutex_);
  if (stopping()) {
    return no_timer;
  }
  const TimerId timer = timers_.add(when, std::move(task));
  awaiting_.nudge_all(lock);
  return timer;
}

OTTLA_INLINE bool MemoryExecutor::cancel(TimerId timer) {
  Mutex::expect_none_held();
  std::optional<Task> removed;  // destroyed after the lock
  Lock lock(mutex_);
  removed = timers_.remove(timer);
  lock.unlock();
  return removed.has_value();
}

OTTLA_INLINE absl::Status MemoryExecutor::spawn(std::string_view name, Task) {
  return error(Fault::unsupported, absl::StrCat("cannot start ", av(name),
                                                ": this executor has no threads; use "
                                                "PosixExecutor, or a simulated world"));
}

OTTLA_INLINE std::optional<Task> MemoryExecutor::next_task() {
  if (ready_.empty()) {
    return timers_.take_due(clock_.steady_now());
  }
  Task task = std::move(ready_.front());
  ready_.pop_front();
  return task;
}

OTTLA_INLINE void MemoryExecutor::run(Task task) {
  const absl::Status ran = guarded([&] { task(); });
  if (!ran.ok()) {
    thrown_.fetch_add(1, std::memory_order_relaxed);
  }
}

OTTLA_INLINE bool MemoryExecutor::run_next() {
  Lock lock(mutex_);
  std::optional<Task> task = next_task();
  lock.unlock();
  if (task.has_value()) {
    run(*std::exchange(task, std::nullopt));
    return true;
  }
  return false;
}

// Whether there is a timer by then; the clock stands there now.
OTTLA_INLINE bool MemoryExecutor::move_to_timer(SteadyTime latest) {
  Lock lock(mutex_);
  const SteadyTime next = timers_.next();
  if (timers_.empty() || next > latest || next == never) {
    return false;
  }
  clock_.move_to(next);
  return true;
}

OTTLA_INLINE bool MemoryExecutor::await(Doorbell& bell, SteadyTime deadline) {
  Mutex::expect_none_held();
  while (!bell.rung()) {
    if (run_next() || move_to_timer(deadline)) {
      continue;
    }
    if (deadline != never) {
      clock_.move_to(deadline);
      break;
    }
    env_impl::AwaitingThreads::Thread thread{.bell = &bell};
    Lock lock(mutex_);
    awaiting_.enter(thread);
    const bool nothing_to_do = ready_.empty() && timers_.empty();
    lock.unlock();
    if (nothing_to_do) {
      bell.wait_until(never);
    }
    lock.lock();
    awaiting_.leave(thread, lock);
  }
  return bell.rung();
}

OTTLA_INLINE std::size_t MemoryExecutor::run_once(std::chrono::nanoseconds budget) {
  Mutex::expect_none_held();
  const SteadyTime end = after(clock_.steady_now(), budget);
  Lock lock(mutex_);
  const std::size_t most = ready_.size() + timers_.due(clock_.steady_now());
  lock.unlock();
  std::size_t count = 0;
  while (count < most && run_next()) {
    ++count;
    if (clock_.steady_now() > end) {
      break;
    }
  }
  return count;
}

OTTLA_INLINE std::size_t MemoryExecutor::run_until_idle() {
  std::size_t count = 0;
  while (run_next()) {
    ++count;
  }
  return count;
}

OTTLA_INLINE std::size_t MemoryExecutor::advance(std::chrono::nanoseconds time) {
  const SteadyTime end = after(clock_.steady_now(), time);
  std::size_t count = run_until_idle();
  while (move_to_timer(end)) {
    count += run_until_idle();
  }
  clock_.move_to(end);
  return count;
}

}  // namespace ottla::inline OTTLA_ABI
