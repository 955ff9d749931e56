// SPDX-License-Identifier: Apache-2.0
//
// What lies in the directories, against what the metadata log says.
#pragma once

#include <algorithm>
#include <set>

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
  strange_[one.partition.to_string()] = {std::move(id).status(), one.directory, false};
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
    const absl::Status adopted =
        submit_and_wait(*metadata_, topic, [](const MetadataMachine::Response& answer) {
          const ErrorCode code = std::get<MetadataMachine::Adopted>(answer).error;
          return code == ErrorCode::none ? absl::OkStatus() : error(code, "it is not adopted");
        });
    if (adopted.ok()) {
      events_->tell(EventLevel::info, "adopted_topic", topic.name,
                    absl::StrCat("its directories were found and are served; ", about));
    } else if (error_code(adopted) == ErrorCode::topic_already_exists) {
      tell_not_adopted(topic, found);
    } else {
      return annotate(adopted, absl::StrCat("topic '", topic.name,
                                            "', whose directories were found, cannot be noted"));
    }
  }
  return absl::OkStatus();
}

/// Two topics have that name.
template <Env E>
void BasicBrokerCore<E>::tell_not_adopted(const MetadataMachine::AdoptTopic& topic,
                                          const std::vector<Found>& found) {
  for (const Found& each : found) {
    if (each.id == topic.id) {
      events_->tell(
          EventLevel::error, "not_adopted",
          absl::StrCat(directories_[each.directory]->path(), "/", each.partition.to_string()),
          absl::StrCat("left alone, since its partition.metadata has topic id ",
                       topic.id.to_string(), ", and topic '", topic.name,
                       "' has another one: move the directory away, or delete that topic and open "
                       "again to have this one served"));
    }
  }
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
      if (const auto first = places_.find(each.partition.to_string()); first != places_.end()) {
        first->second.others.push_back(each.directory);
      } else {
        note_place(each.partition.to_string(), {.id = each.id, .directory = each.directory});
      }
    } else if (removed) {
      Directory& directory = *directories_[each.directory];
      OTTLA_TRY(tell_failed(directory.serial(file_deadline(),
                                             [&](BasicLogDirectory<Fs>& same) {
                                               return same.delete_partition(each.partition,
                                                                            fresh_uuid(),
                                                                            Durability::written);
                                             }),
                            directory, "what is left of a deleted topic could not be taken away"));
    }
  }
  return absl::OkStatus();
}

/// What checkpoints say of them is not of a topic that gets their name later.
template <Env E>
void BasicBrokerCore<E>::find_nobodys() {
  const std::set<std::string, std::less<>> names =
      metadata_->query([](const MetadataMachine& machine) {
        std::set<std::string, std::less<>> all;
        for (const auto& [name, topic] : machine.topics()) {
          all.insert(name);
        }
        return all;
      });
  Lock lock(mutex_);
  for (auto& [name, strange] : strange_) {
    strange.is_nobodys = !names.contains(TopicPartition::parse(name)->topic);
  }
}

/// A deletion may have stopped before the checkpoints were written; a new topic begins at 0. What
/// is said of a directory that is left alone is kept.
template <Env E>
absl::Status BasicBrokerCore<E>::forget_deleted() {
  for (const Ref<Directory>& directory : directories_) {
    bool left = false;
    const auto is_gone = [&](const TopicPartition& partition) {
      bool gone = false;
      directory
          ->serial(file_deadline(),
                   [&](BasicLogDirectory<Fs>& same) {
                     gone = fault(env_.file_system().status(same.path_of(partition)).status()) ==
                            Fault::not_found;
                     return absl::OkStatus();
                   })
          .IgnoreError();  // then it is kept
      return gone;
    };
    for (const CheckpointKind kind : checkpoint_kinds) {
      const auto offsets =
          directory->locked([&](BasicLogDirectory<Fs>& same) { return same.offsets(kind); });
      for (const PartitionOffset& each : offsets) {
        const bool known = metadata_->query([&](const MetadataMachine& machine) {
          return machine.find(each.partition.topic) != nullptr;
        });
        if (!known && is_gone(each.partition)) {
          left = true;
          directory->locked([&](BasicLogDirectory<Fs>& same) {
            same.note_deleted(each.partition);
            return 0;
          });
        }
      }
    }
    if (left) {
      directory->note_behind();
      OTTLA_TRY(tell_failed(directory->checkpoint(file_deadline()), *directory,
                            "what is noted of deleted topics could not be taken out"));
    }
  }
  return absl::OkStatus();
}

/// What fails in one directory holds up no other; what the process lacks they would lack too.
template <Env E>
absl::Status BasicBrokerCore<E>::tell_failed(const absl::Status& done, const Directory& directory,
                                             std::string_view what) {
  if (!done.ok() && !not_tried(done)) {
    events_->tell(EventLevel::error, "directory_failed", directory.path(),
                  absl::StrCat(av(what), ", which is tried again: ", done.message()));
  }
  return not_tried(done) ? done : absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
