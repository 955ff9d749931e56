// SPDX-License-Identifier: Apache-2.0
//
// The consumer on bytes, no template: what `Consumer<K, V>` is a typed shell over. One thread at a
// time polls, seeks and commits; `wakeup` may come from any. Nothing is fetched while something
// fetched before waits to be polled.
//   poll ─ step of the membership ─ positions (commit, else reset) ─ take ─ announce, fetch ─ take
//   ─ wait for the bell
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/ref.hpp>
#include <ottla/consumer/consumer_config.hpp>
#include <ottla/consumer/fetcher.hpp>
#include <ottla/consumer/membership.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI {

/// An offset to commit: the next record to read.
struct OffsetAndMetadata {
  Offset offset;
  LeaderEpoch leader_epoch = no_leader_epoch;
  std::string metadata = {};
};
using OffsetsToCommit = std::map<TopicPartition, OffsetAndMetadata>;
using CommitCallback = std::function<void(const absl::Status&)>;

class ConsumerCore final : public Counted {
 public:
  static absl::StatusOr<Ref<ConsumerCore>> open(Ref<Connection> connection, ConsumerConfig config);

  absl::Status subscribe(std::vector<std::string> topics);
  absl::Status assign(const std::vector<TopicPartition>& partitions);
  absl::Status unsubscribe();
  absl::StatusOr<std::vector<TopicPartition>> assignment();

  absl::StatusOr<RecordBatches> poll(SteadyTime deadline);
  void wakeup();

  absl::Status seek(const TopicPartition& partition, Offset offset);
  /// at_latest, at_earliest or a time; an empty list means all that are assigned.
  absl::Status seek_to(std::vector<TopicPartition> partitions, Timestamp where,
                       SteadyTime deadline);
  absl::StatusOr<Offset> position(const TopicPartition& partition, SteadyTime deadline);
  absl::StatusOr<std::map<TopicPartition, Offset>> offsets(
      const std::vector<TopicPartition>& partitions, Timestamp where, SteadyTime deadline);
  absl::Status pause(const std::vector<TopicPartition>& partitions, bool paused);
  absl::StatusOr<std::optional<std::int64_t>> lag(const TopicPartition& partition);
  absl::StatusOr<std::vector<TopicPartition>> partitions_of(std::string_view topic,
                                                            SteadyTime deadline);

  absl::Status commit(std::optional<OffsetsToCommit> offsets, SteadyTime deadline);
  absl::Status commit_async(std::optional<OffsetsToCommit> offsets, CommitCallback done);
  absl::StatusOr<OffsetsToCommit> committed(const std::vector<TopicPartition>& partitions,
                                            SteadyTime deadline);

  absl::Status close(SteadyTime deadline);

  const ConsumerConfig& config() const { return config_; }
  World& world() { return connection_->world(); }

 private:
  template <class T, class... Args>
  friend Ref<T> make_ref(Args&&... args);
  /// Marks the calling thread as the one inside; a second one is refused.
  class Inside;

  ConsumerCore(Ref<Connection> connection, ConsumerConfig config);

  absl::Status usable() const;
  absl::Status check_assigned(const TopicPartition& partition) const;
  absl::Status needs_group() const;
  absl::StatusOr<std::map<std::string, MetadataResponse::Topic>> describe(
      std::vector<std::string> topics, SteadyTime deadline);
  absl::Status take_assignment(const std::vector<TopicPartition>& all);
  absl::Status refresh_topics(SteadyTime deadline);

  absl::Status find_positions(SteadyTime deadline);
  absl::Status find_by_commit(std::vector<TopicPartition>& missing, SteadyTime deadline);
  absl::Status find_by_reset(const std::vector<TopicPartition>& missing, SteadyTime deadline);
  absl::Status mend_out_of_range();
  absl::Status step_membership(SteadyTime now);
  SteadyTime next_turn(SteadyTime deadline) const;

  OffsetsToCommit positions_to_commit(const std::vector<TopicPartition>& of) const;
  OffsetCommitRequest commit_request(const OffsetsToCommit& offsets) const;
  absl::Status commit_now(const OffsetsToCommit& offsets, SteadyTime deadline);
  void auto_commit(SteadyTime now);
  void run_commit_callbacks();

  void on_revoked(const std::vector<TopicPartition>& partitions);
  void on_lost(const std::vector<TopicPartition>& partitions);
  void on_assigned(const std::vector<TopicPartition>& all,
                   const std::vector<TopicPartition>& added);

  /// Outcomes of asynchronous commits, on their way to the polling thread.
  struct CommitsDone final : Counted {
    Mutex mutex{Mutex::Kind::leaf};
    std::vector<std::pair<CommitCallback, absl::Status>> done OTTLA_GUARDED_BY(mutex);
  };

  const Ref<Connection> connection_;
  const ConsumerConfig config_;
  const std::uint64_t process_generation_;
  const Ref<Doorbell> bell_ = make_ref<Doorbell>();
  const Ref<CommitsDone> commits_done_ = make_ref<CommitsDone>();
  std::atomic<std::uint64_t> inside_{0};
  std::atomic<bool> woken_{false};
  bool closed_ = false;
  Fetcher fetcher_;
  std::optional<Membership> membership_;
  std::vector<std::string> subscribed_;
  std::uint64_t metadata_version_ = 0;
  std::map<std::string, std::int32_t> partition_counts_;  // of subscribed topics, as last seen
  SteadyTime next_auto_commit_{};
  absl::Status assignment_failed_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/consumer/impl/consumer_commit.ipp>
#include <ottla/consumer/impl/consumer_core.ipp>
#include <ottla/consumer/impl/consumer_positions.ipp>
#endif
