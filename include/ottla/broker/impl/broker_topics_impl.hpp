// SPDX-License-Identifier: Apache-2.0
//
// Topics come and go.
#pragma once

#include <algorithm>
#include <limits>
#include <set>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/broker_core.hpp>

namespace ottla::inline OTTLA_ABI {

namespace broker_impl {
inline absl::Status of_unknown_owner(const absl::Status& why, const std::string& directory,
                                     const TopicId& id) {
  return annotate(why, absl::StrCat("the directory of ", directory,
                                    " does not say whose it is; write partition.metadata anew "
                                    "(\"version: 0\", \"topic_id: ",
                                    id.to_string(), "\") or move the directory away"));
}

inline absl::Status still_in_use(const std::string& name) {
  return error(ErrorCode::kafka_storage_error, Fault::timed_out,
               absl::StrCat("the disk still works on ", name,
                            " of a deleted topic of that name: try again once it answers, or take "
                            "another name"));
}
}  // namespace broker_impl

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

/// Where the partition lies. One that is nowhere is made where fewest are, and where a crash has
/// left nothing but its name; but not while it may lie in a directory that is not there. What was
/// begun is made there or nowhere: it may lie there. By whoever has the baton of topics.
template <Env E>
absl::StatusOr<typename BasicBrokerCore<E>::Place> BasicBrokerCore<E>::make_place(
    const TopicPartition& partition, const TopicId& id, Durability durability) {
  const std::string name = partition.to_string();
  std::vector<std::size_t> load;
  auto mine = [&] {
    Lock lock(mutex_);
    const auto found = places_.find(name);
    return found == places_.end() ? std::nullopt : std::optional(found->second);
  }();
  const bool is_begun = mine && mine->id == id;
  if (is_begun && mine->is_made) {
    OTTLA_TRY(mine->others.empty() ? absl::OkStatus() : found_twice(name, *mine));
    return *std::move(mine);
  }
  if (mine && !is_begun) {  // of a deleted topic: its disk did not answer, or for want of memory
    if (is_hung(name)) {
      return broker_impl::still_in_use(name);
    }
    OTTLA_TRY(drop_place(partition, mine->directory));
    for (const std::size_t other : mine->others) {
      OTTLA_TRY(drop_place(partition, other));
    }
  }
  std::optional<Strange> strange;
  {
    Lock lock(mutex_);
    if (const auto found = strange_.find(name); found != strange_.end()) {
      strange = found->second;
    }
    load = load_;
  }
  if (load.empty()) {
    return usable();
  }
  if (!is_begun) {
    const auto known = known_sizes_.find(id);
    const bool was_known = known != known_sizes_.end() &&
                           static_cast<std::size_t>(partition.partition.value()) < known->second;
    const auto least = std::min_element(load.begin(), load.end()) - load.begin();
    mine = Place{.id = id,
                 .directory = strange ? strange->directory : static_cast<std::size_t>(least),
                 .anew = was_known,
                 .is_made = false};
    if (!strange) {  // else it is there
      OTTLA_TRY(was_known && !missing_.empty() ? found_nowhere(partition) : absl::OkStatus());
      OTTLA_TRY(is_internal_topic(partition.topic) ? forget_taken_away(partition)
                                                   : absl::OkStatus());
      Lock lock(mutex_);
      note_place(name, *mine);
    }
  }
  OTTLA_TRY(make_directory(partition, id, durability, mine->directory, strange));
  mine->is_made = true;
  Lock lock(mutex_);
  note_place(name, *mine);
  strange_.erase(name);
  return *std::move(mine);
}

template <Env E>
absl::Status BasicBrokerCore<E>::make_directory(const TopicPartition& partition, const TopicId& id,
                                                Durability durability, std::size_t where,
                                                const std::optional<Strange>& strange) {
  Directory& directory = *directories_[where];
  OTTLA_TRY(directory.catch_up(file_deadline()));
  const typename BasicLogDirectory<Fs>::NewPartition fresh{partition, id, fresh_uuid()};
  bool is_new = false;
  OTTLA_TRY(directory.serial(file_deadline(), [&](BasicLogDirectory<Fs>& same) -> absl::Status {
    absl::Status made = same.create_partitions(std::span(&fresh, 1), durability);
    is_new = made.ok();
    if (fault(made) != Fault::already_exists) {
      return made;
    }
    // Made by an earlier call, which had no memory to note it? Or only its owner could not be read
    // when the broker was opened: then it is to be recovered like any other.
    const absl::StatusOr<TopicId> owner = same.topic_id(partition);
    if (owner.ok() && *owner == id) {
      return absl::OkStatus();
    }
    return strange ? broker_impl::of_unknown_owner(strange->why, partition.to_string(), id) : made;
  }));
  const bool nobodys = strange && strange->is_nobodys;
  directory.locked([&](BasicLogDirectory<Fs>& same) {
    nobodys ? same.note_deleted(partition) : void();
    is_new ? same.note_created(partition, durability) : void();
    return 0;
  });
  return nobodys ? directory.checkpoint(file_deadline()) : absl::OkStatus();
}

/// Which of them has the records is for the owner to say.
template <Env E>
absl::Status BasicBrokerCore<E>::found_twice(const std::string& name, const Place& place) const {
  std::string paths = absl::StrCat(directories_[place.directory]->path(), "/", name);
  for (const std::size_t other : place.others) {
    absl::StrAppend(&paths, " and ", directories_[other]->path(), "/", name);
  }
  return error(ErrorCode::kafka_storage_error, Fault::already_exists,
               absl::StrCat(name,
                            " lies in more than one log directory: close the broker, move "
                            "all but one of ",
                            paths, " away, and open it again"));
}

template <Env E>
absl::Status BasicBrokerCore<E>::found_nowhere(const TopicPartition& partition) const {
  std::string missing;
  for (const KnownDirectory& each : missing_) {
    absl::StrAppend(&missing, missing.empty() ? "" : ", ", each.path, " (directory.id ",
                    each.id.to_string(), ")");
  }
  return error(ErrorCode::kafka_storage_error, Fault::not_found,
               absl::StrCat(partition.to_string(),
                            " is in none of the log directories, and may be in one "
                            "that was there before and is not now: ",
                            missing, "; put that back and open the broker again, or ",
                            is_internal_topic(partition.topic) ? "" : "delete the topic, or ",
                            "make an empty directory ", partition.to_string(),
                            " in a log directory before opening, to have it begin anew without its "
                            "records"));
}

/// What is noted of a log of our own that is not there: somebody took its directory away, which is
/// the way out where it was damaged. Of others it is kept: they are damaged then.
template <Env E>
absl::Status BasicBrokerCore<E>::forget_taken_away(const TopicPartition& partition) {
  for (const Ref<Directory>& directory : directories_) {
    const bool had_records = directory->locked([&](BasicLogDirectory<Fs>& same) {
      const LogOpening noted = same.take_opening(partition, world_.wall_now());
      same.note_deleted(partition);
      return std::max(noted.recovery_point, noted.clean_end ? noted.clean_end->end : Offset(0)) >
             noted.log_start;
    });
    if (!had_records) {
      continue;
    }
    directory->note_behind();  // where it cannot be written now, it is before one is made there
    events_->tell(
        EventLevel::error, "offsets_lost",
        directory->locked([&](BasicLogDirectory<Fs>& same) { return same.path_of(partition); }),
        "it is not there any more, and begins anew: what its groups have committed is "
        "lost");
    OTTLA_TRY(directory->checkpoint(file_deadline()));
  }
  return absl::OkStatus();
}

template <Env E>
void BasicBrokerCore<E>::note_place(const std::string& name, const Place& place) {
  const auto [at, added] = places_.try_emplace(name, place);
  if (!added) {
    --load_[at->second.directory];
    at->second = place;
  }
  ++load_[place.directory];
}

template <Env E>
void BasicBrokerCore<E>::report(const TopicPartition& partition, const RecoveryReport& report) {
  for (const RecoveryReport::Finding& finding : report.findings) {
    std::string where;
    if (finding.bytes > 0) {
      where = absl::StrCat(" (", finding.bytes, " bytes from byte ", finding.position, " on",
                           finding.saved_as.empty() ? "" : ", saved as ", finding.saved_as, ")");
    }
    const bool lost = finding.kind == RecoveryReport::Kind::damage ||
                      finding.kind == RecoveryReport::Kind::segments_missing;
    const std::string_view remedy = finding.kind == RecoveryReport::Kind::damage
                                        ? "; repair it (Broker::repair), restore it from a "
                                          "backup, or delete the topic"
                                        : "";
    events_->tell(lost ? EventLevel::error : EventLevel::warning, "recovery",
                  absl::StrCat(partition.to_string(), ": ", finding.file),
                  absl::StrCat(finding.why, where, av(remedy)));
  }
  for (const Repaired& each : report.repaired) {
    events_->tell(EventLevel::warning, "repaired",
                  absl::StrCat(partition.to_string(), ": ", each.file),
                  absl::StrCat(each.why, "; gone are the offsets from ", each.offsets.first.value(),
                               " up to ", each.offsets.next.value(), ", ", each.bytes,
                               " bytes from byte ", each.position, " on",
                               each.saved_as.empty() ? "" : ", saved as ", each.saved_as));
  }
}

template <Env E>
absl::StatusOr<Ref<typename BasicBrokerCore<E>::Partition>> BasicBrokerCore<E>::open_partition(
    const MetadataTopic& topic, PartitionId number) {
  OTTLA_ASSIGN(const TopicConfig config, resolve_topic_config(topic_defaults_, topic.configs));
  const TopicPartition partition{topic.name, number};
  // What is durable must not lie in a directory whose name a power cut may take, nor offsets.
  const Durability durability = config.flush_messages == 1 || is_internal_topic(topic.name)
                                    ? Durability::durable
                                    : Durability::written;
  OTTLA_ASSIGN(const Place place, make_place(partition, topic.id, durability));
  Directory& directory = *directories_[place.directory];
  const LogOpening opening = directory.locked(
      [&](BasicLogDirectory<Fs>& same) { return same.take_opening(partition, world_.wall_now()); });
  RecoveryReport recovered;
  OTTLA_ASSIGN(auto log, open_log(directory, partition, topic.id, config, opening, recovered));
  // What was written may have been lost: readers of it must not take new records for it (R13).
  const bool crashed = recovered.last_stop != LastStop::clean || place.anew;
  may_have_lost_ |= place.anew || recovered.last_stop == LastStop::system_crash;
  // What is damaged may be whole at the next opening: nothing behind it is given up.
  const bool ends_anew = crashed && log.damage() == nullptr;
  PartitionOptions options{.partition = partition,
                           .topic_id = topic.id,
                           .epoch = broker_impl::epoch_after(recovered, ends_anew),
                           .recovered_end = ends_anew ? std::optional(log.end()) : std::nullopt,
                           .config = config,
                           .write_out_delay = config_.write_out_delay,
                           .producer_id_expiration = config_.producer_id_expiration,
                           .staged_bytes = static_cast<std::size_t>(config_.staged_bytes),
                           .tail_bytes = static_cast<std::size_t>(config_.hot_tail_partition_bytes),
                           .events = events_,
                           .lane = &directory,
                           .clock = clock_};
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
  if (const auto config = resolve_topic_config(topic_defaults_, known->configs); config.ok()) {
    if (const absl::Status kept = check_replication(*config, 1); !kept.ok()) {
      events_->tell(EventLevel::warning, "too_few_replicas", known->name, sv(kept.message()));
    }
  }
  const std::string_view remedy = is_internal_topic(known->name)
                                      ? "; its next use tries again"
                                      : "; create_topic with if_not_exists tries again";
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
                    absl::StrCat(partition.status().message(), av(remedy)));
    }
    topic->partitions.push_back(partition.ok() ? *std::move(partition) : Ref<Partition>());
  }
  topics_.put(std::move(topic));
  return annotate(opened, absl::StrCat("topic '", known->name,
                                       "' has partitions that could not be opened, which "
                                       "create_topic with if_not_exists tries again"));
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
      dropped.Update(partition ? remove_partition(partition) : absl::OkStatus());
    }
  }
  std::vector<TopicPartition> partitions;
  dropped.Update(guarded([&] {
    const auto places = places_of(id);
    for (const auto& place : places) {
      partitions.push_back(place.first);
    }
    return drop_places(places);
  }));
  const absl::Status forgotten = guarded([&] { return forget_offsets(partitions); });
  if (!forgotten.ok()) {
    events_->tell(EventLevel::warning, "offsets_of_deleted_topic", offsets_topic,
                  sv(forgotten.message()));  // whoever loads them next finds the topic deleted
  }
  return dropped;
}

