// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/consumer/commit_outcomes.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE absl::Status commit_outcome(const absl::StatusOr<OffsetCommitResponse>& response) {
  if (!response.ok()) {
    return response.status();
  }
  absl::Status gone;
  for (const OffsetCommitResponse::Partition& each : response->partitions) {
    switch (each.error) {
      case ErrorCode::none:
        break;
      case ErrorCode::unknown_topic_id:
        gone.Update(error(
            each.error, Fault::not_found,
            absl::StrCat("nothing is committed for ", each.partition.to_string(),
                         ": its topic was deleted and made anew since it was read; poll, which "
                         "begins the new one as auto.offset.reset says")));
        break;
      case ErrorCode::unknown_topic_or_partition:
        gone.Update(error(each.error, Fault::not_found,
                          absl::StrCat("nothing is committed for ", each.partition.to_string(),
                                       ": there is no such partition, or it was deleted")));
        break;
      case ErrorCode::unknown_member_id:
      case ErrorCode::illegal_generation:
      case ErrorCode::fenced_instance_id:
        return error(each.error,
                     "the commit failed: this consumer is not in the group any more, and others "
                     "may read its partitions; poll to join again");
      case ErrorCode::rebalance_in_progress:
        return error(each.error, "the group is rebalancing; poll, then commit again");
      default:
        return error(each.error, absl::StrCat("commit of ", each.partition.to_string(), ": ",
                                              av(name(each.error))));
    }
  }
  return gone;
}

OTTLA_INLINE std::uint64_t CommitOutcomes::add(CommitCallback callback) {
  Lock lock(mutex_);
  commits_.push_back({std::move(callback)});
  return first_ + commits_.size() - 1;
}

OTTLA_INLINE void CommitOutcomes::finish(std::uint64_t commit, absl::Status outcome) {
  {
    Lock lock(mutex_);
    commits_[static_cast<std::size_t>(commit - first_)].outcome.emplace(std::move(outcome));
  }
  signal_->wake();
}

OTTLA_INLINE std::uint64_t CommitOutcomes::begun() const {
  Lock lock(mutex_);
  return first_ + commits_.size();
}

OTTLA_INLINE std::uint64_t CommitOutcomes::told() const {
  Lock lock(mutex_);
  return first_;
}

OTTLA_INLINE std::optional<CommitOutcomes::Done> CommitOutcomes::take(std::uint64_t begun) {
  Lock lock(mutex_);
  if (first_ >= begun || !commits_.front().outcome) {
    return std::nullopt;
  }
  Done done(std::move(commits_.front().callback), *std::move(commits_.front().outcome));
  commits_.pop_front();
  ++first_;
  return done;
}

}  // namespace ottla::inline OTTLA_ABI
