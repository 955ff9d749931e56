// SPDX-License-Identifier: Apache-2.0
//
// Opening, background work, closing.
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/broker/broker_core.hpp>

namespace ottla::inline OTTLA_ABI {

template <Env E>
BasicBrokerCore<E>::BasicBrokerCore(E& env, std::unique_ptr<E> owned, BrokerConfig config)
    : owned_(std::move(owned)),
      env_(env),
      world_(env),
      config_(std::move(config)),
      process_generation_(env.process_generation()),
      events_(make_ref<Events>(world_, config_.on_event)),
      tails_(make_ref<TailBudget>(config_.hot_tail_bytes)),
      buffers_(make_ref<ReadBuffers>()) {
  topic_defaults_.log = config_.log;
  topic_defaults_.max_message_bytes = config_.message_max_bytes;
}

template <Env E>
absl::StatusOr<Ref<BasicBrokerCore<E>>> BasicBrokerCore<E>::open(E& env, std::unique_ptr<E> owned,
                                                                 BrokerConfig config) {
  OTTLA_TRY(check_config(config));
  if (config.log_dirs.paths().empty()) {
    return error(ErrorCode::invalid_config, Fault::invalid_argument,
                 "log_dirs is empty: name a directory, or ottla::in_memory");
  }
  auto core = make_ref<BasicBrokerCore>(env, std::move(owned), std::move(config));
  OTTLA_TRY(core->open_directories());
  OTTLA_TRY(core->open_metadata());
  OTTLA_ASSIGN(const auto found, core->find_partitions());
  OTTLA_TRY(core->adopt(found));
  OTTLA_TRY(core->settle(found));
  OTTLA_TRY(core->forget_deleted());
  std::vector<std::string> names = core->metadata_->query([](const MetadataMachine& machine) {
    std::vector<std::string> all;
    for (const auto& [name, topic] : machine.topics()) {
      all.push_back(name);
    }
    return all;
  });
  for (const std::string& name : names) {
    OTTLA_TRY(core->open_topic(name));
  }
  core->schedule(core->config_.initial_task_delay, &BasicBrokerCore::retention);
  core->schedule(core->config_.initial_task_delay, &BasicBrokerCore::remove_files);
  core->schedule(core->config_.checkpoint_interval, &BasicBrokerCore::checkpoints);
  return core;
}

template <Env E>
absl::Status BasicBrokerCore<E>::usable() const {
  if (env_.process_generation() != process_generation_) [[unlikely]] {
    return error(Fault::forked,
                 "this broker belongs to the parent process; open a new one in the child");
  }
  if (closed_.load(std::memory_order_acquire)) [[unlikely]] {
    return error(ErrorCode::not_leader_or_follower, Fault::closed,
                 "the broker was closed; open it again");
  }
  return absl::OkStatus();
}

template <Env E>
SteadyTime BasicBrokerCore<E>::file_deadline() const {
  return after(world_.steady_now(), std::chrono::seconds(60));
}

template <Env E>
absl::Status BasicBrokerCore<E>::open_directories() {
  std::string cluster = config_.cluster_id.empty() ? fresh_uuid().to_string() : config_.cluster_id;
  for (const std::string& path : config_.log_dirs.paths()) {
    DirectoryReport report;
    LogDirectoryOptions options{.path = path,
                                .properties = {.cluster_id = cluster,
                                               .node_id = BrokerId(config_.node_id),
                                               .directory_id = fresh_uuid()},
                                .process = process_id(),
                                .run = fresh_uuid()};
    OTTLA_ASSIGN(auto directory, BasicLogDirectory<Fs>::open(env_.file_system(), options, report));
    cluster = directory.properties().cluster_id;
    for (const std::string& finding : report.findings) {
      events_->tell(EventLevel::warning, "log_directory", path, finding);
    }
    directories_.push_back(make_ref<Directory>(world_, std::move(directory)));
  }
  cluster_id_ = cluster;
  return absl::OkStatus();
}

template <Env E>
absl::Status BasicBrokerCore<E>::open_metadata() {
  OTTLA_ASSIGN(metadata_file_,
               MetadataFile<Fs>::open(env_.file_system(), world_, directories_.front()->path()));
  const MetadataPlacement placement{
      .broker = BrokerId(config_.node_id),
      .directory = directories_.front()->locked(
          [](BasicLogDirectory<Fs>& directory) { return directory.properties().directory_id; }),
      .default_partitions = config_.partitions};
  metadata_ = make_ref<MetadataKeeper>(world_, MetadataMachine(placement), metadata_file_);
  OTTLA_TRY(metadata_->load());
  MetadataKeeper* keeper =
      metadata_.get();  // which outlives the file's use of it: the core has both
  metadata_file_->set_snapshot([keeper] {
    return keeper->query([](const MetadataMachine& machine) { return machine.snapshot(); });
  });
  return absl::OkStatus();
}

template <Env E>
absl::StatusOr<std::vector<typename BasicBrokerCore<E>::Found>>
BasicBrokerCore<E>::find_partitions() {
  std::vector<Found> found;
  for (std::size_t i = 0; i < directories_.size(); ++i) {
    OTTLA_TRY(directories_[i]->serial(file_deadline(), [&](BasicLogDirectory<Fs>& directory) {
      for (const TopicPartition& partition : directory.partitions()) {
        auto id = directory.topic_id(partition);
        if (id.ok()) {
          found.push_back({partition, *id, i});
        } else if (fault(id.status()) != Fault::not_found) {
          return std::move(id).status();
        } else {
          events_->tell(EventLevel::warning, "unknown_directory", directory.path_of(partition),
                        "a partition without partition.metadata is left alone");
        }
      }
      return absl::OkStatus();
    }));
  }
  return found;
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
      if (topic.name == offsets_topic) {
        topic.configs = {{"cleanup.policy", "compact"}};
      } else {
        topic.configs = {{"retention.bytes", "-1"}, {"retention.ms", "-1"}};
      }
    }
  }
  for (auto& entry : unknown) {
    MetadataMachine::AdoptTopic& topic = entry.second;
    absl::Status adopted;
    metadata_->submit(
        [&topic](RequestId request) {
          topic.request = request;
          return MetadataMachine::Event(topic);
        },
        [&adopted](absl::StatusOr<MetadataMachine::Response> answer) {
          adopted = answer.status();
        });
    OTTLA_TRY(adopted);  // the metadata file answers at once
    events_->tell(EventLevel::info, "adopted_topic", topic.name,
                  "its directories were found and are served; its configs are not known, so that "
                  "nothing in it goes by age or size");
  }
  return absl::OkStatus();
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

