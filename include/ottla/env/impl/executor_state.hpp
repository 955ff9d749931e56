// SPDX-License-Identifier: Apache-2.0
//
// What the threads of a PosixExecutor share. It is counted: a thread that was left behind keeps it.
#pragma once

#include <atomic>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <pthread.h>

#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/env/impl/awaiting_threads.hpp>
#include <ottla/env/posix/clock.hpp>
#include <ottla/env/posix/executor.hpp>
#include <ottla/env/timer_queue.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

class ExecutorState final : public Counted {
 public:
  explicit ExecutorState(PosixExecutorOptions options);

  absl::Status start_threads();
  void stop();

  void post(Task task);
  TimerId post_at(SteadyTime when, Task task, TaskLane lane);
  bool cancel(TimerId timer);
  absl::Status spawn(std::string_view name, Task body);
  bool await(Doorbell& bell, SteadyTime deadline);
  std::size_t run_once(std::chrono::nanoseconds budget);
  bool stopping() const { return stopping_.load(std::memory_order_acquire); }
  std::uint64_t thrown() const { return thrown_.load(std::memory_order_relaxed); }

 private:
  struct Thread {
    std::string name;
    Task body;
    pthread_t id{};
    bool started = false;  // id is known
    bool ended = false;
    bool left_behind = false;
  };
  struct Start {
    Ref<ExecutorState> state;
    Thread* thread;
  };

  /// Its tasks, which run one after the other.
  struct Lane {
    TimerQueue timers;
    bool running = false;
  };
  using Lanes = std::map<TaskLane, Lane>;
  struct Work {
    Task task;
    TaskLane lane = no_lane;
  };

  absl::Status start_thread(std::string_view name, Task body);
  static void* thread_main(void* start);
  void join_ended();
  bool drop_task();
  void work();
  void call(Task task, bool brief);
  void run(Work work);
  std::optional<Work> next_work() OTTLA_REQUIRES(mutex_);
  std::optional<Work> due_in_a_lane(SteadyTime now) OTTLA_REQUIRES(mutex_);
  Lanes::iterator first_free_lane() OTTLA_REQUIRES(mutex_);
  SteadyTime next_due() OTTLA_REQUIRES(mutex_);
  void wait_for_work(Lock& lock) OTTLA_NO_THREAD_SAFETY_ANALYSIS;  // unlocks meanwhile
  Condition* who_goes_on() OTTLA_REQUIRES(mutex_);
  void added_work(Lock& lock) OTTLA_NO_THREAD_SAFETY_ANALYSIS;  // unlocks meanwhile
  bool spin(const Doorbell& bell, SteadyTime deadline) const;

  const PosixExecutorOptions options_;
  const PosixClock clock_{};
  const long processors_;

  Mutex mutex_{Mutex::Kind::leaf};
  std::deque<Task> ready_ OTTLA_GUARDED_BY(mutex_);
  TimerQueue timers_ OTTLA_GUARDED_BY(mutex_);
  Lanes lanes_ OTTLA_GUARDED_BY(mutex_);  // that have tasks
  int running_lanes_ OTTLA_GUARDED_BY(mutex_) = 0;
  TimerId last_timer_ OTTLA_GUARDED_BY(mutex_) = no_timer;
  int turn_ OTTLA_GUARDED_BY(mutex_) = 0;  // so that none starves the others
  int idle_ OTTLA_GUARDED_BY(mutex_) = 0;  // threads that wait for work_
  Condition work_;
  bool timer_watched_ OTTLA_GUARDED_BY(mutex_) = false;  // one thread waits for timer_, until
  SteadyTime watched_until_ OTTLA_GUARDED_BY(mutex_) = never;
  Condition timer_;
  AwaitingThreads awaiting_ OTTLA_GUARDED_BY(mutex_);
  std::list<Thread> threads_ OTTLA_GUARDED_BY(mutex_);
  Condition thread_ended_;
  std::atomic<bool> stopping_{false};  // set under mutex_
  std::atomic<std::uint64_t> thrown_{0};
};

}  // namespace env_impl
}  // namespace ottla::inline OTTLA_ABI
