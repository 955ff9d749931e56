// SPDX-License-Identifier: Apache-2.0
//
// Metadata: the topics, their ids, partitions and leaders. Spec replication.md sections 9 and 15.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ottla/base/error_code.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/topic_partition.hpp>

namespace ottla::inline OTTLA_ABI {

struct MetadataRequest {
  /// By name; nothing = all topics.
  std::optional<std::vector<std::string>> topics = {};
};

struct MetadataResponse {
  struct Partition {
    PartitionId partition = {};
    ErrorCode error = ErrorCode::none;
    BrokerId leader{-1};
    LeaderEpoch leader_epoch = no_leader_epoch;
    std::vector<BrokerId> replicas = {};
    std::vector<BrokerId> in_sync_replicas = {};
  };
  struct Topic {
    std::string name = {};
    TopicId id = {};
    ErrorCode error = ErrorCode::none;
    bool internal = false;
    std::vector<Partition> partitions = {};  ///< ascending
  };
  std::string cluster_id = {};
  BrokerId controller{-1};
  std::vector<Topic> topics = {};  ///< ascending by name
};

}  // namespace ottla::inline OTTLA_ABI
