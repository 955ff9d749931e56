// SPDX-License-Identifier: Apache-2.0
//
// SyncGroup and LeaveGroup.
#pragma once

#include <algorithm>

#include <ottla/group/impl/group_draft.hpp>

namespace ottla::inline OTTLA_ABI::group_impl {

inline ErrorCode GroupDraft::check_sync(const SyncGroupRequest& request) const {
  if (const ErrorCode error = group_.check_member(request.member_id, request.instance_id);
      error != ErrorCode::none) {
    return error;
  }
  if (request.generation != group_.generation_) {
    return ErrorCode::illegal_generation;
  }
  const auto differs = [](const auto& asked, const auto& own) {
    return asked && own && *asked != *own;
  };
  if (differs(request.protocol_type, group_.protocol_type_) ||
      differs(request.protocol, group_.protocol_)) {
    return ErrorCode::inconsistent_group_protocol;
  }
  return group_.state_ == GroupState::preparing_rebalance ? ErrorCode::rebalance_in_progress
                                                          : ErrorCode::none;
}

/// Answers the SyncGroup that it waits with, if it does.
inline void GroupDraft::answer_sync(ClassicMember& member, ErrorCode error) {
  if (!member.syncing) {
    return;
  }
  SyncGroupResponse response{.error = error};
  if (error == ErrorCode::none) {
    response.protocol_type = group_.protocol_type_;
    response.protocol = group_.protocol_;
    response.assignment = assignment_of(member);
  }
  decision_.answer(*member.syncing, std::move(response));
  member.syncing.reset();
}

/// Of all that wait. Their sessions begin anew: while they waited nobody asked for heartbeats.
inline void GroupDraft::answer_syncs(ErrorCode error) {
  for (ClassicMember& member : group_.members_) {
    if (error != ErrorCode::none) {
      member.assignment.reset();
    }
    if (member.syncing) {
      answer_sync(member, error);
      restart_session(member);
    }
  }
}

inline void GroupDraft::has_synced(ClassicMember& member) {
  member.sync_missing = false;
  if (std::none_of(group_.members_.begin(), group_.members_.end(),
                   [](const ClassicMember& one) { return one.sync_missing; })) {
    disarm(GroupTimer::Kind::sync);
  }
}

inline void GroupDraft::sync(const SyncGroupRequest& request, RequestId id) {
  if (const ErrorCode error = check_sync(request); error != ErrorCode::none) {
    decision_.answer(id, SyncGroupResponse{.error = error});
    return;
  }
  ClassicMember& member = *find(request.member_id);
  has_synced(member);
  if (member.syncing) {
    decision_.superseded.push_back(*member.syncing);
  }
  member.syncing = id;
  if (group_.state_ == GroupState::stable) {
    answer_sync(member, ErrorCode::none);
  } else if (is_leader(member)) {
    assign(request);
    write();
    answer_syncs(ErrorCode::none);
    transition(GroupState::stable);
  }
}

/// Members that the leader forgot get nothing.
inline void GroupDraft::assign(const SyncGroupRequest& request) {
  for (ClassicMember& member : group_.members_) {
    member.assignment.reset();
  }
  for (const SyncGroupRequest::Assignment& one : request.assignments) {
    if (const auto member = find(one.member_id); member != group_.members_.end()) {
      member->assignment = std::make_shared<const std::vector<std::byte>>(one.assignment);
    }
  }
}

inline void GroupDraft::sync_failed(RequestId id, ErrorCode why) {
  decision_.answer(id, SyncGroupResponse{.error = why});
  if (group_.state_ == GroupState::completing_rebalance) {
    answer_syncs(why);
    prepare_rebalance();
  }
}

inline ErrorCode GroupDraft::leave_one(const LeaveGroupRequest::Member& leaving) {
  if (group_.is_pending(leaving.member_id)) {
    remove_pending(leaving.member_id);
    return ErrorCode::none;
  }
  Members::iterator member = find_static(leaving.instance_id);
  if (!leaving.member_id.empty()) {
    if (const ErrorCode error = group_.check_member(leaving.member_id, leaving.instance_id);
        error != ErrorCode::none) {
      return error;
    }
    member = find(leaving.member_id);
  }
  if (member == group_.members_.end()) {
    return ErrorCode::unknown_member_id;
  }
  if (member->joining) {
    refuse_join(*member->joining, ErrorCode::unknown_member_id);
  }
  if (member->syncing) {
    decision_.superseded.push_back(*member->syncing);
  }
  remove(member);
  return ErrorCode::none;
}

inline void GroupDraft::leave(const LeaveGroupRequest& request, RequestId id) {
  LeaveGroupResponse response;
  bool left = false;
  for (const LeaveGroupRequest::Member& leaving : request.members) {
    const bool was_member = !group_.is_pending(leaving.member_id);
    const ErrorCode error = leave_one(leaving);
    left = left || (was_member && error == ErrorCode::none);
    response.members.push_back(
        {.member_id = leaving.member_id, .instance_id = leaving.instance_id, .error = error});
  }
  decision_.answer(id, std::move(response));
  if (left && group_.state_ != GroupState::empty) {
    rebalance_or_complete();
  } else {
    maybe_complete_join();  // a pending one may have been waited for
  }
}

}  // namespace ottla::inline OTTLA_ABI::group_impl
