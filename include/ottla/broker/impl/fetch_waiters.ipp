// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <ottla/broker/fetch_waiters.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE void FetchWaiters::find_least() {
  least_ = UINT64_MAX;
  for (const Waiter& waiter : waiters_) {
    least_ = std::min(least_, waiter.at);
  }
}

OTTLA_INLINE void FetchWaiters::add(const Ref<Wakeable>& waiter, std::uint64_t at,
                                    Ref<Wakeable>& pushed_out) {
  if (waiters_.size() == waiters_.capacity()) {
    waiters_.reserve(std::max<std::size_t>(4, 2 * waiters_.size()));
  }
  const auto same = std::find_if(waiters_.begin(), waiters_.end(), [&](const Waiter& each) {
    return each.wakeable.get() == waiter.get();
  });
  if (same != waiters_.end()) {
    waiters_.erase(same);
  } else if (waiters_.size() == most) {
    pushed_out = std::move(waiters_.front().wakeable);
    waiters_.erase(waiters_.begin());
  }
  waiters_.push_back({waiter, at});
  find_least();
}

OTTLA_INLINE std::size_t FetchWaiters::take_due(std::uint64_t visible,
                                                std::span<Ref<Wakeable>> into) {
  if (!due(visible)) {
    return 0;
  }
  std::size_t n = 0;
  std::erase_if(waiters_, [&](Waiter& waiter) {
    if (waiter.at > visible || n == into.size()) {
      return false;
    }
    into[n++] = std::move(waiter.wakeable);
    return true;
  });
  find_least();
  return n;
}

OTTLA_INLINE void FetchWaiters::make_due() {
  for (Waiter& waiter : waiters_) {
    waiter.at = 0;
  }
  find_least();
}

}  // namespace ottla::inline OTTLA_ABI
