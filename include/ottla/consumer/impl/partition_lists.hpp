// SPDX-License-Identifier: Apache-2.0
//
// Partitions by topic and one by one, and what differs between two lists of them.
#pragma once

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include <ottla/base/topic_partition.hpp>
#include <ottla/group/partitions_of_topic.hpp>

namespace ottla::inline OTTLA_ABI {
namespace consumer_impl {

inline std::vector<TopicPartition> flatten(const std::vector<PartitionsOfTopic>& topics) {
  std::vector<TopicPartition> all;
  for (const PartitionsOfTopic& topic : topics) {
    for (const PartitionId partition : topic.partitions) {
      all.push_back({topic.topic, partition});
    }
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

/// Before: `all` ascends.
inline std::vector<PartitionsOfTopic> by_topic(const std::vector<TopicPartition>& all) {
  std::vector<PartitionsOfTopic> topics;
  for (const TopicPartition& each : all) {
    if (topics.empty() || topics.back().topic != each.topic) {
      topics.push_back({each.topic, {}});
    }
    topics.back().partitions.push_back(each.partition);
  }
  return topics;
}

inline std::vector<TopicPartition> without(const std::vector<TopicPartition>& all,
                                           const std::vector<TopicPartition>& these) {
  std::vector<TopicPartition> rest;
  std::set_difference(all.begin(), all.end(), these.begin(), these.end(), std::back_inserter(rest));
  return rest;
}

inline void sort_and_unite(std::vector<std::string>& names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
}

inline std::vector<std::string> topics_of(const std::vector<TopicPartition>& partitions) {
  std::vector<std::string> names;
  names.reserve(partitions.size());
  for (const TopicPartition& partition : partitions) {
    names.push_back(partition.topic);
  }
  sort_and_unite(names);
  return names;
}

inline std::optional<std::string> text_or_none(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace consumer_impl

}  // namespace ottla::inline OTTLA_ABI
