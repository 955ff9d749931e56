// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/metadata/metadata_machine.hpp>

namespace ottla::inline OTTLA_ABI {
namespace metadata_impl {

inline std::string plain_name(std::string_view name) {
  std::string plain(name);
  std::replace(plain.begin(), plain.end(), '.', '_');
  return plain;
}

template <class Machine>
void write(typename Machine::Decision& decision, const MetadataRecord& record) {
  decision.records.push_back({std::nullopt, encode(record)});
}

}  // namespace metadata_impl

/// What the topics before this one in the same request will have added.
class MetadataMachine::Planned {
 public:
  std::set<std::string> plain_names;
  std::int32_t topics = 0;
  std::int32_t partitions = 0;
};

OTTLA_INLINE PartitionRecord MetadataMachine::place(const TopicId& topic,
                                                    std::int32_t partition) const {
  return {.partition = PartitionId(partition),
          .topic = topic,
          .replicas = {placement_.broker},
          .in_sync_replicas = {placement_.broker},
          .removing_replicas = {},
          .adding_replicas = {},
          .leader = placement_.broker,
          .directories = {placement_.directory}};
}

OTTLA_INLINE ErrorCode MetadataMachine::check_new(const CreateTopicsRequest::Topic& topic,
                                                  const Planned& planned,
                                                  std::string& message) const {
  const absl::Status name = check_topic_name(topic.name);
  if (!name.ok()) {
    message = std::string(sv(name.message()));
    return ErrorCode::invalid_topic_exception;
  }
  if (topics_.contains(topic.name)) {
    message = absl::StrCat("topic '", topic.name,
                           "' exists; use it, delete it first, or ask with if_not_exists");
    return ErrorCode::topic_already_exists;
  }
  const std::string plain = metadata_impl::plain_name(topic.name);
  if (plain_names_.contains(plain) || planned.plain_names.contains(plain)) {
    message = absl::StrCat("topic '", topic.name,
                           "' differs from another topic only in '.' and '_'; choose another name");
    return ErrorCode::invalid_topic_exception;
  }
  if (topic.partitions == 0 || topic.partitions < -1) {
    message = "a topic has 1 partition at least (-1: the broker's num.partitions)";
    return ErrorCode::invalid_partitions;
  }
  if (topic.replication_factor != -1 && topic.replication_factor != 1) {
    message = absl::StrCat("replication factor ", topic.replication_factor,
                           ": there is 1 broker, use 1 (or -1)");
    return ErrorCode::invalid_replication_factor;
  }
  const std::int64_t partitions =
      std::int64_t{partition_count_} + planned.partitions +
      (topic.partitions == -1 ? placement_.default_partitions : topic.partitions);
  if (partitions > limits_.partitions ||
      static_cast<std::int64_t>(topics_.size()) + planned.topics + 1 > limits_.topics) {
    message = absl::StrCat("a broker holds ", limits_.topics, " topics and ", limits_.partitions,
                           " partitions at most; delete topics, or open another broker");
    return ErrorCode::policy_violation;
  }
  return ErrorCode::none;
}

OTTLA_INLINE void MetadataMachine::create(const CreateTopicsRequest::Topic& topic, const Uuid& id,
                                          Planned& planned, Decision& decision,
                                          CreateTopicsResponse& response) const {
  CreateTopicsResponse::Topic answer{.name = topic.name, .id = {}, .message = {}};
  answer.error = check_new(topic, planned, answer.message);
  if (answer.error == ErrorCode::none) {
    answer.id = id;
    answer.partitions = topic.partitions == -1 ? placement_.default_partitions : topic.partitions;
    answer.replication_factor = 1;
    planned.plain_names.insert(metadata_impl::plain_name(topic.name));
    planned.topics += 1;
    planned.partitions += answer.partitions;
    using Machine = MetadataMachine;
    metadata_impl::write<Machine>(decision, TopicRecord{topic.name, id});
    for (const auto& [key, value] : topic.configs) {
      metadata_impl::write<Machine>(
          decision, ConfigRecord{ConfigRecord::Resource::topic, topic.name, key, value});
    }
    for (std::int32_t i = 0; i < answer.partitions; ++i) {
      metadata_impl::write<Machine>(decision, place(id, i));
    }
  }
  response.topics.push_back(std::move(answer));
}

OTTLA_INLINE MetadataMachine::Decision MetadataMachine::decide(const Event& event, Now) const {
  Decision decision;
  if (const auto* create_event = std::get_if<CreateTopics>(&event)) {
    CreateTopicsResponse response;
    Planned planned;
    for (std::size_t i = 0; i < create_event->topics.topics.size(); ++i) {
      create(create_event->topics.topics[i], create_event->fresh_ids[i], planned, decision,
             response);
    }
    if (create_event->topics.validate_only) {
      decision.records.clear();
    }
    decision.answer(create_event->request, std::move(response));
  } else if (const auto* delete_event = std::get_if<DeleteTopics>(&event)) {
    decide_deletion(*delete_event, decision);
  } else if (const auto* grow_event = std::get_if<CreatePartitions>(&event)) {
    decide_growth(*grow_event, decision);
  } else if (const auto* ids_event = std::get_if<AllocateProducerIds>(&event)) {
    decide_producer_ids(*ids_event, decision);
  } else {
    decide_adoption(std::get<AdoptTopic>(event), decision);
  }
  return decision;
}

OTTLA_INLINE void MetadataMachine::decide_deletion(const DeleteTopics& event,
                                                   Decision& decision) const {
  DeleteTopicsResponse response;
  std::set<TopicId> gone;
  for (const DeleteTopicsRequest::Topic& topic : event.topics.topics) {
    const MetadataTopic* known = topic.name.empty() ? find(topic.id) : find(topic.name);
    DeleteTopicsResponse::Topic answer{.name = topic.name, .id = topic.id, .message = {}};
    if (known == nullptr || !gone.insert(known->id).second) {
      answer.error =
          topic.name.empty() ? ErrorCode::unknown_topic_id : ErrorCode::unknown_topic_or_partition;
      answer.message =
          absl::StrCat("there is no topic ", topic.name.empty() ? topic.id.to_string() : topic.name,
                       "; list the topics to see which there are");
    } else if (is_internal_topic(known->name)) {
      answer.error = ErrorCode::invalid_topic_exception;
      answer.message = "this topic belongs to the broker and cannot be deleted";
    } else {
      answer.name = known->name;
      answer.id = known->id;
      metadata_impl::write<MetadataMachine>(decision, RemoveTopicRecord{known->id});
    }
    response.topics.push_back(std::move(answer));
  }
  decision.answer(event.request, std::move(response));
}

OTTLA_INLINE void MetadataMachine::decide_growth(const CreatePartitions& event,
                                                 Decision& decision) const {
  CreatePartitionsResponse response;
  std::int64_t total = partition_count_;
  std::set<std::string> seen;
  for (const CreatePartitionsRequest::Topic& topic : event.topics.topics) {
    CreatePartitionsResponse::Topic answer{.name = topic.name, .message = {}};
    const MetadataTopic* known = find(topic.name);
    const auto count = known == nullptr ? 0 : static_cast<std::int32_t>(known->partitions.size());
    if (known == nullptr) {
      answer.error = ErrorCode::unknown_topic_or_partition;
      answer.message = absl::StrCat("topic '", topic.name, "' does not exist; create it");
    } else if (is_internal_topic(known->name)) {
      answer.error = ErrorCode::invalid_topic_exception;
      answer.message =
          absl::StrCat(known->name, " keeps its partitions: by their number keys find theirs");
    } else if (topic.partitions <= count || !seen.insert(topic.name).second) {
      answer.error = ErrorCode::invalid_partitions;
      answer.message = absl::StrCat("topic '", topic.name, "' has ", count,
                                    " partitions; the new total must be larger");
    } else if (total + topic.partitions - count > limits_.partitions) {
      answer.error = ErrorCode::policy_violation;
      answer.message = absl::StrCat("a broker holds ", limits_.partitions,
                                    " partitions at most; delete topics, or open another broker");
    } else {
      total += topic.partitions - count;
      for (std::int32_t i = count; i < topic.partitions && !event.topics.validate_only; ++i) {
        metadata_impl::write<MetadataMachine>(decision, place(known->id, i));
      }
    }
    response.topics.push_back(std::move(answer));
  }
  decision.answer(event.request, std::move(response));
}

OTTLA_INLINE void MetadataMachine::decide_adoption(const AdoptTopic& event,
                                                   Decision& decision) const {
  if (topics_.contains(event.name) || names_.contains(event.id)) {
    decision.answer(event.request, Adopted{ErrorCode::topic_already_exists});
    return;
  }
  metadata_impl::write<MetadataMachine>(decision, TopicRecord{event.name, event.id});
  for (const auto& [key, value] : event.configs) {
    metadata_impl::write<MetadataMachine>(
        decision, ConfigRecord{ConfigRecord::Resource::topic, event.name, key, value});
  }
  for (std::int32_t i = 0; i < event.partitions; ++i) {
    metadata_impl::write<MetadataMachine>(decision, place(event.id, i));
  }
  decision.answer(event.request, Adopted{});
}

OTTLA_INLINE void MetadataMachine::decide_producer_ids(const AllocateProducerIds& event,
                                                       Decision& decision) const {
  const ProducerId first = std::max(next_producer_id_, event.floor);
  if (first.value() > INT64_MAX - producer_id_block) {
    decision.answer(event.request, ProducerIdBlock{ErrorCode::unknown_server_error});
    return;
  }
  metadata_impl::write<MetadataMachine>(
      decision, ProducerIdsRecord{placement_.broker, -1, first + producer_id_block});
  decision.answer(event.request, ProducerIdBlock{ErrorCode::none, first, producer_id_block});
}

OTTLA_INLINE MetadataMachine::Decision MetadataMachine::decide_failed(const Event& event,
                                                                      ErrorCode why,
                                                                      Now now) const {
  Decision decision = decide(event, now);
  decision.records.clear();
  constexpr std::string_view remedy =
      "the change could not be written to the metadata log; see the "
      "broker's events, then try again";
  const auto fail = [&](auto& topics) {
    for (auto& topic : topics) {
      if (topic.error == ErrorCode::none) {
        topic.error = why;
        topic.message = std::string(remedy);
      }
    }
  };
  for (auto& answer : decision.answers) {
    std::visit(
        [&](auto& response) {
          using Failed = std::decay_t<decltype(response)>;
          if constexpr (std::is_same_v<Failed, Adopted> ||
                        std::is_same_v<Failed, ProducerIdBlock>) {
            response.error = why;
          } else {
            fail(response.topics);
          }
        },
        answer.response);
  }
  return decision;
}

OTTLA_INLINE absl::Status MetadataMachine::apply(const WrittenRecord& record) {
  if (!record.value) {
    return error(Fault::corrupt, "metadata log: a record without a value");
  }
  OTTLA_ASSIGN(const MetadataRecord decoded, decode_metadata_record(*record.value));
  return std::visit(
      [&](const auto& body) -> absl::Status {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<Body, OtherMetadataRecord>) {
          return absl::OkStatus();
        } else if constexpr (std::is_same_v<Body, PartitionRecord> ||
                             std::is_same_v<Body, PartitionChangeRecord>) {
          return take(body);
        } else {
          take(body);
          return absl::OkStatus();
        }
      },
      decoded);
}

