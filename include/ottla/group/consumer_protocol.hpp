// SPDX-License-Identifier: Apache-2.0
//
// What consumers tell each other through the coordinator, which does not look inside: a member's
// subscription and its assignment, as bytes. Each begins with INT16 version, 0 to 3 are known:
//   subscription  ARRAY topics · nullable BYTES user data · from 1: ARRAY owned (STRING topic,
//                 ARRAY INT32) · from 2: INT32 generation · from 3: nullable STRING rack
//   assignment    ARRAY (STRING topic, ARRAY INT32) · nullable BYTES user data
// A newer version is read as version 3, and what follows the known fields is left alone: newer
// versions only add. Source: spec groups.md section 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/group/partitions_of_topic.hpp>

namespace ottla::inline OTTLA_ABI {

/// The protocol type of groups whose members are consumers.
inline constexpr std::string_view consumer_protocol_type = "consumer";
inline constexpr std::int16_t newest_consumer_protocol = 3;

struct ConsumerSubscription {
  std::vector<std::string> topics;
  std::optional<std::vector<std::byte>> user_data = {};
  std::vector<PartitionsOfTopic> owned = {};
  Generation generation{-1};  ///< when it got what it owns; -1: not told
  std::optional<std::string> rack = {};

  bool operator==(const ConsumerSubscription&) const = default;
};

struct ConsumerAssignment {
  std::vector<PartitionsOfTopic> partitions;
  std::optional<std::vector<std::byte>> user_data = {};

  bool operator==(const ConsumerAssignment&) const = default;
};

/// Before: topics and the rack have at most 32,767 bytes, 0 <= `version` <=
/// newest_consumer_protocol.
std::vector<std::byte> encode(const ConsumerSubscription& subscription,
                              std::int16_t version = newest_consumer_protocol);
std::vector<std::byte> encode(const ConsumerAssignment& assignment,
                              std::int16_t version = newest_consumer_protocol);

/// `corrupt` when malformed. No bytes at all are an empty assignment.
absl::StatusOr<ConsumerSubscription> decode_consumer_subscription(Bytes bytes);
absl::StatusOr<ConsumerAssignment> decode_consumer_assignment(Bytes bytes);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/group/impl/consumer_protocol.ipp>
#endif
