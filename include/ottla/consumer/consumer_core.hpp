// SPDX-License-Identifier: Apache-2.0
//
// The consumer on bytes, no template: what `Consumer<K, V>` is a typed shell over. One thread at a
// time polls, seeks and commits; `wakeup` may come from any. Nothing is fetched while something
// fetched before waits to be polled.
//   poll ─ step of the membership ─ positions (commit, else reset) ─ take ─ announce, fetch ─ take
//   ─ wait for the bell
#pragma once

#include <algorithm>
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
#include <ottla/consumer/commit_outcomes.hpp>
#include <ottla/consumer/consumer_config.hpp>
#include <ottla/consumer/fetcher.hpp>
#include <ottla/consumer/membership.hpp>
#include <ottla/consumer/ready_signal.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI {

struct OffsetAndTimestamp {
  Offset offset;
  Timestamp timestamp;
  LeaderEpoch leader_epoch = no_leader_epoch;

  bool operator==(const OffsetAndTimestamp&) const = default;
};

class ConsumerCore final : public Counted {
 public:
  static absl::StatusOr<Ref<ConsumerCore>> open(Ref<Connection> connection, ConsumerConfig config);
  ~ConsumerCore() override;

  absl::Status subscribe(std::vector<std::string> topics);
  absl::Status assign(const std::vector<TopicPartition>& partitions);
  absl::Status unsubscribe();
  absl::StatusOr<std::vector<TopicPartition>> assignment();
  absl::StatusOr<std::vector<std::string>> subscription();
  absl::Status enforce_rebalance();

  absl::StatusOr<RecordBatches> poll(std::chrono::nanoseconds timeout);
  void wakeup();
  absl::Status on_ready(std::function<void()> callback);
  /// Nobody is told any more; waits until `deadline` at most for a call that is under way.
  void drop_callback(SteadyTime deadline);

  absl::Status seek(const TopicPartition& partition, Offset offset);
  /// at_latest, at_earliest or a time; an empty list means all that are assigned.
  absl::Status seek_to(std::vector<TopicPartition> partitions, Timestamp where,
                       SteadyTime deadline);
  absl::StatusOr<Offset> position(const TopicPartition& partition, SteadyTime deadline);
  absl::StatusOr<std::map<TopicPartition, Offset>> ends(
      const std::vector<TopicPartition>& partitions, Timestamp where, SteadyTime deadline);
  absl::StatusOr<std::map<TopicPartition, OffsetAndTimestamp>> offsets_for_times(
      const std::map<TopicPartition, Timestamp>& times, SteadyTime deadline);
  absl::Status pause(const std::vector<TopicPartition>& partitions, bool paused);
  absl::StatusOr<std::vector<TopicPartition>> paused();
  absl::StatusOr<std::optional<std::int64_t>> lag(const TopicPartition& partition);
  absl::StatusOr<std::vector<TopicPartition>> partitions_of(std::string_view topic,
                                                            SteadyTime deadline);

  absl::Status commit(std::optional<OffsetsToCommit> offsets, SteadyTime deadline);
  absl::Status commit_async(std::optional<OffsetsToCommit> offsets, CommitCallback done);
  absl::StatusOr<OffsetsToCommit> committed(const std::vector<TopicPartition>& partitions,
                                            SteadyTime deadline);

  absl::Status close(SteadyTime deadline);

  const ConsumerConfig& config() const { return config_; }
  World& world() { return world_; }

 private:
  template <class T, class... Args>
  friend Ref<T> make_ref(Args&&... args);
  /// Marks the calling thread as the one inside; a second one is refused.
  class Inside;

  ConsumerCore(Ref<Connection> connection, ConsumerConfig config);

  absl::Status usable() const;
  absl::Status check_assigned(const TopicPartition& partition) const;
  absl::Status needs_group() const;
  absl::Status open_membership();
  /// `deadline`, or that of `close`, where a listener calls from within it.
  SteadyTime in_time(SteadyTime deadline) const {
    return closing_ ? std::min(deadline, revoke_deadline_) : deadline;
  }
  SteadyTime api_deadline() { return in_time(after(world_.steady_now(), config_.api_timeout)); }
  /// A while, before something is tried again; false when there is no time left.
  bool rest(SteadyTime deadline);

