// SPDX-License-Identifier: Apache-2.0
//
// Topics come and go.
#pragma once

#include <algorithm>
#include <set>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
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

/// The directory where the partition lies; made where fewest are, when it is nowhere, and where a
/// crash has left nothing but its name. By whoever has the baton of topics.
template <Env E>
absl::StatusOr<std::size_t> BasicBrokerCore<E>::make_place(const TopicPartition& partition,
                                                           const TopicId& id,
                                                           Durability durability) {
  const std::string name = partition.to_string();
  std::vector<std::size_t> load(directories_.size());
  const auto mine = [&] {
    Lock lock(mutex_);
    const auto found = places_.find(name);
    return found == places_.end() ? std::nullopt : std::optional(found->second);
  }();
  if (mine && mine->id == id) {
    return mine->directory;
  }
  if (mine) {
    OTTLA_TRY(drop_place(partition, mine->directory));  // of a deleted topic, for want of memory
  }
  std::optional<Strange> strange;
  {
    Lock lock(mutex_);
    if (const auto found = strange_.find(name); found != strange_.end()) {
      strange = found->second;
    }
    for (const auto& [other, place] : places_) {
      ++load[place.directory];
    }
  }
  if (load.empty()) {
    return usable();
  }
  const auto least = std::min_element(load.begin(), load.end()) - load.begin();
  const std::size_t where = strange ? strange->directory : static_cast<std::size_t>(least);
  Directory& directory = *directories_[where];
  const typename BasicLogDirectory<Fs>::NewPartition fresh{partition, id, fresh_uuid()};
  OTTLA_TRY(directory.serial(file_deadline(), [&](BasicLogDirectory<Fs>& same) -> absl::Status {
    absl::Status made = same.create_partitions(std::span(&fresh, 1), durability);
    if (fault(made) != Fault::already_exists) {
      return made;
    }
    // Made by an earlier call, which had no memory to note it?
    const absl::StatusOr<TopicId> owner = same.topic_id(partition);
    if (owner.ok() && *owner == id) {
      durability = Durability::written;
      return absl::OkStatus();
    }
    return strange ? annotate(strange->why,
                              absl::StrCat("the directory of ", name,
                                           " does not say whose it is; write partition.metadata "
                                           "anew (\"version: 0\", \"topic_id: ",
                                           id.to_string(), "\") or move the directory away"))
                   : made;
  }));
  directory.locked([&](BasicLogDirectory<Fs>& same) {
    same.note_created(partition, durability);
    return 0;
  });
  Lock lock(mutex_);
  places_[name] = {id, where};
  strange_.erase(name);
  return where;
}

template <Env E>
void BasicBrokerCore<E>::report(const TopicPartition& partition, const RecoveryReport& report) {
  for (const RecoveryReport::Finding& finding : report.findings) {
    std::string where = finding.bytes > 0 ? absl::StrCat(" at byte ", finding.position, ", ",
                                                         finding.bytes, " bytes")
                                          : std::string();
    const bool lost = finding.kind == RecoveryReport::Kind::damage ||
                      finding.kind == RecoveryReport::Kind::segments_missing;
    events_->tell(lost ? EventLevel::error : EventLevel::warning, "recovery",
                  absl::StrCat(partition.to_string(), ": ", finding.file),
                  absl::StrCat(finding.why, where, finding.saved_as.empty() ? "" : " saved as ",
                               finding.saved_as));
  }
}

