// SPDX-License-Identifier: Apache-2.0
//
// One at a time, without holding a lock meanwhile: who has the baton may make system calls. Waiting
// for it has a deadline, so whoever is stuck with it holds up nobody for ever.
#pragma once

#include <list>
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
  /// False when somebody has it.
  bool take_now() {
    Lock lock(mutex_);
    return !std::exchange(taken_, true);
  }
  /// False when `deadline` passed, or there is no memory to wait.
  bool take(World& world, SteadyTime deadline) {
    if (take_now()) {
      return true;
    }
    Bells mine;
    if (!guarded([&] { mine.push_back(make_ref<Doorbell>()); }).ok()) {
      return false;
    }
    const Ref<Doorbell> bell = mine.front();
    {
      Lock lock(mutex_);
      if (!std::exchange(taken_, true)) {
        return true;
      }
      waiting_.splice(waiting_.end(), mine);
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
  using Bells = std::list<Ref<Doorbell>>;

  Mutex mutex_{Mutex::Kind::leaf};
  bool taken_ OTTLA_GUARDED_BY(mutex_) = false;
  Bells waiting_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace ottla::inline OTTLA_ABI
