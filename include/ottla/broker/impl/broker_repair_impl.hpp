// SPDX-License-Identifier: Apache-2.0
//
// Opening a partition's log, at first and when it is repaired.
#pragma once

#include <algorithm>
#include <limits>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/broker_core.hpp>

namespace ottla::inline OTTLA_ABI {

namespace broker_impl {
/// Never a lower one than before: recovery takes batches for damaged whose epochs go back.
inline LeaderEpoch epoch_after(const RecoveryReport& recovered, bool is_new) {
  const LeaderEpoch latest = recovered.latest_epoch.value_or(LeaderEpoch(0));
  const bool last = latest.value() == std::numeric_limits<std::int32_t>::max();
  return latest + (is_new && !last ? 1 : 0);
}
}  // namespace broker_impl

template <Env E>
auto BasicBrokerCore<E>::open_log(Directory& directory, const TopicPartition& partition,
                                  const TopicId& id, const TopicConfig& config,
                                  const LogOpening& opening, RecoveryReport& recovered)
    -> absl::StatusOr<BasicLog<Fs>> {
  const auto [path, health] = directory.locked([&](BasicLogDirectory<Fs>& same) {
    return std::pair(same.path_of(partition), same.health());
  });
  const LogOptions options{.config = config.log,
                           .topic_id = id,
                           .partition = partition.partition,
                           .seed = env_.random().next(),
                           .producer_id_expiration = config_.producer_id_expiration};
  OTTLA_ASSIGN(auto log,
               BasicLog<Fs>::open(env_.file_system(), path, options, opening, health, recovered));
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
  return log;
}

template <Env E>
auto BasicBrokerCore<E>::open_one(const TopicPartition& partition)
    -> absl::StatusOr<Ref<Partition>> {
  const Ref<Topic> topic = topics_.find(partition.topic);
  const auto number = static_cast<std::size_t>(partition.partition.value());  // below 0: too large
  if (!topic || number >= topic->partitions.size()) {
    return error(ErrorCode::unknown_topic_or_partition, Fault::not_found,
                 absl::StrCat("there is no partition ", partition.to_string()));
  }
  if (!topic->partitions[number]) {
    return error(
        ErrorCode::kafka_storage_error,
        absl::StrCat(partition.to_string(), " could not be opened; the broker's events say why"));
  }
  return topic->partitions[number];
}

template <Env E>
absl::StatusOr<RepairReport> BasicBrokerCore<E>::repair(const TopicPartition& name, Repair how) {
  OTTLA_TRY(usable());
  OTTLA_ASSIGN(const Ref<Partition> partition, open_one(name));
  if (partition->ends().recovery_point) {  // nobody has found it damaged yet
    VerifyReport found;
    OTTLA_TRY(verify(*partition, {}, found).status());
    if (found.damage.empty()) {
      return error(ErrorCode::invalid_request, Fault::invalid_argument,
                   absl::StrCat(name.to_string(),
                                " is not damaged: all of it was read, there is nothing to repair"));
    }
    const bool damaged = std::any_of(found.damage.begin(), found.damage.end(),
                                     [](const auto& each) { return each.fault == Fault::corrupt; });
    if (!damaged) {
      const VerifyReport::Damage& first = found.damage.front();
      return error(
          first.fault,
          absl::StrCat(first.file, " cannot be read, which is no reason to cut it: ", first.why));
    }
  }
  RepairReport done{.partition = name};
  const absl::Status repaired =
      partition->repair([&] { return reopen(*partition, how, done); },
                        [&] { return settle_repaired(*partition); }, file_deadline());
  OTTLA_TRY(annotate(repaired, absl::StrCat("the repair of ", name.to_string())));
  done.end = partition->ends().end;
  return done;
}

/// Where it is not repaired, as it is then: what is good of it can be read.
template <Env E>
auto BasicBrokerCore<E>::reopen(Partition& partition, Repair how, RepairReport& done)
    -> absl::StatusOr<ReopenedLog<Fs>> {
  const TopicPartition& name = partition.partition();
  const Ref<Directory> directory = noted(partition, [](BasicLogDirectory<Fs>&) {});
  if (!directory) {
    return error(ErrorCode::unknown_topic_id, Fault::invalid_argument, "the topic was deleted");
  }
  LogOpening opening = directory->locked([&](BasicLogDirectory<Fs>& same) {
    LogOpening noted = same.take_opening(name, world_.wall_now());
    if (how == Repair::truncate) {
      same.set_offset(CheckpointKind::recovery_point, name, noted.log_start);
    }
    return noted;
  });
  opening.last_stop = LastStop::system_crash;
  opening.repair = how;
  opening.never_cut = true;  // where it cannot be repaired it is opened as it is
  if (how == Repair::truncate) {
    OTTLA_TRY(directory->checkpoint(CheckpointKind::recovery_point, file_deadline(),
                                    Durability::durable));
  }
  RecoveryReport recovered;
  auto log =
      open_log(*directory, name, partition.topic_id(), partition.config(), opening, recovered);
  const absl::Status failed = log.status();
  if (fault(failed) == Fault::invalid_argument) {
    return failed;
  }
  if (!failed.ok()) {
    opening.repair.reset();
    recovered = {};
    log = open_log(*directory, name, partition.topic_id(), partition.config(), opening, recovered);
    OTTLA_TRY(log.ok() ? absl::OkStatus() : failed);
  }
  const LeaderEpoch before = partition.epoch();
  const bool is_last = before.value() == std::numeric_limits<std::int32_t>::max();
  const LeaderEpoch next = std::max(broker_impl::epoch_after(recovered, true), before + !is_last);
  ReopenedLog<Fs> reopened{*std::move(log), next, std::nullopt, failed};
  done.gone = std::move(recovered.repaired);
  if (how == Repair::truncate && !done.gone.empty()) {
    reopened.cut = SkippedRange{done.gone.front().offsets.first, done.gone.back().offsets.next};
  }
  return reopened;
}

/// Before anything is appended: no group has an offset that is not there any more (R13).
template <Env E>
absl::Status BasicBrokerCore<E>::settle_repaired(const Partition& partition) {
  note_offsets(partition);
  give_up_cleaning(file_deadline(), &partition);  // what it was begun with is another log
  const TopicPartition& name = partition.partition();
  if (name.topic != offsets_topic) {
    absl::Status all;
    for (const Ref<GroupKeeper>& keeper : all_coordinators(all)) {
      all.Update(guarded([&] { return revise_offsets(*keeper, &name); }));
    }
    if (!all.ok()) {
      events_->tell(EventLevel::warning, "offsets_of_lost_log", name.to_string(),
                    sv(all.message()));
    }
    return absl::OkStatus();
  }
  // What its groups know is read again.
  Ref<GroupKeeper> keeper;
  {
    Lock lock(mutex_);
    const auto found = groups_.find(name.partition.value());
    if (found != groups_.end()) {
      keeper = std::move(found->second);
      groups_.erase(found);
    }
  }
  if (keeper) {
    keeper->close();
  }
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
