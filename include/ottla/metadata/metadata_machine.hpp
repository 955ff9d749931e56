// SPDX-License-Identifier: Apache-2.0
//
// Which topics there are, as a rule machine: requests and a log of Kafka's metadata records go in,
// records and answers come out. It knows no disk and no clock, and draws no random number: ids of
// new topics come with the event. Source: spec replication.md sections 9, 14, 15.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <absl/status/status.h>

#include <ottla/base/topic_partition.hpp>
#include <ottla/metadata/metadata_record.hpp>
#include <ottla/protocol/decision.hpp>
#include <ottla/protocol/topics.hpp>

namespace ottla::inline OTTLA_ABI {

struct MetadataLimits {
  std::int32_t topics = 10'000;
  std::int32_t partitions = 100'000;  ///< of all topics together
};

/// Where new partitions go: the broker that asks, as long as there is one.
struct MetadataPlacement {
  BrokerId broker{0};
  Uuid directory;
  std::int32_t default_partitions = 1;
};

struct MetadataTopic {
  std::string name;
  TopicId id;
  std::vector<PartitionRecord> partitions;     ///< by partition
  std::map<std::string, std::string> configs;  ///< overrides, by Kafka's key
};

/// Kafka's own log of what MetadataMachine keeps: never a topic of ours.
inline constexpr std::string_view cluster_metadata_topic = "__cluster_metadata";

/// What groups have committed.
inline constexpr std::string_view offsets_topic = "__consumer_offsets";

/// Written by brokers only.
inline bool is_internal_topic(std::string_view name) {
  return name == offsets_topic || name == "__transaction_state" || name == "__share_group_state" ||
         name == cluster_metadata_topic;
}

class MetadataMachine {
 public:
  struct CreateTopics {
    RequestId request;
    CreateTopicsRequest topics;
    std::vector<Uuid> fresh_ids;  ///< one for each topic
  };
  struct DeleteTopics {
    RequestId request;
    DeleteTopicsRequest topics;
  };
  struct CreatePartitions {
    RequestId request;
    CreatePartitionsRequest topics;
  };
  /// Directories of a topic that the log does not know were found: partitions 0 to `partitions`
  /// - 1.
  struct AdoptTopic {
    RequestId request;
    std::string name;
    TopicId id;
    std::int32_t partitions = 0;
    std::map<std::string, std::string> configs;
  };
  struct Adopted {
    ErrorCode error = ErrorCode::none;
  };

  /// A block of producer ids that were never given, none of them below `floor`.
  struct AllocateProducerIds {
    RequestId request;
    ProducerId floor{0};
  };
  struct ProducerIdBlock {
    ErrorCode error = ErrorCode::none;
    ProducerId first = no_producer_id;
    std::int64_t count = 0;
  };
  static constexpr std::int64_t producer_id_block = 1'000;

  using Event =
      std::variant<CreateTopics, DeleteTopics, CreatePartitions, AdoptTopic, AllocateProducerIds>;
  struct NoSoftChange {};
  struct NoTimer {
    auto operator<=>(const NoTimer&) const = default;
  };
  using Response = std::variant<CreateTopicsResponse, DeleteTopicsResponse,
                                CreatePartitionsResponse, Adopted, ProducerIdBlock>;
  using Decision = ottla::Decision<NoSoftChange, Response, NoTimer>;

  explicit MetadataMachine(const MetadataPlacement& placement, const MetadataLimits& limits = {})
      : placement_(placement), limits_(limits) {}

  Decision decide(const Event& event, Now now) const;
  Decision decide_failed(const Event& event, ErrorCode why, Now now) const;
  absl::Status apply(const WrittenRecord& record);
  void apply(NoSoftChange) noexcept {}

  /// The whole state as records, in an order that `apply` takes: what a log begins with when it is
  /// written anew.
  std::vector<MachineRecord> snapshot() const;

  /// Null where there is none. Valid until the next change.
  const MetadataTopic* find(std::string_view name) const;
  const MetadataTopic* find(const TopicId& id) const;
  /// Ascending by name.
  const std::map<std::string, MetadataTopic, std::less<>>& topics() const { return topics_; }
  std::int32_t partition_count() const { return partition_count_; }
  /// Ids that are remembered. Opening removes what it finds of them; of older ones only a directory
  /// that was elsewhere meanwhile can be left, or one that could not be removed.
  static constexpr std::size_t removed_topics = 10'000;
  /// Its deletion is written, as one of the last `removed_topics`: whatever of it is still on disk
  /// must go, and is not adopted.
  bool was_removed(const TopicId& id) const { return removed_.contains(id); }

 private:
  class Planned;

  void create(const CreateTopicsRequest::Topic& topic, const Uuid& id, Planned& planned,
              Decision& decision, CreateTopicsResponse& response) const;
  ErrorCode check_new(const CreateTopicsRequest::Topic& topic, const Planned& planned,
                      std::string& message) const;
  void decide_deletion(const DeleteTopics& event, Decision& decision) const;
  void decide_growth(const CreatePartitions& event, Decision& decision) const;
  void decide_adoption(const AdoptTopic& event, Decision& decision) const;
  void decide_producer_ids(const AllocateProducerIds& event, Decision& decision) const;
  PartitionRecord place(const TopicId& topic, std::int32_t partition) const;
  void take(const TopicRecord& record);
  absl::Status take(const PartitionRecord& record);
  void take(const ConfigRecord& record);
  absl::Status take(const PartitionChangeRecord& record);
  void take(const RemoveTopicRecord& record);
  void take(const ProducerIdsRecord& record);
  MetadataTopic* find_mutable(const TopicId& id);

  MetadataPlacement placement_;
  MetadataLimits limits_;
  std::map<std::string, MetadataTopic, std::less<>> topics_;
  std::map<TopicId, std::string> names_;
  std::set<std::string, std::less<>> plain_names_;  // with "_" for each "."
  std::set<TopicId> removed_;
  std::list<TopicId> removed_in_order_;  // the same, the oldest first
  std::int32_t partition_count_ = 0;
  ProducerId next_producer_id_{0};
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/metadata/impl/metadata_machine.ipp>
#endif
