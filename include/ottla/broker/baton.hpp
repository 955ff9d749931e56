// SPDX-License-Identifier: Apache-2.0
//
// One at a time, without holding a lock meanwhile: who has the baton may make system calls. Waiting
// for it has a deadline, so whoever is stuck with it holds up nobody for ever.
#pragma once

#include <deque>
#include <utility>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/guard.hpp>
#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/env/world.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe; first come, first served.
class Baton {
 public:
  /// False when `deadline` passed, or there is no memory to wait.
  bool take(World& world, SteadyTime deadline) {
    Ref<Doorbell> bell;
    {
      Lock lock(mutex_);
      if (!std::exchange(taken_, true)) {
        return true;
      }
      bell = make_ref<Doorbell>();
      waiting_.push_back(bell);
    }
    bool rung = false;
    guarded([&] { rung = world.await(*bell, deadline); }).IgnoreError();
    if (rung) {
      return true;
    }
    Lock lock(mutex_);
    for (auto each = waiting_.begin(); each != waiting_.end(); ++each) {
      if (each->get() == bell.get()) {
        waiting_.erase(each);
        return false;
      }
    }
    return true;  // handed over just now
  }

  void give() {
    Ref<Doorbell> next;
    {
      Lock lock(mutex_);
      if (waiting_.empty()) {
        taken_ = false;
        return;
      }
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    next->ring();
  }

 private:
  Mutex mutex_{Mutex::Kind::leaf};
  bool taken_ OTTLA_GUARDED_BY(mutex_) = false;
  std::deque<Ref<Doorbell>> waiting_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace ottla::inline OTTLA_ABI