OTTLA_INLINE void MetadataMachine::take(const TopicRecord& record) {
  topics_.try_emplace(record.name, MetadataTopic{record.name, record.id, {}, {}});
  names_.insert_or_assign(record.id, record.name);
  plain_names_.insert(metadata_impl::plain_name(record.name));
}

OTTLA_INLINE absl::Status MetadataMachine::take(const PartitionRecord& record) {
  MetadataTopic* topic = find_mutable(record.topic);
  const auto next = static_cast<std::int32_t>(topic == nullptr ? 0 : topic->partitions.size());
  if (topic == nullptr || record.partition.value() < 0 || record.partition.value() > next) {
    return error(Fault::corrupt,
                 absl::StrCat("metadata log: partition ", record.partition.value(), " of topic ",
                              record.topic.to_string(), " comes before what it belongs to"));
  }
  if (record.partition.value() < next) {
    topic->partitions[static_cast<std::size_t>(record.partition.value())] = record;
  } else {
    topic->partitions.push_back(record);
    ++partition_count_;
  }
  return absl::OkStatus();
}

OTTLA_INLINE void MetadataMachine::take(const ConfigRecord& record) {
  const auto found = topics_.find(record.resource_name);
  if (record.resource != ConfigRecord::Resource::topic || found == topics_.end()) {
    return;
  }
  if (record.value) {
    found->second.configs[record.name] = *record.value;
  } else {
    found->second.configs.erase(record.name);
  }
}

