// SPDX-License-Identifier: Apache-2.0
//
// The system's error numbers as our faults, with the operation, the path, the system's words and
// what to do. The memory file system answers with the same numbers, so both speak alike.
#pragma once

#include <string>
#include <string_view>

#include <ottla/base/status.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

enum class Access : bool { reading, writing };

Fault fault_of(int failure, Access access);

/// "cannot <action> <path>: <the system's words>; <remedy>". `path` may carry more than a path.
absl::Status system_error(int failure, std::string_view action, std::string_view path,
                          Access access, Outcome outcome = Outcome::not_written);

/// Of a call that makes, moves or removes a name; ok when `failure` is 0. Only a device that failed
/// leaves open whether it happened.
absl::Status name_changed(int failure, std::string_view action, std::string_view path);

/// Of a sync that was made: whatever it answers, pages may be gone (W5), also without memory.
absl::Status sync_error(int failure, std::string_view action, std::string_view path);

absl::Status bad_position(std::int64_t position);

/// Of `what`, used in a child of the process that made it.
absl::Status in_child(std::string_view what);

/// Of a File that was closed or moved from.
absl::Status file_closed();

}  // namespace env_impl
}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/env/impl/system_error.ipp>
#endif
