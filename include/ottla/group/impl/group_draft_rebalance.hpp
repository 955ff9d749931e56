// SPDX-License-Identifier: Apache-2.0
//
// The way of a group from one generation to the next.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string_view>

#include <ottla/group/impl/group_draft.hpp>

namespace ottla::inline OTTLA_ABI::group_impl {

inline GroupDraft::Members::iterator GroupDraft::find(std::string_view member_id) {
  const auto place = place_of(group_.members_, member_id);
  return place == group_.members_.end() || place->id() != member_id ? group_.members_.end() : place;
}

inline GroupDraft::Members::iterator GroupDraft::find_static(
    const std::optional<std::string>& instance_id) {
  return std::find_if(group_.members_.begin(), group_.members_.end(), [&](const auto& member) {
    return instance_id && member.details->instance_id == instance_id;
  });
}

inline void GroupDraft::transition(GroupState state) {
  group_.state_before_ = group_.state_;
  group_.state_ = state;
  group_.state_time_ = now_.wall;
}

inline void GroupDraft::restart_session(const ClassicMember& member) {
  arm(GroupTimer::Kind::session, member.details->session_timeout, member.id());
}

/// Another member leads if it was the leader. What it waits for is the caller's business.
inline void GroupDraft::remove(Members::iterator member) {
  disarm(GroupTimer::Kind::session, member->id());
  const bool led = is_leader(*member);
  group_.members_.erase(member);
  if (led) {
    group_.leader_.reset();
    if (!group_.members_.empty()) {
      group_.leader_ = group_.members_.front().id();
    }
  }
}

inline void GroupDraft::remove_pending(std::string_view member_id) {
  const auto place =
      std::lower_bound(group_.pending_.begin(), group_.pending_.end(), member_id, &precedes);
  if (place != group_.pending_.end() && *place == member_id) {
    disarm(GroupTimer::Kind::session, *place);
    group_.pending_.erase(place);
  }
}

inline bool GroupDraft::all_joined() const {
  return group_.pending_.empty() &&
         std::all_of(group_.members_.begin(), group_.members_.end(),
                     [](const ClassicMember& member) { return member.joining.has_value(); });
}

inline void GroupDraft::rebalance_or_complete() {
  if (group_.state_ == GroupState::preparing_rebalance) {
    maybe_complete_join();
  } else {
    prepare_rebalance();
  }
}

inline void GroupDraft::prepare_rebalance() {
  if (group_.state_ == GroupState::completing_rebalance) {
    answer_syncs(ErrorCode::rebalance_in_progress);
  }
  for (ClassicMember& member : group_.members_) {
    member.sync_missing = false;
  }
  disarm(GroupTimer::Kind::sync);
  group_.initial_ = group_.state_ == GroupState::empty;
  transition(GroupState::preparing_rebalance);
  if (group_.initial_) {
    group_.initial_delay_ = config_.initial_rebalance_delay;
    group_.initial_time_left_ =
        std::max(group_.rebalance_timeout() - group_.initial_delay_, std::chrono::milliseconds(0));
    arm(GroupTimer::Kind::join, group_.initial_delay_);
  } else if (all_joined()) {
    complete_join();
  } else {
    arm(GroupTimer::Kind::join, group_.rebalance_timeout());
  }
}

/// An initial rebalance waits for its time in any case.
inline void GroupDraft::maybe_complete_join() {
  if (group_.state_ == GroupState::preparing_rebalance &&
      group_.state_before_ != GroupState::empty && all_joined()) {
    complete_join();
  }
}

inline void GroupDraft::join_time_over() {
  if (group_.state_ != GroupState::preparing_rebalance) {
    return;
  }
  if (group_.initial_ && group_.joined_meanwhile_ && group_.initial_time_left_.count() > 0) {
    const auto delay = std::min(config_.initial_rebalance_delay, group_.initial_time_left_);
    group_.joined_meanwhile_ = false;
    group_.initial_time_left_ =
        std::max(group_.initial_time_left_ - group_.initial_delay_, std::chrono::milliseconds(0));
    group_.initial_delay_ = delay;
    arm(GroupTimer::Kind::join, delay);
  } else {
    complete_join();
  }
}

inline void GroupDraft::complete_join() {
  disarm(GroupTimer::Kind::join);
  for (auto member = group_.members_.begin(); member != group_.members_.end();) {
    if (member->joining || member->details->instance_id) {
      ++member;
    } else {
      const auto place = member - group_.members_.begin();
      remove(member);
      member = group_.members_.begin() + place;
    }
  }
  if (!group_.members_.empty() && !elect_joined_leader()) {
    // Static members alone, and none is back: their sessions end it.
    group_.initial_ = false;
    arm(GroupTimer::Kind::join, group_.rebalance_timeout());
    return;
  }
  begin_generation();
  if (group_.state_ == GroupState::empty) {
    write();
    return;
  }
  for (ClassicMember& member : group_.members_) {
    if (member.joining) {
      answer_join(member, welcome(member));
    }
    restart_session(member);
    member.is_new = false;
    member.sync_missing = true;
  }
  arm(GroupTimer::Kind::sync, group_.rebalance_timeout());
}

inline void GroupDraft::begin_generation() {
  // A log may hold any number; the first follows on the last.
  group_.generation_ =
      group_.generation_ == Generation(INT32_MAX) ? Generation(1) : group_.generation_ + 1;
  if (group_.members_.empty()) {
    group_.protocol_.reset();
    transition(GroupState::empty);
  } else {
    group_.protocol_ = select_protocol();
    transition(GroupState::completing_rebalance);
  }
  group_.subscribed_ = group_.read_subscriptions();
}

/// The leader that has joined, or else the first member that has.
inline bool GroupDraft::elect_joined_leader() {
  const auto leads = [this](const ClassicMember& member) {
    return member.joining && is_leader(member);
  };
  const Members& members = group_.members_;
  if (std::any_of(members.begin(), members.end(), leads)) {
    return true;
  }
  const auto first = std::find_if(members.begin(), members.end(), [](const ClassicMember& member) {
    return member.joining.has_value();
  });
  if (first == members.end()) {
    return false;
  }
  group_.leader_ = first->id();
  return true;
}

/// Each member votes for the one it likes best of those that all support; of several with the most
/// votes the first by name. Before: there are members, and one that all support.
inline std::string GroupDraft::select_protocol() const {
  std::map<std::string_view, std::size_t> supporters;
  for (const ClassicMember& member : group_.members_) {
    for (const GroupProtocol& protocol : member.details->protocols) {
      supporters[protocol.name] += member.details->find(protocol.name) == &protocol ? 1U : 0U;
    }
  }
  std::map<std::string_view, std::size_t> votes;
  for (const ClassicMember& member : group_.members_) {
    const auto& protocols = member.details->protocols;
    const auto choice = std::find_if(protocols.begin(), protocols.end(), [&](const auto& protocol) {
      return supporters[protocol.name] == group_.members_.size();
    });
    if (choice != protocols.end()) {
      ++votes[choice->name];
    }
  }
  const auto most = std::max_element(
      votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == votes.end() ? std::string() : std::string(most->first);
}

inline void GroupDraft::session_over(const std::string& member_id) {
  if (group_.is_pending(member_id)) {
    remove_pending(member_id);
  } else if (const auto member = find(member_id); member != group_.members_.end()) {
    if (!member->is_new && (member->joining || member->syncing)) {
      return;  // who waits for an answer is alive
    }
    if (member->joining) {
      refuse_join(*member->joining, ErrorCode::unknown_member_id);
    }
    remove(member);
    if (group_.state_ != GroupState::preparing_rebalance) {
      prepare_rebalance();
      return;
    }
  } else {
    return;
  }
  if (group_.state_ == GroupState::preparing_rebalance && all_joined()) {
    complete_join();
  }
}

inline void GroupDraft::sync_time_over() {
  if (group_.state_ != GroupState::completing_rebalance && group_.state_ != GroupState::stable) {
    return;
  }
  bool removed = false;
  for (auto member = group_.members_.begin(); member != group_.members_.end();) {
    if (!member->sync_missing) {
      ++member;
      continue;
    }
    const auto place = member - group_.members_.begin();
    remove(member);
    member = group_.members_.begin() + place;
    removed = true;
  }
  if (removed) {
    prepare_rebalance();
  }
}

/// Since its group was loaded.
inline bool has_come(const ClassicMember& member) {
  return member.is_new || member.joining || member.syncing || member.sync_missing;
}

inline void GroupDraft::start_sessions() {
  for (const ClassicMember& member : group_.members_) {
    if (!has_come(member)) {
      restart_session(member);
    }
  }
}

inline void GroupDraft::end_members() {
  Members& members = group_.members_;
  const auto gone = std::erase_if(members, [](const auto& member) { return !has_come(member); });
  if (gone == 0) {
    return;
  }
  if (group_.leader_ && find(*group_.leader_) == members.end()) {
    group_.leader_ = members.empty() ? std::nullopt : std::optional(members.front().id());
  }
  if (group_.state_ != GroupState::preparing_rebalance) {
    prepare_rebalance();
  } else if (all_joined()) {
    complete_join();
  }
}

}  // namespace ottla::inline OTTLA_ABI::group_impl
