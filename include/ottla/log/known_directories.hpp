// SPDX-License-Identifier: Apache-2.0
//
// `.ottla_directories`: the log directories that a broker had together, this one among them. One
// that is named here and is not there now may hold partitions that are found nowhere else.
//   ottla directories 1 / <directory.id, 32 hex> <path> / sum <8 hex>, a line each
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ottla/base/uuid.hpp>

namespace ottla::inline OTTLA_ABI {

inline constexpr std::string_view known_directories_file = ".ottla_directories";

struct KnownDirectory {
  Uuid id;           ///< of its meta.properties; zero where an old Kafka gave none
  std::string path;  ///< where it was last, without line ends
  /// An old Kafka's are known by their path.
  bool is_same(const KnownDirectory& other) const {
    return id == other.id && (!id.is_zero() || path == other.path);
  }
  bool operator==(const KnownDirectory&) const = default;
};

/// A line end in a path becomes a blank.
std::string format_known_directories(std::span<const KnownDirectory> directories);
/// Nothing when malformed.
std::optional<std::vector<KnownDirectory>> parse_known_directories(std::string_view text);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/known_directories.ipp>
#endif
