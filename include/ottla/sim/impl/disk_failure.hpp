// SPDX-License-Identifier: Apache-2.0
//
// Why a call on a simulated disk failed, in the words that the system has for it; and paths, which
// have no links, so that ".." is what it seems.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <ottla/base/status.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

enum class DiskFailure : std::uint8_t {
  none,
  missing,
  not_a_directory,
  exists,
  not_empty,
  is_a_directory,
  invalid,
  name_too_long,
  not_for_writing,
  in_use,
  no_space,
  no_descriptors,
  read_only,
  denied,
  io,
};

/// "cannot <action> <path>: <the system's words>".
absl::Status disk_error(DiskFailure failure, std::string_view action, std::string_view path,
                        Outcome outcome = Outcome::not_written);
absl::Status negative_position(std::int64_t position);

/// Absolute, one spelling each.
absl::StatusOr<std::string> resolve_path(std::string_view path);
/// Of a resolved path: everything before its last part, and that. "/" has neither.
std::string_view parent_path(std::string_view path);
std::string_view last_name(std::string_view path);

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/sim/impl/disk_failure.ipp>
#endif
