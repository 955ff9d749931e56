// SPDX-License-Identifier: Apache-2.0
//
// A group while an event about it is decided: a copy that changes step by step, so that later steps
// see what earlier ones did, and the decision that these steps add to. `finish` makes the copy the
// decision's soft change. Requests are in group_draft_join.hpp and group_draft_sync.hpp, what
// happens between them in group_draft_rebalance.hpp.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <ottla/base/uuid.hpp>
#include <ottla/group/classic_group.hpp>

namespace ottla::inline OTTLA_ABI::group_impl {

class GroupDraft {
 public:
  GroupDraft(ClassicGroup group, const GroupConfig& config, Now now, GroupDecision& decision)
      : group_(std::move(group)), config_(config), now_(now), decision_(decision) {}

  /// `unique` becomes part of the id of a new member.
  void join(const JoinGroupRequest& request, RequestId id, const Uuid& unique);
  void sync(const SyncGroupRequest& request, RequestId id);
  /// The assignment could not be written.
  void sync_failed(RequestId id, ErrorCode why);
  void leave(const LeaveGroupRequest& request, RequestId id);
  void session_over(const std::string& member_id);
  void join_time_over();
  void sync_time_over();
  /// After a load: has every member's session run anew.
  void start_sessions();
  /// After a load: only who has come since is a member.
  void end_members();
  void prepare_rebalance();

  /// Asks to write the group as it is now.
  void write() { decision_.write(encode_group_key(group_.id_), encode(group_.record())); }
  void finish() && { decision_.soft_changes.push_back({std::move(group_)}); }

 private:
  using Members = std::vector<ClassicMember>;

  // group_draft_join.hpp
  bool accepts(std::string_view member_id) const;
  bool supports(const JoinGroupRequest& request) const;
  void join_new(const JoinGroupRequest& request, RequestId id, const Uuid& unique);
  void join_again(const JoinGroupRequest& request, RequestId id);
  void add_member(const JoinGroupRequest& request, const std::string& member_id, RequestId id);
  void update_member(ClassicMember& member, const JoinGroupRequest& request, RequestId id);
  void replace_static(Members::iterator old, const std::string& new_id,
                      const JoinGroupRequest& request, RequestId id);
  void answer_replaced(ClassicMember& member, const JoinGroupRequest& request,
                       const std::string& leader_before);
  void refuse_join(RequestId id, ErrorCode error, std::string member_id = {});
  JoinGroupResponse welcome(const ClassicMember& member) const;
  void answer_join(ClassicMember& member, JoinGroupResponse response);

  // group_draft_sync.hpp
  void assign(const SyncGroupRequest& request);
  ErrorCode check_sync(const SyncGroupRequest& request) const;
  void answer_sync(ClassicMember& member, ErrorCode error);
  void answer_syncs(ErrorCode error);
  void has_synced(ClassicMember& member);
  ErrorCode leave_one(const LeaveGroupRequest::Member& leaving);

  // group_draft_rebalance.hpp
  void rebalance_or_complete();
  void maybe_complete_join();
  void complete_join();
  void begin_generation();
  bool all_joined() const;
  bool elect_joined_leader();
  std::string select_protocol() const;
  void transition(GroupState state);
  void remove(Members::iterator member);
  void remove_pending(std::string_view member_id);
  void restart_session(const ClassicMember& member);
  void arm(GroupTimer::Kind kind, std::chrono::milliseconds delay, std::string member = {}) {
    decision_.arm({.kind = kind, .group = group_.id_, .member = std::move(member)},
                  after(now_.steady, delay));
  }
  void disarm(GroupTimer::Kind kind, std::string member = {}) {
    decision_.disarm({.kind = kind, .group = group_.id_, .member = std::move(member)});
  }
  Members::iterator find(std::string_view member_id);
  Members::iterator find_static(const std::optional<std::string>& instance_id);
  bool is_leader(const ClassicMember& member) const { return group_.leader_ == member.id(); }

  ClassicGroup group_;
  const GroupConfig& config_;
  const Now now_;
  GroupDecision& decision_;
};

}  // namespace ottla::inline OTTLA_ABI::group_impl