/// Where somebody is in its files to the end, its directory stays: it is the lock on its name.
template <Env E>
absl::Status BasicBrokerCore<E>::remove_partition(const Ref<Partition>& partition) {
  std::map<std::string, Ref<Partition>> entry;
  guarded([&] {
    entry.emplace(partition->partition().to_string(), partition);
  }).IgnoreError();  // its name is given away with a call in it, for want of memory
  absl::Status removed = partition->remove(file_deadline());
  if (partition->is_busy()) {
    Lock lock(mutex_);
    hung_.merge(entry);
  }
  return removed;
}

/// Of a deleted topic, and somebody is in its files.
template <Env E>
bool BasicBrokerCore<E>::is_hung(const std::string& name) {
  Ref<Partition> partition;
  {
    Lock lock(mutex_);
    const auto found = hung_.find(name);
    partition = found == hung_.end() ? Ref<Partition>() : found->second;
  }
  if (!partition || partition->is_busy()) {
    return static_cast<bool>(partition);
  }
  Lock lock(mutex_);
  hung_.erase(name);
  return false;
}

/// What disks that answer again have kept from being deleted.
template <Env E>
absl::Status BasicBrokerCore<E>::drop_hung() {
  const std::map<std::string, Ref<Partition>> hung = [&] {
    Lock lock(mutex_);
    return hung_;
  }();
  if (hung.empty() || !topic_work_.take_now()) {
    return absl::OkStatus();
  }
  absl::Status dropped = guarded([&] {
    absl::Status all;
    for (const auto& entry : hung) {
      const Ref<Partition>& partition = entry.second;
      auto places = places_of(partition->topic_id());
      std::erase_if(places,
                    [&](const auto& place) { return place.first != partition->partition(); });
      all.Update(drop_places(places));
    }
    return all;
  });
  topic_work_.give();
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
      for (const std::size_t other : place.others) {
        all.emplace_back(all.back().first, other);
      }
    }
  }
  return all;
}

