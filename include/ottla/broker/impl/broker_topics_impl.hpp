// SPDX-License-Identifier: Apache-2.0
//
// Topics come and go; coordinators are loaded.
#pragma once

#include <algorithm>
#include <set>

#include <absl/strings/str_cat.h>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/broker_core.hpp>

namespace ottla::inline OTTLA_ABI {

/// `note` in the partition's log directory, which it answers; null, and nothing is noted, once the
/// partition was deleted.
template <Env E>
template <class Note>
Ref<BrokerDirectory<typename BasicBrokerCore<E>::Fs>> BasicBrokerCore<E>::noted(
    const Partition& partition, Note note) {
  Lock lock(mutex_);
  const auto found = places_.find(partition.partition().to_string());
  if (found == places_.end() || found->second.id != partition.topic_id()) {
    return {};
  }
  const Ref<Directory>& directory = directories_[found->second.directory];
  directory->locked([&](BasicLogDirectory<Fs>& same) {
    note(same);
    return 0;
  });
  return directory;
}

/// The directory where the partition lies; made where fewest are, when it is nowhere. By whoever
/// has the baton of topics.
template <Env E>
absl::StatusOr<std::size_t> BasicBrokerCore<E>::make_place(const TopicPartition& partition,
                                                           const TopicId& id) {
  const std::string name = partition.to_string();
  std::vector<std::size_t> load(directories_.size());
  {
    Lock lock(mutex_);
    if (const auto found = places_.find(name); found != places_.end() && found->second.id == id) {
      return found->second.directory;
    }
    for (const auto& [other, place] : places_) {
      ++load[place.directory];
    }
  }
  if (load.empty()) {
    return usable();
  }
  const auto least =
      static_cast<std::size_t>(std::min_element(load.begin(), load.end()) - load.begin());
  Directory& directory = *directories_[least];
  const typename BasicLogDirectory<Fs>::NewPartition fresh{partition, id, fresh_uuid()};
  OTTLA_TRY(directory.serial(file_deadline(), [&](BasicLogDirectory<Fs>& same) {
    return same.create_partitions(std::span(&fresh, 1), Durability::written);
  }));
  directory.locked([&](BasicLogDirectory<Fs>& same) {
    same.note_created(partition, Durability::written);
    return 0;
  });
  Lock lock(mutex_);
  places_[name] = {id, least};
  return least;
}

template <Env E>
void BasicBrokerCore<E>::report(const TopicPartition& partition, const RecoveryReport& report) {
  for (const RecoveryReport::Finding& finding : report.findings) {
    const bool lost = finding.kind == RecoveryReport::Kind::damage ||
                      finding.kind == RecoveryReport::Kind::segments_missing;
    events_->tell(
        lost ? EventLevel::error : EventLevel::warning, "recovery",
        absl::StrCat(partition.to_string(), ": ", finding.file),
        absl::StrCat(finding.why, " at byte ", finding.position, ", ", finding.bytes, " bytes",
                     finding.saved_as.empty() ? "" : " saved as ", finding.saved_as));
  }
}

template <Env E>
absl::StatusOr<Ref<typename BasicBrokerCore<E>::Partition>> BasicBrokerCore<E>::open_partition(
    const MetadataTopic& topic, PartitionId number) {
  OTTLA_ASSIGN(const TopicConfig config, resolve_topic_config(topic_defaults_, topic.configs));
  const TopicPartition partition{topic.name, number};
  OTTLA_ASSIGN(const std::size_t where, make_place(partition, topic.id));
  Directory& directory = *directories_[where];
  const auto [path, opening, health] = directory.locked([&](BasicLogDirectory<Fs>& same) {
    return std::tuple(same.path_of(partition), same.take_opening(partition, world_.wall_now()),
                      same.health());
  });
  RecoveryReport recovered;
  OTTLA_ASSIGN(auto log, BasicLog<Fs>::open(env_.file_system(), path,
                                            LogOptions{.config = config.log,
                                                       .topic_id = topic.id,
                                                       .partition = number,
                                                       .seed = env_.random().next()},
                                            opening, health, recovered));
  report(partition, recovered);
  if (config.flush_messages == 1 && log.durable_end() < log.end()) {
    // Readers have seen it all: how far it is durable is noted by and by only. Where it cannot be
    // synced, they see what is known to be.
    auto flush = log.plan_flush(FlushScope::data);
    if (absl::Status synced = flush.run(); synced.ok()) {
      log.flushed(flush);
    } else {
      events_->tell(EventLevel::error, "sync_failed", partition.to_string(), sv(synced.message()));
    }
  }
  const auto latest = log.epochs().latest();
  // After an unclean stop what was written may have been lost: readers of it must not take new
  // records for it (R13).
  const bool unclean = recovered.last_stop != LastStop::clean && log.end() > Offset(0);
  const LeaderEpoch epoch = latest ? (unclean ? *latest + 1 : *latest) : LeaderEpoch(0);
  PartitionOptions options{.partition = partition,
                           .topic_id = topic.id,
                           .epoch = epoch,
                           .config = config,
                           .write_out_delay = config_.write_out_delay,
                           .staged_bytes = static_cast<std::size_t>(config_.staged_bytes),
                           .tail_bytes = static_cast<std::size_t>(config_.hot_tail_partition_bytes),
                           .events = events_};
  return make_ref<Partition>(world_, std::move(log), std::move(options), tails_, buffers_);
}

template <Env E>
absl::Status BasicBrokerCore<E>::open_topic(std::string_view name) {
  if (!topic_work_.take(world_, file_deadline())) {
    return error(Fault::timed_out, "other topics are being created; try again", Outcome::unknown);
  }
  const auto known = metadata_->query([&](const MetadataMachine& machine) {
    const MetadataTopic* topic = machine.find(name);
    return topic == nullptr ? std::optional<MetadataTopic>() : std::optional(*topic);
  });
  if (!known) {
    topic_work_.give();
    return error(ErrorCode::unknown_topic_or_partition, "the topic was deleted meanwhile");
  }
  const Ref<Topic> old = topics_.find(known->id);
  auto topic = make_ref<Topic>();
  topic->name = known->name;
  topic->id = known->id;
  absl::Status opened;
  for (std::size_t i = 0; i < known->partitions.size() && opened.ok(); ++i) {
    if (old && i < old->partitions.size() && old->partitions[i]) {
      topic->partitions.push_back(old->partitions[i]);
      continue;
    }
    auto partition = open_partition(*known, PartitionId(static_cast<std::int32_t>(i)));
    opened = partition.status();
    topic->partitions.push_back(partition.ok() ? *std::move(partition) : Ref<Partition>());
  }
  if (opened.ok()) {
    topics_.put(std::move(topic));
  }
  topic_work_.give();
  return annotate(opened, absl::StrCat("topic '", known->name, "'"));
}

template <Env E>
absl::Status BasicBrokerCore<E>::drop_topic(const TopicId& id) {
  const Ref<Topic> topic = topics_.remove(id);
  if (!topic) {
    return absl::OkStatus();
  }
  absl::Status dropped;
  std::set<std::size_t> touched;
  for (const Ref<Partition>& partition : topic->partitions) {
    if (!partition) {
      continue;
    }
    dropped.Update(partition->remove(file_deadline()));
    std::size_t where = 0;
    {
      Lock lock(mutex_);
      const auto found = places_.find(partition->partition().to_string());
      if (found == places_.end() || found->second.id != id) {
        continue;
      }
      where = found->second.directory;
      places_.erase(found);
    }
    dropped.Update(
        directories_[where]->serial(file_deadline(), [&](BasicLogDirectory<Fs>& directory) {
          return directory.delete_partition(partition->partition(), fresh_uuid(),
                                            Durability::written);
        }));
    directories_[where]->locked([&](BasicLogDirectory<Fs>& directory) {
      directory.note_deleted(partition->partition());
      return 0;
    });
    touched.insert(where);
  }
  for (const std::size_t where : touched) {  // a new topic of the name begins at 0
    dropped.Update(directories_[where]->checkpoint(file_deadline()));
  }
  return dropped;
}

template <Env E>
absl::Status BasicBrokerCore<E>::make_offsets_topic() {
  if (topics_.find(offsets_topic)) {
    return absl::OkStatus();
  }
  MetadataMachine::CreateTopics event{{}, {}, {fresh_uuid()}};
  event.topics.topics.push_back(
      {.name = std::string(offsets_topic),
       .partitions = config_.offsets_topic_partitions,
       .configs = {{"cleanup.policy", "compact"}, {"segment.bytes", "104857600"}}});
  // Other threads may be changing topics: the answer comes when it is this change's turn. The topic
  // is opened there, before the next change.
  struct Pending final : Counted {
    Ref<Doorbell> answered = make_ref<Doorbell>();
    absl::Status made;
  };
  const auto pending = make_ref<Pending>();
  metadata_->submit(
      [&event](RequestId request) {
        event.request = request;
        return MetadataMachine::Event(event);
      },
      [self = Ref<BasicBrokerCore>(this),
       pending](const absl::StatusOr<MetadataMachine::Response>& answer) {
        pending->made = answer.status();
        if (answer.ok() && !self->topics_.find(offsets_topic)) {
          pending->made = self->open_topic(offsets_topic);
        }
        pending->answered->ring();
      });
  if (!world_.await(*pending->answered, file_deadline())) {
    return error(ErrorCode::coordinator_not_available, Fault::timed_out,
                 "other topics are being changed; try again");
  }
  return pending->made;
}

template <Env E>
absl::StatusOr<Ref<typename BasicBrokerCore<E>::GroupKeeper>> BasicBrokerCore<E>::coordinator(
    std::string_view group) {
  OTTLA_TRY(make_offsets_topic());
  const Ref<Topic> topic = topics_.find(offsets_topic);
  if (!topic) {
    return error(ErrorCode::coordinator_not_available, "the broker is closing");
  }
  const std::int32_t number =
      partition_for_id(group, static_cast<std::int32_t>(topic->partitions.size()));
  {
    Lock lock(mutex_);
    if (const auto found = groups_.find(number); found != groups_.end()) {
      return found->second;
    }
  }
  const Ref<Partition>& partition = topic->partitions[static_cast<std::size_t>(number)];
  GroupConfig config{.min_session_timeout = config_.group_min_session_timeout,
                     .max_session_timeout = config_.group_max_session_timeout,
                     .initial_rebalance_delay = config_.group_initial_rebalance_delay,
                     .max_size = config_.group_max_size,
                     .offsets = {.retention = config_.offsets_retention}};
  auto keeper = make_ref<GroupKeeper>(
      world_, GroupCoordinator(config), make_ref<PartitionJournal<Fs>>(world_, partition),
      typename GroupKeeper::Hooks{.timer_due =
                                      [](const GroupTimer& timer) {
                                        return GroupCoordinator::Event(
                                            GroupCoordinator::TimerDue{timer});
                                      },
                                  .translate = &coordinator_error});
  // Two threads may load it both; the second one finds the first one's below and drops its own,
  // which told nobody.
  OTTLA_TRY(keeper->load());
  {
    Lock lock(mutex_);
    const auto [entry, first] = groups_.try_emplace(number, keeper);
    if (!first) {
      return entry->second;
    }
  }
  keeper->submit(
      [](RequestId) {
        return GroupCoordinator::Event(GroupCoordinator::Loaded{.members_gone = true});
      },
      typename GroupKeeper::Reply([](absl::StatusOr<GroupResponse>) {}));
  return keeper;
}

template <Env E>
absl::StatusOr<std::vector<Ref<typename BasicBrokerCore<E>::GroupKeeper>>>
BasicBrokerCore<E>::all_coordinators() {
  std::vector<Ref<GroupKeeper>> all;
  if (!topics_.find(offsets_topic)) {
    return all;
  }
  // A group's name that falls on each partition is not known: load them all by number.
  Lock lock(mutex_);
  for (const auto& [number, keeper] : groups_) {
    all.push_back(keeper);
  }
  return all;
}

}  // namespace ottla::inline OTTLA_ABI
