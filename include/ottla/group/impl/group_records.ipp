// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/group/group_records.hpp>

namespace ottla::inline OTTLA_ABI {
namespace group_impl {

inline constexpr std::int16_t written_group_version = 3;
inline constexpr std::int16_t newest_group_version = 4;

inline std::int32_t to_int32(std::chrono::milliseconds time) {
  return static_cast<std::int32_t>(std::min<std::int64_t>(time.count(), INT32_MAX));
}

/// Reads what a version writes in either of two ways, plain and flexible.
class GroupValueReader {
 public:
  explicit GroupValueReader(Bytes value) : in_(value), version_(in_.integer<std::int16_t>()) {}

  std::int16_t version() const { return version_; }

  GroupValue read() {
    GroupValue group;
    group.protocol_type = string();
    group.generation = Generation(in_.integer<std::int32_t>());
    group.protocol = nullable_string();
    group.leader = nullable_string();
    if (version_ >= 2) {
      group.state_time = Timestamp(in_.integer<std::int64_t>());
    }
    const std::size_t count =
        flexible() ? in_.compact_array_count(15) : in_.array_count(18);  // the least a member takes
    group.members.reserve(count);
    for (std::size_t i = 0; i < count && in_.ok(); ++i) {
      group.members.push_back(member());
    }
    tagged_fields();
    return group;
  }
  bool exhausted() const { return in_.exhausted(); }

 private:
  GroupValue::Member member() {
    GroupValue::Member member;
    member.id = string();
    if (version_ >= 3) {
      member.instance_id = nullable_string();
    }
    member.client_id = string();
    member.client_host = string();
    const std::int32_t rebalance_timeout = version_ >= 1 ? in_.integer<std::int32_t>() : -1;
    member.session_timeout = std::chrono::milliseconds(in_.integer<std::int32_t>());
    member.rebalance_timeout = rebalance_timeout < 0 ? member.session_timeout
                                                     : std::chrono::milliseconds(rebalance_timeout);
    member.subscription = bytes();
    member.assignment = bytes();
    tagged_fields();
    return member;
  }

  bool flexible() const { return version_ >= 4; }
  std::string string() { return std::string(flexible() ? in_.compact_string() : in_.string()); }
  std::optional<std::string> nullable_string() {
    const auto text = flexible() ? in_.nullable_compact_string() : in_.nullable_string();
    return text ? std::optional(std::string(*text)) : std::nullopt;
  }
  std::vector<std::byte> bytes() {
    const auto found = flexible() ? in_.nullable_compact_bytes() : in_.nullable_bytes();
    return found ? std::vector<std::byte>(found->begin(), found->end()) : std::vector<std::byte>();
  }
  void tagged_fields() {
    if (flexible()) {
      in_.skip_tagged_fields();
    }
  }

  ByteReader in_;
  std::int16_t version_;
};

}  // namespace group_impl

OTTLA_INLINE std::vector<std::byte> encode_group_key(std::string_view group) {
  std::vector<std::byte> bytes;
  bytes.reserve(4 + group.size());
  ByteWriter out(bytes);
  out.integer(group_key_type);
  out.string(group);
  return bytes;
}

OTTLA_INLINE std::vector<std::byte> encode(const GroupValue& value) {
  std::vector<std::byte> bytes;
  bytes.reserve(256);
  ByteWriter out(bytes);
  out.integer(group_impl::written_group_version);
  out.string(value.protocol_type);
  out.integer(value.generation.value());
  out.nullable_string(value.protocol);
  out.nullable_string(value.leader);
  out.integer(value.state_time.value());
  out.array_count(value.members.size());
  for (const GroupValue::Member& member : value.members) {
    out.string(member.id);
    out.nullable_string(member.instance_id);
    out.string(member.client_id);
    out.string(member.client_host);
    out.integer(group_impl::to_int32(member.rebalance_timeout));
    out.integer(group_impl::to_int32(member.session_timeout));
    out.nullable_bytes(Bytes(member.subscription));
    out.nullable_bytes(Bytes(member.assignment));
  }
  return bytes;
}

OTTLA_INLINE absl::StatusOr<std::string> decode_group_key(Bytes key) {
  ByteReader in(key);
  const auto type = in.integer<std::int16_t>();
  std::string group(in.string());
  if (!in.exhausted() || type != group_key_type) {
    return error(Fault::corrupt, "__consumer_offsets: a malformed key of a group");
  }
  return group;
}

OTTLA_INLINE absl::StatusOr<GroupValue> decode_group_value(Bytes value) {
  group_impl::GroupValueReader reader(value);
  if (reader.version() > group_impl::newest_group_version) {
    return error(Fault::unsupported,
                 absl::StrCat("__consumer_offsets: a group of version ", reader.version(),
                              ", newest known is ", group_impl::newest_group_version,
                              "; it was written by a newer release, open it with that"));
  }
  GroupValue group = reader.read();
  if (!reader.exhausted() || reader.version() < 0) {
    return error(Fault::corrupt, "__consumer_offsets: a malformed group");
  }
  return group;
}

}  // namespace ottla::inline OTTLA_ABI
