// SPDX-License-Identifier: Apache-2.0
//
// Committed offsets as records of `__consumer_offsets`. All integers are big-endian.
//   key    INT16 type 1 (0 is read too) · STRING group · STRING topic · INT32 partition
//   value  INT16 version · INT64 offset · from 3: INT32 leader epoch · STRING metadata ·
//          INT64 commit time · 1 only: INT64 expire time; none: a tombstone
// Version 4 is the flexible form of 3, with the topic id as tagged field 0. It is written, or
// version 1 where a commit has a time of its own to expire at (its leader epoch is lost).
// Source: spec groups.md section 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>
#include <ottla/base/topic_partition.hpp>

namespace ottla::inline OTTLA_ABI {

struct OffsetKey {
  std::string group;
  TopicPartition partition;

  bool operator==(const OffsetKey&) const = default;
};

struct CommittedOffset {
  Offset offset{-1};  ///< the next record to read
  LeaderEpoch leader_epoch = no_leader_epoch;
  std::string metadata = {};
  Timestamp commit_time = no_timestamp;
  Timestamp expire_time = no_timestamp;  ///< none: after the time that offsets are retained
  TopicId topic_id = {};                 ///< zero: not known

  bool operator==(const CommittedOffset&) const = default;
};

/// Before: each string has at most 32,767 bytes.
std::vector<std::byte> encode(const OffsetKey& key);
std::vector<std::byte> encode(const CommittedOffset& value);

/// The INT16 that a key in `__consumer_offsets` begins with; `corrupt` without one.
absl::StatusOr<std::int16_t> decode_key_type(Bytes key);
constexpr bool is_offset_key(std::int16_t key_type) { return key_type == 0 || key_type == 1; }

/// `corrupt` when malformed, or of another type. What follows the known fields is an error too.
absl::StatusOr<OffsetKey> decode_offset_key(Bytes key);
/// `corrupt` when malformed, `unsupported` when its version is not known.
absl::StatusOr<CommittedOffset> decode_committed_offset(Bytes value);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/offsets/impl/offset_records.ipp>
#endif
