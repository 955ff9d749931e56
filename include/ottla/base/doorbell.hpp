// SPDX-License-Identifier: Apache-2.0
//
// What one waiting thread sleeps on: anybody rings, the owner waits. A ring is remembered until
// `reset`, so it is never lost: reset, look, wait. Waiting through a world (`Executor::await`) also
// runs due work.
#pragma once

#include <atomic>

#include <ottla/base/mutex.hpp>
#include <ottla/base/time.hpp>
#include <ottla/base/wakeups.hpp>

namespace ottla::inline OTTLA_ABI {

/// Whoever rings from another thread holds a count: the owner may go on, and be gone, while `ring`
/// still runs.
class Doorbell final : public Wakeable {
 public:
  void wake() noexcept override { ring(); }

  /// Any thread. What it did before is seen by the owner after the next `reset`, `rung` or wait
  /// that finds this ring. Before: this thread holds no lock.
  void ring() noexcept {
    Mutex::expect_none_held();
    if (rung_.exchange(true, std::memory_order_acq_rel)) {
      return;
    }
    // Between the owner's last look at rung_ and its sleep it has the mutex: wait for that.
    { Lock lock(mutex_); }
    changed_.notify_all();
  }
  bool rung() const { return rung_.load(std::memory_order_acquire); }
  /// The owner's. Not a plain store: that could undo a ring whose reason the owner does not see
  /// yet.
  void reset() { rung_.exchange(false, std::memory_order_acq_rel); }

  /// Ends the wait under way, or the next one, without a ring: an executor has something to do for
  /// the waiting thread. Any thread, while the owner cannot be gone. Before: it holds no lock.
  void nudge() noexcept {
    Mutex::expect_none_held();
    nudged_.store(true, std::memory_order_release);
    { Lock lock(mutex_); }
    changed_.notify_all();
  }

  /// True once rung; false when `deadline` passed, or after a nudge. Blocks this thread: only an
  /// executor calls it.
  bool wait_until(SteadyTime deadline) {
    Lock lock(mutex_);
    while (!rung() && !nudged_.exchange(false, std::memory_order_acq_rel)) {
      if (!changed_.wait_until(lock, deadline)) {
        break;
      }
    }
    return rung();
  }

 private:
  Mutex mutex_{Mutex::Kind::leaf};
  Condition changed_;
  std::atomic<bool> rung_{false};
  std::atomic<bool> nudged_{false};
};

}  // namespace ottla::inline OTTLA_ABI
