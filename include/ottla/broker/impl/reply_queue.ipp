// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <ottla/base/endian.hpp>
#include <ottla/broker/reply_queue.hpp>
#include <ottla/record/batch_header.hpp>

namespace ottla::inline OTTLA_ABI {
namespace broker_impl {

inline Offset base_offset_of(const SharedBytes& batch) {
  return Offset(load_big_endian<std::int64_t>(batch.data() + batch_position::base_offset));
}

}  // namespace broker_impl

OTTLA_INLINE void ReplyQueue::compact() {
  if (empty()) {
    entries_.clear();
  } else {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(first_));
  }
  settled_ -= first_;
  first_ = 0;
}

OTTLA_INLINE void ReplyQueue::reserve_one() {
  if (entries_.size() < entries_.capacity()) {
    return;
  }
  if (first_ > entries_.size() / 2) {
    compact();
  } else {
    entries_.reserve(std::max<std::size_t>(8, entries_.size() * 2));
  }
}

OTTLA_INLINE void ReplyQueue::settle(Offset written, Offset durable) {
  while (settled_ < entries_.size()) {
    const Entry& next = entries_[settled_];
    if (next.problem.ok() && next.last >= (next.durable ? durable : written)) {
      return;
    }
    ++settled_;
  }
}

OTTLA_INLINE void ReplyQueue::fail(Offset from, const absl::Status& why,
                                   std::span<SharedBytes> batches) {
  auto batch = batches.begin();
  for (std::size_t i = settled_; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (entry.base < from || !entry.problem.ok()) {
      continue;
    }
    entry.problem = why;
    while (batch != batches.end() &&
           (batch->empty() || broker_impl::base_offset_of(*batch) < entry.base)) {
      ++batch;
    }
    if (batch != batches.end() && broker_impl::base_offset_of(*batch) == entry.base) {
      entry.refused = std::move(*batch++);
    }
  }
}

OTTLA_INLINE void ReplyQueue::fail_durable(Offset written, const absl::Status& why) {
  for (std::size_t i = settled_; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (entry.durable && entry.problem.ok() && entry.last < written) {
      entry.problem = why;
    }
  }
}

OTTLA_INLINE std::size_t ReplyQueue::take(std::span<Entry> into) {
  const std::size_t n = std::min(into.size(), settled_ - first_);
  for (std::size_t i = 0; i < n; ++i) {
    into[i] = std::move(entries_[first_++]);
  }
  if (empty()) {
    compact();
  }
  return n;
}

}  // namespace ottla::inline OTTLA_ABI
