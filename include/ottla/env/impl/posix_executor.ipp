// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>

#include <absl/strings/str_cat.h>
#include <signal.h>
#include <unistd.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/pause_processor.hpp>
#include <ottla/env/impl/executor_state.hpp>
#include <ottla/env/impl/system_error.hpp>
#include <ottla/env/posix/executor.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

OTTLA_INLINE ExecutorState::ExecutorState(PosixExecutorOptions options)
    : options_(options), processors_(::sysconf(_SC_NPROCESSORS_ONLN)) {}

OTTLA_INLINE absl::Status ExecutorState::start_threads() {
  for (int i = 0; i < options_.threads; ++i) {
    OTTLA_TRY(start_thread(absl::StrCat("ottla-", i), [this] { work(); }));
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status ExecutorState::start_thread(std::string_view name, Task body) {
  auto start = std::make_unique<Start>();
  start->state = Ref<ExecutorState>(this);
  Lock lock(mutex_);
  if (stopping()) {
    return error(Fault::closed, absl::StrCat("cannot start ", av(name), ": the executor ended"));
  }
  threads_.push_back({.name = std::string(name), .body = std::move(body)});
  const auto thread = std::prev(threads_.end());
  start->thread = &*thread;
  lock.unlock();

  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // which the thread inherits
  pthread_t id{};
  const int failure = ::pthread_create(&id, nullptr, &thread_main, start.get());
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);

  std::list<Thread> refused;
  lock.lock();
  if (failure == 0) {
    static_cast<void>(start.release());
    thread->id = id;
    thread->started = true;
  } else {
    refused.splice(refused.end(), threads_, thread);
  }
  lock.unlock();
  thread_ended_.notify_all();
  return failure == 0 ? absl::OkStatus()
                      : error(Fault::no_memory,
                              absl::StrCat("cannot start the thread ", av(name),
                                           "; raise the limit on threads (ulimit -u) or memory "
                                           "(ulimit -v)"));
}

OTTLA_INLINE void* ExecutorState::thread_main(void* argument) {
  const std::unique_ptr<Start> start(static_cast<Start*>(argument));
  ExecutorState& state = *start->state;
  Thread& thread = *start->thread;
  ::pthread_setname_np(::pthread_self(), thread.name.substr(0, 15).c_str());
  state.call(std::move(thread.body), false);
  {
    Lock lock(state.mutex_);
    thread.ended = true;
  }
  state.thread_ended_.notify_all();
  return nullptr;
}

OTTLA_INLINE void ExecutorState::join_ended() {
  std::list<Thread> ended;
  Lock lock(mutex_);
  for (auto thread = threads_.begin(); thread != threads_.end();) {
    const auto next = std::next(thread);
    if (thread->started && thread->ended && !thread->left_behind) {
      ended.splice(ended.end(), threads_, thread);
    }
    thread = next;
  }
  lock.unlock();
  for (const Thread& thread : ended) {
    ::pthread_join(thread.id, nullptr);
  }
}

OTTLA_INLINE void ExecutorState::stop() {
  Lock lock(mutex_);
  stopping_.store(true, std::memory_order_release);
  awaiting_.nudge_all(lock);
  lock.unlock();
  work_.notify_all();
  timer_.notify_all();
  while (drop_task()) {
  }

  // Not for this thread, where a task of ours holds the last handle.
  const pthread_t self = ::pthread_self();
  const auto running = [&](const Thread& thread) {
    return !thread.started || (!thread.ended && ::pthread_equal(thread.id, self) == 0);
  };
  const SteadyTime deadline = after(clock_.steady_now(), options_.close_timeout);
  lock.lock();
  while (std::any_of(threads_.begin(), threads_.end(), running)) {
    if (!thread_ended_.wait_until(lock, deadline)) {
      break;
    }
  }
  for (Thread& thread : threads_) {
    if (thread.started && !thread.ended) {
      thread.left_behind = true;
      ::pthread_detach(thread.id);  // no system call: the thread lives
    }
  }
  lock.unlock();
  join_ended();
}

// Whether there was one. What its destruction calls finds that the end has begun.
OTTLA_INLINE bool ExecutorState::drop_task() {
  std::optional<Task> dropped;  // destroyed after the lock
  Lock lock(mutex_);
  if (ready_.empty()) {
    dropped = timers_.take_due(never);
  } else {
    dropped = std::move(ready_.front());
    ready_.pop_front();
  }
  for (auto lane = lanes_.begin(); !dropped && lane != lanes_.end(); ++lane) {
    dropped = lane->second.timers.take_due(never);
  }
  lock.unlock();
  return dropped.has_value();
}

OTTLA_INLINE void ExecutorState::call(Task task, bool brief) {
  const BriefScope scope(brief);
  const absl::Status ran = guarded([&] { task(); });
  if (!ran.ok()) {
    thrown_.fetch_add(1, std::memory_order_relaxed);
  }
}

OTTLA_INLINE void ExecutorState::run(Work work) {
  const TaskLane lane = work.lane;
  call(std::move(work.task), lane == no_lane && options_.threads > 1);
  if (lane != no_lane) {
    Lock lock(mutex_);
    const auto found = lanes_.find(lane);
    found->second.running = false;
    --running_lanes_;
    if (found->second.timers.empty()) {
      lanes_.erase(found);
    }
  }
}

OTTLA_INLINE void ExecutorState::work() {
  Lock lock(mutex_);
  while (!stopping()) {
    if (std::optional<Work> work = next_work()) {
      Condition* waiter = who_goes_on();
      lock.unlock();
      if (waiter != nullptr) {
        waiter->notify_one();
      }
      run(*std::exchange(work, std::nullopt));
      lock.lock();
    } else {
      wait_for_work(lock);
    }
  }
}

OTTLA_INLINE std::optional<ExecutorState::Work> ExecutorState::next_work() {
  for (int i = 0; i < 3; ++i) {
    turn_ = (turn_ + 1) % 3;
    if (turn_ == 0 && !timers_.empty()) {
      if (std::optional<Task> due = timers_.take_due(clock_.steady_now())) {
        return Work{.task = *std::move(due)};
      }
    } else if (turn_ == 1 && !ready_.empty()) {
      Work work{.task = std::move(ready_.front())};
      ready_.pop_front();
      return work;
    } else if (turn_ == 2 && !lanes_.empty()) {
      if (std::optional<Work> due = due_in_a_lane(clock_.steady_now())) {
        return due;
      }
    }
  }
  return std::nullopt;
}

OTTLA_INLINE std::optional<ExecutorState::Work> ExecutorState::due_in_a_lane(SteadyTime now) {
  const auto lane = first_free_lane();
  if (lane == lanes_.end()) {
    return std::nullopt;
  }
  std::optional<Task> due = lane->second.timers.take_due(now);
  if (!due) {
    return std::nullopt;
  }
  lane->second.running = true;
  ++running_lanes_;
  return Work{.task = *std::move(due), .lane = lane->first};
}

// Of those whose task may run now, that with the first one; the end where none may.
OTTLA_INLINE ExecutorState::Lanes::iterator ExecutorState::first_free_lane() {
  auto first = lanes_.end();
  if (running_lanes_ >= options_.threads - 1) {
    return first;
  }
  for (auto lane = lanes_.begin(); lane != lanes_.end(); ++lane) {
    if (!lane->second.running && !lane->second.timers.empty() &&
        (first == lanes_.end() || lane->second.timers.next() < first->second.timers.next())) {
      first = lane;
    }
  }
  return first;
}

// Of all that may run when its time comes.
OTTLA_INLINE SteadyTime ExecutorState::next_due() {
  const auto lane = first_free_lane();
  return lane == lanes_.end() ? timers_.next()
                              : std::min(timers_.next(), lane->second.timers.next());
}

OTTLA_INLINE void ExecutorState::wait_for_work(Lock& lock) {
  const SteadyTime next = next_due();
  if (timer_watched_ && next < watched_until_) {
    // Of a lane that was not free when the watcher looked, which has to look again.
    watched_until_ = next;
    lock.unlock();
    timer_.notify_one();
    lock.lock();
  } else if (timer_watched_ || next == never) {
    ++idle_;
    work_.wait(lock);
    --idle_;
  } else {
    timer_watched_ = true;
    watched_until_ = next;
    timer_.wait_until(lock, watched_until_);
    timer_watched_ = false;
  }
}

// Whom to wake, since there is more to do or to watch than those awake will see to.
OTTLA_INLINE Condition* ExecutorState::who_goes_on() {
  const SteadyTime next = next_due();
  const bool unwatched = !timer_watched_ && next != never;
  if (idle_ > 0 && (!ready_.empty() || unwatched)) {
    return &work_;
  }
  if (timer_watched_ && (!ready_.empty() || next < watched_until_)) {
    return &timer_;
  }
  return nullptr;
}

OTTLA_INLINE void ExecutorState::added_work(Lock& lock) {
  if (options_.threads == 0) {
    awaiting_.nudge_all(lock);
    return;
  }
  if (Condition* waiter = who_goes_on(); waiter != nullptr) {
    lock.unlock();
    waiter->notify_one();
    lock.lock();
  }
}

OTTLA_INLINE void ExecutorState::post(Task task) {
  Mutex::expect_none_held();
  Lock lock(mutex_);
  if (!stopping()) {
    ready_.push_back(std::move(task));
    added_work(lock);
  }
}

OTTLA_INLINE TimerId ExecutorState::post_at(SteadyTime when, Task task, TaskLane lane) {
  Mutex::expect_none_held();
  Lock lock(mutex_);
  if (stopping()) {
    return no_timer;
  }
  const bool laned = lane != no_lane && options_.threads > 1;
  TimerQueue& timers = laned ? lanes_[lane].timers : timers_;
  const TimerId timer = timers.add(when, std::move(task), ++last_timer_);
  added_work(lock);
  return timer;
}

OTTLA_INLINE bool ExecutorState::cancel(TimerId timer) {
  Mutex::expect_none_held();
  std::optional<Task> removed;  // destroyed after the lock
  Lock lock(mutex_);
  removed = timers_.remove(timer);
  for (auto lane = lanes_.begin(); !removed && lane != lanes_.end(); ++lane) {
    removed = lane->second.timers.remove(timer);
    if (removed && lane->second.timers.empty() && !lane->second.running) {
      lanes_.erase(lane);
      break;
    }
  }
  lock.unlock();
  return removed.has_value();
}

OTTLA_INLINE absl::Status ExecutorState::spawn(std::string_view name, Task body) {
  Mutex::expect_none_held();
  if (options_.threads == 0) {
    return error(Fault::unsupported, absl::StrCat("cannot start ", av(name),
                                                  " in an executor without threads; open "
                                                  "it with .threads = 1 or more"));
  }
  join_ended();
  return start_thread(name, std::move(body));
}

OTTLA_INLINE bool ExecutorState::spin(const Doorbell& bell, SteadyTime deadline) const {
  if (processors_ < 2 || options_.spin.count() <= 0) {
    return false;
  }
  const SteadyTime end = std::min(deadline, after(clock_.steady_now(), options_.spin));
  do {
    for (int i = 0; i < 16; ++i) {
      if (bell.rung()) {
        return true;
      }
      pause_processor();
    }
  } while (clock_.steady_now() < end);
  return false;
}

OTTLA_INLINE bool ExecutorState::await(Doorbell& bell, SteadyTime deadline) {
  Mutex::expect_none_held();
  const bool runs_tasks = options_.threads == 0;
  if (bell.rung() || (!runs_tasks && spin(bell, deadline))) {
    return true;
  }
  AwaitingThreads::Thread thread{.bell = &bell};
  Lock lock(mutex_);
  awaiting_.enter(thread);
  while (!bell.rung() && !stopping()) {
    std::optional<Work> work = runs_tasks ? next_work() : std::nullopt;
    const SteadyTime until = runs_tasks ? std::min(deadline, next_due()) : deadline;
    lock.unlock();
    const bool found = work.has_value();
    if (found) {
      run(*std::exchange(work, std::nullopt));
    }
    const bool late = clock_.steady_now() >= deadline;
    if (!found && !late) {
      bell.wait_until(until);
    }
    lock.lock();
    if (late) {
      break;
    }
  }
  awaiting_.leave(thread, lock);
  return bell.rung();
}

OTTLA_INLINE std::size_t ExecutorState::run_once(std::chrono::nanoseconds budget) {
  Mutex::expect_none_held();
  const SteadyTime end = after(clock_.steady_now(), budget);
  std::size_t count = 0;
  Lock lock(mutex_);
  while (std::optional<Work> work = next_work()) {
    lock.unlock();
    run(*std::exchange(work, std::nullopt));
    ++count;
    const bool late = clock_.steady_now() >= end;
    lock.lock();
    if (late) {
      break;
    }
  }
  return count;
}

}  // namespace env_impl