template <Env E>
void BasicBrokerCore<E>::schedule(std::chrono::nanoseconds delay, void (BasicBrokerCore::*work)()) {
  std::uint64_t number = 0;
  {
    Lock lock(mutex_);
    number = ++last_timer_;
  }
  const TimerId timer = world_.post_at(after(world_.steady_now(), delay),
                                       [self = Ref<BasicBrokerCore>(this), work, number] {
                                         {
                                           Lock lock(self->mutex_);
                                           self->timers_.erase(number);
                                         }
                                         if (!self->closed_.load()) {
                                           (self.get()->*work)();
                                         }
                                       });
  {
    Lock lock(mutex_);
    timers_[number] = timer;
  }
  if (closed_.load()) {
    world_.cancel(timer);
  }
}

template <Env E>
void BasicBrokerCore<E>::note_offsets(const Partition& partition) {
  const auto ends = partition.ends();
  noted(partition, [&](BasicLogDirectory<Fs>& directory) {
    directory.set_offset(CheckpointKind::recovery_point, partition.partition(),
                         ends.recovery_point);
    directory.set_offset(CheckpointKind::high_watermark, partition.partition(), ends.visible);
    directory.set_offset(CheckpointKind::log_start, partition.partition(), ends.start);
  });
}

template <Env E>
void BasicBrokerCore<E>::retention() {
  for (const Ref<Topic>& topic : topics_.all()) {
    for (const Ref<Partition>& partition : topic->partitions) {
      if (!partition || closed_.load()) {
        continue;
      }
      const absl::Status ticked = partition->tick([&](Offset start) -> absl::Status {
        bool moved = false;
        const Ref<Directory> directory = noted(*partition, [&](BasicLogDirectory<Fs>& same) {
          const auto old = same.offset(CheckpointKind::log_start, partition->partition());
          same.set_offset(CheckpointKind::log_start, partition->partition(), start);
          moved = old.value_or(Offset(0)) != start;
        });
        return moved ? directory->checkpoint(CheckpointKind::log_start, file_deadline())
                     : absl::OkStatus();
      });
      if (!ticked.ok()) {
        events_->tell(EventLevel::error, "retention_failed", partition->partition().to_string(),
                      sv(ticked.message()));
      }
    }
  }
  schedule(config_.retention_check_interval, &BasicBrokerCore::retention);
}

