// SPDX-License-Identifier: Apache-2.0
//
// Classic groups as records of `__consumer_offsets`. All integers are big-endian.
//   key    INT16 type 2 · STRING group
//   value  INT16 version · STRING protocol type · INT32 generation · nullable STRING protocol ·
//          nullable STRING leader · from 2: INT64 time of the state · ARRAY members (STRING id ·
//          from 3: nullable STRING instance id · STRING client id · STRING client host · from 1:
//          INT32 rebalance timeout · INT32 session timeout · BYTES subscription · BYTES
//          assignment); none: a tombstone
// Versions 0 to 4 are read (4: flexible), 3 is written. Source: spec groups.md section 2.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>

namespace ottla::inline OTTLA_ABI {

struct GroupValue {
  struct Member {
    std::string id;
    std::optional<std::string> instance_id = {};
    std::string client_id = {};
    std::string client_host = {};
    std::chrono::milliseconds rebalance_timeout{0};  ///< as the session timeout where not written
    std::chrono::milliseconds session_timeout{0};
    std::vector<std::byte> subscription = {};
    std::vector<std::byte> assignment = {};

    bool operator==(const Member&) const = default;
  };
  std::string protocol_type = {};
  Generation generation{0};
  std::optional<std::string> protocol = {};
  std::optional<std::string> leader = {};
  Timestamp state_time = no_timestamp;
  std::vector<Member> members = {};

  bool operator==(const GroupValue&) const = default;
};

inline constexpr std::int16_t group_key_type = 2;

/// Before: each string has at most 32,767 bytes.
std::vector<std::byte> encode_group_key(std::string_view group);
std::vector<std::byte> encode(const GroupValue& value);

/// The group's id; `corrupt` when malformed, or of another type.
absl::StatusOr<std::string> decode_group_key(Bytes key);
/// `corrupt` when malformed, `unsupported` when its version is not known.
absl::StatusOr<GroupValue> decode_group_value(Bytes value);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/group/impl/group_records.ipp>
#endif
