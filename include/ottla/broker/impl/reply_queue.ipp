// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <ottla/base/endian.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/reply_queue.hpp>
#include <ottla/record/batch_header.hpp>

namespace ottla::inline OTTLA_ABI {
namespace broker_impl {

inline Offset base_offset_of(const SharedBytes& batch) {
  return Offset(load_big_endian<std::int64_t>(batch.data() + batch_position::base_offset));
}

/// The same, shared with no other producer's thread, where there is memory for that.
inline absl::Status own(const absl::Status& why) noexcept {
  absl::Status mine = with_outcome(why, outcome(why));
  return fault(mine) == fault(why) ? mine : why;
}

}  // namespace broker_impl

OTTLA_INLINE void ReplyQueue::Line::compact() {
  if (empty()) {
    entries.clear();
  } else {
    entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(first));
  }
  settled -= first;
  first = 0;
}

OTTLA_INLINE void ReplyQueue::Line::reserve_one() {
  if (entries.size() < entries.capacity()) {
    return;
  }
  if (first > entries.size() / 2) {
    compact();
  } else {
    entries.reserve(std::max<std::size_t>(8, entries.size() * 2));
  }
}

OTTLA_INLINE void ReplyQueue::Line::settle(Offset written, Offset durable) {
  while (settled < entries.size()) {
    const Entry& next = entries[settled];
    if (next.problem.ok() && next.last >= (next.durable ? durable : written)) {
      return;
    }
    ++settled;
  }
}

OTTLA_INLINE void ReplyQueue::settle(Offset written, Offset durable) {
  for (Line& each : lines_) {
    each.settle(written, durable);
  }
}

OTTLA_INLINE void ReplyQueue::Line::fail(Offset from, const absl::Status& why,
                                         std::span<SharedBytes> batches) {
  auto batch = batches.begin();
  for (std::size_t i = settled; i < entries.size(); ++i) {
    Entry& entry = entries[i];
    if (entry.base < from || !entry.problem.ok()) {
      continue;
    }
    entry.problem = broker_impl::own(why);
    while (batch != batches.end() &&
           (batch->empty() || broker_impl::base_offset_of(*batch) < entry.base)) {
      ++batch;
    }
    if (batch != batches.end() && broker_impl::base_offset_of(*batch) == entry.base) {
      entry.refused = std::move(*batch++);
    }
  }
}

OTTLA_INLINE void ReplyQueue::fail(Offset from, const absl::Status& why,
                                   std::span<SharedBytes> batches) {
  for (Line& each : lines_) {
    each.fail(from, why, batches);
  }
}

OTTLA_INLINE void ReplyQueue::fail_durable(Offset written, const absl::Status& why) {
  for (Line& each : lines_) {
    for (std::size_t i = each.settled; i < each.entries.size(); ++i) {
      Entry& entry = each.entries[i];
      if (entry.durable && entry.problem.ok() && entry.last < written) {
        entry.problem = broker_impl::own(why);
      }
    }
  }
}

OTTLA_INLINE void ReplyQueue::Line::take(Taken& taken, std::size_t most) {
  while (ready() && taken.size() < most) {
    taken.push_back(std::move(entries[first++]));
  }
  if (empty()) {
    compact();
  }
}

OTTLA_INLINE ReplyQueue::Taken ReplyQueue::take() {
  Taken taken;
  lines_[0].take(taken, lines_[1].ready() ? most_taken / 2 : most_taken);  // neither starves
  lines_[1].take(taken, most_taken);
  return taken;
}

}  // namespace ottla::inline OTTLA_ABI