template <Env E>
void BasicBrokerCore<E>::checkpoints() {
  for (const Ref<Topic>& topic : topics_.all()) {
    for (const Ref<Partition>& partition : topic->partitions) {
      if (!partition) {
        continue;
      }
      partition->rest();
      note_offsets(*partition);
    }
  }
  for (const Ref<Directory>& directory : directories_) {
    if (const absl::Status written = directory->checkpoint(file_deadline()); !written.ok()) {
      events_->tell(EventLevel::error, "checkpoint_failed", directory->path(),
                    sv(written.message()));
    }
  }
  schedule(config_.checkpoint_interval, &BasicBrokerCore::checkpoints);
}

template <Env E>
void BasicBrokerCore<E>::remove_files() {
  bool more = false;
  for (const Ref<Directory>& directory : directories_) {
    const absl::Status removed =
        directory->serial(file_deadline(), [&](BasicLogDirectory<Fs>& files) -> absl::Status {
          OTTLA_ASSIGN(const bool left, files.remove_deleted_partitions());
          more = more || left;
          return absl::OkStatus();
        });
    if (!removed.ok()) {
      events_->tell(EventLevel::error, "remove_failed", directory->path(), sv(removed.message()));
    }
  }
  schedule(more ? std::chrono::nanoseconds(std::chrono::milliseconds(10))
                : std::chrono::nanoseconds(std::chrono::seconds(60)),
           &BasicBrokerCore::remove_files);
}

template <Env E>
absl::Status BasicBrokerCore<E>::close_partitions(SteadyTime deadline) {
  absl::Status all;
  for (const Ref<Topic>& topic : topics_.all()) {
    for (const Ref<Partition>& partition : topic->partitions) {
      if (!partition) {
        continue;
      }
      const absl::StatusOr<CleanEnd> end = partition->close(deadline);
      if (!end.ok()) {
        all.Update(end.status());
        continue;
      }
      note_offsets(*partition);
      noted(*partition, [&](BasicLogDirectory<Fs>& directory) {
        directory.set_offset(CheckpointKind::recovery_point, partition->partition(), end->end);
        directory.note_closed(partition->partition(), *end);
      });
    }
  }
  return all;
}

template <Env E>
absl::Status BasicBrokerCore<E>::close(SteadyTime deadline) {
  if (env_.process_generation() != process_generation_) {
    return usable();  // a child forgets what it inherited
  }
  if (closed_.exchange(true)) {
    return absl::OkStatus();
  }
  std::map<std::uint64_t, TimerId> timers;
  std::map<std::int32_t, Ref<GroupKeeper>> groups;
  {
    Lock lock(mutex_);
    timers.swap(timers_);
    groups.swap(groups_);
  }
  for (const auto& [number, timer] : timers) {
    world_.cancel(timer);
  }
  for (const auto& [number, keeper] : groups) {
    keeper->close();
  }
  if (metadata_) {
    metadata_->close();
  }
  absl::Status closed = close_partitions(deadline);
  if (metadata_file_ && closed.ok()) {
    closed.Update(metadata_file_->sync());
    closed.Update(metadata_file_->close());
  }
  for (const Ref<Directory>& directory : directories_) {
    closed.Update(directory->checkpoint(deadline));
    if (closed.ok()) {  // without a marker the next open looks for itself
      closed.Update(directory->serial(deadline, [&](BasicLogDirectory<Fs>& files) {
        return files.close(
            directory->locked([](BasicLogDirectory<Fs>& same) { return same.clean_ends(); }));
      }));
    }
  }
  for (const Ref<Directory>& directory : directories_) {
    closed.Update(directory->leave(deadline));
  }
  return closed;
}

}  // namespace ottla::inline OTTLA_ABI
