// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/sim/sim_executor.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE SimExecutor::SimExecutor(SimScheduler& world, SimProcess process,
                                      SimExecutorOptions options)
    : world_(world), process_(process), options_(options) {
  for (int i = 0; i < options_.threads; ++i) {
    world_.start(
        process_, absl::StrCat("ottla-", i), [this] { work(); }, SimScheduler::Kind::background);
  }
  world_.on_end(process_, [this](bool crashed) { crashed ? leave_unrun() : stop(); });
}

OTTLA_INLINE SimExecutor::~SimExecutor() {
  if (crashed_) {
    return;
  }
  // Where the world was stopped already nobody can be waited for.
  static_cast<void>(world_.run(process_, [this] {
    stop();
    world_.join(process_, after(world_.now(), options_.close_timeout));
  }));
  if (!crashed_) {
    world_.abandon_background(process_);
    world_.forget_end(process_);
    leave_unrun();
  }
}

OTTLA_INLINE void SimExecutor::stop() {
  stopping_ = true;
  world_.wake(&work_, true);
  nudge_all();
  while (drop_task()) {
  }
}

// No destructor of what is dead.
OTTLA_INLINE void SimExecutor::leave_unrun() {
  stopping_ = true;
  crashed_ = true;
  for (Task& task : ready_) {
    world_.give_up(std::move(task));
  }
  ready_.clear();
  while (std::optional<Task> task = timers_.take_due(never)) {
    world_.give_up(*std::exchange(task, std::nullopt));
  }
}

// Whether there was one.
OTTLA_INLINE bool SimExecutor::drop_task() {
  if (ready_.empty()) {
    return timers_.take_due(never).has_value();
  }
  const Task dropped = std::move(ready_.front());
  ready_.pop_front();
  return true;
}

OTTLA_INLINE void SimExecutor::work() {
  while (!stopping_) {
    if (std::optional<Task> task = next_task()) {
      run(*std::exchange(task, std::nullopt));
      world_.preempt();
    } else {
      world_.park(&work_, "work", timers_.next());
    }
  }
}

OTTLA_INLINE void SimExecutor::run(Task task) {
  const absl::Status ran = guarded([&] { task(); });
  if (!ran.ok()) {
    ++thrown_;
  }
}

OTTLA_INLINE std::optional<Task> SimExecutor::next_task() {
  timers_turn_ = !timers_turn_;
  if (timers_turn_ || ready_.empty()) {
    if (std::optional<Task> due = timers_.take_due(world_.now())) {
      return due;
    }
  }
  if (ready_.empty()) {
    return std::nullopt;
  }
  Task task = std::move(ready_.front());
  ready_.pop_front();
  return task;
}

OTTLA_INLINE void SimExecutor::added_work() {
  if (options_.threads == 0) {
    nudge_all();
  } else {
    world_.wake(&work_, false);
  }
  world_.preempt();
}

OTTLA_INLINE void SimExecutor::nudge_all() {
  const std::vector<Awaiting*> nudging = awaiting_;
  for (Awaiting* each : nudging) {
    ++each->nudging;
  }
  for (Awaiting* each : nudging) {
    each->bell->nudge();
    --each->nudging;
    world_.wake(each, true);
  }
}

OTTLA_INLINE void SimExecutor::post(Task task) {
  Mutex::expect_none_held();
  world_.preempt();
  if (!stopping_) {
    ready_.push_back(std::move(task));
    added_work();
  }
}

OTTLA_INLINE TimerId SimExecutor::post_at(SteadyTime when, Task task, TaskLane) {
  Mutex::expect_none_held();
  world_.preempt();
  if (stopping_) {
    return no_timer;
  }
  const TimerId timer = timers_.add(when, std::move(task));
  added_work();
  return timer;
}

OTTLA_INLINE bool SimExecutor::cancel(TimerId timer) {
  Mutex::expect_none_held();
  world_.preempt();
  return timers_.remove(timer).has_value();
}

OTTLA_INLINE absl::Status SimExecutor::spawn(std::string_view name, Task body) {
  Mutex::expect_none_held();
  world_.preempt();
  if (options_.threads == 0) {
    return error(Fault::unsupported, absl::StrCat("cannot start ", av(name),
                                                  " in an executor without threads; open "
                                                  "it with .threads = 1 or more"));
  }
  if (stopping_) {
    return error(Fault::closed, absl::StrCat("cannot start ", av(name), ": the executor ended"));
  }
  world_.start(
      process_, name, [this, body = std::move(body)]() mutable { run(std::move(body)); },
      SimScheduler::Kind::background);
  world_.preempt();
  return absl::OkStatus();
}

OTTLA_INLINE bool SimExecutor::await(Doorbell& bell, SteadyTime deadline) {
  Mutex::expect_none_held();
  if (!crashed_) {
    static_cast<void>(world_.run(process_, [&] { await_inside(bell, deadline); }));
  }
  return bell.rung();
}

OTTLA_INLINE void SimExecutor::await_inside(Doorbell& bell, SteadyTime deadline) {
  world_.preempt();
  Awaiting awaiting{.bell = &bell};
  awaiting_.push_back(&awaiting);
  while (!bell.rung() && !stopping_) {
    const bool runs_tasks = options_.threads == 0;
    std::optional<Task> task = runs_tasks ? next_task() : std::nullopt;
    const bool found = task.has_value();
    if (found) {
      run(*std::exchange(task, std::nullopt));
    }
    if (world_.now() >= deadline) {
      break;
    }
    if (!found) {
      bell.wait_until(runs_tasks ? std::min(deadline, timers_.next()) : deadline);
    }
  }
  std::erase(awaiting_, &awaiting);
  while (awaiting.nudging > 0) {  // its bell is in use
    world_.park(&awaiting, "a nudge", never);
  }
}

OTTLA_INLINE std::size_t SimExecutor::run_once(std::chrono::nanoseconds budget) {
  Mutex::expect_none_held();
  std::size_t count = 0;
  if (!crashed_) {
    static_cast<void>(world_.run(process_, [&] { count = run_due(budget); }));
  }
  return count;
}

OTTLA_INLINE std::size_t SimExecutor::run_due(std::chrono::nanoseconds budget) {
  world_.preempt();
  const SteadyTime end = after(world_.now(), budget);
  const std::size_t most = ready_.size() + timers_.due(world_.now());
  std::size_t count = 0;
  while (count < most) {
    std::optional<Task> task = next_task();
    if (!task.has_value()) {
      break;
    }
    run(*std::exchange(task, std::nullopt));
    ++count;
    if (world_.now() > end) {
      break;
    }
  }
  return count;
}

}  // namespace ottla::inline OTTLA_ABI
