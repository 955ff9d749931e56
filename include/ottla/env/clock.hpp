// SPDX-License-Identifier: Apache-2.0
//
// Two clocks: the steady one for every delay and deadline, the wall one for records' timestamps and
// retention by time.
#pragma once

#include <concepts>

#include <ottla/base/time.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe.
template <class C>
concept Clock = requires(const C& clock) {
  { clock.steady_now() } -> std::same_as<SteadyTime>;  // never goes back
  { clock.wall_now() } -> std::same_as<Timestamp>;     // may step
};

}  // namespace ottla::inline OTTLA_ABI
