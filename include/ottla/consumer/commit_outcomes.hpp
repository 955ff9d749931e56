// SPDX-License-Identifier: Apache-2.0
//
// Offsets to commit, and how asynchronous commits ended: told in the order of the calls, by the
// polling thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

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

/// The first error of a commit's partitions, with what to do. UNKNOWN_TOPIC_ID, of a topic that was
/// deleted and made anew, and UNKNOWN_TOPIC_OR_PARTITION only where there is no other.
absl::Status commit_outcome(const absl::StatusOr<OffsetCommitResponse>& response);

/// Thread-safe.
class CommitOutcomes final : public Counted {
 public:
  using Done = std::pair<CommitCallback, absl::Status>;

  /// `signal` is woken when `take` has something.
  explicit CommitOutcomes(Ref<Wakeable> signal) : signal_(std::move(signal)) {}

  std::uint64_t add(CommitCallback callback);
  void finish(std::uint64_t commit, absl::Status outcome);
  /// How many were added; how many of them, the first ones, were taken.
  std::uint64_t begun() const;
  std::uint64_t told() const;
  /// The next one, where it is done and among the first `begun`.
  std::optional<Done> take(std::uint64_t begun);

  /// One that nobody waits for has failed: what it named has to be committed again.
  void note_failure() { failed_.store(true, std::memory_order_release); }
  bool take_failure() { return failed_.exchange(false, std::memory_order_acq_rel); }

 private:
  struct Commit {
    CommitCallback callback;
    std::optional<absl::Status> outcome = {};
  };

  const Ref<Wakeable> signal_;
  mutable Mutex mutex_{Mutex::Kind::leaf};
  std::deque<Commit> commits_ OTTLA_GUARDED_BY(mutex_);
  std::atomic<bool> failed_{false};
  std::uint64_t first_ OTTLA_GUARDED_BY(mutex_) = 0;  // the number of commits_.front()
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/consumer/impl/commit_outcomes.ipp>
#endif
