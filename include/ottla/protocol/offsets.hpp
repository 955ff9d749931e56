// SPDX-License-Identifier: Apache-2.0
//
// OffsetCommit, OffsetFetch, OffsetDelete: what a group has read. Spec groups.md section 4.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ottla/base/error_code.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/topic_partition.hpp>

namespace ottla::inline OTTLA_ABI {

struct OffsetCommitRequest {
  struct Partition {
    TopicPartition partition = {};
    TopicId topic_id = {};  ///< zero: not known; another than the topic has: UNKNOWN_TOPIC_ID
    Offset offset = {};     ///< the next record to read
    LeaderEpoch leader_epoch = no_leader_epoch;
    std::optional<std::string> metadata = {};
  };
  std::int16_t version = 9;  ///< 9 and above: a group that is not there is GROUP_ID_NOT_FOUND
  std::string group = {};
  Generation generation{-1};  ///< -1: a stand-alone consumer
  std::string member_id = {};
  std::optional<std::string> instance_id = {};
  std::optional<std::chrono::milliseconds> retention = {};  ///< Kafka's explicit retention time
  std::vector<Partition> partitions = {};
};

struct OffsetCommitResponse {
  struct Partition {
    TopicPartition partition = {};
    ErrorCode error = ErrorCode::none;
  };
  std::vector<Partition> partitions = {};
};

struct OffsetFetchRequest {
  std::string group = {};
  std::optional<std::vector<TopicPartition>> partitions = {};  ///< nothing: all that were committed
  bool require_stable = false;
};

struct OffsetFetchResponse {
  struct Partition {
    TopicPartition partition = {};
    ErrorCode error = ErrorCode::none;
    Offset offset{-1};  ///< -1: none committed
    LeaderEpoch leader_epoch = no_leader_epoch;
    std::string metadata = {};
    TopicId topic_id = {};  ///< as it was committed; zero: not known
  };
  ErrorCode error = ErrorCode::none;
  std::vector<Partition> partitions = {};
};

struct OffsetDeleteRequest {
  std::string group = {};
  std::vector<TopicPartition> partitions = {};
};

struct OffsetDeleteResponse {
  struct Partition {
    TopicPartition partition = {};
    ErrorCode error = ErrorCode::none;
  };
  ErrorCode error = ErrorCode::none;
  std::vector<Partition> partitions = {};
};

}  // namespace ottla::inline OTTLA_ABI
