// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <ottla/log/hot_tail.hpp>

namespace ottla::inline OTTLA_ABI {

/// A small batch keeps the whole block that it was built in.
OTTLA_INLINE std::size_t HotTail::held(const SharedBytes& batch) {
  return std::max(batch.size(), batch.block_capacity());
}

OTTLA_INLINE void HotTail::push(SharedBytes batch, Offset base, Offset last, Dropped& dropped) {
  if (!empty() && end() != base) {
    clear(dropped);
  }
  const std::size_t size = held(batch);
  entries_.push_back({std::move(batch), base, last});
  bytes_ += size;
}

OTTLA_INLINE void HotTail::trim(std::size_t budget, Dropped& dropped) {
  while (bytes_ > budget) {
    drop_first(dropped);
  }
  compact();
}

OTTLA_INLINE void HotTail::truncate(Offset end, Dropped& dropped) {
  while (!empty() && entries_.back().last >= end) {
    bytes_ -= held(entries_.back().bytes);
    dropped.push_back(std::move(entries_.back().bytes));
    entries_.pop_back();
  }
  compact();
}

OTTLA_INLINE std::size_t HotTail::find(Offset offset) const {
  const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(first_);
  const auto found = std::lower_bound(begin, entries_.end(), offset,
                                      [](const Entry& a, Offset b) { return a.last < b; });
  return static_cast<std::size_t>(found - entries_.begin());
}

OTTLA_INLINE void HotTail::drop_first(Dropped& dropped) {
  Entry& oldest = entries_[first_++];
  bytes_ -= held(oldest.bytes);
  dropped.push_back(std::move(oldest.bytes));
}

OTTLA_INLINE void HotTail::compact() {
  if (empty()) {
    entries_ = {};  // an idle partition keeps no memory for its tail
    first_ = 0;
  } else if (first_ > entries_.size() / 2) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

}  // namespace ottla::inline OTTLA_ABI
