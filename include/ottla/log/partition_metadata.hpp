// SPDX-License-Identifier: Apache-2.0
//
// `partition.metadata`, which says whose partition a directory is (spec storage.md section 22): two
// lines, no line end behind the second.
//   version: 0
//   topic_id: AAECAwQFBgcICQoLDA0ODw
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include <ottla/base/topic_partition.hpp>

namespace ottla::inline OTTLA_ABI {

inline constexpr std::string_view partition_metadata_file = "partition.metadata";

std::string format_partition_metadata(const TopicId& topic_id);
/// `corrupt` when malformed, or when the id is zero. `where`: what errors call the file.
absl::StatusOr<TopicId> parse_partition_metadata(std::string_view text, std::string_view where);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/partition_metadata.ipp>
#endif
