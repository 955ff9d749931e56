// SPDX-License-Identifier: Apache-2.0
//
// What the group has read: commits at once, later, and by themselves.
#pragma once

#include <chrono>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/consumer/impl/consumer_inside.hpp>

namespace ottla::inline OTTLA_ABI {
namespace consumer_impl {

/// Others may read what the member was assigned.
inline bool is_expelled(ErrorCode error) {
  return error == ErrorCode::unknown_member_id || error == ErrorCode::illegal_generation ||
         error == ErrorCode::fenced_instance_id;
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

OTTLA_INLINE absl::StatusOr<OffsetCommitRequest> ConsumerCore::commit_request(
    const OffsetsToCommit& offsets) const {
  OffsetCommitRequest request{.group = config_.group, .partitions = {}};
  if (!subscribed_.empty()) {
    if (!membership_->is_member()) {
      return error(ErrorCode::unknown_member_id,
                   "this consumer is not in its group, so it has nothing to commit there; poll to "
                   "join");
    }
    HeartbeatRequest as = membership_->mailbox()->as();
    request.generation = as.generation;
    request.member_id = std::move(as.member_id);
    request.instance_id = std::move(as.instance_id);
  }
  for (const auto& [partition, commit] : offsets) {
    if (commit.offset < Offset(0)) {
      return error(Fault::invalid_argument,
                   absl::StrCat("offset ", commit.offset.value(), " to commit for ",
                                partition.to_string(), " is negative"));
    }
    request.partitions.push_back(
        {.partition = partition,
         .topic_id = fetcher_.assigned(partition) ? fetcher_.topic_id(partition) : TopicId(),
         .offset = commit.offset,
         .leader_epoch = commit.leader_epoch,
         .metadata = commit.metadata});
  }
  return request;
}

OTTLA_INLINE absl::Status ConsumerCore::commit_now(const OffsetsToCommit& offsets,
                                                   SteadyTime deadline) {
  if (offsets.empty()) {
    return absl::OkStatus();
  }
  for (;;) {
    OTTLA_ASSIGN(OffsetCommitRequest request, commit_request(offsets));
    absl::Status done = commit_outcome(
        closing_ ? ask_apart<OffsetCommitResponse>(*connection_, std::move(request), deadline)
                 : ask<OffsetCommitResponse>(*connection_, std::move(request), deadline));
    if (fault(done) != Fault::none && fault(done) != Fault::timed_out) {
      return done;  // of the disk, say: the program is told soon
    }
    switch (error_code(done)) {
      case ErrorCode::coordinator_load_in_progress:
      case ErrorCode::coordinator_not_available:
      case ErrorCode::not_coordinator:
        break;
      default:
        return done;
    }
    if (!rest(deadline)) {
      return done;
    }
  }
}

OTTLA_INLINE absl::Status ConsumerCore::commit(std::optional<OffsetsToCommit> offsets,
                                               SteadyTime deadline) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  OTTLA_TRY(needs_group());
  deadline = in_time(deadline);
  committed_.clear();
  const absl::Status done =
      commit_now(offsets ? *offsets : positions_to_commit(fetcher_.assignment()), deadline);
  finish_commits(deadline);
  return done;
}

OTTLA_INLINE absl::Status ConsumerCore::commit_async(std::optional<OffsetsToCommit> offsets,
                                                     CommitCallback done) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  OTTLA_TRY(needs_group());
  OTTLA_ASSIGN(OffsetCommitRequest request,
               commit_request(offsets ? *offsets : positions_to_commit(fetcher_.assignment())));
  committed_.clear();
  const std::uint64_t commit = commits_->add(std::move(done));
  if (request.partitions.empty()) {
    commits_->finish(commit, absl::OkStatus());
    return absl::OkStatus();
  }
  const absl::Status asked = guarded([&] {
    connection_->call(
        std::move(request),
        Reply<OffsetCommitResponse>(
            [commits = commits_, commit](const absl::StatusOr<OffsetCommitResponse>& response) {
              commits->finish(commit, guarded([&] { return commit_outcome(response); }));
            }));
  });
  if (!asked.ok()) {
    commits_->finish(commit, asked);
  }
  return absl::OkStatus();
}

OTTLA_INLINE void ConsumerCore::run_commit_callbacks() {
  const std::uint64_t begun = commits_->begun();  // their callbacks may begin others
  while (const std::optional<CommitOutcomes::Done> done = commits_->take(begun)) {
    if (!done->first) {
      continue;
    }
    const absl::Status told = guarded([&] { done->first(done->second); });
    if (!told.ok() && listener_failed_.ok()) {
      listener_failed_ = annotate(told, "a commit's callback threw");
    }
  }
}

/// Commits that were begun earlier are told before a call that waited returns.
OTTLA_INLINE void ConsumerCore::finish_commits(SteadyTime deadline) {
  const std::uint64_t begun = commits_->begun();
  for (;;) {
    signal_->bell().reset();
    run_commit_callbacks();
    const std::uint64_t last = closing_ ? commits_->begun() : begun;  // nobody polls after close
    if (commits_->told() >= last || world_.steady_now() >= deadline) {
      break;
    }
    world_.await(signal_->bell(), deadline);
  }
  signal_->bell().ring();  // a poll around this looks again at what rang meanwhile
}

/// There is nothing to commit of a topic that was deleted, and nobody has asked for it.
OTTLA_INLINE absl::Status ConsumerCore::commit_before_leaving(
    const std::vector<TopicPartition>& partitions, SteadyTime deadline) {
  absl::Status done = commit_now(positions_to_commit(partitions), deadline);
  const ErrorCode code = error_code(done);
  const bool gone =
      code == ErrorCode::unknown_topic_id || code == ErrorCode::unknown_topic_or_partition;
  return gone ? absl::OkStatus() : done;
}

OTTLA_INLINE void ConsumerCore::commit_by_itself(SteadyTime now) {
  constexpr std::chrono::seconds all_each{
      30};  // the shortest offsets.retention.minutes is a minute
  if (commits_->take_failure() || commit_all_at_ <= now) {
    committed_.clear();
    commit_all_at_ = after(now, all_each);
  }
  OffsetsToCommit offsets = positions_to_commit(fetcher_.assignment());
  std::erase_if(offsets, [&](const auto& each) {
    const auto last = committed_.find(each.first);
    return last != committed_.end() && last->second == each.second;
  });
  if (offsets.empty()) {
    return;
  }
  // What fails now is committed with the next, or at close.
  absl::StatusOr<OffsetCommitRequest> request = commit_request(offsets);
  if (!request.ok()) {
    return;
  }
  const Generation of = request->generation;
  connection_->call(
      *std::move(request),
      Reply<OffsetCommitResponse>([commits = commits_, mailbox = membership_->mailbox(),
                                   of](const absl::StatusOr<OffsetCommitResponse>& to) {
        if (!guarded([&] { return commit_outcome(to); }).ok()) {
          commits->note_failure();
        }
        if (to.ok() && !to->partitions.empty() &&
            consumer_impl::is_expelled(to->partitions[0].error)) {
          mailbox->heard(to->partitions[0].error, of);
        }
      }));
  for (auto& [partition, commit] : offsets) {
    committed_.insert_or_assign(partition, std::move(commit));
  }
}

OTTLA_INLINE absl::StatusOr<OffsetsToCommit> ConsumerCore::committed(
    const std::vector<TopicPartition>& partitions, SteadyTime deadline) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  OTTLA_TRY(needs_group());
  deadline = in_time(deadline);
  for (;;) {
    absl::StatusOr<OffsetsToCommit> commits = fetch_commits(partitions, deadline);
    if (commits.ok() || !retriable(commits.status()) || !rest(deadline)) {
      return commits;
    }
  }
}

OTTLA_INLINE absl::StatusOr<OffsetsToCommit> ConsumerCore::fetch_commits(
    const std::vector<TopicPartition>& partitions, SteadyTime deadline) {
  OTTLA_ASSIGN(
      const auto response,
      ask<OffsetFetchResponse>(
          *connection_,
          OffsetFetchRequest{.group = config_.group,
                             .partitions = partitions,
                             .require_stable = config_.isolation == IsolationLevel::read_committed},
          deadline));
  if (response.error != ErrorCode::none) {
    return error(response.error, absl::StrCat("commits of group '", config_.group,
                                              "': ", av(name(response.error))));
  }
  OffsetsToCommit commits;
  for (const OffsetFetchResponse::Partition& each : response.partitions) {
    if (each.error != ErrorCode::none) {
      return error(each.error,
                   absl::StrCat("commit of group '", config_.group, "' for ",
                                each.partition.to_string(), ": ", av(name(each.error))));
    }
    if (each.offset >= Offset(0)) {
      commits[each.partition] = {each.offset, each.leader_epoch, each.metadata};
    }
  }
  return commits;
}

}  // namespace ottla::inline OTTLA_ABI
