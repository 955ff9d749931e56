// SPDX-License-Identifier: Apache-2.0
//
// Two kinds of time. A `Timestamp` is Kafka's: milliseconds since 1970, written into records; it
// may step. A `SteadyTime` never does: every delay, deadline and timeout is one. Neither is read
// here: clocks belong to env.
#pragma once

#include <chrono>
#include <cstdint>
#include <ratio>
#include <type_traits>

#include <ottla/base/strong_int.hpp>

namespace ottla::inline OTTLA_ABI {

/// Milliseconds since 1970-01-01 UTC. -1 means "none".
using Timestamp = StrongInt<struct TimestampTag, std::int64_t>;
inline constexpr Timestamp no_timestamp{-1};

enum class TimestampType : std::uint8_t { create_time = 0, log_append_time = 1 };

/// Nanoseconds since some moment of this world's own (a boot, the start of a simulation).
struct SteadyClockTag {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<SteadyClockTag>;
  static constexpr bool is_steady = true;
};
using SteadyTime = SteadyClockTag::time_point;
inline constexpr SteadyTime never = SteadyTime::max();

/// `start + delay`, for any delay, e.g. `std::chrono::milliseconds::max()`: what is too far away to
/// count in nanoseconds is `never`, what is too long ago the smallest time.
template <class Rep, class Period>
requires std::ratio_greater_equal_v<Period, std::nano>
constexpr SteadyTime after(SteadyTime start, std::chrono::duration<Rep, Period> delay) {
  using std::chrono::nanoseconds;
  constexpr bool is_real = std::chrono::treat_as_floating_point_v<Rep>;
  using Wide = std::chrono::duration<std::conditional_t<is_real, double, std::int64_t>, Period>;
  if constexpr (std::is_unsigned_v<Rep> && sizeof(Rep) >= sizeof(std::int64_t)) {
    if (delay.count() > INT64_MAX) {
      return never;
    }
  }
  const Wide wide(static_cast<typename Wide::rep>(delay.count()));
  constexpr auto most = std::chrono::duration_cast<Wide>(nanoseconds::max()).count();
  constexpr auto least = std::chrono::duration_cast<Wide>(nanoseconds::min()).count();
  if (is_real ? !(wide.count() < most) : wide.count() > most) {  // what is no number is never, too
    return never;
  }
  if (is_real ? !(wide.count() > least) : wide.count() < least) {
    return SteadyTime::min();
  }
  std::int64_t sum = 0;
  const auto wait = std::chrono::duration_cast<nanoseconds>(wide);
  if (__builtin_add_overflow(start.time_since_epoch().count(), wait.count(), &sum)) {
    return wait.count() > 0 ? never : SteadyTime::min();
  }
  return SteadyTime(nanoseconds(sum));
}

/// A length of time as functions take and give it: any duration. What is too long to count in
/// nanoseconds, e.g. `std::chrono::milliseconds::max()`, is the longest that can be counted.
class Duration {
 public:
  template <class Rep, class Period>
  requires std::ratio_greater_equal_v<Period, std::nano>
  constexpr Duration(std::chrono::duration<Rep, Period> length)
      : length_(after(SteadyTime(), length).time_since_epoch()) {}
  constexpr operator std::chrono::nanoseconds() const { return length_; }

 private:
  std::chrono::nanoseconds length_;
};

constexpr SteadyTime after(SteadyTime start, Duration delay) {
  return after(start, std::chrono::nanoseconds(delay));
}

}  // namespace ottla::inline OTTLA_ABI
