// SPDX-License-Identifier: Apache-2.0
//
// The threads inside an executor's `await`, which it may nudge: there are tasks, or the end has
// come. A bell lives on its thread's stack, so a thread leaves only when nobody is about to nudge
// it.
#pragma once

#include <algorithm>
#include <vector>

#include <absl/container/inlined_vector.h>

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
  };

  void enter(Thread& thread) { threads_.push_back(&thread); }

  void leave(Thread& thread, Lock& lock) {
    while (thread.nudging > 0) {
      nudged_.wait(lock);
    }
    std::erase(threads_, &thread);
  }

  /// Unlocks meanwhile.
  void nudge_all(Lock& lock) OTTLA_NO_THREAD_SAFETY_ANALYSIS {
    if (threads_.empty()) {
      return;
    }
    const absl::InlinedVector<Thread*, 8> nudging(threads_.begin(), threads_.end());
    for (Thread* thread : nudging) {
      ++thread->nudging;
    }
    lock.unlock();
    for (Thread* thread : nudging) {
      thread->bell->nudge();
    }
    lock.lock();
    for (Thread* thread : nudging) {
      --thread->nudging;
    }
    lock.unlock();
    nudged_.notify_all();
    lock.lock();
  }

 private:
  std::vector<Thread*> threads_;
  Condition nudged_;
};

}  // namespace env_impl
}  // namespace ottla::inline OTTLA_ABI