OTTLA_INLINE absl::Status MetadataMachine::take(const PartitionChangeRecord& record) {
  MetadataTopic* topic = find_mutable(record.topic);
  const auto index = static_cast<std::size_t>(record.partition.value());
  if (topic == nullptr || record.partition.value() < 0 || index >= topic->partitions.size()) {
    return error(Fault::corrupt, "metadata log: a change of a partition that is not there");
  }
  PartitionRecord partition = topic->partitions[index];
  partition.partition_epoch += 1;
  if (record.in_sync_replicas) {
    partition.in_sync_replicas = *record.in_sync_replicas;
  }
  if (record.leader) {
    partition.leader = *record.leader;
    ++partition.leader_epoch;
  }
  topic->partitions[index] = std::move(partition);  // all of the change, or nothing
  return absl::OkStatus();
}

OTTLA_INLINE void MetadataMachine::take(const RemoveTopicRecord& record) {
  std::list<TopicId> added{record.topic};
  if (removed_.insert(record.topic).second) {
    removed_in_order_.splice(removed_in_order_.end(), added);
  }
  if (removed_.size() > removed_topics) {
    removed_.erase(removed_in_order_.front());
    removed_in_order_.pop_front();
  }
  const auto name = names_.find(record.topic);
  if (name == names_.end()) {
    return;
  }
  const auto topic = topics_.find(name->second);
  const std::string plain = metadata_impl::plain_name(topic->first);  // the last that may throw
  partition_count_ -= static_cast<std::int32_t>(topic->second.partitions.size());
  plain_names_.erase(plain);
  topics_.erase(topic);
  names_.erase(name);
}

