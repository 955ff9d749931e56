// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/offsets/offset_records.hpp>

namespace ottla::inline OTTLA_ABI {
namespace offsets_impl {

inline constexpr std::int16_t written_version = 4;
inline constexpr std::int16_t version_with_expire_time = 1;
inline constexpr std::int16_t newest_version = 4;
inline constexpr std::size_t topic_id_size = sizeof(TopicId);

inline void read_topic_id(ByteReader& in, TopicId& topic_id) {
  const Bytes bytes = in.bytes(topic_id_size);
  std::copy(bytes.begin(), bytes.end(), topic_id.bytes.begin());
}

/// Tagged fields of version 4: 0 is the topic id, others are passed over.
inline void read_tagged_fields(ByteReader& in, CommittedOffset& value) {
  const std::uint32_t count = in.unsigned_varint();
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    const std::uint32_t tag = in.unsigned_varint();
    ByteReader field(in.bytes(in.unsigned_varint()));
    if (tag == 0) {
      read_topic_id(field, value.topic_id);
    }
    if (!field.ok()) {
      in.fail();
    }
  }
}

}  // namespace offsets_impl

OTTLA_INLINE std::vector<std::byte> encode(const OffsetKey& key) {
  std::vector<std::byte> bytes;
  bytes.reserve(10 + key.group.size() + key.partition.topic.size());
  ByteWriter out(bytes);
  out.integer(std::int16_t{1});
  out.string(key.group);
  out.string(key.partition.topic);
  out.integer(key.partition.partition.value());
  return bytes;
}

OTTLA_INLINE std::vector<std::byte> encode(const CommittedOffset& value) {
  std::vector<std::byte> bytes;
  bytes.reserve(48 + value.metadata.size());
  ByteWriter out(bytes);
  const bool expires = value.expire_time != no_timestamp;
  out.integer(expires ? offsets_impl::version_with_expire_time : offsets_impl::written_version);
  out.integer(value.offset.value());
  if (expires) {
    out.string(value.metadata);
    out.integer(value.commit_time.value());
    out.integer(value.expire_time.value());
    return bytes;
  }
  out.integer(value.leader_epoch.value());
  out.compact_string(value.metadata);
  out.integer(value.commit_time.value());
  if (value.topic_id.is_zero()) {
    out.no_tagged_fields();
  } else {
    out.unsigned_varint(1);  // one field: its tag, its size
    out.unsigned_varint(0);
    out.unsigned_varint(offsets_impl::topic_id_size);
    out.bytes(value.topic_id.bytes);
  }
  return bytes;
}

OTTLA_INLINE absl::StatusOr<std::int16_t> decode_key_type(Bytes key) {
  ByteReader in(key);
  const auto type = in.integer<std::int16_t>();
  if (!in.ok()) {
    return error(Fault::corrupt, "__consumer_offsets: a key without a type");
  }
  return type;
}

OTTLA_INLINE absl::StatusOr<OffsetKey> decode_offset_key(Bytes key) {
  ByteReader in(key);
  const auto type = in.integer<std::int16_t>();
  OffsetKey decoded;
  decoded.group = std::string(in.string());
  decoded.partition.topic = std::string(in.string());
  decoded.partition.partition = PartitionId(in.integer<std::int32_t>());
  if (!in.exhausted() || !is_offset_key(type)) {
    return error(Fault::corrupt, "__consumer_offsets: a malformed key of a committed offset");
  }
  return decoded;
}

OTTLA_INLINE absl::StatusOr<CommittedOffset> decode_committed_offset(Bytes value) {
  ByteReader in(value);
  const auto version = in.integer<std::int16_t>();
  if (in.ok() && version > offsets_impl::newest_version) {
    return error(Fault::unsupported,
                 absl::StrCat("__consumer_offsets: a committed offset of version ", version,
                              ", newest known is ", offsets_impl::newest_version,
                              "; it was written by a newer release, open it with that"));
  }
  CommittedOffset decoded;
  decoded.offset = Offset(in.integer<std::int64_t>());
  if (version >= 3) {
    decoded.leader_epoch = LeaderEpoch(in.integer<std::int32_t>());
  }
  decoded.metadata = std::string(version >= 4 ? in.compact_string() : in.string());
  decoded.commit_time = Timestamp(in.integer<std::int64_t>());
  if (version == offsets_impl::version_with_expire_time) {
    decoded.expire_time = Timestamp(in.integer<std::int64_t>());
  }
  if (version >= 4) {
    offsets_impl::read_tagged_fields(in, decoded);
  }
  if (!in.exhausted() || version < 0) {
    return error(Fault::corrupt, "__consumer_offsets: a malformed committed offset");
  }
  return decoded;
}

}  // namespace ottla::inline OTTLA_ABI
