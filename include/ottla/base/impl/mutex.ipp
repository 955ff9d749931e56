// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cerrno>
#include <climits>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ottla/base/mutex.hpp>
#include <ottla/base/pause_processor.hpp>

namespace ottla::inline OTTLA_ABI {
namespace base_impl {

/// Until somebody wakes this word, or at once where it is not `expected` any more; it may also end
/// without a reason. False when `deadline` passed: of CLOCK_MONOTONIC, as
/// std::chrono::steady_clock.
inline bool sleep_on(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                     SteadyTime deadline) {
  static_assert(sizeof word == 4 && std::atomic<std::uint32_t>::is_always_lock_free);
  constexpr std::int64_t second = 1'000'000'000;
  const std::int64_t at = std::max<std::int64_t>(deadline.time_since_epoch().count(), 0);
  const timespec until{static_cast<time_t>(at / second), at % second};
  const int before = errno;  // the caller's
  const long slept =
      ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
                deadline == never ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
  const bool in_time = slept == 0 || errno != ETIMEDOUT;
  errno = before;
  return in_time;
}

inline void wake(const std::atomic<std::uint32_t>& word, int sleepers) {
  const int before = errno;
  ::syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, sleepers, nullptr, nullptr, 0);
  errno = before;
}

}  // namespace base_impl

/// What is done under a lock is short: whoever has it is likely done before a sleep had begun.
OTTLA_INLINE void Mutex::lock_contended() {
  for (int i = 0; i < 100; ++i) {
    std::uint32_t found = word_.load(std::memory_order_relaxed);
    if (found == unlocked && word_.compare_exchange_strong(found, locked, std::memory_order_acquire,
                                                           std::memory_order_relaxed)) {
      return;
    }
    if (found == contended) {
      break;  // others sleep already
    }
    pause_processor();
  }
  while (word_.exchange(contended, std::memory_order_acquire) != unlocked) {
    base_impl::sleep_on(word_, contended, never);
  }
}

OTTLA_INLINE void Mutex::wake_one() { base_impl::wake(word_, 1); }

/// `changes_` is read under the lock: what is notified after that is not slept through.
OTTLA_INLINE bool Condition::wait_natively(Mutex& mutex, SteadyTime deadline) {
  const std::uint32_t seen = changes_.load(std::memory_order_relaxed);
  waiting_.fetch_add(1, std::memory_order_relaxed);
  mutex.unlock_natively();
  const bool in_time = base_impl::sleep_on(changes_, seen, deadline);
  mutex.lock_natively();
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  return in_time;
}

OTTLA_INLINE void Condition::notify_natively(bool all) {
  changes_.fetch_add(1, std::memory_order_relaxed);
  base_impl::wake(changes_, all ? INT_MAX : 1);
}

}  // namespace ottla::inline OTTLA_ABI
