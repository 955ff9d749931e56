// SPDX-License-Identifier: Apache-2.0
//
// Where partitions are read from: seeks, commits of the group, the reset policy.
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/consumer/impl/consumer_inside.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE absl::Status ConsumerCore::check_assigned(const TopicPartition& partition) const {
  return fetcher_.assigned(partition)
             ? absl::OkStatus()
             : error(Fault::invalid_argument,
                     absl::StrCat(partition.to_string(), " is not assigned to this consumer"));
}

OTTLA_INLINE absl::Status ConsumerCore::find_positions(SteadyTime deadline) {
  std::vector<TopicPartition> missing = fetcher_.without_position();
  if (missing.empty()) {
    return absl::OkStatus();
  }
  if (membership_) {
    OTTLA_TRY(find_by_commit(missing, deadline));
  }
  return missing.empty() ? absl::OkStatus() : find_by_reset(missing, deadline);
}

OTTLA_INLINE absl::Status ConsumerCore::find_by_commit(std::vector<TopicPartition>& missing,
                                                       SteadyTime deadline) {
  OTTLA_ASSIGN(const auto response,
               ask<OffsetFetchResponse>(
                   *connection_, OffsetFetchRequest{.group = config_.group, .partitions = missing},
                   deadline));
  for (const OffsetFetchResponse::Partition& each : response.partitions) {
    if (each.error == ErrorCode::none && each.offset >= Offset(0)) {
      fetcher_.seek(each.partition, each.offset);
      std::erase(missing, each.partition);
    }
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
  OTTLA_ASSIGN(const auto found, offsets(missing, where, deadline));
  for (const auto& [partition, offset] : found) {
    fetcher_.seek(partition, offset);
  }
  return absl::OkStatus();
}

/// Positions that fell out of their logs begin anew by the reset policy; never by the commit, which
/// is what fell out.
OTTLA_INLINE absl::Status ConsumerCore::mend_out_of_range() {
  std::vector<TopicPartition> lost;
  for (const auto& [partition, why] : fetcher_.out_of_range()) {
    if (config_.offset_reset == OffsetReset::none) {
      return why;
    }
    lost.push_back(partition);
  }
  return lost.empty() ? absl::OkStatus()
                      : find_by_reset(lost, after(world().steady_now(), config_.api_timeout));
}

OTTLA_INLINE absl::StatusOr<std::map<TopicPartition, Offset>> ConsumerCore::offsets(
    const std::vector<TopicPartition>& partitions, Timestamp where, SteadyTime deadline) {
  ListOffsetsRequest request{.isolation = config_.isolation, .partitions = {}};
  for (const TopicPartition& partition : partitions) {
    request.partitions.push_back({.partition = partition, .timestamp = where});
  }
  OTTLA_ASSIGN(const auto response,
               ask<ListOffsetsResponse>(*connection_, std::move(request), deadline));
  std::map<TopicPartition, Offset> found;
  for (const ListOffsetsResponse::Partition& each : response.partitions) {
    if (each.error != ErrorCode::none) {
      return error(each.error, absl::StrCat("offsets of ", each.partition.to_string(), ": ",
                                            av(name(each.error))));
    }
    if (each.offset >= Offset(0)) {
      found[each.partition] = each.offset;
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
  if (partitions.empty()) {
    partitions = fetcher_.assignment();
  }
  for (const TopicPartition& partition : partitions) {
    OTTLA_TRY(check_assigned(partition));
  }
  OTTLA_ASSIGN(auto found, offsets(partitions, where, deadline));
  if (found.size() < partitions.size()) {
    // Nothing is that new: what comes next will be.
    OTTLA_ASSIGN(const auto ends, offsets(partitions, at_latest, deadline));
    found.insert(ends.begin(), ends.end());
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
  OTTLA_TRY(check_assigned(partition));
  if (!fetcher_.position(partition)) {
    OTTLA_TRY(find_positions(deadline));
  }
  return fetcher_.position(partition).value_or(Offset(-1));
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

OTTLA_INLINE absl::StatusOr<std::optional<std::int64_t>> ConsumerCore::lag(
    const TopicPartition& partition) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  OTTLA_TRY(check_assigned(partition));
  return fetcher_.lag(partition);
}

OTTLA_INLINE absl::StatusOr<std::vector<TopicPartition>> ConsumerCore::partitions_of(
    std::string_view topic, SteadyTime deadline) {
  OTTLA_TRY(usable());
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
