// SPDX-License-Identifier: Apache-2.0
//
// What the group has read: commits at once, later, and by themselves.
#pragma once

#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/callback_scope.hpp>
#include <ottla/base/guard.hpp>
#include <ottla/consumer/impl/consumer_inside.hpp>
#include <ottla/consumer/impl/partition_lists.hpp>

namespace ottla::inline OTTLA_ABI {
namespace consumer_impl {

/// The first error of a commit's partitions, with what to do.
inline absl::Status commit_outcome(const absl::StatusOr<OffsetCommitResponse>& response) {
  if (!response.ok()) {
    return response.status();
  }
  for (const OffsetCommitResponse::Partition& each : response->partitions) {
    switch (each.error) {
      case ErrorCode::none:
        break;
      case ErrorCode::unknown_member_id:
      case ErrorCode::illegal_generation:
      case ErrorCode::fenced_instance_id:
        return error(each.error,
                     "the commit failed: this consumer is not in the group any more, its "
                     "partitions may be read by others; poll to join again");
      case ErrorCode::rebalance_in_progress:
        return error(each.error, "the group is rebalancing; poll, then commit again");
      default:
        return error(each.error, absl::StrCat("commit of ", each.partition.to_string(), ": ",
                                              av(name(each.error))));
    }
  }
  return absl::OkStatus();
}

}  // namespace consumer_impl

OTTLA_INLINE OffsetsToCommit
ConsumerCore::positions_to_commit(const std::vector<TopicPartition>& of) const {
  OffsetsToCommit offsets;
  for (const TopicPartition& partition : of) {
    if (!fetcher_.assigned(partition)) {
      continue;
    }
    if (const std::optional<Offset> consumed = fetcher_.consumed(partition)) {
      offsets[partition] = {*consumed, fetcher_.consumed_epoch(partition)};
    }
  }
  return offsets;
}

OTTLA_INLINE OffsetCommitRequest
ConsumerCore::commit_request(const OffsetsToCommit& offsets) const {
  OffsetCommitRequest request{.group = config_.group, .partitions = {}};
  if (!subscribed_.empty() && membership_->is_member()) {
    request.generation = membership_->generation();
    request.member_id = membership_->member_id();
    request.instance_id = consumer_impl::text_or_none(config_.instance_id);
  }
  for (const auto& [partition, offset] : offsets) {
    request.partitions.push_back({.partition = partition,
                                  .topic_id = {},
                                  .offset = offset.offset,
                                  .leader_epoch = offset.leader_epoch,
                                  .metadata = offset.metadata});
  }
  return request;
}

OTTLA_INLINE absl::Status ConsumerCore::commit_now(const OffsetsToCommit& offsets,
                                                   SteadyTime deadline) {
  if (offsets.empty()) {
    return absl::OkStatus();
  }
  return consumer_impl::commit_outcome(
      ask<OffsetCommitResponse>(*connection_, commit_request(offsets), deadline));
}

OTTLA_INLINE absl::Status ConsumerCore::commit(std::optional<OffsetsToCommit> offsets,
                                               SteadyTime deadline) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  OTTLA_TRY(needs_group());
  run_commit_callbacks();
  return commit_now(offsets ? *offsets : positions_to_commit(fetcher_.assignment()), deadline);
}

OTTLA_INLINE absl::Status ConsumerCore::commit_async(std::optional<OffsetsToCommit> offsets,
                                                     CommitCallback done) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  OTTLA_TRY(needs_group());
  const OffsetsToCommit these =
      offsets ? *std::move(offsets) : positions_to_commit(fetcher_.assignment());
  connection_->call(
      commit_request(these),
      Reply<OffsetCommitResponse>([box = commits_done_, done = std::move(done)](
                                      absl::StatusOr<OffsetCommitResponse> response) mutable {
        absl::Status outcome = consumer_impl::commit_outcome(response);
        Lock lock(box->mutex);
        box->done.emplace_back(std::move(done), std::move(outcome));
      }));
  return absl::OkStatus();
}

OTTLA_INLINE void ConsumerCore::run_commit_callbacks() {
  std::vector<std::pair<CommitCallback, absl::Status>> done;
  {
    Lock lock(commits_done_->mutex);
    done.swap(commits_done_->done);
  }
  for (const auto& each : done) {
    if (each.first) {
      CallbackScope scope;
      guarded([&] { each.first(each.second); }).IgnoreError();
    }
  }
}

OTTLA_INLINE void ConsumerCore::auto_commit(SteadyTime now) {
  if (!config_.auto_commit || !membership_ || now < next_auto_commit_) {
    return;
  }
  next_auto_commit_ = after(now, config_.auto_commit_interval);
  const OffsetsToCommit offsets = positions_to_commit(fetcher_.assignment());
  if (!offsets.empty()) {
    // What fails now is committed with the next, or at close.
    connection_->call(commit_request(offsets),
                      Reply<OffsetCommitResponse>([](absl::StatusOr<OffsetCommitResponse>) {}));
  }
}

OTTLA_INLINE absl::StatusOr<OffsetsToCommit> ConsumerCore::committed(
    const std::vector<TopicPartition>& partitions, SteadyTime deadline) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  OTTLA_TRY(needs_group());
  OTTLA_ASSIGN(const auto response,
               ask<OffsetFetchResponse>(
                   *connection_,
                   OffsetFetchRequest{.group = config_.group, .partitions = partitions}, deadline));
  OffsetsToCommit offsets;
  for (const OffsetFetchResponse::Partition& each : response.partitions) {
    if (each.error == ErrorCode::none && each.offset >= Offset(0)) {
      offsets[each.partition] = {each.offset, each.leader_epoch, each.metadata};
    }
  }
  return offsets;
}

}  // namespace ottla::inline OTTLA_ABI
