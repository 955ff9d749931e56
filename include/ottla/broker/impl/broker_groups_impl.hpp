// SPDX-License-Identifier: Apache-2.0
//
// Coordinators of groups: made and loaded at first use, and told what happened to the partitions
// that groups have committed offsets for.
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/broker_core.hpp>

namespace ottla::inline OTTLA_ABI {

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
  // The topic is opened when it is this change's turn, before the next one.
  return submit_and_wait(*metadata_, std::move(event),
                         [self = Ref<BasicBrokerCore>(this)](const MetadataMachine::Response&) {
                           return self->topics_.find(offsets_topic)
                                      ? absl::OkStatus()
                                      : self->open_topic(offsets_topic);
                         });
}

template <Env E>
auto BasicBrokerCore<E>::coordinator(std::string_view group) -> absl::StatusOr<Ref<GroupKeeper>> {
  OTTLA_TRY(make_offsets_topic());
  const Ref<Topic> topic = topics_.find(offsets_topic);
  if (!topic) {
    return error(ErrorCode::coordinator_not_available, "the broker is closing");
  }
  return coordinator(*topic,
                     partition_for_id(group, static_cast<std::int32_t>(topic->partitions.size())));
}

template <Env E>
auto BasicBrokerCore<E>::all_coordinators() -> absl::StatusOr<std::vector<Ref<GroupKeeper>>> {
  std::vector<Ref<GroupKeeper>> all;
  const Ref<Topic> topic = topics_.find(offsets_topic);
  for (std::size_t i = 0; topic && i < topic->partitions.size(); ++i) {
    const Ref<Partition>& partition = topic->partitions[i];
    if (partition && partition->ends().start < partition->ends().end) {
      OTTLA_ASSIGN(Ref<GroupKeeper> keeper, coordinator(*topic, static_cast<std::int32_t>(i)));
      all.push_back(std::move(keeper));
    }
  }
  return all;
}

template <Env E>
auto BasicBrokerCore<E>::coordinator(const Topic& topic, std::int32_t number)
    -> absl::StatusOr<Ref<GroupKeeper>> {
  const auto find = [&]() -> Ref<GroupKeeper> {
    Lock lock(mutex_);
    const auto found = groups_.find(number);
    return found == groups_.end() ? Ref<GroupKeeper>() : found->second;
  };
  if (Ref<GroupKeeper> loaded = find()) {
    return loaded;
  }
  if (!group_work_.take(world_, file_deadline())) {
    return error(ErrorCode::coordinator_load_in_progress, Fault::timed_out,
                 "other groups are being loaded; try again");
  }
  const auto keeper = guarded([&]() -> absl::StatusOr<Ref<GroupKeeper>> {
    if (Ref<GroupKeeper> loaded = find()) {
      return loaded;
    }
    std::map<std::int32_t, Ref<GroupKeeper>> entry{{number, Ref<GroupKeeper>()}};
    Ref<Partition> partition = topic.partitions[static_cast<std::size_t>(number)];
    if (!partition) {  // nobody else tries again
      open_topic(offsets_topic).IgnoreError();
      partition = topics_.find(topic.id, PartitionId(number));
    }
    OTTLA_ASSIGN(entry.begin()->second, load_coordinator(partition));
    Ref<GroupKeeper> loaded = entry.begin()->second;
    Lock lock(mutex_);
    groups_.merge(entry);
    return loaded;
  });
  group_work_.give();
  if (keeper.ok() && closed_.load()) {
    (*keeper)->close();  // whoever closes the broker may not have seen it
  }
  return keeper;
}

template <Env E>
auto BasicBrokerCore<E>::load_coordinator(const Ref<Partition>& partition)
    -> absl::StatusOr<Ref<GroupKeeper>> {
  if (!partition) {
    return error(ErrorCode::coordinator_not_available,
                 "a partition of __consumer_offsets could not be opened; the broker's events say "
                 "why");
  }
  GroupConfig config{.min_session_timeout = config_.group_min_session_timeout,
                     .max_session_timeout = config_.group_max_session_timeout,
                     .initial_rebalance_delay = config_.group_initial_rebalance_delay,
                     .max_size = config_.group_max_size,
                     .offsets = config_.offsets};
  auto keeper = make_ref<GroupKeeper>(
      world_, GroupCoordinator(config), make_ref<PartitionJournal<Fs>>(world_, partition),
      typename GroupKeeper::Hooks{.timer_due =
                                      [](const GroupTimer& timer) {
                                        return GroupCoordinator::Event(
                                            GroupCoordinator::TimerDue{timer});
                                      },
                                  .translate = &coordinator_error});
  const absl::Status loaded = guarded([&]() -> absl::Status {
    OTTLA_TRY(keeper->load());
    OTTLA_TRY(revise_offsets(*keeper));
    return tell_coordinator(*keeper, GroupCoordinator::Loaded{.members_gone = true});
  });
  if (!loaded.ok()) {
    keeper->close();  // there will be another of the same log
    return loaded;
  }
  return keeper;
}

