// SPDX-License-Identifier: Apache-2.0
//
// Two kinds of time. A `Timestamp` is Kafka's: milliseconds since 1970, written into records; it may step. A
// `SteadyTime` never does: every delay, deadline and timeout is one. Neither is read here: clocks belong to env.
#pragma once

#include <chrono>
#include <cstdint>
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

/// `start + delay`, staying at `never` instead of overflowing.
constexpr SteadyTime after(SteadyTime start, std::chrono::nanoseconds delay) {
  return delay.count() > 0 && start > never - delay ? never : start + delay;
}

}  // namespace ottla::inline OTTLA_ABI
