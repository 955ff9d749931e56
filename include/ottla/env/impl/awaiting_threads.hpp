// SPDX-License-Identifier: Apache-2.0
//
// The threads inside an executor's `await`, which it may nudge: there are tasks, or the end has
// come. A bell lives on its thread's stack, so a thread leaves only when nobody is about to nudge
// it.
#pragma once

#include <cstdint>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/mutex.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

/// Guarded by the lock of its executor, which the calls get.
class AwaitingThreads {
 public:
  struct Thread {
    Doorbell* bell;
    int nudging = 0;
    std::uint64_t number = 0;
    Thread* before = nullptr;
    Thread* after = nullptr;
  };

  void enter(Thread& thread) {
    thread.number = ++entered_;
    thread.before = last_;
    (last_ == nullptr ? first_ : last_->after) = &thread;
    last_ = &thread;
  }

  void leave(Thread& thread, Lock& lock) {
    while (thread.nudging > 0) {
      nudged_.wait(lock);
    }
    (thread.before == nullptr ? first_ : thread.before->after) = thread.after;
    (thread.after == nullptr ? last_ : thread.after->before) = thread.before;
  }

  /// Those that are there now. Unlocks meanwhile.
  void nudge_all(Lock& lock) OTTLA_NO_THREAD_SAFETY_ANALYSIS {
    if (first_ == nullptr) {
      return;
    }
    const std::uint64_t newest = entered_;
    for (Thread* thread = first_; thread != nullptr && thread->number <= newest;) {
      ++thread->nudging;  // it stays
      lock.unlock();
      thread->bell->nudge();
      lock.lock();
      --thread->nudging;
      thread = thread->after;
    }
    lock.unlock();
    nudged_.notify_all();
    lock.lock();
  }

 private:
  Thread* first_ = nullptr;  // in the order of their numbers
  Thread* last_ = nullptr;
  std::uint64_t entered_ = 0;
  Condition nudged_;
};

}  // namespace env_impl
}  // namespace ottla::inline OTTLA_ABI
