// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ottla/base/status.hpp>
#include <ottla/group/consumer_protocol.hpp>

namespace ottla::inline OTTLA_ABI {
namespace group_impl {

inline void write_parts(ByteWriter& out, const std::vector<PartitionsOfTopic>& parts) {
  out.array_count(parts.size());
  for (const PartitionsOfTopic& part : parts) {
    out.string(part.topic);
    out.array_count(part.partitions.size());
    for (const PartitionId partition : part.partitions) {
      out.integer(partition.value());
    }
  }
}

inline std::vector<PartitionsOfTopic> read_parts(ByteReader& in) {
  std::vector<PartitionsOfTopic> parts(in.array_count(sizeof(std::int16_t) + sizeof(std::int32_t)));
  for (PartitionsOfTopic& part : parts) {
    part.topic = std::string(in.string());
    const std::size_t count = in.array_count(sizeof(std::int32_t));
    part.partitions.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      part.partitions.emplace_back(in.integer<std::int32_t>());
    }
  }
  return parts;
}

inline std::optional<std::vector<std::byte>> read_user_data(ByteReader& in) {
  const auto bytes = in.nullable_bytes();
  return bytes ? std::optional(std::vector<std::byte>(bytes->begin(), bytes->end())) : std::nullopt;
}

}  // namespace group_impl

OTTLA_INLINE std::vector<std::byte> encode(const ConsumerSubscription& subscription,
                                           std::int16_t version) {
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  out.integer(version);
  out.array_count(subscription.topics.size());
  for (const std::string& topic : subscription.topics) {
    out.string(topic);
  }
  out.nullable_bytes(subscription.user_data);
  if (version >= 1) {
    group_impl::write_parts(out, subscription.owned);
  }
  if (version >= 2) {
    out.integer(subscription.generation.value());
  }
  if (version >= 3) {
    out.nullable_string(subscription.rack);
  }
  return bytes;
}

OTTLA_INLINE std::vector<std::byte> encode(const ConsumerAssignment& assignment,
                                           std::int16_t version) {
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  out.integer(version);
  group_impl::write_parts(out, assignment.partitions);
  out.nullable_bytes(assignment.user_data);
  return bytes;
}

OTTLA_INLINE absl::StatusOr<ConsumerSubscription> decode_consumer_subscription(Bytes bytes) {
  ByteReader in(bytes);
  const auto version = in.integer<std::int16_t>();
  ConsumerSubscription subscription;
  subscription.topics.resize(in.array_count(sizeof(std::int16_t)));
  for (std::string& topic : subscription.topics) {
    topic = std::string(in.string());
  }
  subscription.user_data = group_impl::read_user_data(in);
  if (version >= 1) {
    subscription.owned = group_impl::read_parts(in);
  }
  if (version >= 2) {
    subscription.generation = Generation(in.integer<std::int32_t>());
  }
  if (version >= 3) {
    if (const auto rack = in.nullable_string()) {
      subscription.rack = std::string(*rack);
    }
  }
  if (!in.ok() || version < 0) {
    return error(Fault::corrupt, "a member's subscription is malformed");
  }
  return subscription;
}

OTTLA_INLINE absl::StatusOr<ConsumerAssignment> decode_consumer_assignment(Bytes bytes) {
  if (bytes.empty()) {
    return ConsumerAssignment{};
  }
  ByteReader in(bytes);
  const auto version = in.integer<std::int16_t>();
  ConsumerAssignment assignment;
  assignment.partitions = group_impl::read_parts(in);
  assignment.user_data = group_impl::read_user_data(in);
  if (!in.ok() || version < 0) {
    return error(Fault::corrupt, "a member's assignment is malformed");
  }
  return assignment;
}

}  // namespace ottla::inline OTTLA_ABI
