// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include <ottla/producer/receipts.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::uint64_t BatchOutcomes::open() {
  Lock lock(mutex_);
  slots_.try_emplace(next_);
  pending_.insert(next_);
  return next_++;
}

OTTLA_INLINE void BatchOutcomes::complete(std::uint64_t batch, BatchOutcome outcome) {
  std::vector<Ref<Doorbell>> waiting;
  std::vector<Ref<Doorbell>> flushing;
  {
    Lock lock(mutex_);
    const auto found = slots_.find(batch);
    if (found == slots_.end() || found->second.done) {
      return;
    }
    found->second.done = true;
    found->second.outcome = std::move(outcome);
    waiting.swap(found->second.waiting);
    const bool was_oldest = *pending_.begin() == batch;
    pending_.erase(batch);
    done_.push_back(batch);
    if (done_.size() > remembered) {
      slots_.erase(done_.front());
      done_.pop_front();
    }
    if (was_oldest) {
      flushing.swap(flushing_);
    }
  }
  for (const Ref<Doorbell>& bell : waiting) {
    bell->ring();
  }
  for (const Ref<Doorbell>& bell : flushing) {
    bell->ring();
  }
}

OTTLA_INLINE BatchOutcomes::State BatchOutcomes::look(std::uint64_t batch, BatchOutcome& into,
                                                      const Ref<Doorbell>& bell) {
  Lock lock(mutex_);
  const auto found = slots_.find(batch);
  if (found == slots_.end()) {
    return State::forgotten;
  }
  if (found->second.done) {
    into = found->second.outcome;
    return State::done;
  }
  if (bell) {
    found->second.waiting.push_back(bell);
  }
  return State::pending;
}

OTTLA_INLINE std::uint64_t BatchOutcomes::next() const {
  Lock lock(mutex_);
  return next_;
}

OTTLA_INLINE bool BatchOutcomes::done_below(std::uint64_t number, const Ref<Doorbell>& bell) {
  Lock lock(mutex_);
  if (pending_.empty() || *pending_.begin() >= number) {
    return true;
  }
  if (bell) {
    flushing_.push_back(bell);
  }
  return false;
}

OTTLA_INLINE std::size_t BatchOutcomes::pending() const {
  Lock lock(mutex_);
  return pending_.size();
}

}  // namespace ottla::inline OTTLA_ABI
