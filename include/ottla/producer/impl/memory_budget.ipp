// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

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
  Waiting mine{.bytes = bytes, .bell = {}};
  {
    Lock lock(mutex_);
    if (closed_) {
      return producer_impl::budget_closed();
    }
    if (queue_.empty() && bytes <= free_) {
      free_ -= bytes;
      return absl::OkStatus();
    }
    mine.bell = make_ref<Doorbell>();
    queue_.push_back(&mine);
    waiting_.store(queue_.size());
  }
  const absl::Status tried = guarded([&] { meanwhile(); });  // whatever it threw: wait all the same
  world.await(*mine.bell, deadline);
  Wakeups wakeups;
  Lock lock(mutex_);
  if (mine.granted) {
    return absl::OkStatus();
  }
  queue_.erase(std::find(queue_.begin(), queue_.end(), &mine));
  waiting_.store(queue_.size());
  grant(wakeups);  // whoever stood behind a large request may fit
  const bool closed = closed_;
  lock.unlock();
  wakeups.run();
  return closed ? producer_impl::budget_closed()
                : error(ErrorCode::request_timed_out, Fault::timed_out,
                        "buffer.memory stayed full for max.block.ms; send more slowly, raise "
                        "buffer.memory, or allow more time");
}

OTTLA_INLINE void MemoryBudget::give_back(std::int64_t bytes) {
  Wakeups wakeups;  // runs after the lock is released
  Lock lock(mutex_);
  free_ += bytes;
  grant(wakeups);
}

OTTLA_INLINE void MemoryBudget::close() {
  Wakeups wakeups;
  Lock lock(mutex_);
  closed_ = true;
  for (const Waiting* waiting : queue_) {
    wakeups.add(waiting->bell);
  }
}

OTTLA_INLINE void MemoryBudget::grant(Wakeups& wakeups) {
  while (!closed_ && !queue_.empty() && queue_.front()->bytes <= free_) {
    Waiting& next = *queue_.front();
    free_ -= next.bytes;
    next.granted = true;
    wakeups.add(next.bell);
    queue_.pop_front();
    waiting_.store(queue_.size());
  }
}

OTTLA_INLINE std::int64_t MemoryBudget::available() const {
  Lock lock(mutex_);
  return free_;
}

}  // namespace ottla::inline OTTLA_ABI
