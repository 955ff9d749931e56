// SPDX-License-Identifier: Apache-2.0
//
// A clock that stands still until it is moved.
#pragma once

#include <atomic>

#include <ottla/base/ref.hpp>
#include <ottla/env/clock.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe. Copies are handles of one clock.
class MemoryClock {
 public:
  explicit MemoryClock(Timestamp wall = Timestamp(1'600'000'000'000)) : hands_(make_ref<Hands>()) {
    set_wall(wall);
  }

  SteadyTime steady_now() const {
    return SteadyTime(std::chrono::nanoseconds(hands_->steady.load(std::memory_order_relaxed)));
  }
  /// Moves along with the steady time.
  Timestamp wall_now() const {
    const std::int64_t steady_millis = hands_->steady.load(std::memory_order_relaxed) / 1'000'000;
    return Timestamp(steady_millis + hands_->wall_offset.load(std::memory_order_relaxed));
  }

  /// Never back: an earlier time is ignored.
  void move_to(SteadyTime time) {
    const std::int64_t to = time.time_since_epoch().count();
    std::int64_t from = hands_->steady.load(std::memory_order_relaxed);
    while (from < to &&
           !hands_->steady.compare_exchange_weak(from, to, std::memory_order_relaxed)) {
    }
  }
  /// Steps the wall clock alone, forth or back.
  void set_wall(Timestamp time) {
    hands_->wall_offset.fetch_add(time - wall_now(), std::memory_order_relaxed);
  }

 private:
  struct Hands final : Counted {
    std::atomic<std::int64_t> steady{1'000'000'000};  // not 0, which many take for "never was"
    std::atomic<std::int64_t> wall_offset{0};         // milliseconds
  };

  Ref<Hands> hands_;
};
static_assert(Clock<MemoryClock>);

}  // namespace ottla::inline OTTLA_ABI
