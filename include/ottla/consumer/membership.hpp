// SPDX-License-Identifier: Apache-2.0
//
// A consumer's side of the classic group protocol. The polling thread drives it step by step and
// nothing in it waits:
//   outside ─ join ─ joining ─(leader: runs the assignor)─ sync ─ syncing ─ stable ─(rebalance)─
//   join ...
// Heartbeats are a task of the world's executor, from the answer to the join on; what they learn is
// picked up by the next step.
// Source: spec groups.md sections 3 and 8.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/ref.hpp>
#include <ottla/consumer/consumer_config.hpp>
#include <ottla/consumer/group_mailbox.hpp>
#include <ottla/group/assignor.hpp>
#include <ottla/group/consumer_protocol.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI {

/// Not thread-safe.
class Membership {
 public:
  /// What the consumer does when partitions come and go; called by `step` and `leave`.
  struct Owner {
    /// Before others may own them: commit, then tell the program. They are assigned still.
    std::function<void(const std::vector<TopicPartition>&)> revoke;
    /// Others may own them already.
    std::function<void(const std::vector<TopicPartition>&)> lose;
    /// All that are owned from now on.
    std::function<void(const std::vector<TopicPartition>&)> assign;
    /// A rebalance is over, which brought these: tell the program.
    std::function<void(const std::vector<TopicPartition>&)> tell_added;
    /// Partitions of topics, for the leader: names that do not exist are left out.
    std::function<absl::StatusOr<std::vector<TopicToAssign>>(const std::vector<std::string>&)>
        describe;
  };

  /// Before: `config` outlives it.
  static absl::StatusOr<Membership> open(const ConsumerConfig& config, Ref<Connection> connection,
                                         Ref<Wakeable> bell, Owner owner);

  /// Joins with these from the next step on; rejoins when they changed.
  void subscribe(std::vector<std::string> topics);
  /// Topics were made, deleted or enlarged: the leader looks whether that concerns the group.
  void metadata_changed() { metadata_changed_ = true; }
  /// At the next `step`, not at the one that a listener calls this from.
  void enforce_rebalance() { rejoin_next_ = true; }

  /// Goes as far as it can without waiting. True when the assignment is stable. The bell rings when
  /// another step may bring more. Errors are the program's to know: FENCED_INSTANCE_ID,
  /// INCONSISTENT_GROUP_PROTOCOL, ...
  absl::StatusOr<bool> step(SteadyTime now);
  /// When a step should be taken though no bell rang: a retry after its pause.
  SteadyTime next_step() const { return retry_at_; }
  /// A member that is not inside a poll for longer than max.poll.interval leaves.
  void enter_poll() { mailbox_->enter_poll(); }
  void leave_poll(SteadyTime now) { mailbox_->leave_poll(now); }

  /// Gives back everything and leaves the group (static members stay).
  void leave();
  /// The same for a consumer's end: waits until `deadline` that it is done, and says so past it.
  void close(SteadyTime deadline);
  /// No heartbeat any more, and nobody is told.
  void abandon() { mailbox_->stop(); }

  bool is_member() const { return generation_ >= Generation(0); }
  /// Takes, from any thread, what answers to commits say of the member.
  const Ref<GroupMailbox>& mailbox() const { return mailbox_; }

 private:
  enum class State : std::uint8_t { outside, joining, syncing, stable };

  Membership(const ConsumerConfig& config, Ref<Connection> connection, Ref<Wakeable> bell,
             Owner owner, std::vector<Assignor> assignors);

  static void say(Connection& connection, LeaveGroupRequest request);
  std::optional<LeaveGroupRequest> give_back(std::string_view reason);
  void join();
  absl::Status joined(absl::StatusOr<JoinGroupResponse> answer, SteadyTime now);
  absl::Status synced(absl::StatusOr<SyncGroupResponse> answer, SteadyTime now);
  absl::StatusOr<std::vector<SyncGroupRequest::Assignment>> assign_members(
      const JoinGroupResponse& answer) const;
  bool are_subscribed(const std::vector<TopicPartition>& partitions) const;
  void take_assignment(std::vector<TopicPartition> assigned);
  absl::Status watch_topics(const JoinGroupResponse& answer);
  bool look_at_topics();
  absl::Status failed(ErrorCode error, SteadyTime now);
  void lose_all();
  std::vector<std::byte> subscription(const Assignor& assignor) const;

  const ConsumerConfig& config_;
  Ref<Connection> connection_;
  Ref<GroupMailbox> mailbox_;
  Owner owner_;
  std::vector<Assignor> assignors_;
  RebalanceProtocol protocol_;
  std::vector<std::string> topics_;  // ascending

  State state_ = State::outside;
  bool rejoin_ = false;
  bool rejoin_next_ = false;
  bool metadata_changed_ = false;
  /// Of the whole group, as its leader assigned them; nothing for other members.
  std::optional<std::map<std::string, std::int32_t>> watched_topics_;
  SteadyTime retry_at_ = never;
  std::string member_id_;
  Generation generation_{-1};
  std::string assignor_;               // chosen by the group
  std::vector<TopicPartition> owned_;  // ascending
  Generation owned_since_{-1};         // the last one that it was given an assignment in
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/consumer/impl/membership.ipp>
#endif
