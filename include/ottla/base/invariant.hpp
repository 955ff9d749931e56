// SPDX-License-Identifier: Apache-2.0
//
// Our own promises: `if (!invariant(end >= start)) return broken_invariant("Log::append: end below
// start");` Where OTTLA_CHECKED is 1 a broken one stops the process at the place; else the caller
// answers an internal error and takes the partition offline. A release build never aborts the
// host's process.
#pragma once

#include <string_view>

#include <absl/status/status.h>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

/// Called for each broken promise: stops where OTTLA_CHECKED is 1, else returns.
void on_broken_invariant();

/// `holds`.
[[nodiscard]] inline bool invariant(bool holds) {
  if (!holds) [[unlikely]] {
    on_broken_invariant();
  }
  return holds;
}

/// The internal error that a broken invariant turns into. `promise`: where, and what should have
/// held.
absl::Status broken_invariant(std::string_view promise);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/base/impl/invariant.ipp>
#endif
