// SPDX-License-Identifier: Apache-2.0
//
// Coordinators of groups: made and loaded at first use, and told what happened to the partitions
// that groups have committed offsets for.
#pragma once

#include <algorithm>
#include <memory>

#include <absl/strings/str_cat.h>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/broker_core.hpp>

namespace ottla::inline OTTLA_ABI {
namespace broker_impl {

/// What became of an event that is no client's.
inline absl::Status is_written(const GroupResponse& answer) {
  const ErrorCode code = std::get<OffsetDeleteResponse>(answer).error;
  return code == ErrorCode::none ? absl::OkStatus()
                                 : error(code, "committed offsets could not be written");
}

/// What passes by no other coordinator, nor with time alone.
inline bool is_of_the_disk(Fault fault) {
  return fault == Fault::no_space || fault == Fault::read_only || fault == Fault::io ||
         fault == Fault::corrupt;
}

/// What who asked can do something about.
inline bool is_told(Fault fault) {
  return is_of_the_disk(fault) || fault == Fault::no_descriptors || fault == Fault::not_found;
}

}  // namespace broker_impl

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
auto BasicBrokerCore<E>::all_coordinators(absl::Status& failed) -> std::vector<Ref<GroupKeeper>> {
  std::vector<Ref<GroupKeeper>> all;
  const Ref<Topic> topic = topics_.find(offsets_topic);
  for (std::size_t i = 0; topic && i < topic->partitions.size(); ++i) {
    const Ref<Partition>& partition = topic->partitions[i];
    if (!partition || partition->ends().start == partition->ends().end) {
      continue;
    }
    auto keeper = coordinator(*topic, static_cast<std::int32_t>(i));
    if (keeper.ok()) {
      all.push_back(*std::move(keeper));
    } else if (fault(keeper.status()) == Fault::corrupt) {
      events_->tell(EventLevel::error, "groups_damaged", partition->partition().to_string(),
                    sv(keeper.status().message()));
    } else {
      failed.Update(keeper.status());
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
                     .max_member_metadata = config_.group_max_member_metadata,
                     .max_batch_bytes = partition->config().max_message_bytes,
                     .offsets = config_.offsets};
  auto keeper = make_ref<GroupKeeper>(
      world_, GroupCoordinator(config), make_ref<PartitionJournal<Fs>>(world_, partition),
      typename GroupKeeper::Hooks{
          .timer_due =
              [clock = clock_, retention = config_.offsets.retention](const GroupTimer& timer) {
                const bool by_age = timer.kind == GroupTimer::Kind::offsets;
                return GroupCoordinator::Event(GroupCoordinator::TimerDue{
                    .timer = timer, .clock_stepped = by_age && !clock->now_for(retention)});
              },
          .translate = &coordinator_error,
          .tells = &broker_impl::is_told,
          .refused =
              [events = events_, partition](const absl::Status& why) {
                if (fault(why) != Fault::closed) {
                  events->tell(EventLevel::error, "commits_refused",
                               partition->partition().to_string(),
                               absl::StrCat("its groups cannot commit: ", why.message()));
                }
              }});
  const absl::Status loaded = guarded([&]() -> absl::Status {
    const absl::Status read = keeper->load();
    if (fault(read) == Fault::corrupt) {
      return damaged_groups(*partition, read);
    }
    OTTLA_TRY(read);
    OTTLA_TRY(revise_offsets(*keeper));
    return end_members(*keeper);
  });
  if (!loaded.ok()) {
    keeper->close();  // there will be another of the same log
    return loaded;
  }
  return keeper;
}

/// All members were in a process that has ended: nobody is told of them, or waits for them.
template <Env E>
absl::Status BasicBrokerCore<E>::end_members(GroupKeeper& keeper) {
  absl::Status ended;
  do {
    ended = submit_and_wait(keeper, GroupCoordinator::Loaded{.members_gone = true},
                            &broker_impl::is_written);
  } while (error_code(ended) == ErrorCode::coordinator_load_in_progress);
  // Where nothing can be written they are gone all the same.
  return broker_impl::is_of_the_disk(fault(ended)) ? absl::OkStatus() : ended;
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

/// What can be done where the log of a coordinator is damaged.
template <Env E>
absl::Status BasicBrokerCore<E>::damaged_groups(const Partition& partition,
                                                const absl::Status& why) {
  std::string path;
  noted(partition,
        [&](BasicLogDirectory<Fs>& same) { path = same.path_of(partition.partition()); });
  const std::string_view what = sv(why.message());  // nobody seeks in it
  return error(error_code(why), Fault::corrupt,
               absl::StrCat("groups of ", partition.partition().to_string(),
                            " cannot be loaded, its log is damaged: repair it (Broker::repair), or "
                            "close the broker, move the directory ",
                            path,
                            " away, then open the broker again; what these groups have committed "
                            "is lost by that (",
                            av(what.substr(0, what.find("; seek to "))), ")"));
}

/// A portion at a time, until all are done.
template <Env E>
absl::Status BasicBrokerCore<E>::revise(GroupKeeper& keeper,
                                        std::vector<GroupCoordinator::OffsetsRevised::One> all) {
  constexpr std::ptrdiff_t at_once = 1'000;
  for (auto next = all.begin(); next != all.end();) {
    const auto last = all.end() - next < at_once ? all.end() : next + at_once;
    const auto done = std::make_shared<std::size_t>();  // the answer may come when nobody waits
    OTTLA_TRY(submit_and_wait(keeper, GroupCoordinator::OffsetsRevised{{}, {next, last}},
                              [done](const GroupResponse& answer) {
                                const auto& revised = std::get<OffsetDeleteResponse>(answer);
                                *done = revised.partitions.size();
                                return broker_impl::is_written(answer);
                              }));
    next += static_cast<std::ptrdiff_t>(*done);
  }
  return absl::OkStatus();
}

/// No offset is above what a crash has left, and none is of a deleted topic, before anybody is told
/// it (R13).
template <Env E>
absl::Status BasicBrokerCore<E>::revise_offsets(GroupKeeper& keeper, const TopicPartition* only) {
  std::vector<GroupCoordinator::OffsetsRevised::One> wrong;
  const auto all =
      keeper.query([](const GroupCoordinator& groups) { return groups.offsets().all(); });
  for (const OffsetStore::Entry& entry : all) {
    if (only != nullptr && entry.partition != *only) {
      continue;
    }
    const std::optional<Offset> right = right_offset(entry.partition, entry.committed);
    if (right == entry.committed.offset) {
      continue;
    }
    wrong.push_back({entry.group, entry.partition, right});
    if (right) {
      events_->tell(
          EventLevel::warning, "offset_lowered", entry.partition.to_string(),
          absl::StrCat("group '", entry.group, "' had committed ", entry.committed.offset.value(),
                       "; the records from ", right->value(),
                       " on were lost in a crash, or by a repair, so it goes on there"));
    }
  }
  return revise(keeper, std::move(wrong));
}

template <Env E>
bool BasicBrokerCore<E>::is_deleted(std::string_view name, const TopicId& id) const {
  const Ref<Topic> topic = topics_.find(name);
  return (topic && !id.is_zero() && topic->id != id) ||
         metadata_->query([&](const MetadataMachine& machine) { return machine.was_removed(id); });
}

/// Nothing where the topic was deleted.
template <Env E>
std::optional<Offset> BasicBrokerCore<E>::right_offset(const TopicPartition& partition,
                                                       const CommittedOffset& committed) const {
  if (is_deleted(partition.topic, committed.topic_id)) {
    return std::nullopt;
  }
  const Ref<Topic> topic = topics_.find(partition.topic);
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

/// Of all groups that are loaded; why of others they may be left.
template <Env E>
absl::Status BasicBrokerCore<E>::forget_offsets(const std::vector<TopicPartition>& partitions) {
  absl::Status all;
  for (const Ref<GroupKeeper>& keeper : all_coordinators(all)) {
    all.Update(guarded([&] {
      std::vector<GroupCoordinator::OffsetsRevised::One> gone;
      keeper->query([&](const GroupCoordinator& groups) {
        for (const TopicPartition& partition : partitions) {
          for (std::string& group : groups.offsets().groups_of(partition)) {
            gone.push_back({std::move(group), partition, std::nullopt});
          }
        }
        return 0;
      });
      return revise(*keeper, std::move(gone));
    }));
  }
  return all;
}

}  // namespace ottla::inline OTTLA_ABI
