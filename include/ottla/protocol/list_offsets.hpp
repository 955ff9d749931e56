// SPDX-License-Identifier: Apache-2.0
//
// ListOffsets: the first offset at or after a time, or one of the special places. Spec storage.md
// section 25.
#pragma once

#include <cstdint>
#include <vector>

#include <ottla/base/error_code.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/protocol/fetch.hpp>

namespace ottla::inline OTTLA_ABI {

inline constexpr Timestamp at_latest{-1};    ///< the visible end
inline constexpr Timestamp at_earliest{-2};  ///< the log's start
inline constexpr Timestamp at_max_timestamp{
    -3};  ///< the first record with the partition's largest timestamp

struct ListOffsetsRequest {
  struct Partition {
    TopicPartition partition = {};
    Timestamp timestamp = at_latest;
    LeaderEpoch current_leader_epoch = no_leader_epoch;
  };
  IsolationLevel isolation = IsolationLevel::read_uncommitted;
  std::vector<Partition> partitions = {};
};

struct ListOffsetsResponse {
  struct Partition {
    TopicPartition partition = {};
    ErrorCode error = ErrorCode::none;
    Offset offset{-1};  ///< -1: nothing found
    Timestamp timestamp = no_timestamp;
    LeaderEpoch leader_epoch = no_leader_epoch;
  };
  std::vector<Partition> partitions = {};
};

}  // namespace ottla::inline OTTLA_ABI