/// But for those that are hung.
template <Env E>
absl::Status BasicBrokerCore<E>::drop_places(
    const std::vector<std::pair<TopicPartition, std::size_t>>& places) {
  std::set<std::size_t> touched;
  absl::Status all;
  for (const auto& place : places) {
    if (!is_hung(place.first.to_string())) {
      touched.insert(place.second);
      all.Update(guarded([&] { return drop_place(place.first, place.second); }));
    }
  }
  for (const std::size_t where : touched) {  // a new topic of the name begins at 0
    all.Update(directories_[where]->checkpoint(file_deadline()));
  }
  return all;
}

/// Afterwards it lies nowhere, unless there was no memory for it: then a new one of its name comes
/// here again. Where it was only begun, what is there may be somebody else's, who keeps it.
template <Env E>
absl::Status BasicBrokerCore<E>::drop_place(const TopicPartition& partition, std::size_t where) {
  const std::string name = partition.to_string();
  const auto begun = [&] {
    Lock lock(mutex_);
    const auto at = places_.find(name);
    return at == places_.end() || at->second.is_made ? std::nullopt : std::optional(at->second.id);
  }();
  absl::Status dropped = directories_[where]->serial(
      file_deadline(), [&](BasicLogDirectory<Fs>& directory) -> absl::Status {
        if (begun) {
          OTTLA_ASSIGN(const TopicId owner, directory.topic_id(partition));
          if (owner != *begun) {
            return absl::OkStatus();
          }
        }
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
  directories_[where]->note_behind();
  if (const auto at = places_.find(name); at != places_.end()) {
    --load_[at->second.directory];
    places_.erase(at);
  }
  return fault(dropped) == Fault::not_found ? absl::OkStatus() : dropped;
}

}  // namespace ottla::inline OTTLA_ABI
