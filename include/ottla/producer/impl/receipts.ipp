// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <ottla/producer/receipts.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::uint64_t BatchOutcomes::open(PartitionQueue* queue) {
  Lock lock(mutex_);
  make_room();
  in_ring(next_) = Slot{.outcome = {}, .queue = queue};
  ++pending_;
  return next_++;
}

/// The place of `next_` is free afterwards.
OTTLA_INLINE void BatchOutcomes::make_room() {
  constexpr std::size_t first_size = 16;
  const std::size_t size = ring_.size();
  if (next_ < size) {
    return;
  }
  if (size < remembered) {
    std::vector<Slot> larger(std::max(first_size, 2 * size));
    for (std::uint64_t batch = ring_begin(); batch < next_; ++batch) {
      larger[static_cast<std::size_t>(batch) & (larger.size() - 1)] = std::move(in_ring(batch));
    }
    ring_.swap(larger);
    return;
  }
  const std::uint64_t leaving = next_ - size;
  if (leaving == 0) {
    return;  // there is no batch 0
  }
  if (!in_ring(leaving).done) {
    late_.emplace(leaving, in_ring(leaving));
  } else if (!pieces_.empty()) {
    pieces_.erase(leaving);
  }
}

OTTLA_INLINE BatchOutcomes::Slot* BatchOutcomes::find(std::uint64_t batch) {
  if (batch >= ring_begin() && batch < next_) {
    return &in_ring(batch);
  }
  const auto found = late_.find(batch);
  return found == late_.end() ? nullptr : &found->second;
}

OTTLA_INLINE void BatchOutcomes::split(std::uint64_t batch, std::int32_t pieces) {
  Lock lock(mutex_);
  const auto found = pieces_.find(batch);
  Pieces all = found == pieces_.end() ? Pieces() : found->second;
  all.left += pieces - 1;
  all.done.reserve(all.done.size() + static_cast<std::size_t>(all.left));
  pieces_.insert_or_assign(batch, std::move(all));
}

OTTLA_INLINE void BatchOutcomes::complete(std::uint64_t batch, std::int32_t first,
                                          BatchOutcome outcome) noexcept {
  Waiters waiters;  // rung after the lock is released
  Flushing flushers;
  {
    Lock lock(mutex_);
    Slot* const slot = find(batch);
    if (slot == nullptr || slot->done) {
      return;
    }
    if (const auto split = pieces_.find(batch); split != pieces_.end()) [[unlikely]] {
      split->second.done.emplace_back(first, outcome);
      if (--split->second.left != 0) {
        return;
      }
      std::sort(split->second.done.begin(), split->second.done.end(),
                [](const auto& a, const auto& b) { return a.first < b.first; });
    }
    slot->done = true;
    slot->outcome = std::move(outcome);
    --pending_;
    waiters = tell(batch, *slot);
    if (batch < ring_begin()) {
      pieces_.erase(batch);
      late_.erase(batch);
    }
    flushers = flushed();
  }
  for (const Ref<OutcomeWaiter>& waiter : waiters) {
    waiter->bell->ring();
  }
  for (const auto& [number, bell] : flushers) {
    bell->ring();
  }
}

OTTLA_INLINE BatchOutcomes::Waiters BatchOutcomes::tell(std::uint64_t batch,
                                                        const Slot& slot) noexcept {
  Waiters told;
  for (auto each = waiting_.begin(); each != waiting_.end();) {
    const auto waiter = each++;
    if ((*waiter)->receipt.batch == batch) {
      (*waiter)->outcome = outcome_of((*waiter)->receipt, slot);
      told.splice(told.end(), waiting_, waiter);
    }
  }
  return told;
}

OTTLA_INLINE BatchOutcomes::Flushing BatchOutcomes::flushed() noexcept {
  Flushing done;
  if (flushing_.empty()) {
    return done;
  }
  const std::uint64_t oldest = oldest_pending();
  for (auto each = flushing_.begin(); each != flushing_.end();) {
    const auto one = each++;
    if (one->first <= oldest) {
      done.splice(done.end(), flushing_, one);
    }
  }
  return done;
}

OTTLA_INLINE BatchOutcome BatchOutcomes::outcome_of(Receipt receipt, const Slot& slot) const {
  BatchOutcome outcome = slot.outcome;
  std::int32_t begin = 0;
  if (const auto split = pieces_.find(receipt.batch); split != pieces_.end()) [[unlikely]] {
    for (const auto& [first, piece] : split->second.done) {
      if (first <= receipt.index) {
        outcome = piece;
        begin = first;
      }
    }
  }
  if (outcome.offset >= Offset(0)) {
    outcome.offset += receipt.index - begin;
  }
  return outcome;
}

OTTLA_INLINE BatchOutcomes::State BatchOutcomes::look(Receipt receipt, BatchOutcome& into,
                                                      const Ref<OutcomeWaiter>& waiter) {
  Lock lock(mutex_);
  const Slot* const slot = find(receipt.batch);
  if (slot == nullptr) {
    return State::forgotten;
  }
  if (slot->done) {
    into = outcome_of(receipt, *slot);
    return State::done;
  }
  if (waiter) {
    waiter->receipt = receipt;
    waiting_.push_back(waiter);
  }
  return State::pending;
}

OTTLA_INLINE PartitionQueue* BatchOutcomes::queue_of(std::uint64_t batch) {
  Lock lock(mutex_);
  const Slot* const slot = find(batch);
  return slot == nullptr || slot->done ? nullptr : slot->queue;
}

OTTLA_INLINE std::uint64_t BatchOutcomes::next() const {
  Lock lock(mutex_);
  return next_;
}

OTTLA_INLINE std::uint64_t BatchOutcomes::oldest_pending() {
  if (!late_.empty()) {
    return late_.begin()->first;
  }
  oldest_ = std::max(oldest_, ring_begin());
  while (oldest_ < next_ && in_ring(oldest_).done) {
    ++oldest_;
  }
  return oldest_;
}

OTTLA_INLINE bool BatchOutcomes::done_below(std::uint64_t number, const Ref<Doorbell>& bell) {
  Lock lock(mutex_);
  if (oldest_pending() >= number) {
    return true;
  }
  if (bell) {
    flushing_.emplace_back(number, bell);
  }
  return false;
}

OTTLA_INLINE void BatchOutcomes::leave(const OutcomeWaiter& waiter) noexcept {
  Waiters left;  // goes behind the lock
  Lock lock(mutex_);
  const auto one = std::find_if(waiting_.begin(), waiting_.end(),
                                [&](const auto& each) { return each.get() == &waiter; });
  if (one != waiting_.end()) {
    left.splice(left.end(), waiting_, one);
  }
}

OTTLA_INLINE void BatchOutcomes::leave(const Doorbell& bell) noexcept {
  Flushing left;
  Lock lock(mutex_);
  const auto one = std::find_if(flushing_.begin(), flushing_.end(),
                                [&](const auto& each) { return each.second.get() == &bell; });
  if (one != flushing_.end()) {
    left.splice(left.end(), flushing_, one);
  }
}

OTTLA_INLINE std::size_t BatchOutcomes::waiters() const {
  Lock lock(mutex_);
  return waiting_.size() + flushing_.size();
}

OTTLA_INLINE std::size_t BatchOutcomes::pending() const {
  Lock lock(mutex_);
  return pending_;
}

}  // namespace ottla::inline OTTLA_ABI