/// What `take` makes of the answer. Other events may have their turn first.
template <Env E>
template <class Keeper, class Event, class Take>
absl::Status BasicBrokerCore<E>::submit_and_wait(Keeper& keeper, Event event, Take take) {
  struct Pending final : Counted {
    Ref<Doorbell> answered = make_ref<Doorbell>();
    absl::Status taken;
  };
  const auto pending = make_ref<Pending>();
  keeper.submit(
      [&event](RequestId request) {
        event.request = request;
        return typename Keeper::Event(std::move(event));
      },
      [pending, take](const absl::StatusOr<typename Keeper::Response>& answer) {
        pending->taken = answer.ok() ? guarded([&] { return take(*answer); }) : answer.status();
        pending->answered->ring();
      });
  if (!world_.await(*pending->answered, file_deadline())) {
    return error(ErrorCode::coordinator_not_available, Fault::timed_out,
                 "the disk is busy with other topics and groups; try again");
  }
  return pending->taken;
}

/// Of an event that is no client's.
template <Env E>
template <class Event>
absl::Status BasicBrokerCore<E>::tell_coordinator(GroupKeeper& keeper, Event event) {
  return submit_and_wait(keeper, std::move(event), [](const GroupResponse& answer) {
    const ErrorCode code = std::get<OffsetDeleteResponse>(answer).error;
    return code == ErrorCode::none ? absl::OkStatus()
                                   : error(code, "committed offsets could not be written");
  });
}

/// No offset is above what a crash has left, and none is of a deleted topic, before anybody is told
/// it (R13).
template <Env E>
absl::Status BasicBrokerCore<E>::revise_offsets(GroupKeeper& keeper) {
  GroupCoordinator::OffsetsRevised event;
  const auto all =
      keeper.query([](const GroupCoordinator& groups) { return groups.offsets().all(); });
  for (const OffsetStore::Entry& entry : all) {
    const std::optional<Offset> right = right_offset(entry.partition, entry.committed);
    if (right == entry.committed.offset) {
      continue;
    }
    event.offsets.push_back({entry.group, entry.partition, right});
    if (right) {
      events_->tell(EventLevel::warning, "offset_lowered", entry.partition.to_string(),
                    absl::StrCat("group '", entry.group, "' had committed ",
                                 entry.committed.offset.value(), "; the records from ",
                                 right->value(), " on were lost in a crash, so it goes on there"));
    }
  }
  return event.offsets.empty() ? absl::OkStatus() : tell_coordinator(keeper, std::move(event));
}

/// Nothing where the topic was deleted.
template <Env E>
std::optional<Offset> BasicBrokerCore<E>::right_offset(const TopicPartition& partition,
                                                       const CommittedOffset& committed) const {
  const Ref<Topic> topic = topics_.find(partition.topic);
  const bool other = topic && !committed.topic_id.is_zero() && topic->id != committed.topic_id;
  const bool removed = metadata_->query(
      [&](const MetadataMachine& machine) { return machine.was_removed(committed.topic_id); });
  if (other || removed) {
    return std::nullopt;
  }
  const auto index = static_cast<std::size_t>(partition.partition.value());
  if (!topic || index >= topic->partitions.size() || !topic->partitions[index]) {
    return committed.offset;
  }
  const Ref<Partition>& log = topic->partitions[index];
  Offset limit = log->recovered_end().value_or(committed.offset);
  for (const EpochStart& epoch : log->epochs()) {
    if (committed.leader_epoch != no_leader_epoch && epoch.epoch > committed.leader_epoch) {
      limit = std::min(limit, epoch.start);  // what that leader wrote ends there
      break;
    }
  }
  return std::min(limit, committed.offset);
}

template <Env E>
absl::Status BasicBrokerCore<E>::forget_offsets(const std::vector<TopicPartition>& partitions) {
  OTTLA_ASSIGN(const auto keepers, all_coordinators());
  absl::Status all;
  for (const Ref<GroupKeeper>& keeper : keepers) {
    all.Update(tell_coordinator(*keeper, GroupCoordinator::PartitionsDeleted{{}, partitions}));
  }
  return all;
}

}  // namespace ottla::inline OTTLA_ABI
