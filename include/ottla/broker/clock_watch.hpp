// SPDX-License-Identifier: Apache-2.0
//
// Whether the wall clock may say what is old enough to go. It steps: set by hand, by NTP, by a
// machine that was suspended; then all that is kept for a week is a month old at once. So it is
// compared with the steady clock each time, and after a step nothing goes by its age for a while.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/broker/events.hpp>
#include <ottla/env/world.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe. Steps that were made and taken back between two looks are not seen, nor do they do
/// harm.
class ClockWatch final : public Counted {
 public:
  /// Since the last look that found one; smaller ones add up.
  static constexpr std::chrono::milliseconds least_step = std::chrono::hours(1);
  /// How long both clocks have to keep pace before the wall clock is believed again.
  static constexpr std::chrono::minutes pause{10};

  /// Before: the env of `world` outlives it.
  ClockWatch(World& world, Ref<Events> events)
      : world_(world),
        events_(std::move(events)),
        steady_(world_.steady_now()),
        wall_(world_.wall_now()) {}

  /// The time by which what is kept for `retention` is old; nothing while the wall clock has
  /// stepped by more than max(1 h, a tenth of it) and not kept pace for `pause` since. The first
  /// that a step holds back tells of it ("clock_stepped"). Before: the caller holds no lock.
  std::optional<Timestamp> now_for(std::chrono::milliseconds retention) {
    const SteadyTime steady = world_.steady_now();
    const Timestamp wall = world_.wall_now();
    std::int64_t step = 0;
    {
      Lock lock(mutex_);
      look(steady, wall);
      if (stepped_ <= std::max(least_step.count(), retention.count() / 10)) {
        return wall;
      }
      step = std::exchange(untold_, 0);
    }
    if (step != 0) {
      guarded([&] { tell(step); }).IgnoreError();
    }
    return std::nullopt;
  }

  /// The host says that the wall clock is right as it is now.
  void confirm() {
    const SteadyTime steady = world_.steady_now();
    const Timestamp wall = world_.wall_now();
    Lock lock(mutex_);
    steady_ = steady;
    wall_ = wall;
    stepped_ = 0;
    untold_ = 0;
  }

 private:
  static constexpr std::int64_t most = std::int64_t{1} << 60;  // so that sums are no overflows

  void look(SteadyTime steady, Timestamp wall) OTTLA_REQUIRES(mutex_) {
    const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(steady - steady_);
    std::int64_t moved = 0;
    if (__builtin_sub_overflow(wall.value(), wall_.value(), &moved)) {
      moved = wall < wall_ ? -most : most;
    }
    const std::int64_t step = std::clamp(moved, -most, most) - passed.count();
    const std::int64_t size = step < 0 ? -step : step;
    if (size > least_step.count()) {
      const std::int64_t before = steady < until_ ? stepped_ : 0;
      stepped_ = std::min(before + size, most);
      untold_ = step;
      until_ = after(steady, pause);
      steady_ = steady;
      wall_ = wall;
    } else if (steady >= until_) {
      stepped_ = 0;
    }
  }

  void tell(std::int64_t step) {
    const std::int64_t minutes = (step < 0 ? -step : step) / 60'000;
    events_->tell(
        EventLevel::warning, "clock_stepped", "",
        absl::StrCat("the wall clock stepped ", step < 0 ? "back" : "forward", " by ", minutes / 60,
                     " h ", minutes % 60,
                     " min against the steady clock: nothing is deleted by age (records, "
                     "tombstones, committed offsets, ids of producers) until both have kept pace "
                     "for ",
                     pause.count(),
                     " min; set it right before that, else what is too old by the new time goes; "
                     "where it is right, confirm_clock() ends the wait"));
  }

  World world_;
  const Ref<Events> events_;
  Mutex mutex_{Mutex::Kind::leaf};
  SteadyTime steady_ OTTLA_GUARDED_BY(mutex_);         // since when the clocks keep pace,
  Timestamp wall_ OTTLA_GUARDED_BY(mutex_);            // and from where
  std::int64_t stepped_ OTTLA_GUARDED_BY(mutex_) = 0;  // in all since they last did; ms
  std::int64_t untold_ OTTLA_GUARDED_BY(mutex_) = 0;   // the last of these steps
  SteadyTime until_ OTTLA_GUARDED_BY(mutex_) = SteadyTime::min();
};

}  // namespace ottla::inline OTTLA_ABI
