// SPDX-License-Identifier: Apache-2.0
//
// One group of the classic protocol, in which the members agree on an assignment among themselves:
// all join, the leader assigns, all synchronize. A value: copies share what members said.
// Source: spec groups.md section 3.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <ottla/group/group_config.hpp>
#include <ottla/group/group_records.hpp>
#include <ottla/protocol/classic_group.hpp>
#include <ottla/protocol/decision.hpp>
#include <ottla/protocol/groups.hpp>
#include <ottla/protocol/offsets.hpp>

namespace ottla::inline OTTLA_ABI {

enum class GroupState : std::uint8_t { empty, preparing_rebalance, completing_rebalance, stable };

/// Kafka's name: "Empty", "PreparingRebalance", "CompletingRebalance", "Stable".
std::string_view name(GroupState state);

namespace group_impl {
class GroupDraft;
}

/// What a member said when it joined last.
struct MemberDetails {
  std::string id;
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  std::chrono::milliseconds session_timeout{0};
  std::chrono::milliseconds rebalance_timeout{0};
  std::vector<GroupProtocol> protocols;  ///< in the order of its preference

  /// Null where it does not support that one.
  const GroupProtocol* find(std::string_view protocol) const;
};

struct ClassicMember {
  std::shared_ptr<const MemberDetails> details;
  std::shared_ptr<const std::vector<std::byte>> assignment = {};  ///< null: none
  std::optional<RequestId> joining = {};                          ///< a JoinGroup without an answer
  std::optional<RequestId> syncing = {};                          ///< a SyncGroup without an answer
  bool is_new = false;        ///< no JoinGroup of it was ever answered
  bool sync_missing = false;  ///< has to send SyncGroup in this generation

  const std::string& id() const { return details->id; }
};

/// States, and what leads from one to the other. A generation begins with CompletingRebalance.
///
///        first member joins             all have joined, or the time is over
///   Empty ─────────────► PreparingRebalance ─────────────────────► CompletingRebalance
///     ▲                   │    ▲        ▲  a member joins, leaves or dies    │   │
///     └───────────────────┘    │        └────────────────────────────────────┘   │
///      nobody is left          │                                                 │
///                              │ a member joins, leaves or dies,                 │ the leader's
///                              │ the leader joins again                          │ assignment is
///                              └───────────────────── Stable ◄───────────────────┘ written
///
/// Written are: a group that was just made, one that has become Empty, the assignment (before
/// anybody gets it), and a static member that comes back under a new id. All else is soft: after a
/// failover members find an older generation, or none, and join again.
class ClassicGroup {
 public:
  /// A new one, Empty, in generation 0.
  ClassicGroup(std::string id, Timestamp now) : id_(std::move(id)), state_time_(now) {}
  /// As its record tells: Empty, or Stable if there are members.
  ClassicGroup(std::string id, const GroupValue& record);
  /// As it is written.
  GroupValue record() const;

  const std::string& id() const { return id_; }
  GroupState state() const { return state_; }
  Generation generation() const { return generation_; }
  /// Nothing: no member ever joined ("simple": offsets are all that there is).
  const std::optional<std::string>& protocol_type() const { return protocol_type_; }
  const std::optional<std::string>& protocol() const { return protocol_; }
  const std::optional<std::string>& leader() const { return leader_; }
  Timestamp state_time() const { return state_time_; }  ///< since when; -1: not known

  /// Ascending by id.
  const std::vector<ClassicMember>& members() const { return members_; }
  const ClassicMember* find(std::string_view member_id) const;
  /// Got an id, and has not joined with it yet.
  bool is_pending(std::string_view member_id) const;
  std::size_t pending() const { return pending_.size(); }
  /// The longest of its members.
  std::chrono::milliseconds rebalance_timeout() const;

  /// UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID for a static member that another one has replaced.
  ErrorCode check_member(std::string_view member_id,
                         const std::optional<std::string>& instance_id) const;
  /// Whether offsets may be committed by that member in that generation.
  ErrorCode check_commit(std::string_view member_id, const std::optional<std::string>& instance_id,
                         Generation generation, bool transactional = false) const;
  /// Whether some member reads the topic, as far as can be told: of a protocol that is not known
  /// here, yes.
  bool is_subscribed(std::string_view topic) const;
  /// Whether offsets of a group with members can expire at all.
  bool knows_subscriptions() const { return subscribed_.has_value(); }
  bool has_consumers() const;

  DescribeGroupsResponse::Group describe() const;

 private:
  friend class group_impl::GroupDraft;

  /// Of the members, with the protocol chosen; nothing where that cannot be read here.
  std::optional<std::vector<std::string>> read_subscriptions() const;

  std::string id_;
  GroupState state_ = GroupState::empty;
  std::optional<GroupState> state_before_;
  Timestamp state_time_ = no_timestamp;
  Generation generation_{0};
  std::optional<std::string> protocol_type_;
  std::optional<std::string> protocol_;
  std::optional<std::string> leader_;
  std::vector<ClassicMember> members_;
  std::vector<std::string> pending_;  // ascending
  /// Topics that members of this generation read, ascending; nothing: not known.
  std::optional<std::vector<std::string>> subscribed_;
  // Whether this is an initial rebalance that waits for more members, and how long it still may.
  bool initial_ = false;
  bool joined_meanwhile_ = false;
  std::chrono::milliseconds initial_delay_{0};
  std::chrono::milliseconds initial_time_left_{0};
};

/// What a coordinator wants to be woken for.
struct GroupTimer {
  enum class Kind : std::uint8_t { session, join, sync, offsets };
  Kind kind = Kind::offsets;
  std::string group = {};
  std::string member = {};

  auto operator<=>(const GroupTimer&) const = default;
};

/// The soft change of a group: all that its record does not tell, and the rest with it.
struct GroupBecomes {
  ClassicGroup group;
};

using GroupResponse =
    std::variant<JoinGroupResponse, SyncGroupResponse, HeartbeatResponse, LeaveGroupResponse,
                 OffsetCommitResponse, OffsetDeleteResponse, DeleteGroupsResponse>;
using GroupDecision = Decision<GroupBecomes, GroupResponse, GroupTimer>;

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/group/impl/classic_group.ipp>
#endif
