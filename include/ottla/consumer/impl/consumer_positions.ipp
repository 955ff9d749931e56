// SPDX-License-Identifier: Apache-2.0
//
// Where partitions are read from: seeks, commits of the group, the reset policy.
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/consumer/impl/consumer_inside.hpp>

namespace ottla::inline OTTLA_ABI {
namespace consumer_impl {

/// Before positions that could not be found, or are out of range again, are asked for again.
inline constexpr std::chrono::milliseconds positions_pause{50};

inline absl::Status no_offsets(const ListOffsetsResponse::Partition& partition) {
  const bool offline = partition.error == ErrorCode::kafka_storage_error;
  return error(
      partition.error,
      absl::StrCat("offsets of ", partition.partition.to_string(), ": ", av(name(partition.error)),
                   offline ? "; it could not be opened, the broker's events say why" : ""));
}

}  // namespace consumer_impl

OTTLA_INLINE absl::Status ConsumerCore::check_assigned(const TopicPartition& partition) const {
  return fetcher_.assigned(partition)
             ? absl::OkStatus()
             : error(Fault::invalid_argument,
                     absl::StrCat(partition.to_string(),
                                  " is not assigned to this consumer; assign it first (one that "
                                  "subscribes is assigned partitions by poll)"));
}

OTTLA_INLINE absl::Status ConsumerCore::find_positions(SteadyTime now, SteadyTime deadline) {
  if (positions_retry_ != never && now < positions_retry_) {
    return absl::OkStatus();
  }
  positions_retry_ = never;
  const absl::Status mended = mend_out_of_range(now, deadline);
  absl::Status found = retriable(mended) ? absl::OkStatus() : mended;  // it holds up nobody else
  if (std::vector<TopicPartition> missing = fetcher_.without_position();
      found.ok() && !missing.empty()) {
    if (membership_) {
      found = find_by_commit(missing, deadline);
    }
    if (found.ok() && !missing.empty()) {
      found = find_by_reset(missing, deadline);
    }
  }
  found.Update(mended);
  if (!found.ok() && retriable(found)) {
    positions_retry_ = after(now, consumer_impl::positions_pause);
    return absl::OkStatus();
  }
  return found;
}

/// Leaves in `missing` what the group has committed nothing for.
OTTLA_INLINE absl::Status ConsumerCore::find_by_commit(std::vector<TopicPartition>& missing,
                                                       SteadyTime deadline) {
  OTTLA_ASSIGN(const OffsetsToCommit commits, fetch_commits(missing, deadline));
  for (const auto& [partition, commit] : commits) {
    fetcher_.seek(partition, commit.offset, commit.leader_epoch);
    std::erase(missing, partition);
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status ConsumerCore::find_by_reset(const std::vector<TopicPartition>& missing,
                                                      SteadyTime deadline) {
  if (config_.offset_reset == OffsetReset::none) {
    return error(ErrorCode::offset_out_of_range, Fault::not_found,
                 absl::StrCat("the group has committed nothing for ", missing.front().to_string(),
                              ", and auto.offset.reset is none: seek to where it should begin"));
  }
  const Timestamp where = config_.offset_reset == OffsetReset::earliest ? at_earliest : at_latest;
  ListOffsetsRequest request{.isolation = config_.isolation, .partitions = {}};
  for (const TopicPartition& partition : missing) {
    request.partitions.push_back({.partition = partition, .timestamp = where});
  }
  OTTLA_ASSIGN(const auto found,
               ask<ListOffsetsResponse>(*connection_, std::move(request), deadline));
  absl::Status failed;  // one that is offline holds up nobody else
  for (const ListOffsetsResponse::Partition& each : found.partitions) {
    if (each.error == ErrorCode::none) {
      fetcher_.seek(each.partition, each.offset);
    } else {
      failed = consumer_impl::no_offsets(each);
    }
  }
  return failed;
}

/// Positions that fell out of their logs begin anew by the reset policy; never by the commit, which
/// is what fell out. What falls out again at once is looked at a while later: the log is amid being
/// cut.
OTTLA_INLINE absl::Status ConsumerCore::mend_out_of_range(SteadyTime now, SteadyTime deadline) {
  std::vector<TopicPartition> lost;
  for (const auto& [partition, why] : fetcher_.out_of_range()) {
    if (config_.offset_reset == OffsetReset::none) {
      return annotate(why, "auto.offset.reset is none, so seek to where it should go on");
    }
    lost.push_back(partition);
  }
  if (lost.empty()) {
    return absl::OkStatus();
  }
  if (now < may_mend_) {
    positions_retry_ = may_mend_;
    return absl::OkStatus();
  }
  may_mend_ = after(now, consumer_impl::positions_pause);
  return find_by_reset(lost, deadline);
}

/// An error of one partition is an error of all.
OTTLA_INLINE absl::StatusOr<ListOffsetsResponse> ConsumerCore::list_offsets(
    ListOffsetsRequest request, SteadyTime deadline) {
  OTTLA_ASSIGN(auto response, ask<ListOffsetsResponse>(*connection_, std::move(request), deadline));
  for (const ListOffsetsResponse::Partition& each : response.partitions) {
    if (each.error != ErrorCode::none) {
      return consumer_impl::no_offsets(each);
    }
  }
  return response;
}

OTTLA_INLINE absl::StatusOr<std::map<TopicPartition, Offset>> ConsumerCore::ends(
    const std::vector<TopicPartition>& partitions, Timestamp where, SteadyTime deadline) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  deadline = in_time(deadline);
  ListOffsetsRequest request{.isolation = config_.isolation, .partitions = {}};
  for (const TopicPartition& partition : partitions) {
    request.partitions.push_back({.partition = partition, .timestamp = where});
  }
  OTTLA_ASSIGN(const auto response, list_offsets(std::move(request), deadline));
  std::map<TopicPartition, Offset> found;
  for (const ListOffsetsResponse::Partition& each : response.partitions) {
    found[each.partition] = each.offset;
  }
  return found;
}

OTTLA_INLINE absl::StatusOr<std::map<TopicPartition, OffsetAndTimestamp>>
ConsumerCore::offsets_for_times(const std::map<TopicPartition, Timestamp>& times,
                                SteadyTime deadline) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  deadline = in_time(deadline);
  ListOffsetsRequest request{.isolation = config_.isolation, .partitions = {}};
  for (const auto& [partition, time] : times) {
    if (time < Timestamp(0)) {
      return error(Fault::invalid_argument,
                   absl::StrCat("timestamp ", time.value(), " for ", partition.to_string(),
                                " is negative; it counts milliseconds since 1970"));
    }
    request.partitions.push_back({.partition = partition, .timestamp = time});
  }
  OTTLA_ASSIGN(const auto response, list_offsets(std::move(request), deadline));
  std::map<TopicPartition, OffsetAndTimestamp> found;
  for (const ListOffsetsResponse::Partition& each : response.partitions) {
    if (each.offset >= Offset(0)) {
      found[each.partition] = {each.offset, each.timestamp, each.leader_epoch};
    }
  }
  return found;
}

OTTLA_INLINE absl::Status ConsumerCore::seek(const TopicPartition& partition, Offset offset) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  OTTLA_TRY(check_assigned(partition));
  if (offset < Offset(0)) {
    return error(Fault::invalid_argument,
                 absl::StrCat("offset ", offset.value(), " is negative; the first one is 0"));
  }
  fetcher_.seek(partition, offset);
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status ConsumerCore::seek_to(std::vector<TopicPartition> partitions,
                                                Timestamp where, SteadyTime deadline) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  deadline = in_time(deadline);
  if (partitions.empty()) {
    partitions = fetcher_.assignment();
  }
  for (const TopicPartition& partition : partitions) {
    OTTLA_TRY(check_assigned(partition));
  }
  std::map<TopicPartition, Offset> found;
  if (where < Timestamp(0)) {
    OTTLA_ASSIGN(found, ends(partitions, where, deadline));
  } else {
    std::map<TopicPartition, Timestamp> times;
    for (const TopicPartition& partition : partitions) {
      times[partition] = where;
    }
    OTTLA_ASSIGN(const auto at, offsets_for_times(times, deadline));
    if (at.size() < times.size()) {
      // Nothing is that new: what comes next will be.
      OTTLA_ASSIGN(found, ends(partitions, at_latest, deadline));
    }
    for (const auto& [partition, place] : at) {
      found[partition] = place.offset;
    }
  }
  for (const auto& [partition, offset] : found) {
    fetcher_.seek(partition, offset);
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::StatusOr<Offset> ConsumerCore::position(const TopicPartition& partition,
                                                           SteadyTime deadline) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  deadline = in_time(deadline);
  OTTLA_TRY(check_assigned(partition));
  while (!fetcher_.position(partition)) {
    OTTLA_TRY(find_positions(world_.steady_now(), deadline));
    if (!fetcher_.position(partition) && !rest(deadline)) {
      return error(ErrorCode::request_timed_out, Fault::timed_out,
                   absl::StrCat("the position of ", partition.to_string(),
                                " could not be found out in time; try again"));
    }
  }
  return *fetcher_.position(partition);
}

OTTLA_INLINE absl::Status ConsumerCore::pause(const std::vector<TopicPartition>& partitions,
                                              bool paused) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  for (const TopicPartition& partition : partitions) {
    OTTLA_TRY(check_assigned(partition));
  }
  for (const TopicPartition& partition : partitions) {
    fetcher_.pause(partition, paused);
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::StatusOr<std::vector<TopicPartition>> ConsumerCore::paused() {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  return fetcher_.paused();
}

OTTLA_INLINE absl::StatusOr<std::optional<std::int64_t>> ConsumerCore::lag(
    const TopicPartition& partition) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  OTTLA_TRY(check_assigned(partition));
  return fetcher_.lag(partition);
}

OTTLA_INLINE absl::StatusOr<std::vector<TopicPartition>> ConsumerCore::partitions_of(
    std::string_view topic, SteadyTime deadline) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  deadline = in_time(deadline);
  OTTLA_ASSIGN(const auto topics, describe({std::string(topic)}, deadline));
  if (topics.empty()) {
    return error(ErrorCode::unknown_topic_or_partition, Fault::not_found,
                 absl::StrCat("topic '", av(topic), "' does not exist; create it first"));
  }
  std::vector<TopicPartition> partitions;
  for (const MetadataResponse::Partition& partition : topics.begin()->second.partitions) {
    partitions.push_back({std::string(topic), partition.partition});
  }
  return partitions;
}

}  // namespace ottla::inline OTTLA_ABI
