// SPDX-License-Identifier: Apache-2.0
//
// Offsets to commit, and how asynchronous commits ended: told in the order of the calls, by the
// polling thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/base/wakeups.hpp>
#include <ottla/protocol/offsets.hpp>

namespace ottla::inline OTTLA_ABI {

/// An offset to commit: of the next record to read.
struct OffsetAndMetadata {
  Offset offset;
  LeaderEpoch leader_epoch = no_leader_epoch;
  std::string metadata = {};

  bool operator==(const OffsetAndMetadata&) const = default;
};
using OffsetsToCommit = std::map<TopicPartition, OffsetAndMetadata>;
using CommitCallback = std::function<void(const absl::Status&)>;

/// The first error of a commit's partitions, with what to do.
absl::Status commit_outcome(const absl::StatusOr<OffsetCommitResponse>& response);

/// Thread-safe.
class CommitOutcomes final : public Counted {
 public:
  using Done = std::pair<CommitCallback, absl::Status>;

  /// `signal` is woken when `take` has something.
  explicit CommitOutcomes(Ref<Wakeable> signal) : signal_(std::move(signal)) {}

  std::uint64_t add(CommitCallback callback);
  void finish(std::uint64_t commit, absl::Status outcome);
  /// Those that are done, up to the first that is not.
  std::vector<Done> take();
  bool empty() const;

 private:
  struct Commit {
    CommitCallback callback;
    std::optional<absl::Status> outcome = {};
  };

  const Ref<Wakeable> signal_;
  mutable Mutex mutex_{Mutex::Kind::leaf};
  std::deque<Commit> commits_ OTTLA_GUARDED_BY(mutex_);
  std::uint64_t first_ OTTLA_GUARDED_BY(mutex_) = 0;  // the number of commits_.front()
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/consumer/impl/commit_outcomes.ipp>
#endif
