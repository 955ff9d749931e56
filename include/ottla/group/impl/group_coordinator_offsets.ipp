// SPDX-License-Identifier: Apache-2.0
//
// What the coordinator decides about offsets, and about groups that nobody needs any more.
#pragma once

#include <algorithm>
#include <utility>

#include <ottla/group/group_coordinator.hpp>
#include <ottla/group/impl/group_coordinator.ipp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE ErrorCode GroupCoordinator::check_commit(const OffsetCommitRequest& request) const {
  if (const ClassicGroup* group = find(request.group); group != nullptr) {
    return group->check_commit(request.member_id, request.instance_id, request.generation);
  }
  if (request.generation.value() >= 0) {
    return request.version >= 9 ? ErrorCode::group_id_not_found : ErrorCode::illegal_generation;
  }
  return groups_.size() < static_cast<std::size_t>(config_.max_groups)
             ? ErrorCode::none
             : ErrorCode::policy_violation;
}

OTTLA_INLINE void GroupCoordinator::decide_on(const Asked& asked,
                                              const OffsetCommitRequest& request, Now now,
                                              Decision& decision) const {
  if (const ErrorCode error = check_commit(request); error != ErrorCode::none) {
    decision.answer(asked.id, group_impl::Refusal{error}(request));
    return;
  }
  decision.answer(asked.id, offsets_.commit(request, now.wall, decision.records));
  // Who commits is alive.
  const ClassicGroup* group = find(request.group);
  const ClassicMember* member = group == nullptr ? nullptr : group->find(request.member_id);
  if (member != nullptr) {
    decision.arm(
        {.kind = GroupTimer::Kind::session, .group = request.group, .member = member->id()},
        after(now.steady, member->details->session_timeout));
  }
}

OTTLA_INLINE void GroupCoordinator::decide_on(const Asked& asked,
                                              const OffsetDeleteRequest& request, Now,
                                              Decision& decision) const {
  OffsetDeleteResponse response;
  const ClassicGroup* group = find(request.group);
  if (group == nullptr) {
    response.error = ErrorCode::group_id_not_found;
  } else if (group->state() != GroupState::empty && !group->has_consumers()) {
    response.error = ErrorCode::non_empty_group;
  } else {
    for (const TopicPartition& partition : request.partitions) {
      const bool subscribed = group->is_subscribed(partition.topic);
      if (!subscribed) {
        offsets_.remove(request.group, partition, decision.records);
      }
      response.partitions.push_back(
          {.partition = partition,
           .error = subscribed ? ErrorCode::group_subscribed_to_topic : ErrorCode::none});
    }
  }
  decision.answer(asked.id, std::move(response));
}

OTTLA_INLINE RecordPortion GroupCoordinator::portion_of(Decision& decision) const {
  const auto most = static_cast<std::size_t>(std::max(config_.max_batch_bytes, 0));
  return RecordPortion(decision.records, std::min(most, group_impl::tidied_bytes),
                       group_impl::tidied_at_once);
}

OTTLA_INLINE void GroupCoordinator::decide_on(const Asked& asked,
                                              const DeleteGroupsRequest& request, Now,
                                              Decision& decision) const {
  DeleteGroupsResponse response;
  RecordPortion portion = portion_of(decision);
  for (const std::string& id : request.groups) {
    const ClassicGroup* group = find(id);
    ErrorCode error = ErrorCode::none;
    if (id.empty()) {
      error = ErrorCode::invalid_group_id;
    } else if (group == nullptr) {
      error = ErrorCode::group_id_not_found;
    } else if (group->state() != GroupState::empty) {
      error = ErrorCode::non_empty_group;
    } else if (!offsets_.remove_all(id, portion) || !portion.add({.key = encode_group_key(id)})) {
      continue;
    }
    response.groups.push_back({.group = id, .error = error});
  }
  decision.answer(asked.id, std::move(response));
}

OTTLA_INLINE void GroupCoordinator::decide_on(const OffsetsRevised& revised,
                                              Decision& decision) const {
  OffsetDeleteResponse done;
  RecordPortion portion = portion_of(decision);
  for (const OffsetsRevised::One& one : revised.offsets) {
    if (!offsets_.revise(one.group, one.partition, one.to, portion)) {
      break;
    }
    done.partitions.push_back({.partition = one.partition});
  }
  if (revised.request != RequestId()) {
    decision.answer(revised.request, std::move(done));
  }
}

/// A portion at a time; looks again at once when there may be more.
OTTLA_INLINE void GroupCoordinator::expire_offsets(Now now, Decision& decision) const {
  SteadyTime next = after(now.steady, config_.offsets.retention_check_interval);
  RecordPortion portion = portion_of(decision);
  for (const auto& [id, group] : groups_) {
    const bool empty = group.state() == GroupState::empty;
    const bool simple = !group.protocol_type().has_value();
    const bool readable =
        group.state() == GroupState::stable && group.has_consumers() && group.knows_subscriptions();
    if (!empty && !simple && !readable) {
      continue;
    }
    OffsetExpiry expiry{.now = now.wall, .is_subscribed = [&group = group](std::string_view topic) {
                          return group.is_subscribed(topic);
                        }};
    if (empty && !simple && group.state_time() != no_timestamp) {
      expiry.empty_since = group.state_time();
    }
    if (offsets_.expire(id, expiry, portion) && empty && group.pending() == 0) {
      portion.add({.key = encode_group_key(id)});
    }
    if (portion.full()) {
      next = now.steady;
      break;
    }
  }
  decision.arm({}, next);
}

}  // namespace ottla::inline OTTLA_ABI
