// SPDX-License-Identifier: Apache-2.0
//
// A partition of a topic, by name; and which names Kafka allows for a topic (spec storage.md
// section 8).
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>

#include <ottla/base/ids.hpp>
#include <ottla/base/uuid.hpp>

namespace ottla::inline OTTLA_ABI {

using TopicId = Uuid;

struct TopicPartition {
  std::string topic;
  PartitionId partition;

  auto operator<=>(const TopicPartition&) const = default;

  /// "orders-3", also the name of the partition's directory.
  std::string to_string() const;
  /// From a directory name: the partition stands behind the last dash, as to_string writes it.
  /// Nothing for any other name.
  static std::optional<TopicPartition> parse(std::string_view name);

  template <class Hash>
  friend Hash AbslHashValue(Hash state, const TopicPartition& a) {
    return Hash::combine(std::move(state), a.topic, a.partition);
  }
};

/// Ok for 1 to 249 characters of [A-Za-z0-9._-] that are not "." or ".."; else
/// INVALID_TOPIC_EXCEPTION with the reason.
absl::Status check_topic_name(std::string_view name);

/// Names that differ only in "." against "_" collide (their metrics would have one name).
bool topic_names_collide(std::string_view a, std::string_view b);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/base/impl/topic_partition.ipp>
#endif
