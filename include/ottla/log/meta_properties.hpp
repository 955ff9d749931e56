// SPDX-License-Identifier: Apache-2.0
//
// `meta.properties`, by which Kafka knows a log directory (spec storage.md section 22).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include <ottla/base/ids.hpp>
#include <ottla/base/uuid.hpp>

namespace ottla::inline OTTLA_ABI {

struct MetaProperties {
  std::string cluster_id;
  BrokerId node_id{0};
  Uuid directory_id;  ///< of this log directory alone; zero where an old Kafka gave none
  bool operator==(const MetaProperties&) const = default;
};

std::string format_meta_properties(const MetaProperties& properties);
/// Versions 0 and 1 (in 0 the node's id is called broker.id). `corrupt` when malformed,
/// `unsupported` for another version. `where`: what errors call the file.
absl::StatusOr<MetaProperties> parse_meta_properties(std::string_view text, std::string_view where);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/meta_properties.ipp>
#endif
