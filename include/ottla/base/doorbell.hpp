// SPDX-License-Identifier: Apache-2.0
//
// What one waiting thread sleeps on: anybody rings, the owner waits. A ring is remembered until `reset`, so it is never
// lost: reset, look, wait. Waiting through a world (`Executor::await`) also runs due work.
#pragma once

#include <atomic>
#include <ottla/base/mutex.hpp>
#include <ottla/base/wakeups.hpp>

namespace ottla::inline OTTLA_ABI {

class Doorbell final : public Wakeable {
 public:
  void wake() noexcept override { ring(); }

  /// Any thread.
  void ring() noexcept {
    {
      Lock lock(mutex_);
      rung_.store(true, std::memory_order_release);
    }
    changed_.notify_all();
  }
  bool rung() const { return rung_.load(std::memory_order_acquire); }
  void reset() { rung_.store(false, std::memory_order_relaxed); }

  /// True once rung; false when `deadline` passed. Blocks this thread: only an executor calls it.
  bool wait_until(SteadyTime deadline) {
    Lock lock(mutex_);
    while (!rung()) {
      if (!changed_.wait_until(lock, deadline)) {
        return rung();
      }
    }
    return true;
  }

 private:
  Mutex mutex_{Mutex::Kind::leaf};
  Condition changed_;
  std::atomic<bool> rung_{false};
};

}  // namespace ottla::inline OTTLA_ABI
