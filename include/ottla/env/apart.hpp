// SPDX-License-Identifier: Apache-2.0
//
// Work that this thread waits for without being in it: for destructors, which end in time whatever
// the disk does.
#pragma once

#include <string_view>

#include <absl/functional/any_invocable.h>
#include <absl/status/status.h>

#include <ottla/env/world.hpp>

namespace ottla::inline OTTLA_ABI {

/// Runs `body` in a thread of its own, once, and answers what it answers; `timed_out` (outcome
/// unknown) at `deadline`, while it goes on by itself. What it holds is dropped before its end is
/// told. Where the world starts no threads, or there is no memory for one, it runs here; `is_apart`
/// tells it which.
absl::Status apart(World& world, std::string_view name, SteadyTime deadline,
                   absl::AnyInvocable<absl::Status(bool is_apart)> body);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/env/impl/apart.ipp>
#endif
