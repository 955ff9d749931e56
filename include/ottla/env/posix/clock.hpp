// SPDX-License-Identifier: Apache-2.0
//
// The system's clocks, to the nanosecond and the millisecond; each reading takes some 20 ns.
#pragma once

#include <time.h>

#include <ottla/env/clock.hpp>

namespace ottla::inline OTTLA_ABI {

class PosixClock {
 public:
  /// CLOCK_MONOTONIC.
  SteadyTime steady_now() const {
    const timespec now = read(CLOCK_MONOTONIC);
    return SteadyTime(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
  }
  /// CLOCK_REALTIME.
  Timestamp wall_now() const {
    const timespec now = read(CLOCK_REALTIME);
    return Timestamp(std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000);
  }

 private:
  static timespec read(clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);  // cannot fail: both clocks exist, and `now` is ours
    return now;
  }
};
static_assert(Clock<PosixClock>);

}  // namespace ottla::inline OTTLA_ABI
