// SPDX-License-Identifier: Apache-2.0
//
// CreateTopics, DeleteTopics, CreatePartitions: what changes which topics there are. Each item
// succeeds or fails by itself. Spec replication.md section 15.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ottla/base/error_code.hpp>
#include <ottla/base/topic_partition.hpp>

namespace ottla::inline OTTLA_ABI {

struct CreateTopicsRequest {
  struct Topic {
    std::string name = {};
    std::int32_t partitions = -1;          ///< -1: the broker's `num.partitions`
    std::int16_t replication_factor = -1;  ///< -1: the broker's default
    std::vector<std::pair<std::string, std::string>> configs = {};  ///< Kafka's keys
  };
  std::vector<Topic> topics = {};
  bool validate_only = false;
};

struct CreateTopicsResponse {
  struct Topic {
    std::string name = {};
    TopicId id = {};
    ErrorCode error = ErrorCode::none;
    std::string message = {};  ///< of the error: what to do
    std::int32_t partitions = -1;
    std::int16_t replication_factor = -1;
  };
  std::vector<Topic> topics = {};
};

struct DeleteTopicsRequest {
  struct Topic {
    std::string name = {};  ///< empty: by id
    TopicId id = {};
  };
  std::vector<Topic> topics = {};
};

struct DeleteTopicsResponse {
  struct Topic {
    std::string name = {};
    TopicId id = {};
    ErrorCode error = ErrorCode::none;
    std::string message = {};
  };
  std::vector<Topic> topics = {};
};

struct CreatePartitionsRequest {
  struct Topic {
    std::string name = {};
    std::int32_t partitions = 0;  ///< the new total
  };
  std::vector<Topic> topics = {};
  bool validate_only = false;
};

struct CreatePartitionsResponse {
  struct Topic {
    std::string name = {};
    ErrorCode error = ErrorCode::none;
    std::string message = {};
  };
  std::vector<Topic> topics = {};
};

}  // namespace ottla::inline OTTLA_ABI
