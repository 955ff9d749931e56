// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <ottla/group/classic_group.hpp>
#include <ottla/group/consumer_protocol.hpp>

namespace ottla::inline OTTLA_ABI {
namespace group_impl {

inline bool precedes(std::string_view a, std::string_view b) { return a < b; }

/// Where a member with that id stands, or would.
template <class Members>
auto place_of(Members& members, std::string_view id) {
  return std::lower_bound(members.begin(), members.end(), id,
                          [](const ClassicMember& member, std::string_view wanted) {
                            return precedes(member.id(), wanted);
                          });
}

inline std::vector<std::byte> metadata_of(const ClassicMember& member,
                                          const std::optional<std::string>& protocol) {
  const GroupProtocol* found = protocol ? member.details->find(*protocol) : nullptr;
  return found == nullptr ? std::vector<std::byte>() : found->metadata;
}

inline std::vector<std::byte> assignment_of(const ClassicMember& member) {
  return member.assignment ? *member.assignment : std::vector<std::byte>();
}

}  // namespace group_impl

OTTLA_INLINE std::string_view name(GroupState state) {
  switch (state) {
    case GroupState::empty:
      return "Empty";
    case GroupState::preparing_rebalance:
      return "PreparingRebalance";
    case GroupState::completing_rebalance:
      return "CompletingRebalance";
    case GroupState::stable:
      return "Stable";
  }
  return "Unknown";
}

OTTLA_INLINE const GroupProtocol* MemberDetails::find(std::string_view protocol) const {
  const auto found = std::find_if(protocols.begin(), protocols.end(),
                                  [&](const GroupProtocol& one) { return one.name == protocol; });
  return found == protocols.end() ? nullptr : &*found;
}

OTTLA_INLINE ClassicGroup::ClassicGroup(std::string id, const GroupValue& record)
    : id_(std::move(id)),
      state_(record.members.empty() ? GroupState::empty : GroupState::stable),
      state_time_(record.state_time),
      generation_(record.generation),
      protocol_(record.protocol),
      leader_(record.leader) {
  if (!record.protocol_type.empty()) {
    protocol_type_ = record.protocol_type;
  }
  for (const GroupValue::Member& member : record.members) {
    const auto place = group_impl::place_of(members_, member.id);
    if (place != members_.end() && place->id() == member.id) {
      continue;
    }
    MemberDetails details{
        .id = member.id,
        .instance_id = member.instance_id,
        .client_id = member.client_id,
        .client_host = member.client_host,
        .session_timeout = member.session_timeout,
        .rebalance_timeout = member.rebalance_timeout,
        .protocols = {{.name = record.protocol.value_or(""), .metadata = member.subscription}}};
    members_.insert(
        place, {.details = std::make_shared<const MemberDetails>(std::move(details)),
                .assignment = std::make_shared<const std::vector<std::byte>>(member.assignment)});
  }
  subscribed_ = read_subscriptions();
}

OTTLA_INLINE GroupValue ClassicGroup::record() const {
  GroupValue value{.protocol_type = protocol_type_.value_or(""),
                   .generation = generation_,
                   .protocol = protocol_,
                   .leader = leader_,
                   .state_time = state_time_};
  value.members.reserve(members_.size());
  for (const ClassicMember& member : members_) {
    value.members.push_back({.id = member.id(),
                             .instance_id = member.details->instance_id,
                             .client_id = member.details->client_id,
                             .client_host = member.details->client_host,
                             .rebalance_timeout = member.details->rebalance_timeout,
                             .session_timeout = member.details->session_timeout,
                             .subscription = group_impl::metadata_of(member, protocol_),
                             .assignment = group_impl::assignment_of(member)});
  }
  return value;
}

OTTLA_INLINE const ClassicMember* ClassicGroup::find(std::string_view member_id) const {
  const auto place = group_impl::place_of(members_, member_id);
  return place == members_.end() || place->id() != member_id ? nullptr : &*place;
}

OTTLA_INLINE bool ClassicGroup::is_pending(std::string_view member_id) const {
  return std::binary_search(pending_.begin(), pending_.end(), member_id, &group_impl::precedes);
}

OTTLA_INLINE std::chrono::milliseconds ClassicGroup::rebalance_timeout() const {
  std::chrono::milliseconds longest{0};
  for (const ClassicMember& member : members_) {
    longest = std::max(longest, member.details->rebalance_timeout);
  }
  return longest;
}

OTTLA_INLINE bool ClassicGroup::has_consumers() const {
  return protocol_type_ && *protocol_type_ == consumer_protocol_type;
}

OTTLA_INLINE ErrorCode ClassicGroup::check_member(
    std::string_view member_id, const std::optional<std::string>& instance_id) const {
  if (instance_id) {
    const auto mapped = std::find_if(
        members_.begin(), members_.end(),
        [&](const ClassicMember& member) { return member.details->instance_id == instance_id; });
    if (mapped == members_.end()) {
      return ErrorCode::unknown_member_id;
    }
    if (mapped->id() != member_id) {
      return ErrorCode::fenced_instance_id;
    }
  }
  return find(member_id) == nullptr ? ErrorCode::unknown_member_id : ErrorCode::none;
}

OTTLA_INLINE ErrorCode ClassicGroup::check_commit(std::string_view member_id,
                                                  const std::optional<std::string>& instance_id,
                                                  Generation generation, bool transactional) const {
  if (generation.value() < 0 && state_ == GroupState::empty) {
    return ErrorCode::none;  // a consumer that assigns partitions to itself
  }
  if (generation.value() >= 0 || !member_id.empty() || instance_id) {
    if (const ErrorCode error = check_member(member_id, instance_id); error != ErrorCode::none) {
      return error;
    }
    if (generation != generation_) {
      return ErrorCode::illegal_generation;
    }
  } else if (!transactional && state_ != GroupState::empty) {
    return ErrorCode::unknown_member_id;
  }
  return !transactional && state_ == GroupState::completing_rebalance
             ? ErrorCode::rebalance_in_progress
             : ErrorCode::none;
}

OTTLA_INLINE bool ClassicGroup::is_subscribed(std::string_view topic) const {
  return subscribed_ ? std::binary_search(subscribed_->begin(), subscribed_->end(), topic,
                                          &group_impl::precedes)
                     : has_consumers();
}

OTTLA_INLINE std::optional<std::vector<std::string>> ClassicGroup::read_subscriptions() const {
  if (!has_consumers() || (!members_.empty() && !protocol_)) {
    return std::nullopt;
  }
  std::vector<std::string> topics;
  for (const ClassicMember& member : members_) {
    std::vector<std::byte> metadata = group_impl::metadata_of(member, protocol_);
    if (metadata.size() >= 2 && metadata[0] < std::byte{0x80}) {
      metadata[0] = metadata[1] = std::byte{0};  // what version 0 has is where all versions begin
    }
    auto subscription = decode_consumer_subscription(metadata);
    if (!subscription.ok()) {
      return std::nullopt;
    }
    topics.insert(topics.end(), subscription->topics.begin(), subscription->topics.end());
  }
  std::sort(topics.begin(), topics.end());
  topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
  return topics;
}

OTTLA_INLINE DescribeGroupsResponse::Group ClassicGroup::describe() const {
  DescribeGroupsResponse::Group described{.group = id_,
                                          .state = std::string(ottla::name(state_)),
                                          .protocol_type = protocol_type_.value_or("")};
  const bool stable = state_ == GroupState::stable;
  if (stable) {
    described.protocol = protocol_.value_or("");
  }
  for (const ClassicMember& member : members_) {
    described.members.push_back(
        {.member_id = member.id(),
         .instance_id = member.details->instance_id,
         .client_id = member.details->client_id,
         .client_host = member.details->client_host,
         .metadata = stable ? group_impl::metadata_of(member, protocol_) : std::vector<std::byte>(),
         .assignment = stable ? group_impl::assignment_of(member) : std::vector<std::byte>()});
  }
  return described;
}

}  // namespace ottla::inline OTTLA_ABI
