// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <ottla/base/invariant.hpp>
#include <ottla/sim/impl/sim_actor.hpp>
#include <ottla/sim/sim_scheduler.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE void SimScheduler::lock(Mutex& mutex) {
  preempt();
  take(mutex);
}

// After `release` the mutex may be gone.
OTTLA_INLINE void SimScheduler::unlock(Mutex& mutex) {
  release(mutex);
  preempt();
}

OTTLA_INLINE bool SimScheduler::wait(Condition& condition, Mutex& mutex, SteadyTime deadline) {
  preempt();  // who notifies without the lock comes between the look at the condition and the sleep
  release(mutex);
  bool notified = true;
  if (drawn_one_in(options_.spurious_one_in)) {
    preempt();
  } else {
    notified = park(&condition, "a condition", deadline);
  }
  take(mutex);
  return notified;
}

OTTLA_INLINE void SimScheduler::notify(Condition& condition, bool all) {
  wake(&condition, all);
  preempt();
}

// Whoever wants it tries again: the lock is fair to nobody.
OTTLA_INLINE void SimScheduler::take(Mutex& mutex) {
  const auto is_it = [&](const sim_impl::Held& held) { return held.mutex == &mutex; };
  for (;;) {
    const auto held = std::find_if(held_.begin(), held_.end(), is_it);
    if (held == held_.end()) {
      held_.push_back({&mutex, running_, false});
      return;
    }
    held->wanted = true;
    park(&mutex, "a lock", never);
  }
}

OTTLA_INLINE void SimScheduler::release(Mutex& mutex) {
  const auto held = std::find_if(held_.begin(), held_.end(),
                                 [&](const sim_impl::Held& each) { return each.mutex == &mutex; });
  if (!invariant(held != held_.end() && held->owner == running_)) {
    return;
  }
  const bool wanted = held->wanted;
  held_.erase(held);
  if (wanted) {
    wake(&mutex, true);
  }
}

OTTLA_INLINE void SimScheduler::release_all(const Actor& actor) {
  for (std::size_t i = held_.size(); i-- > 0;) {
    if (held_[i].owner == &actor) {
      const sim_impl::Held held = held_[i];
      held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
      if (held.wanted) {
        wake(held.mutex, true);
      }
    }
  }
}

}  // namespace ottla::inline OTTLA_ABI
