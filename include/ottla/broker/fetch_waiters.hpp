// SPDX-License-Identifier: Apache-2.0
//
// Who waits for a partition to get more bytes: one entry each, woken once. Places are counted in
// bytes that ever became visible. In memory only; not thread-safe, the partition's lock guards it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <ottla/base/ref.hpp>
#include <ottla/base/wakeups.hpp>

namespace ottla::inline OTTLA_ABI {

class FetchWaiters {
 public:
  /// Of one partition; when one more comes, the oldest is woken before its time.
  static constexpr std::size_t most = 10'000;

  bool empty() const { return waiters_.empty(); }
  std::size_t size() const { return waiters_.size(); }
  /// Somebody waits for no more than `visible`.
  bool due(std::uint64_t visible) const { return visible >= least_; }

  /// In the place of an earlier entry of the same. Whoever has to go for it is in `pushed_out`.
  /// std::bad_alloc: everything is as before.
  void add(const Ref<Wakeable>& waiter, std::uint64_t at, Ref<Wakeable>& pushed_out);
  /// Moves those out who wait for no more than `visible`, oldest first, as many as fit; how many.
  std::size_t take_due(std::uint64_t visible, std::span<Ref<Wakeable>> into);
  /// All wait for nothing more.
  void make_due();
  /// Before: empty.
  void release_memory() { waiters_ = {}; }

 private:
  struct Waiter {
    Ref<Wakeable> wakeable;
    std::uint64_t at;
  };

  void find_least();

  std::vector<Waiter> waiters_;
  std::uint64_t least_ = UINT64_MAX;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/broker/impl/fetch_waiters.ipp>
#endif