  using Topics = std::map<std::string, MetadataResponse::Topic>;
  absl::StatusOr<Topics> describe(std::vector<std::string> topics, SteadyTime deadline);
  absl::StatusOr<std::vector<TopicToAssign>> topics_to_assign(
      const std::vector<std::string>& names);
  absl::Status let_go();
  absl::Status assign_by_hand(const std::vector<TopicPartition>& partitions);
  void assign_by_group(const std::vector<TopicPartition>& partitions);
  absl::Status refresh_topics(SteadyTime deadline);

  absl::StatusOr<RecordBatches> poll_until(SteadyTime now, SteadyTime deadline);
  /// Everything that a poll sees to before it looks for records.
  absl::Status look_around(SteadyTime now, SteadyTime deadline);
  absl::Status find_positions(SteadyTime now, SteadyTime deadline);
  absl::Status find_by_commit(std::vector<TopicPartition>& missing, SteadyTime deadline);
  absl::Status find_by_reset(const std::vector<TopicPartition>& missing, SteadyTime deadline);
  absl::Status mend_out_of_range(SteadyTime now, SteadyTime deadline);
  absl::StatusOr<ListOffsetsResponse> list_offsets(ListOffsetsRequest request, SteadyTime deadline);
  SteadyTime next_turn(SteadyTime now, SteadyTime deadline) const;
  /// Has on_ready's callback told by the next turn, or `latest`, though nobody rings.
  void tell_later(SteadyTime now, SteadyTime latest);
  void tell_after_error();
  void tell_nobody_later();

  OffsetsToCommit positions_to_commit(const std::vector<TopicPartition>& of) const;
  absl::StatusOr<OffsetCommitRequest> commit_request(const OffsetsToCommit& offsets) const;
  absl::StatusOr<OffsetsToCommit> fetch_commits(const std::vector<TopicPartition>& partitions,
                                                SteadyTime deadline);
  absl::Status commit_now(const OffsetsToCommit& offsets, SteadyTime deadline);
  absl::Status commit_before_leaving(const std::vector<TopicPartition>& partitions,
                                     SteadyTime deadline);
  /// Of what earlier polls returned: when.
  SteadyTime commit_due() const { return std::max(next_auto_commit_, may_commit_); }
  /// What has moved since it was committed last, and now and then all, which keeps commits from
  /// expiring.
  void commit_by_itself(SteadyTime now);
  void run_commit_callbacks();
  void finish_commits(SteadyTime deadline);

  void on_revoked(const std::vector<TopicPartition>& partitions);
  /// The first failure of a listener is answered by the call that it was in.
  void tell(const std::function<void(const std::vector<TopicPartition>&)>& listener,
            const std::vector<TopicPartition>& partitions);

  const Ref<Connection> connection_;
  World world_;
  const ConsumerConfig config_;
  const std::uint64_t process_generation_;
  const Ref<ReadySignal> signal_ = make_ref<ReadySignal>();
  const Ref<CommitOutcomes> commits_;
  TimerId told_later_ = no_timer;  // of tell_later
  SteadyTime told_at_{};
  std::atomic<std::uint64_t> inside_{0};  // the thread that is, or 0
  std::atomic<bool> woken_{false};
  bool closing_ = false;
  bool closed_ = false;
  absl::Status close_status_;  // once it is
  Fetcher fetcher_;
  std::optional<Membership> membership_;
  std::vector<std::string> subscribed_;
  std::uint64_t metadata_version_ = 0;
  std::string gone_;  // an assigned topic that is not there
  SteadyTime next_auto_commit_{};
  SteadyTime may_commit_{};             // a poll that waits commits no more often than that
  OffsetsToCommit committed_;           // by itself, and not known to have failed
  SteadyTime commit_all_at_{};          // also what has not moved
  SteadyTime positions_retry_ = never;  // when to ask for positions again
  SteadyTime may_mend_{};               // likewise, those out of range
  SteadyTime revoke_deadline_ = never;  // of commits before a revocation: the poll's, or close's
  absl::Status revoke_commit_;          // how the last one ended
  absl::Status listener_failed_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/consumer/impl/consumer_commit.ipp>
#include <ottla/consumer/impl/consumer_core.ipp>
#include <ottla/consumer/impl/consumer_poll.ipp>
#include <ottla/consumer/impl/consumer_positions.ipp>
#endif
