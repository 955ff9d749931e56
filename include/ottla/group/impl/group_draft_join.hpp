// SPDX-License-Identifier: Apache-2.0
//
// JoinGroup.
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/group/impl/group_draft.hpp>

namespace ottla::inline OTTLA_ABI::group_impl {

inline constexpr std::int16_t version_requiring_member_id = 4;
inline constexpr std::int16_t version_skipping_assignment = 9;

/// What Kafka's INT32 can say; keeps deadlines from overflowing.
inline std::chrono::milliseconds bounded(std::chrono::milliseconds time) {
  return std::clamp(time, std::chrono::milliseconds(0), std::chrono::milliseconds(INT32_MAX));
}

/// "prefix-8f14e45f-ceea-467f-a8a3-d2f3c5d6b1e0"
inline std::string new_member_id(std::string_view prefix, const Uuid& unique) {
  const std::string hex = unique.to_hex();
  const std::string_view digits = hex;
  return absl::StrCat(av(prefix), "-", av(digits.substr(0, 8)), "-", av(digits.substr(8, 4)), "-",
                      av(digits.substr(12, 4)), "-", av(digits.substr(16, 4)), "-",
                      av(digits.substr(20)));
}

inline void GroupDraft::refuse_join(RequestId id, ErrorCode error, std::string member_id) {
  decision_.answer(id, JoinGroupResponse{.error = error, .member_id = std::move(member_id)});
}

inline void GroupDraft::answer_join(ClassicMember& member, JoinGroupResponse response) {
  decision_.answer(*member.joining, std::move(response));
  member.joining.reset();
}

inline JoinGroupResponse GroupDraft::welcome(const ClassicMember& member) const {
  JoinGroupResponse response{.generation = group_.generation_,
                             .protocol_type = group_.protocol_type_,
                             .protocol = group_.protocol_,
                             .leader = group_.leader_.value_or(""),
                             .member_id = member.id()};
  if (is_leader(member)) {
    response.members.reserve(group_.members_.size());
    for (const ClassicMember& one : group_.members_) {
      response.members.push_back({.member_id = one.id(),
                                  .instance_id = one.details->instance_id,
                                  .metadata = metadata_of(one, group_.protocol_)});
    }
  }
  return response;
}

/// While members join, those that have joined count; later all do.
inline bool GroupDraft::accepts(std::string_view member_id) const {
  const auto most = static_cast<std::size_t>(config_.max_size);
  const ClassicMember* member = group_.find(member_id);
  switch (group_.state_) {
    case GroupState::empty:
      return true;
    case GroupState::preparing_rebalance:
      return (member != nullptr && member->joining) ||
             static_cast<std::size_t>(std::count_if(
                 group_.members_.begin(), group_.members_.end(),
                 [](const ClassicMember& one) { return one.joining.has_value(); })) < most;
    case GroupState::completing_rebalance:
    case GroupState::stable:
      break;
  }
  return member != nullptr || group_.members_.size() < most;
}

inline bool GroupDraft::supports(const JoinGroupRequest& request) const {
  if (group_.state_ == GroupState::empty) {
    return !request.protocol_type.empty() && !request.protocols.empty();
  }
  return group_.protocol_type_ == request.protocol_type &&
         std::any_of(request.protocols.begin(), request.protocols.end(), [&](const auto& protocol) {
           return std::all_of(group_.members_.begin(), group_.members_.end(),
                              [&](const ClassicMember& member) {
                                return member.details->find(protocol.name) != nullptr;
                              });
         });
}

inline void GroupDraft::join(const JoinGroupRequest& request, RequestId id, const Uuid& unique) {
  if (!accepts(request.member_id)) {
    if (const auto member = find(request.member_id); member != group_.members_.end()) {
      remove(member);
    }
    remove_pending(request.member_id);
    refuse_join(id, ErrorCode::group_max_size_reached);
    maybe_complete_join();  // all others may have joined
  } else if (!supports(request)) {
    refuse_join(id, ErrorCode::inconsistent_group_protocol, request.member_id);
  } else if (request.member_id.empty()) {
    join_new(request, id, unique);
  } else {
    join_again(request, id);
  }
}

inline void GroupDraft::join_new(const JoinGroupRequest& request, RequestId id,
                                 const Uuid& unique) {
  const std::string member_id =
      new_member_id(request.instance_id ? *request.instance_id : request.client.id, unique);
  const auto old = find_static(request.instance_id);
  if (old != group_.members_.end()) {
    replace_static(old, member_id, request, id);
  } else if (request.instance_id || request.version < version_requiring_member_id) {
    add_member(request, member_id, id);
  } else {
    group_.pending_.insert(
        std::lower_bound(group_.pending_.begin(), group_.pending_.end(), member_id, &precedes),
        member_id);
    arm(GroupTimer::Kind::session, request.session_timeout, member_id);
    refuse_join(id, ErrorCode::member_id_required, member_id);
  }
}

inline void GroupDraft::join_again(const JoinGroupRequest& request, RequestId id) {
  if (group_.is_pending(request.member_id)) {
    if (request.instance_id) {
      refuse_join(id, ErrorCode::invalid_request, request.member_id);
    } else {
      add_member(request, request.member_id, id);
    }
    return;
  }
  const ErrorCode error = group_.check_member(request.member_id, request.instance_id);
  if (error != ErrorCode::none) {
    refuse_join(id, error, request.member_id);
    return;
  }
  ClassicMember& member = *find(request.member_id);
  const bool same = member.details->protocols == request.protocols;
  // Its answer may have been lost; but a leader that joins a stable group anew wants a rebalance.
  const bool knows_all = (group_.state_ == GroupState::completing_rebalance && same) ||
                         (group_.state_ == GroupState::stable && same && !is_leader(member));
  if (knows_all) {
    decision_.answer(id, welcome(member));
  } else {
    update_member(member, request, id);
    rebalance_or_complete();
  }
}

inline void GroupDraft::add_member(const JoinGroupRequest& request, const std::string& member_id,
                                   RequestId id) {
  if (group_.state_ == GroupState::preparing_rebalance &&
      group_.state_before_ == GroupState::empty) {
    group_.joined_meanwhile_ = true;
  }
  remove_pending(member_id);
  if (group_.members_.empty()) {
    group_.protocol_type_ = request.protocol_type;
  }
  if (!group_.leader_) {
    group_.leader_ = member_id;
  }
  MemberDetails details{.id = member_id,
                        .instance_id = request.instance_id,
                        .client_id = request.client.id,
                        .client_host = request.client.host,
                        .session_timeout = request.session_timeout,
                        .rebalance_timeout = bounded(request.rebalance_timeout),
                        .protocols = request.protocols};
  group_.members_.insert(place_of(group_.members_, member_id),
                         {.details = std::make_shared<const MemberDetails>(std::move(details)),
                          .joining = id,
                          .is_new = true});
  // It has no heartbeats yet: this bounds how long it may have left without a word.
  arm(GroupTimer::Kind::session, config_.new_member_join_timeout, member_id);
  rebalance_or_complete();
}

inline void GroupDraft::update_member(ClassicMember& member, const JoinGroupRequest& request,
                                      RequestId id) {
  MemberDetails details = *member.details;
  details.protocols = request.protocols;
  details.rebalance_timeout = bounded(request.rebalance_timeout);
  details.session_timeout = request.session_timeout;
  member.details = std::make_shared<const MemberDetails>(std::move(details));
  if (member.joining) {
    decision_.superseded.push_back(*member.joining);
  }
  member.joining = id;
}

/// A static member is back and does not remember its id.
inline void GroupDraft::replace_static(Members::iterator old, const std::string& new_id,
                                       const JoinGroupRequest& request, RequestId id) {
  const std::string leader_before = group_.leader_.value_or("");
  if (old->joining) {
    answer_join(*old, {.error = ErrorCode::fenced_instance_id, .member_id = old->id()});
  }
  answer_sync(*old, ErrorCode::fenced_instance_id);
  MemberDetails details = *old->details;
  details.id = new_id;
  ClassicMember replacing{.details = std::make_shared<const MemberDetails>(std::move(details)),
                          .assignment = old->assignment};
  if (is_leader(*old)) {
    group_.leader_ = new_id;
  }
  disarm(GroupTimer::Kind::session, old->id());
  group_.members_.erase(old);
  restart_session(replacing);
  const auto place = place_of(group_.members_, new_id);
  ClassicMember& member = *group_.members_.insert(place, std::move(replacing));
  update_member(member, request, id);
  switch (group_.state_) {
    case GroupState::stable:
      if (group_.protocol_ == select_protocol()) {
        write();
        answer_replaced(member, request, leader_before);
      } else {
        prepare_rebalance();
      }
      break;
    case GroupState::completing_rebalance:
      // The leader may be assigning partitions to the old id just now.
      prepare_rebalance();
      break;
    case GroupState::preparing_rebalance:
    case GroupState::empty:
      maybe_complete_join();
      break;
  }
}

inline void GroupDraft::answer_replaced(ClassicMember& member, const JoinGroupRequest& request,
                                        const std::string& leader_before) {
  JoinGroupResponse response = welcome(member);
  if (request.version >= version_skipping_assignment) {
    response.skip_assignment = is_leader(member);
  } else {
    // Without that flag it must not take itself for the leader, or it would assign anew.
    response.leader = leader_before;
    response.members.clear();
  }
  answer_join(member, std::move(response));
}

}  // namespace ottla::inline OTTLA_ABI::group_impl
