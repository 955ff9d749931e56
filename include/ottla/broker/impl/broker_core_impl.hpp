// SPDX-License-Identifier: Apache-2.0
//
// Opening, background work, closing.
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/callback_scope.hpp>
#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/broker_core.hpp>
#include <ottla/env/apart.hpp>

namespace ottla::inline OTTLA_ABI {

template <Env E>
BasicBrokerCore<E>::BasicBrokerCore(E& env, std::unique_ptr<E> owned, BrokerConfig config)
    : owned_(std::move(owned)),
      env_(env),
      world_(env),
      config_(std::move(config)),
      process_generation_(env.process_generation()),
      events_(make_ref<Events>(world_, config_.on_event)),
      clock_(make_ref<ClockWatch>(world_, events_)),
      tails_(make_ref<TailBudget>(config_.hot_tail_bytes)),
      buffers_(make_ref<ReadBuffers>()) {
  topic_defaults_.log = config_.log;
  topic_defaults_.max_message_bytes = config_.message_max_bytes;
  topic_defaults_.min_cleanable_dirty_ratio = config_.cleaner.min_cleanable_ratio;
  topic_defaults_.delete_retention = config_.cleaner.delete_retention;
  topic_defaults_.min_compaction_lag = config_.cleaner.min_compaction_lag;
}

template <Env E>
absl::StatusOr<Ref<BasicBrokerCore<E>>> BasicBrokerCore<E>::open(E& env, std::unique_ptr<E> owned,
                                                                 BrokerConfig config) {
  OTTLA_TRY(check_broker_config(config));
  auto core = make_ref<BasicBrokerCore>(env, std::move(owned), std::move(config));
  OTTLA_ASSIGN(const bool clean, core->open_directories());
  OTTLA_TRY(core->find_missing_directories());
  OTTLA_TRY(core->open_metadata(clean));
  OTTLA_ASSIGN(const auto found, core->find_partitions());
  OTTLA_TRY(core->adopt(found));
  OTTLA_TRY(core->settle(found));
  OTTLA_TRY(core->forget_deleted());
  core->find_nobodys();
  bool all_open = true;
  for (const std::string& name : core->note_known_topics()) {
    // A directory that cannot be opened holds up nothing but its own partition. What the process
    // lacks, the next ones would lack too.
    const absl::Status opened = core->open_topic(name);
    OTTLA_TRY(not_tried(opened) ? opened : absl::OkStatus());
    all_open = all_open && opened.ok();
  }
  core->settle_missing_directories(all_open);
  core->revise_after_loss();
  core->tell_strange();
  core->schedule(core->chores_[0], core->config_.initial_task_delay);
  core->schedule(core->chores_[1], core->config_.initial_task_delay);
  core->schedule(core->chores_[2], core->config_.checkpoint_interval);
  if (core->config_.cleaner.enable) {
    core->schedule(core->chores_[3], core->config_.initial_task_delay);
  }
  if (core->config_.scrubber.interval.count() > 0 && !core->config_.log_dirs.in_memory()) {
    core->schedule(core->chores_[4], core->config_.scrubber.interval);
  }
  return core;
}

template <Env E>
absl::Status BasicBrokerCore<E>::usable() const {
  if (is_inherited()) [[unlikely]] {
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
absl::StatusOr<bool> BasicBrokerCore<E>::open_directories() {
  std::optional<bool> clean;
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
    clean = clean.value_or(report.last_stop == LastStop::clean && !report.foreign);
    for (const std::string& finding : report.findings) {
      events_->tell(EventLevel::warning, "log_directory", path, finding);
    }
    directories_.push_back(make_ref<Directory>(world_, std::move(directory)));
    Lock lock(mutex_);
    load_.push_back(0);
  }
  cluster_id_ = cluster;
  return *clean;
}

template <Env E>
absl::Status BasicBrokerCore<E>::open_metadata(bool clean) {
  typename MetadataFile<Fs>::Stop stop{.clean = clean};
  const auto [id, health] = directories_.front()->locked([&](BasicLogDirectory<Fs>& directory) {
    stop.sync_failed = directory.sync_failed();
    return std::pair(directory.properties().directory_id, directory.health());
  });
  std::string cut;
  OTTLA_ASSIGN(metadata_file_,
               MetadataFile<Fs>::open(env_.file_system(), world_, directories_.front()->path(),
                                      stop, health, cut));
  if (!cut.empty()) {
    events_->tell(EventLevel::warning, "metadata_cut", cut,
                  "the end of the metadata log was torn by the last crash: a change of topics that "
                  "was not answered yet is gone; its bytes are in this file");
  }
  const MetadataPlacement placement{.broker = BrokerId(config_.node_id),
                                    .directory = id,
                                    .default_partitions = config_.partitions};
  metadata_ = make_ref<MetadataKeeper>(
      world_, MetadataMachine(placement), metadata_file_,
      typename MetadataKeeper::Hooks{
          .tells = [](Fault) { return true; },
          .refused =
              [events = events_, path = directories_.front()->path()](const absl::Status& why) {
                if (fault(why) != Fault::closed) {
                  events->tell(EventLevel::error, "topics_refused", path, sv(why.message()));
                }
              }});
  OTTLA_TRY(metadata_->load());
  MetadataKeeper* keeper =
      metadata_.get();  // which outlives the file's use of it: the core has both
  metadata_file_->set_snapshot([keeper] {
    return keeper->query([](const MetadataMachine& machine) { return machine.snapshot(); });
  });
  return absl::OkStatus();
}

template <Env E>
void BasicBrokerCore<E>::schedule(Chore& chore, Duration delay) {
  std::uint64_t turn = 0;
  {
    Lock lock(mutex_);
    turn = ++chore.turn;
  }
  TimerId timer = no_timer;
  const absl::Status posted = guarded([&] {
    timer = world_.post_at(
        after(world_.steady_now(), delay),
        [self = Ref<BasicBrokerCore>(this), &chore] { self->run(chore); }, this);
  });
  {
    Lock lock(mutex_);
    if (chore.turn == turn) {  // else it had its turn already
      chore.timer = timer;
      chore.lost = !posted.ok();
    }
  }
  if (!posted.ok()) {
    chores_lost_.store(true);
  }
  if (closed_.load()) {
    world_.cancel(timer);
  }
}

template <Env E>
void BasicBrokerCore<E>::run(Chore& chore) {
  if (closed_.load()) {
    return;
  }
  Duration delay = std::chrono::minutes(1);  // where memory cannot be had
  guarded([&] { delay = (this->*chore.work)(); }).IgnoreError();
  schedule(chore, delay);
  find_lost_chores();
}

template <Env E>
void BasicBrokerCore<E>::find_lost_chores() {
  if (!chores_lost_.load(std::memory_order_relaxed) || !chores_lost_.exchange(false)) {
    return;
  }
  for (Chore& chore : chores_) {
    const bool lost = [&] {
      Lock lock(mutex_);
      return std::exchange(chore.lost, false);
    }();
    if (lost && !closed_.load()) {
      schedule(chore, config_.initial_task_delay);
    }
  }
}

template <Env E>
void BasicBrokerCore<E>::note_offsets(const Partition& partition) {
  const auto ends = partition.ends();
  noted(partition, [&](BasicLogDirectory<Fs>& directory) {
    if (ends.recovery_point) {
      directory.set_offset(CheckpointKind::recovery_point, partition.partition(),
                           *ends.recovery_point);
    }
    directory.set_offset(CheckpointKind::high_watermark, partition.partition(), ends.visible);
    raise_start(directory, partition.partition(), ends.start);
  });
}

/// What was noted is never taken back: whoever deleted records meanwhile was answered.
template <Env E>
void BasicBrokerCore<E>::raise_start(BasicLogDirectory<Fs>& directory,
                                     const TopicPartition& partition, Offset start) {
  const Offset old = directory.offset(CheckpointKind::log_start, partition).value_or(Offset(0));
  directory.set_offset(CheckpointKind::log_start, partition, std::max(old, start));
}

/// Before what lies below it goes (W7).
template <Env E>
absl::Status BasicBrokerCore<E>::save_start(const Partition& partition, Offset start) {
  const Ref<Directory> directory = noted(partition, [&](BasicLogDirectory<Fs>& same) {
    raise_start(same, partition.partition(), start);
  });
  return directory ? directory->checkpoint(CheckpointKind::log_start, file_deadline())
                   : absl::OkStatus();
}

template <Env E>
absl::StatusOr<Offset> BasicBrokerCore<E>::delete_records(const TopicPartition& partition,
                                                          Offset before) {
  OTTLA_ASSIGN(const Ref<Partition> found, open_one(partition));
  return found->delete_records(
      before, [&](Offset start) { return save_start(*found, start); }, file_deadline());
}

template <Env E>
Duration BasicBrokerCore<E>::checkpoints() {
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
    const absl::Status written = directory->checkpoint(file_deadline());
    if (!written.ok() && fault(written) != Fault::closed) {
      events_->tell(EventLevel::error, "checkpoint_failed", directory->path(),
                    sv(written.message()));
    }
  }
  return config_.checkpoint_interval;
}

template <Env E>
Duration BasicBrokerCore<E>::remove_files() {
  constexpr std::chrono::milliseconds turn{5};
  bool more = false;
  if (const absl::Status dropped = drop_hung(); !dropped.ok()) {
    events_->tell(EventLevel::error, "remove_failed", "", sv(dropped.message()));
  }
  for (const Ref<Directory>& directory : directories_) {
    const absl::Status removed =
        directory->serial(file_deadline(), [&](BasicLogDirectory<Fs>& files) -> absl::Status {
          const SteadyTime turn_ends = after(world_.steady_now(), turn);
          bool left = true;
          while (left && world_.steady_now() < turn_ends) {
            OTTLA_ASSIGN(left, files.remove_deleted_partitions());
          }
          more = more || left;
          return absl::OkStatus();
        });
    if (!removed.ok() && fault(removed) != Fault::closed) {
      events_->tell(EventLevel::error, "remove_failed", directory->path(), sv(removed.message()));
    }
  }
  return more ? std::chrono::milliseconds(10) : std::chrono::milliseconds(60'000);
}

/// Those that nobody works on come first, so that they do not wait for a disk that does not answer.
template <Env E>
absl::Status BasicBrokerCore<E>::close_partitions(SteadyTime deadline) {
  absl::Status all;
  const auto close = [&](Partition& partition) {
    all.Update(close_partition(partition, deadline));
  };
  topics_.for_each_partition([&](Partition& partition) {
    if (!partition.is_busy()) {
      close(partition);
    }
  });
  topics_.for_each_partition([&](Partition& partition) {
    if (!partition.is_closed()) {
      close(partition);
    }
  });
  return all;
}

template <Env E>
absl::Status BasicBrokerCore<E>::close_partition(Partition& partition, SteadyTime deadline) {
  const absl::StatusOr<CleanEnd> end = partition.close(deadline, [&] {
    const Ref<Directory> full = noted(partition, [](BasicLogDirectory<Fs>&) {});
    const auto give_back = [](BasicLogDirectory<Fs>& directory) {
      return directory.give_back_reserve(IoReason::clean_stop);
    };
    if (full) {
      full->serial(deadline, give_back).IgnoreError();  // closing says what comes of it
    }
  });
  // A damaged log took no appends: there is nothing to close, that it is damaged was said, and its
  // next opening knows.
  const bool damaged = !partition.ends().recovery_point && fault(end.status()) == Fault::corrupt;
  const absl::Status noted_there = guarded([&] {
    if (end.ok()) {
      note_offsets(partition);
    }
    const Ref<Directory> directory = noted(partition, [&](BasicLogDirectory<Fs>& same) {
      if (end.ok()) {
        same.set_offset(CheckpointKind::recovery_point, partition.partition(), end->end);
        same.note_closed(partition.partition(), *end);
      }
    });
    if (!end.ok() && !damaged && directory) {
      directory->keep_unclean();
    }
  });
  if (!noted_there.ok()) {
    for (const Ref<Directory>& directory : directories_) {
      directory->keep_unclean();
    }
    return noted_there;
  }
  return damaged ? absl::OkStatus() : end.status();
}

/// A directory gets its marker when all in it was closed: without one the next open looks for
/// itself.
template <Env E>
absl::Status BasicBrokerCore<E>::close_all(SteadyTime deadline) {
  std::map<std::int32_t, Ref<GroupKeeper>> groups;
  {
    Lock lock(mutex_);
    groups.swap(groups_);
  }
  for (Chore& chore : chores_) {
    world_.cancel([&] {
      Lock lock(mutex_);
      return chore.timer;
    }());
  }
  give_up_cleaning(deadline);
  for (const auto& [number, keeper] : groups) {
    keeper->close();
  }
  if (metadata_) {
    metadata_->close();
  }
  absl::Status closed = close_partitions(deadline);
  if (metadata_file_) {
    if (const absl::Status written = metadata_file_->close(deadline); !written.ok()) {
      closed.Update(written);
      directories_.front()->keep_unclean();
    }
  }
  for (const Ref<Directory>& directory : directories_) {
    closed.Update(guarded([&]() -> absl::Status {
      OTTLA_TRY(directory->checkpoint(deadline));
      return directory->unclean()
                 ? absl::OkStatus()
                 : directory->serial(deadline, [&](BasicLogDirectory<Fs>& files) {
                     return files.close(directory->locked(
                         [](BasicLogDirectory<Fs>& same) { return same.clean_ends(); }));
                   });
    }));
  }
  return closed;
}

/// Lets go of the directories once nobody is at a file in them: another broker must not come
/// before.
template <Env E>
absl::Status BasicBrokerCore<E>::leave_directories(SteadyTime deadline) {
  bool idle = topic_work_.take(world_, deadline);        // kept: no partition is opened any more
  idle = cleaning_work_.take(world_, deadline) && idle;  // likewise: no step of compaction
  topics_.for_each_partition(
      [&](Partition& partition) { idle = partition.wait_until_idle(deadline) && idle; });
  std::map<std::string, Ref<Partition>> hung;
  {
    Lock lock(mutex_);
    hung.swap(hung_);
  }
  for (const auto& [name, partition] : hung) {
    idle = partition->wait_until_idle(deadline) && idle;
  }
  if (metadata_file_) {
    idle = fault(metadata_file_->close(deadline)) != Fault::timed_out && idle;
  }
  if (!idle) {
    return error(Fault::timed_out,
                 "the disk did not answer before the deadline of closing: the directories stay "
                 "locked, and the next open recovers",
                 Outcome::unknown);
  }
  absl::Status left;
  for (const Ref<Directory>& directory : directories_) {
    left.Update(guarded([&] { return directory->leave(deadline); }));
  }
  return left;
}

template <Env E>
absl::Status BasicBrokerCore<E>::close(SteadyTime deadline) {
  if (is_inherited()) {
    return usable();  // a child forgets what it inherited
  }
  closed_.store(true);
  // A callback may be what closing waits for: there it only begins.
  const bool waits = !CallbackScope::active();
  if (!closing_.take(world_, waits ? deadline : SteadyTime::min())) {
    return error(Fault::timed_out, "another thread still closes the broker; try again",
                 Outcome::unknown);
  }
  if (close_status_) {
    const absl::Status closed = *close_status_;
    closing_.give();
    return closed;
  }
  // A thread of its own makes the calls, so that this one ends in time whatever the disk does. It
  // keeps this object, and what is in it, until nobody is in a call of the disk any more.
  const auto close = [self = Ref<BasicBrokerCore>(this), deadline](bool is_apart) {
    absl::Status closed = self->close_all(deadline);
    closed.Update(self->leave_directories(is_apart ? never : deadline));
    self->close_status_ = closed;
    self->closing_.give();
    return closed;
  };
  constexpr std::chrono::milliseconds grace{100};  // that thread keeps to the same deadline
  const absl::Status closed =
      apart(world_, "ottla-close", waits ? after(deadline, grace) : SteadyTime::min(), close);
  if (waits && fault(closed) == Fault::timed_out) {
    topics_.for_each_partition([](Partition& partition) { partition.abandon(); });
  }
  return waits || fault(closed) != Fault::timed_out
             ? closed
             : error(Fault::would_deadlock,
                     "closing has begun, and goes on after this callback, which it may wait for; "
                     "close from elsewhere to learn how it ended",
                     Outcome::unknown);
}

}  // namespace ottla::inline OTTLA_ABI
