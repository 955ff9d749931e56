// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <utility>

#include <ottla/group/group_coordinator.hpp>
#include <ottla/group/impl/group_draft.hpp>
#include <ottla/group/impl/group_draft_join.hpp>
#include <ottla/group/impl/group_draft_rebalance.hpp>
#include <ottla/group/impl/group_draft_sync.hpp>

namespace ottla::inline OTTLA_ABI {
namespace group_impl {

/// Of a record's strings, some of which get a suffix.
inline constexpr std::size_t longest_name = 32'000;
/// Records of one decision that only tidies up.
inline constexpr std::size_t tidied_at_once = 1'000;
inline constexpr std::size_t tidied_bytes = 64 * 1024;
inline constexpr std::chrono::milliseconds retry_delay{500};

/// The answer to a request that nothing can be done for.
struct Refusal {
  ErrorCode error;

  GroupResponse operator()(const JoinGroupRequest& request) const {
    return JoinGroupResponse{.error = error, .member_id = request.member_id};
  }
  GroupResponse operator()(const SyncGroupRequest&) const {
    return SyncGroupResponse{.error = error};
  }
  GroupResponse operator()(const HeartbeatRequest&) const {
    return HeartbeatResponse{.error = error};
  }
  GroupResponse operator()(const LeaveGroupRequest&) const {
    return LeaveGroupResponse{.error = error};
  }
  GroupResponse operator()(const OffsetCommitRequest& request) const {
    OffsetCommitResponse response;
    for (const auto& one : request.partitions) {
      response.partitions.push_back({.partition = one.partition, .error = error});
    }
    return response;
  }
  GroupResponse operator()(const OffsetDeleteRequest&) const {
    return OffsetDeleteResponse{.error = error};
  }
  GroupResponse operator()(const DeleteGroupsRequest& request) const {
    DeleteGroupsResponse response;
    for (const std::string& group : request.groups) {
      response.groups.push_back({.group = group, .error = error});
    }
    return response;
  }
};

/// To whoever brought an event that is no client's.
inline void answer_done(RequestId request, ErrorCode error, GroupDecision& decision) {
  if (request != RequestId()) {
    decision.answer(request, OffsetDeleteResponse{.error = error});
  }
}

}  // namespace group_impl

OTTLA_INLINE const ClassicGroup* GroupCoordinator::find(std::string_view group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : &found->second;
}

OTTLA_INLINE GroupDecision GroupCoordinator::decide(const Event& event, Now now) const {
  Decision decision;
  if (const auto* asked = std::get_if<Asked>(&event)) {
    std::visit([&](const auto& request) { decide_on(*asked, request, now, decision); },
               asked->request);
  } else if (const auto* due = std::get_if<TimerDue>(&event)) {
    decide_on(*due, now, decision);
  } else if (const auto* loaded = std::get_if<Loaded>(&event)) {
    decide_on(*loaded, now, decision);
  } else {
    decide_on(std::get<OffsetsRevised>(event), decision);
  }
  return decision;
}

OTTLA_INLINE GroupDecision GroupCoordinator::decide_failed(const Event& event, ErrorCode why,
                                                           Now now) const {
  Decision decision;
  if (const auto* due = std::get_if<TimerDue>(&event)) {
    decision.arm(due->timer, after(now.steady, group_impl::retry_delay));
    return decision;
  }
  if (const auto* loaded = std::get_if<Loaded>(&event)) {
    RecordPortion all(decision.records);
    end_members(now, all, decision);
    decision.records.clear();
    finish_load(*loaded, now, decision);
    return decision;
  }
  const auto* asked = std::get_if<Asked>(&event);
  if (asked == nullptr) {
    group_impl::answer_done(std::get<OffsetsRevised>(event).request, why, decision);
    return decision;
  }
  const auto* sync = std::get_if<SyncGroupRequest>(&asked->request);
  const ClassicGroup* group = sync == nullptr ? nullptr : find(sync->group);
  if (group != nullptr) {
    group_impl::GroupDraft draft(*group, config_, now, decision);
    draft.sync_failed(asked->id, why);
    std::move(draft).finish();
  } else {
    decision.answer(asked->id, std::visit(group_impl::Refusal{why}, asked->request));
  }
  return decision;
}

OTTLA_INLINE absl::Status GroupCoordinator::apply(const WrittenRecord& record) {
  if (record.marker != TransactionMarker::none) {
    offsets_.end_transaction(record.producer, record.marker == TransactionMarker::commit);
    return absl::OkStatus();
  }
  const Bytes key = record.key.value_or(Bytes());
  OTTLA_ASSIGN(const std::int16_t type, decode_key_type(key));
  if (is_offset_key(type)) {
    OTTLA_TRY(offsets_.apply(record));
    if (record.value) {
      OTTLA_ASSIGN(const OffsetKey offset, decode_offset_key(key));
      groups_.try_emplace(offset.group, offset.group, no_timestamp);
    }
  } else if (type == group_key_type) {
    OTTLA_ASSIGN(std::string id, decode_group_key(key));
    if (record.value) {
      OTTLA_ASSIGN(const GroupValue value, decode_group_value(*record.value));
      groups_.insert_or_assign(id, ClassicGroup(id, value));
    } else {
      groups_.erase(id);
    }
  }
  return absl::OkStatus();  // records of other kinds of groups are left alone
}

OTTLA_INLINE void GroupCoordinator::apply(GroupBecomes&& change) noexcept {
  static_assert(std::is_nothrow_move_assignable_v<ClassicGroup>);
  if (const auto found = groups_.find(change.group.id()); found != groups_.end()) {
    found->second = std::move(change.group);
  }
}

OTTLA_INLINE ErrorCode GroupCoordinator::check_join(const JoinGroupRequest& request) const {
  if (request.group.empty() || request.group.size() > group_impl::longest_name) {
    return ErrorCode::invalid_group_id;
  }
  if (request.session_timeout < config_.min_session_timeout ||
      request.session_timeout > config_.max_session_timeout) {
    return ErrorCode::invalid_session_timeout;
  }
  const auto too_long = [](std::string_view name) {
    return name.size() > group_impl::longest_name;
  };
  const bool protocol_too_long =
      std::any_of(request.protocols.begin(), request.protocols.end(),
                  [&](const GroupProtocol& protocol) { return too_long(protocol.name); });
  if (protocol_too_long || too_long(request.client.id) || too_long(request.client.host) ||
      too_long(request.member_id) || too_long(request.protocol_type) ||
      (request.instance_id && (request.instance_id->empty() || too_long(*request.instance_id)))) {
    return ErrorCode::invalid_request;
  }
  const auto most = static_cast<std::size_t>(std::max(config_.max_member_metadata, 0));
  const bool fits =
      std::all_of(request.protocols.begin(), request.protocols.end(),
                  [&](const GroupProtocol& protocol) { return protocol.metadata.size() <= most; });
  return fits && request.protocols.size() <= static_cast<std::size_t>(config_.max_protocols)
             ? ErrorCode::none
             : ErrorCode::policy_violation;
}

OTTLA_INLINE void GroupCoordinator::decide_on(const Asked& asked, const JoinGroupRequest& request,
                                              Now now, Decision& decision) const {
  ErrorCode error = check_join(request);
  const ClassicGroup* group = find(request.group);
  const bool is_new = group == nullptr;
  if (error == ErrorCode::none && is_new && !request.member_id.empty()) {
    error = ErrorCode::unknown_member_id;
  } else if (error == ErrorCode::none && is_new &&
             groups_.size() >= static_cast<std::size_t>(config_.max_groups)) {
    error = ErrorCode::policy_violation;
  }
  if (error != ErrorCode::none) {
    decision.answer(asked.id, group_impl::Refusal{error}(request));
    return;
  }
  group_impl::GroupDraft draft(is_new ? ClassicGroup(request.group, now.wall) : *group, config_,
                               now, decision);
  if (is_new) {
    draft.write();
  }
  draft.join(request, asked.id, asked.unique);
  std::move(draft).finish();
}

OTTLA_INLINE void GroupCoordinator::decide_on(const Asked& asked, const SyncGroupRequest& request,
                                              Now now, Decision& decision) const {
  const ClassicGroup* group = find(request.group);
  if (group == nullptr) {
    decision.answer(asked.id, SyncGroupResponse{.error = ErrorCode::unknown_member_id});
    return;
  }
  group_impl::GroupDraft draft(*group, config_, now, decision);
  draft.sync(request, asked.id);
  std::move(draft).finish();
}

OTTLA_INLINE void GroupCoordinator::decide_on(const Asked& asked, const HeartbeatRequest& request,
                                              Now now, Decision& decision) const {
  const ClassicGroup* group = find(request.group);
  ErrorCode error = group == nullptr ? ErrorCode::unknown_member_id
                                     : group->check_member(request.member_id, request.instance_id);
  if (error == ErrorCode::none && request.generation != group->generation()) {
    error = ErrorCode::illegal_generation;
  }
  if (error == ErrorCode::none) {
    decision.arm(
        {.kind = GroupTimer::Kind::session, .group = request.group, .member = request.member_id},
        after(now.steady, group->find(request.member_id)->details->session_timeout));
    if (group->state() == GroupState::preparing_rebalance) {
      error = ErrorCode::rebalance_in_progress;
    }
  }
  decision.answer(asked.id, HeartbeatResponse{.error = error});
}

OTTLA_INLINE void GroupCoordinator::decide_on(const Asked& asked, const LeaveGroupRequest& request,
                                              Now now, Decision& decision) const {
  const ClassicGroup* group = find(request.group);
  if (group == nullptr) {
    decision.answer(asked.id, LeaveGroupResponse{.error = ErrorCode::unknown_member_id});
    return;
  }
  group_impl::GroupDraft draft(*group, config_, now, decision);
  draft.leave(request, asked.id);
  std::move(draft).finish();
}

OTTLA_INLINE void GroupCoordinator::decide_on(const TimerDue& due, Now now,
                                              Decision& decision) const {
  const GroupTimer& timer = due.timer;
  if (timer.kind == GroupTimer::Kind::offsets && due.clock_stepped) {
    decision.arm({}, after(now.steady, config_.offsets.retention_check_interval));
    return;
  }
  if (timer.kind == GroupTimer::Kind::offsets) {
    expire_offsets(now, decision);
    return;
  }
  const ClassicGroup* group = find(timer.group);
  if (group == nullptr) {
    return;
  }
  group_impl::GroupDraft draft(*group, config_, now, decision);
  if (timer.kind == GroupTimer::Kind::session) {
    draft.session_over(timer.member);
  } else if (timer.kind == GroupTimer::Kind::join) {
    draft.join_time_over();
  } else {
    draft.sync_time_over();
  }
  std::move(draft).finish();
}

/// Adds to `decision` what the portion takes; false: there is more.
OTTLA_INLINE bool GroupCoordinator::end_members(Now now, RecordPortion& portion,
                                                Decision& decision) const {
  const auto take = [](auto& from, auto& into) {
    std::move(from.begin(), from.end(), std::back_inserter(into));
  };
  for (const auto& [id, group] : groups_) {
    if (group.members().empty()) {
      continue;
    }
    Decision one;
    group_impl::GroupDraft draft(group, config_, now, one);
    draft.end_members();
    std::move(draft).finish();
    if (!one.records.empty() && !portion.add(std::move(one.records.front()))) {
      return false;
    }
    take(one.soft_changes, decision.soft_changes);
    take(one.answers, decision.answers);
    take(one.timers, decision.timers);
  }
  return true;
}

OTTLA_INLINE void GroupCoordinator::decide_on(const Loaded& loaded, Now now,
                                              Decision& decision) const {
  RecordPortion portion = portion_of(decision);
  if (loaded.members_gone && !end_members(now, portion, decision)) {
    group_impl::answer_done(loaded.request, ErrorCode::coordinator_load_in_progress, decision);
    return;
  }
  for (const auto& [id, group] : groups_) {
    if (loaded.members_gone || group.members().empty()) {
      continue;
    }
    group_impl::GroupDraft draft(group, config_, now, decision);
    draft.start_sessions();
    if (group.members().size() > static_cast<std::size_t>(config_.max_size)) {
      draft.prepare_rebalance();
    }
    std::move(draft).finish();
  }
  finish_load(loaded, now, decision);
}

OTTLA_INLINE void GroupCoordinator::finish_load(const Loaded& loaded, Now now,
                                                Decision& decision) const {
  group_impl::answer_done(loaded.request, ErrorCode::none, decision);
  decision.arm({}, after(now.steady, config_.offsets.retention_check_interval));
}

OTTLA_INLINE ListGroupsResponse GroupCoordinator::answer(const ListGroupsRequest& request) const {
  ListGroupsResponse response;
  for (const auto& [id, group] : groups_) {
    const std::string_view state = name(group.state());
    if (request.states.empty() ||
        std::find(request.states.begin(), request.states.end(), state) != request.states.end()) {
      response.groups.push_back({.group = id,
                                 .protocol_type = group.protocol_type().value_or(""),
                                 .state = std::string(state)});
    }
  }
  return response;
}

OTTLA_INLINE DescribeGroupsResponse
GroupCoordinator::answer(const DescribeGroupsRequest& request) const {
  DescribeGroupsResponse response;
  for (const std::string& id : request.groups) {
    if (const ClassicGroup* group = find(id); group != nullptr) {
      response.groups.push_back(group->describe());
    } else {
      response.groups.push_back(
          {.error = ErrorCode::group_id_not_found, .group = id, .state = "Dead"});
    }
  }
  return response;
}

}  // namespace ottla::inline OTTLA_ABI
