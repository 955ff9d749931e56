// SPDX-License-Identifier: Apache-2.0
//
// What lies in the directories, against what the metadata log says.
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/broker/broker_core.hpp>

namespace ottla::inline OTTLA_ABI {

template <Env E>
absl::StatusOr<std::vector<typename BasicBrokerCore<E>::Found>>
BasicBrokerCore<E>::find_partitions() {
  std::vector<Found> found;
  for (std::size_t i = 0; i < directories_.size(); ++i) {
    OTTLA_TRY(directories_[i]->serial(file_deadline(), [&](BasicLogDirectory<Fs>& directory) {
      absl::Status all;
      for (const TopicPartition& partition : directory.partitions()) {
        // Kafka's own log is read, and left alone.
        if (all.ok() && partition.topic != cluster_metadata_topic) {
          all = find_partition(directory, {partition, {}, i}, found);
        }
      }
      return all;
    }));
  }
  return found;
}

/// A directory that does not say whose it is is left alone, and harms no other.
template <Env E>
absl::Status BasicBrokerCore<E>::find_partition(BasicLogDirectory<Fs>& directory, Found one,
                                                std::vector<Found>& found) {
  auto id = directory.topic_id(one.partition);
  if (id.ok()) {
    one.id = *id;
    found.push_back(std::move(one));
    return absl::OkStatus();
  }
  if (not_tried(id.status())) {
    return std::move(id).status();
  }
  Lock lock(mutex_);
  strange_[one.partition.to_string()] = {std::move(id).status(), one.directory};
  return absl::OkStatus();
}

/// Once topics are open: a directory that was nobody's and empty is somebody's by then.
template <Env E>
void BasicBrokerCore<E>::tell_strange() {
  const std::map<std::string, Strange> strange = [&] {
    Lock lock(mutex_);
    return strange_;
  }();
  for (const auto& [name, each] : strange) {
    events_->tell(
        EventLevel::error, "unknown_directory",
        absl::StrCat(directories_[each.directory]->path(), "/", name),
        absl::StrCat("left alone, since its partition.metadata does not say whose it is: ",
                     each.why.message()));
  }
}

template <Env E>
absl::Status BasicBrokerCore<E>::adopt(const std::vector<Found>& found) {
  std::map<TopicId, MetadataMachine::AdoptTopic> unknown;
  for (const Found& each : found) {
    const bool known = metadata_->query([&](const MetadataMachine& machine) {
      return machine.find(each.id) != nullptr || machine.was_removed(each.id);
    });
    if (!known) {
      MetadataMachine::AdoptTopic& topic = unknown[each.id];
      topic.name = each.partition.topic;
      topic.id = each.id;
      topic.partitions = std::max(topic.partitions, each.partition.partition.value() + 1);
    }
  }
  const std::optional<MetadataMachine> kafka =
      unknown.empty() ? std::nullopt : read_kafka_metadata();
  for (auto& entry : unknown) {
    MetadataMachine::AdoptTopic& topic = entry.second;
    const std::string about = adopt_configs(topic, kafka ? kafka->find(topic.id) : nullptr);
    OTTLA_TRY(submit_and_wait(*metadata_, topic,
                              [](const MetadataMachine::Response&) { return absl::OkStatus(); }));
    events_->tell(EventLevel::info, "adopted_topic", topic.name,
                  absl::StrCat("its directories were found and are served; ", about));
  }
  return absl::OkStatus();
}

/// What Kafka has noted, where we can keep it; else nothing in the topic goes by age or size.
/// Which.
template <Env E>
std::string BasicBrokerCore<E>::adopt_configs(MetadataMachine::AdoptTopic& topic,
                                              const MetadataTopic* known) const {
  absl::Status kept = error(Fault::not_found, "its configs are not known");
  if (known != nullptr) {
    topic.configs = known->configs;
    kept = annotate(resolve_topic_config(topic_defaults_, topic.configs).status(),
                    "Kafka's configs of it cannot be kept");
  }
  if (kept.ok()) {
    return "its configs are those that Kafka has noted";
  }
  topic.configs = {{"retention.bytes", "-1"}, {"retention.ms", "-1"}};
  if (topic.name == offsets_topic) {
    topic.configs = {{"cleanup.policy", "compact"}};
  }
  return absl::StrCat(kept.message(), ", so that nothing in it goes by age or size");
}

/// From a `__cluster_metadata-0` in one of the directories; nothing where there is none, or it
/// cannot be read.
template <Env E>
std::optional<MetadataMachine> BasicBrokerCore<E>::read_kafka_metadata() {
  for (const Ref<Directory>& directory : directories_) {
    const std::string path = absl::StrCat(directory->path(), "/", av(cluster_metadata_topic), "-0");
    std::optional<MetadataMachine> machine;
    const absl::Status read =
        directory->serial(file_deadline(), [&](BasicLogDirectory<Fs>&) -> absl::Status {
          OTTLA_ASSIGN(machine, KafkaMetadata<Fs>(env_.file_system(), path).read());
          return absl::OkStatus();
        });
    if (read.ok()) {
      return machine;
    }
    if (fault(read) != Fault::not_found) {
      events_->tell(EventLevel::warning, "kafka_metadata", path, sv(read.message()));
    }
  }
  return std::nullopt;
}

/// Remembers where partitions lie, and takes away what is left of topics whose deletion is written.
template <Env E>
absl::Status BasicBrokerCore<E>::settle(const std::vector<Found>& found) {
  for (const Found& each : found) {
    const auto [mine, removed] = metadata_->query([&](const MetadataMachine& machine) {
      const MetadataTopic* topic = machine.find(each.id);
      return std::pair(topic != nullptr && topic->name == each.partition.topic,
                       machine.was_removed(each.id));
    });
    if (mine) {
      Lock lock(mutex_);
      places_[each.partition.to_string()] = {each.id, each.directory};
    } else if (removed) {
      OTTLA_TRY(directories_[each.directory]->serial(
          file_deadline(), [&](BasicLogDirectory<Fs>& directory) {
            return directory.delete_partition(each.partition, fresh_uuid(), Durability::written);
          }));
    }
  }
  return absl::OkStatus();
}

/// A deletion may have stopped before the checkpoints were written; a new topic begins at 0.
template <Env E>
absl::Status BasicBrokerCore<E>::forget_deleted() {
  for (const Ref<Directory>& directory : directories_) {
    bool left = false;
    for (const CheckpointKind kind : checkpoint_kinds) {
      const auto offsets =
          directory->locked([&](BasicLogDirectory<Fs>& same) { return same.offsets(kind); });
      for (const PartitionOffset& each : offsets) {
        const bool known = metadata_->query([&](const MetadataMachine& machine) {
          return machine.find(each.partition.topic) != nullptr;
        });
        if (!known) {
          left = true;
          directory->locked([&](BasicLogDirectory<Fs>& same) {
            same.note_deleted(each.partition);
            return 0;
          });
        }
      }
    }
    OTTLA_TRY(left ? directory->checkpoint(file_deadline()) : absl::OkStatus());
  }
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