template <Env E>
absl::StatusOr<Ref<typename BasicBrokerCore<E>::Partition>> BasicBrokerCore<E>::open_partition(
    const MetadataTopic& topic, PartitionId number) {
  OTTLA_ASSIGN(const TopicConfig config, resolve_topic_config(topic_defaults_, topic.configs));
  const TopicPartition partition{topic.name, number};
  // A batch that is not on the device yet must not lie in a directory that may lose its owner.
  // A partition of __consumer_offsets whose name a power cut took would cost its groups.
  const Durability durability = config.flush_messages == 1 || is_internal_topic(topic.name)
                                    ? Durability::durable
                                    : Durability::written;
  OTTLA_ASSIGN(const std::size_t where, make_place(partition, topic.id, durability));
  Directory& directory = *directories_[where];
  const auto [path, opening, health] = directory.locked([&](BasicLogDirectory<Fs>& same) {
    return std::tuple(same.path_of(partition), same.take_opening(partition, world_.wall_now()),
                      same.health());
  });
  const LogOptions log_options{.config = config.log,
                               .topic_id = topic.id,
                               .partition = number,
                               .seed = env_.random().next(),
                               .producer_id_expiration = config_.producer_id_expiration};
  RecoveryReport recovered;
  OTTLA_ASSIGN(auto log, BasicLog<Fs>::open(env_.file_system(), path, log_options, opening, health,
                                            recovered));
  report(partition, recovered);
  directory.locked([&](BasicLogDirectory<Fs>& same) {
    // What is appended behind a lost end was not compacted.
    if (same.offset(CheckpointKind::cleaned, partition) > log.end()) {
      same.set_offset(CheckpointKind::cleaned, partition, log.end());
    }
    return 0;
  });
  producer_ids_.note(log.producers().largest_id());
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
  const bool crashed = recovered.last_stop != LastStop::clean;
  const bool unclean = crashed && log.end() > Offset(0);
  const LeaderEpoch epoch = latest ? (unclean ? *latest + 1 : *latest) : LeaderEpoch(0);
  PartitionOptions options{
      .partition = partition,
      .topic_id = topic.id,
      .epoch = epoch,
      .recovered_end = crashed && log.damage() == nullptr ? std::optional(log.end()) : std::nullopt,
      .config = config,
      .write_out_delay = config_.write_out_delay,
      .producer_id_expiration = config_.producer_id_expiration,
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
  absl::Status opened = guarded([&] { return open_partitions(name); });
  topic_work_.give();
  return opened;
}

/// By whoever has the baton of topics.
template <Env E>
absl::Status BasicBrokerCore<E>::open_partitions(std::string_view name) {
  const auto known = metadata_->query([&](const MetadataMachine& machine) {
    const MetadataTopic* topic = machine.find(name);
    return topic == nullptr ? std::optional<MetadataTopic>() : std::optional(*topic);
  });
  if (!known) {
    return error(ErrorCode::unknown_topic_or_partition, "the topic was deleted meanwhile");
  }
  const Ref<Topic> old = topics_.find(known->id);
  auto topic = make_ref<Topic>();
  topic->name = known->name;
  topic->id = known->id;
  absl::Status opened;
  for (std::size_t i = 0; i < known->partitions.size(); ++i) {
    if (old && i < old->partitions.size() && old->partitions[i]) {
      topic->partitions.push_back(old->partitions[i]);
      continue;
    }
    auto partition =
        guarded([&] { return open_partition(*known, PartitionId(static_cast<std::int32_t>(i))); });
    if (!partition.ok()) {
      opened.Update(partition.status());
      events_->tell(EventLevel::error, "partition_offline", absl::StrCat(known->name, "-", i),
                    sv(partition.status().message()));
    }
    topic->partitions.push_back(partition.ok() ? *std::move(partition) : Ref<Partition>());
  }
  topics_.put(std::move(topic));
  return annotate(opened, absl::StrCat("topic '", known->name, "'"));
}

template <Env E>
bool BasicBrokerCore<E>::is_open(std::string_view name) const {
  const Ref<Topic> topic = topics_.find(name);
  const std::size_t partitions = metadata_->query([&](const MetadataMachine& machine) {
    const MetadataTopic* known = machine.find(name);
    return known == nullptr ? 0 : known->partitions.size();
  });
  return topic && topic->partitions.size() == partitions &&
         std::all_of(topic->partitions.begin(), topic->partitions.end(),
                     [](const Ref<Partition>& partition) { return static_cast<bool>(partition); });
}

template <Env E>
absl::Status BasicBrokerCore<E>::drop_topic(const TopicId& id) {
  absl::Status dropped;
  if (const Ref<Topic> topic = topics_.remove(id)) {
    for (const Ref<Partition>& partition : topic->partitions) {
      dropped.Update(partition ? partition->remove(file_deadline()) : absl::OkStatus());
    }
  }
  std::vector<TopicPartition> partitions;
  dropped.Update(guarded([&]() -> absl::Status {
    std::set<std::size_t> touched;
    absl::Status all;
    for (const auto& place : places_of(id)) {
      partitions.push_back(place.first);
      touched.insert(place.second);
      all.Update(guarded([&] { return drop_place(place.first, place.second); }));
    }
    for (const std::size_t where : touched) {  // a new topic of the name begins at 0
      all.Update(directories_[where]->checkpoint(file_deadline()));
    }
    return all;
  }));
  const absl::Status forgotten = guarded([&] { return forget_offsets(partitions); });
  if (!forgotten.ok()) {
    events_->tell(EventLevel::warning, "offsets_of_deleted_topic", offsets_topic,
                  sv(forgotten.message()));  // whoever loads them next finds the topic deleted
  }
  return dropped;
}

template <Env E>
std::vector<std::pair<TopicPartition, std::size_t>> BasicBrokerCore<E>::places_of(
    const TopicId& id) {
  std::vector<std::pair<TopicPartition, std::size_t>> all;
  Lock lock(mutex_);
  for (const auto& [name, place] : places_) {
    if (place.id == id) {
      all.emplace_back(*TopicPartition::parse(name), place.directory);
    }
  }
  return all;
}

/// Afterwards it lies nowhere, unless there was no memory for it: then a new one of its name comes
/// here again.
template <Env E>
absl::Status BasicBrokerCore<E>::drop_place(const TopicPartition& partition, std::size_t where) {
  const std::string name = partition.to_string();
  absl::Status dropped =
      directories_[where]->serial(file_deadline(), [&](BasicLogDirectory<Fs>& directory) {
        return directory.delete_partition(partition, fresh_uuid(), Durability::written);
      });
  if (fault(dropped) == Fault::no_memory) {
    return dropped;
  }
  Lock lock(mutex_);  // nobody notes anything in between
  directories_[where]->locked([&](BasicLogDirectory<Fs>& directory) {
    directory.note_deleted(partition);
    return 0;
  });
  places_.erase(name);
  return fault(dropped) == Fault::not_found ? absl::OkStatus() : dropped;
}

}  // namespace ottla::inline OTTLA_ABI