OTTLA_INLINE void MetadataMachine::take(const ProducerIdsRecord& record) {
  next_producer_id_ = std::max(next_producer_id_, record.next);
}

OTTLA_INLINE std::vector<MachineRecord> MetadataMachine::snapshot() const {
  Decision all;
  if (next_producer_id_ > ProducerId(0)) {
    metadata_impl::write<MetadataMachine>(
        all, ProducerIdsRecord{placement_.broker, -1, next_producer_id_});
  }
  for (const TopicId& id : removed_in_order_) {
    metadata_impl::write<MetadataMachine>(all, RemoveTopicRecord{id});
  }
  for (const auto& [name, topic] : topics_) {
    metadata_impl::write<MetadataMachine>(all, TopicRecord{name, topic.id});
    for (const auto& [key, value] : topic.configs) {
      metadata_impl::write<MetadataMachine>(
          all, ConfigRecord{ConfigRecord::Resource::topic, name, key, value});
    }
    for (const PartitionRecord& partition : topic.partitions) {
      metadata_impl::write<MetadataMachine>(all, partition);
    }
  }
  return std::move(all.records);
}

OTTLA_INLINE const MetadataTopic* MetadataMachine::find(std::string_view name) const {
  const auto found = topics_.find(name);
  return found == topics_.end() ? nullptr : &found->second;
}

OTTLA_INLINE const MetadataTopic* MetadataMachine::find(const TopicId& id) const {
  const auto found = names_.find(id);
  return found == names_.end() ? nullptr : find(found->second);
}

OTTLA_INLINE MetadataTopic* MetadataMachine::find_mutable(const TopicId& id) {
  const auto found = names_.find(id);
  return found == names_.end() ? nullptr : &topics_.find(found->second)->second;
}

}  // namespace ottla::inline OTTLA_ABI