OTTLA_INLINE absl::StatusOr<std::unique_ptr<PosixExecutor>> PosixExecutor::open(
    PosixExecutorOptions options) {
  if (options.threads < 0 || options.threads > 1024) {
    return error(Fault::invalid_argument, absl::StrCat("an executor with ", options.threads,
                                                       " threads; ask for 0 to 1,024"));
  }
  auto state = make_ref<env_impl::ExecutorState>(options);
  std::unique_ptr<PosixExecutor> executor(new PosixExecutor(state));  // stops those that started
  OTTLA_TRY(state->start_threads());
  return executor;
}

OTTLA_INLINE PosixExecutor::PosixExecutor(Ref<env_impl::ExecutorState> state)
    : state_(std::move(state)) {}

OTTLA_INLINE PosixExecutor::~PosixExecutor() {
  if (made_in_.here()) {
    state_->stop();
  } else {
    // Left where it is: its lock may be held by a thread that this process does not have.
    state_.release();
  }
}

OTTLA_INLINE void PosixExecutor::post(Task task) {
  if (made_in_.here()) {
    const Ref<env_impl::ExecutorState> alive = state_;  // the task may hold the last handle
    alive->post(std::move(task));
  }
}

OTTLA_INLINE TimerId PosixExecutor::post_at(SteadyTime when, Task task, TaskLane lane) {
  if (!made_in_.here()) {
    return no_timer;
  }
  const Ref<env_impl::ExecutorState> alive = state_;
  return alive->post_at(when, std::move(task), lane);
}

OTTLA_INLINE bool PosixExecutor::cancel(TimerId timer) {
  return made_in_.here() && state_->cancel(timer);
}

OTTLA_INLINE absl::Status PosixExecutor::spawn(std::string_view name, Task body) {
  return made_in_.here() ? state_->spawn(name, std::move(body)) : env_impl::in_child("an executor");
}

OTTLA_INLINE bool PosixExecutor::await(Doorbell& bell, SteadyTime deadline) {
  return made_in_.here() ? state_->await(bell, deadline) : bell.rung();
}

OTTLA_INLINE std::size_t PosixExecutor::run_once(std::chrono::nanoseconds budget) {
  return made_in_.here() ? state_->run_once(budget) : 0;
}

OTTLA_INLINE bool PosixExecutor::stopping() const { return !made_in_.here() || state_->stopping(); }

OTTLA_INLINE std::uint64_t PosixExecutor::thrown() const { return state_->thrown(); }

}  // namespace ottla::inline OTTLA_ABI
