// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/producer/memory_budget.hpp>

namespace ottla::inline OTTLA_ABI {
namespace producer_impl {

inline absl::Status budget_closed() {
  return error(Fault::closed, "the producer was closed; open a new one");
}

}  // namespace producer_impl

OTTLA_INLINE bool MemoryBudget::try_take(std::int64_t bytes) {
  Lock lock(mutex_);
  if (closed_ || !queue_.empty() || bytes > free_) {
    return false;
  }
  free_ -= bytes;
  return true;
}

OTTLA_INLINE absl::Status MemoryBudget::take(std::int64_t bytes, World& world, SteadyTime deadline,
                                             absl::FunctionRef<void()> meanwhile) {
  if (bytes > total_) {
    return error(ErrorCode::message_too_large, Fault::limit_reached,
                 absl::StrCat("a batch of ", bytes, " bytes is larger than buffer.memory (", total_,
                              " bytes); raise buffer.memory"));
  }
  Ref<Waiting> mine;
  {
    Lock lock(mutex_);
    if (closed_) {
      return producer_impl::budget_closed();
    }
    if (queue_.empty() && bytes <= free_) {
      free_ -= bytes;
      return absl::OkStatus();
    }
    mine = make_ref<Waiting>(bytes);
    queue_.push_back(mine);
    waiting_.store(queue_.size());
  }
  const absl::Status tried = guarded([&] { meanwhile(); });  // whatever it threw: wait all the same
  const absl::Status waited = guarded([&] { world.await(mine->bell, deadline); });
  Lock lock(mutex_);
  if (mine->granted) {
    return absl::OkStatus();
  }
  if (closed_) {
    return producer_impl::budget_closed();
  }
  queue_.remove(mine);
  const Queue behind = grant();  // whoever stood behind a large request may fit
  lock.unlock();
  ring(behind);
  return waited.ok() ? error(ErrorCode::request_timed_out, Fault::timed_out,
                             "buffer.memory stayed full for max.block.ms; send more slowly, raise "
                             "buffer.memory, or allow more time")
                     : waited;
}

OTTLA_INLINE void MemoryBudget::give_back(std::int64_t bytes) noexcept {
  Lock lock(mutex_);
  free_ += bytes;
  if (queue_.empty()) [[likely]] {
    return;
  }
  const Queue granted = grant();
  lock.unlock();
  ring(granted);
}

OTTLA_INLINE void MemoryBudget::close() noexcept {
  Queue ended;
  {
    Lock lock(mutex_);
    closed_ = true;
    ended.swap(queue_);
    waiting_.store(0);
  }
  ring(ended);
}

OTTLA_INLINE MemoryBudget::Queue MemoryBudget::grant() noexcept {
  Queue granted;
  while (!queue_.empty() && queue_.front()->bytes <= free_) {
    free_ -= queue_.front()->bytes;
    queue_.front()->granted = true;
    granted.splice(granted.end(), queue_, queue_.begin());
  }
  waiting_.store(queue_.size());
  return granted;
}

OTTLA_INLINE void MemoryBudget::ring(const Queue& these) noexcept {
  for (const Ref<Waiting>& each : these) {
    each->bell.ring();
  }
}

OTTLA_INLINE std::int64_t MemoryBudget::available() const {
  Lock lock(mutex_);
  return free_;
}

}  // namespace ottla::inline OTTLA_ABI
