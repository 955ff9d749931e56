// SPDX-License-Identifier: Apache-2.0
//
// Groups and what they have committed: the rule machine behind one partition of
// `__consumer_offsets` (that of a group: `partition_for_id`). Its keeper has it decide events one
// after the other; README.md tells what is written, what waits, and what is soft.
//   GroupDecision decision = coordinator.decide(Asked{id, JoinGroupRequest{...}, unique}, now);
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <absl/status/status.h>

#include <ottla/base/topic_partition.hpp>
#include <ottla/base/uuid.hpp>
#include <ottla/group/classic_group.hpp>
#include <ottla/group/group_config.hpp>
#include <ottla/offsets/offset_store.hpp>
#include <ottla/protocol/decision.hpp>

namespace ottla::inline OTTLA_ABI {

/// Not thread-safe; a RuleMachine.
class GroupCoordinator {
 public:
  using Request =
      std::variant<JoinGroupRequest, SyncGroupRequest, HeartbeatRequest, LeaveGroupRequest,
                   OffsetCommitRequest, OffsetDeleteRequest, DeleteGroupsRequest>;
  struct Asked {
    RequestId id = {};
    Request request = {};
    Uuid unique = {};  ///< random; a new member's id is made of it
  };
  struct TimerDue {
    GroupTimer timer = {};
    bool clock_stepped = false;  ///< the wall clock, of late: no offset expires by it
  };
  /// All records of the log were applied. `members_gone`: nobody who was a member then can be
  /// alive, as when all members were in a process that has ended; else their sessions begin anew.
  /// Groups whose members are gone are written Empty, as many as go into one batch: while there are
  /// others, it is answered COORDINATOR_LOAD_IN_PROGRESS, and is to be asked again before anything
  /// else. Where that cannot be written they are Empty all the same.
  struct Loaded {
    RequestId request = {};
    bool members_gone = false;
  };
  /// What groups have committed is above what a crash has left of a partition: they go on at `to`;
  /// or, without it, the offset is of a topic that was deleted. As many of the first as go into one
  /// batch are done, and listed in the answer: it is to be asked again for the others.
  struct OffsetsRevised {
    struct One {
      std::string group;
      TopicPartition partition;
      std::optional<Offset> to;
    };
    RequestId request = {};
    std::vector<One> offsets = {};
  };
  /// The last two are answered with an OffsetDeleteResponse, unless their request is 0.
  /// DeleteGroups: a group that the answer does not list has more offsets than go into one batch;
  /// it is still there, with fewer, and to be asked for again.
  using Event = std::variant<Asked, TimerDue, Loaded, OffsetsRevised>;
  using Decision = GroupDecision;

  // POLICY_VIOLATION: `max_groups`, `max_member_metadata` or `max_protocols` is reached.

  explicit GroupCoordinator(const GroupConfig& config = {})
      : config_(config), offsets_(config.offsets) {}

  Decision decide(const Event& event, Now now) const;
  Decision decide_failed(const Event& event, ErrorCode why, Now now) const;
  absl::Status apply(const WrittenRecord& record);
  /// Before: the group is there; its first record is written with its first change.
  void apply(GroupBecomes&& change) noexcept;

  // Queries: what is written and applied.
  OffsetFetchResponse answer(const OffsetFetchRequest& request) const {
    return offsets_.fetch(request);
  }
  ListGroupsResponse answer(const ListGroupsRequest& request) const;
  /// A group that is not there is GROUP_ID_NOT_FOUND, and "Dead".
  DescribeGroupsResponse answer(const DescribeGroupsRequest& request) const;

  /// Null where it is not there. Valid until the next change.
  const ClassicGroup* find(std::string_view group) const;
  const OffsetStore& offsets() const { return offsets_; }

 private:
  void decide_on(const Asked& asked, const JoinGroupRequest& request, Now now,
                 Decision& decision) const;
  void decide_on(const Asked& asked, const SyncGroupRequest& request, Now now,
                 Decision& decision) const;
  void decide_on(const Asked& asked, const HeartbeatRequest& request, Now now,
                 Decision& decision) const;
  void decide_on(const Asked& asked, const LeaveGroupRequest& request, Now now,
                 Decision& decision) const;
  void decide_on(const Asked& asked, const OffsetCommitRequest& request, Now now,
                 Decision& decision) const;
  void decide_on(const Asked& asked, const OffsetDeleteRequest& request, Now now,
                 Decision& decision) const;
  void decide_on(const Asked& asked, const DeleteGroupsRequest& request, Now now,
                 Decision& decision) const;
  void decide_on(const TimerDue& due, Now now, Decision& decision) const;
  void decide_on(const Loaded& loaded, Now now, Decision& decision) const;
  void decide_on(const OffsetsRevised& revised, Decision& decision) const;

  ErrorCode check_join(const JoinGroupRequest& request) const;
  ErrorCode check_commit(const OffsetCommitRequest& request) const;
  RecordPortion portion_of(Decision& decision) const;
  bool end_members(Now now, RecordPortion& portion, Decision& decision) const;
  void finish_load(const Loaded& loaded, Now now, Decision& decision) const;
  void expire_offsets(Now now, Decision& decision) const;

  GroupConfig config_;
  std::map<std::string, ClassicGroup, std::less<>> groups_;
  OffsetStore offsets_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/group/impl/group_coordinator.ipp>
#include <ottla/group/impl/group_coordinator_offsets.ipp>
#endif
