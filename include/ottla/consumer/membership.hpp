// SPDX-License-Identifier: Apache-2.0
//
// A consumer's side of the classic group protocol. The polling thread drives it step by step and
// nothing in it waits:
//   outside ─ join ─ joining ─(leader: runs the assignor)─ sync ─ syncing ─ stable ─(rebalance)─
//   join ...
// Heartbeats are a task of the world's executor; what they learn is picked up by the next step.
// Source: spec groups.md sections 3 and 8.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/consumer/consumer_config.hpp>
#include <ottla/group/assignor.hpp>
#include <ottla/group/consumer_protocol.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI {

/// Answers that arrive from other threads, and heartbeats. Outlives its membership while something
/// is under way.
class GroupMailbox final : public Counted {
 public:
  GroupMailbox(Ref<Connection> connection, Ref<Doorbell> bell)
      : connection_(std::move(connection)), bell_(std::move(bell)) {}

  struct News {
    std::optional<absl::StatusOr<JoinGroupResponse>> joined;
    std::optional<absl::StatusOr<SyncGroupResponse>> synced;
    ErrorCode heartbeat = ErrorCode::none;  ///< an answer other than success, since last asked
    bool polled_too_late = false;           ///< max.poll.interval passed: the member has left
  };
  News take();

  void join(JoinGroupRequest request);
  void sync(SyncGroupRequest request);

  /// From now on heartbeats are sent for this member, until `stop`.
  void beat(HeartbeatRequest as, std::chrono::nanoseconds interval,
            std::chrono::nanoseconds max_poll_interval);
  void stop();
  void polled();

 private:
  void arm(std::uint64_t generation);
  void tick(std::uint64_t generation);

  const Ref<Connection> connection_;
  const Ref<Doorbell> bell_;
  Mutex mutex_{Mutex::Kind::leaf};
  News news_ OTTLA_GUARDED_BY(mutex_);
  std::uint64_t request_ OTTLA_GUARDED_BY(mutex_) = 0;  // answers to older ones are dropped
  HeartbeatRequest as_ OTTLA_GUARDED_BY(mutex_);
  std::chrono::nanoseconds interval_ OTTLA_GUARDED_BY(mutex_){0};
  std::chrono::nanoseconds max_poll_interval_ OTTLA_GUARDED_BY(mutex_){0};
  SteadyTime last_poll_ OTTLA_GUARDED_BY(mutex_){};
  std::uint64_t beating_ OTTLA_GUARDED_BY(mutex_) = 0;  // 0: not; else which `beat` it was
  std::uint64_t beats_ OTTLA_GUARDED_BY(mutex_) = 0;
  TimerId timer_ OTTLA_GUARDED_BY(mutex_) = no_timer;
};

/// Not thread-safe.
class Membership {
 public:
  /// What the consumer does when partitions come and go; called by `step`, `leave` and `lose`.
  struct Owner {
    /// Before others may own them: commit, then tell the program.
    std::function<void(const std::vector<TopicPartition>&)> revoke;
    std::function<void(const std::vector<TopicPartition>&)> lose;
    /// All that are owned now, and which of them are new.
    std::function<void(const std::vector<TopicPartition>& all,
                       const std::vector<TopicPartition>& added)>
        assign;
    /// Partitions of topics, for the leader: names that do not exist are left out.
    std::function<absl::StatusOr<std::vector<TopicToAssign>>(const std::vector<std::string>&)>
        describe;
  };

  /// Before: `config` outlives it.
  static absl::StatusOr<Membership> open(const ConsumerConfig& config, Ref<Connection> connection,
                                         Ref<Doorbell> bell, Owner owner);

  /// Joins with these from the next step on; rejoins when they changed.
  void subscribe(std::vector<std::string> topics);
  /// The topics that the assignment was made for have other partitions now.
  void topics_changed();
  void enforce_rebalance() { rejoin_ = true; }

  /// Goes as far as it can without waiting. True when the assignment is stable. The bell rings when
  /// another step may bring more. Errors are the program's to know: FENCED_INSTANCE_ID,
  /// INCONSISTENT_GROUP_PROTOCOL, ...
  absl::StatusOr<bool> step(SteadyTime now);
  /// When a step should be taken though no bell rang: a retry after its pause.
  SteadyTime next_step() const { return retry_at_; }
  void polled() { mailbox_->polled(); }

  /// Gives back everything and leaves the group (static members stay).
  void leave();

  bool is_member() const { return state_ == State::stable || generation_ >= Generation(0); }
  Generation generation() const { return generation_; }
  const std::string& member_id() const { return member_id_; }

 private:
  enum class State : std::uint8_t { outside, joining, syncing, stable };

  Membership(const ConsumerConfig& config, Ref<Connection> connection, Ref<Doorbell> bell,
             Owner owner, std::vector<Assignor> assignors);

  void join();
  absl::Status joined(absl::StatusOr<JoinGroupResponse> answer, SteadyTime now);
  absl::Status synced(absl::StatusOr<SyncGroupResponse> answer, SteadyTime now);
  absl::StatusOr<std::vector<SyncGroupRequest::Assignment>> assign_members(
      const JoinGroupResponse& answer) const;
  void take_assignment(std::vector<TopicPartition> assigned);
  absl::Status failed(ErrorCode error, SteadyTime now);
  void lose_all();
  std::vector<std::byte> subscription(const Assignor& assignor) const;

  const ConsumerConfig& config_;
  Ref<Connection> connection_;
  Ref<GroupMailbox> mailbox_;
  Owner owner_;
  std::vector<Assignor> assignors_;
  RebalanceProtocol protocol_;
  std::vector<std::string> topics_;

  State state_ = State::outside;
  bool rejoin_ = false;
  SteadyTime retry_at_ = never;
  std::string member_id_;
  Generation generation_{-1};
  std::string assignor_;               // chosen by the group
  std::vector<TopicPartition> owned_;  // ascending
  Generation owned_since_{-1};
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/consumer/impl/group_mailbox.ipp>
#include <ottla/consumer/impl/membership.ipp>
#endif
