// SPDX-License-Identifier: Apache-2.0
//
// The assignors that are there already, by name: range and cooperative-sticky.
#pragma once

#include <string_view>

#include <absl/status/statusor.h>

#include <ottla/group/assignor.hpp>
#include <ottla/group/cooperative_sticky_assignor.hpp>
#include <ottla/group/range_assignor.hpp>

namespace ottla::inline OTTLA_ABI {

/// UNSUPPORTED_ASSIGNOR when none has that name.
absl::StatusOr<Assignor> assignor_named(std::string_view name);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/group/impl/assignors.ipp>
#endif
