// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/consumer/impl/partition_lists.hpp>
#include <ottla/consumer/membership.hpp>
#include <ottla/group/assignors.hpp>

namespace ottla::inline OTTLA_ABI {
namespace consumer_impl {

/// Before a coordinator that answered an error is asked again.
inline constexpr std::chrono::milliseconds coordinator_pause{100};

/// What to do about a refusal that is final.
inline std::string_view remedy(ErrorCode refused) {
  switch (refused) {
    case ErrorCode::invalid_session_timeout:
      return "; session.timeout.ms has to lie between the broker's group.min.session.timeout.ms "
             "and "
             "group.max.session.timeout.ms";
    case ErrorCode::inconsistent_group_protocol:
      return "; the members have no assignor in common, or are of another kind: give all the same";
    case ErrorCode::group_max_size_reached:
      return "; the group is full: raise the broker's group.max.size";
    case ErrorCode::invalid_request:
      return "; client.id and group.instance.id have at most 249 bytes";
    case ErrorCode::policy_violation:
      return "; the broker has no room for another group, or what this member says of itself is "
             "longer than its group_max_member_metadata: raise that, or subscribe to fewer topics "
             "and own fewer partitions";
    case ErrorCode::invalid_group_id:
      return "; name a group, with at most 249 bytes";
    case ErrorCode::fenced_instance_id:
      return "; another member has taken its group.instance.id";
    default:
      return "";
  }
}

}  // namespace consumer_impl

OTTLA_INLINE Membership::Membership(const ConsumerConfig& config, Ref<Connection> connection,
                                    Ref<Wakeable> bell, Owner owner,
                                    std::vector<Assignor> assignors)
    : config_(config),
      connection_(std::move(connection)),
      mailbox_(make_ref<GroupMailbox>(
          connection_, std::move(bell),
          HeartbeatRequest{.group = config_.group,
                           .member_id = {},
                           .instance_id = consumer_impl::text_or_none(config_.instance_id)},
          config_.heartbeat_interval, config_.max_poll_interval)),
      owner_(std::move(owner)),
      assignors_(std::move(assignors)),
      protocol_(rebalance_protocol(assignors_)) {}

OTTLA_INLINE absl::StatusOr<Membership> Membership::open(const ConsumerConfig& config,
                                                         Ref<Connection> connection,
                                                         Ref<Wakeable> bell, Owner owner) {
  std::vector<Assignor> assignors;
  for (const std::string& name : config.assignors) {
    OTTLA_ASSIGN(Assignor assignor, assignor_named(name));
    assignors.push_back(std::move(assignor));
  }
  return Membership(config, std::move(connection), std::move(bell), std::move(owner),
                    std::move(assignors));
}

OTTLA_INLINE void Membership::subscribe(std::vector<std::string> topics) {
  consumer_impl::sort_and_unite(topics);
  rejoin_ = rejoin_ || topics != topics_;
  topics_ = std::move(topics);
}

/// The generation, though it owns nothing: a coordinator takes the same words for a JoinGroup that
/// is repeated, and rebalances nothing.
OTTLA_INLINE std::vector<std::byte> Membership::subscription(const Assignor& assignor) const {
  ConsumerSubscription subscription{
      .topics = topics_, .owned = consumer_impl::by_topic(owned_), .generation = owned_since_};
  if (assignor.user_data) {
    subscription.user_data = assignor.user_data(owned_since_);
  }
  return encode(subscription);
}

OTTLA_INLINE void Membership::join() {
  if (protocol_ == RebalanceProtocol::eager && !owned_.empty()) {
    owner_.revoke(std::exchange(owned_, {}));
    owner_.assign({});
  }
  state_ = State::outside;  // should it fail here
  rejoin_ = false;
  retry_at_ = never;
  JoinGroupRequest request{.client = {.id = config_.client_id},
                           .group = config_.group,
                           .member_id = member_id_,
                           .instance_id = consumer_impl::text_or_none(config_.instance_id),
                           .session_timeout = config_.session_timeout,
                           .rebalance_timeout = config_.max_poll_interval,
                           .protocol_type = std::string(consumer_protocol_type),
                           .protocols = {}};
  for (const Assignor& assignor : assignors_) {
    request.protocols.push_back({assignor.name, subscription(assignor)});
  }
  mailbox_->join(std::move(request));
  state_ = State::joining;
}

OTTLA_INLINE absl::StatusOr<bool> Membership::step(SteadyTime now) {
  rejoin_ = std::exchange(rejoin_next_, false) || rejoin_;
  // Each turn uses up news, or changes the state; a coordinator in this process answers at once.
  for (;;) {
    GroupMailbox::News news = mailbox_->take();
    if (news.left) {
      member_id_.clear();
      lose_all();
    } else if (news.heartbeat != ErrorCode::none && state_ == State::stable) {
      OTTLA_TRY(failed(news.heartbeat, now));
    }
    if (news.joined && state_ == State::joining) {
      OTTLA_TRY(joined(*std::move(news.joined), now));
      continue;
    }
    if (news.synced && state_ == State::syncing) {
      OTTLA_TRY(synced(*std::move(news.synced), now));
      continue;
    }
    if (state_ == State::stable && metadata_changed_) {
      metadata_changed_ = !look_at_topics();
    }
    const bool due = retry_at_ == never || retry_at_ <= now;
    if (due && (state_ == State::outside || (state_ == State::stable && rejoin_))) {
      join();
      continue;
    }
    return state_ == State::stable;
  }
}

OTTLA_INLINE absl::Status Membership::joined(absl::StatusOr<JoinGroupResponse> answer,
                                             SteadyTime now) {
  state_ = State::outside;  // should it fail here
  if (!answer.ok()) {
    retry_at_ = after(now, consumer_impl::coordinator_pause);
    return std::move(answer).status();
  }
  if (answer->error == ErrorCode::member_id_required) {
    member_id_ = answer->member_id;
    return absl::OkStatus();
  }
  if (answer->error != ErrorCode::none) {
    return failed(answer->error, now);
  }
  member_id_ = answer->member_id;
  generation_ = answer->generation;
  assignor_ = answer->protocol.value_or("");
  SyncGroupRequest request{.group = config_.group,
                           .generation = generation_,
                           .member_id = member_id_,
                           .instance_id = consumer_impl::text_or_none(config_.instance_id),
                           .protocol_type = std::string(consumer_protocol_type),
                           .protocol = assignor_,
                           .assignments = {}};
  watched_topics_.reset();
  if (answer->leader == member_id_) {
    OTTLA_TRY(watch_topics(*answer));
  }
  if (answer->leader == member_id_ && !answer->skip_assignment) {
    OTTLA_ASSIGN(request.assignments, assign_members(*answer));
  }
  mailbox_->sync(std::move(request));
  state_ = State::syncing;
  return absl::OkStatus();
}

/// What the assignment is made of, so that a change of it is noticed.
OTTLA_INLINE absl::Status Membership::watch_topics(const JoinGroupResponse& answer) {
  std::set<std::string> names;
  for (const JoinGroupResponse::Member& member : answer.members) {
    if (auto told = decode_consumer_subscription(member.metadata); told.ok()) {
      names.insert(told->topics.begin(), told->topics.end());
    }
  }
  OTTLA_ASSIGN(const auto topics, owner_.describe({names.begin(), names.end()}));
  auto& watched = watched_topics_.emplace();
  for (const std::string& name : names) {
    watched[name] = 0;
  }
  for (const TopicToAssign& topic : topics) {
    watched[topic.name] = topic.partitions;
  }
  return absl::OkStatus();
}

/// False where it has to be done again, with the next step.
OTTLA_INLINE bool Membership::look_at_topics() {
  if (!watched_topics_) {
    return true;  // the leader looks
  }
  std::vector<std::string> names;
  for (const auto& [name, partitions] : *watched_topics_) {
    names.push_back(name);
  }
  const auto topics = owner_.describe(names);
  if (!topics.ok()) {
    return false;
  }
  std::size_t there = 0;
  for (const TopicToAssign& topic : *topics) {
    rejoin_ = rejoin_ || watched_topics_->at(topic.name) != topic.partitions;
    ++there;
  }
  const auto known = std::count_if(watched_topics_->begin(), watched_topics_->end(),
                                   [](const auto& each) { return each.second != 0; });
  rejoin_ = rejoin_ || static_cast<std::size_t>(known) != there;
  return true;
}

OTTLA_INLINE absl::StatusOr<std::vector<SyncGroupRequest::Assignment>> Membership::assign_members(
    const JoinGroupResponse& answer) const {
  GroupToAssign group;
  for (const JoinGroupResponse::Member& member : answer.members) {
    auto told = decode_consumer_subscription(member.metadata);
    if (!told.ok()) {
      continue;  // it gets nothing; the others are not to suffer
    }
    group.members.push_back({.id = member.member_id,
                             .instance_id = member.instance_id,
                             .rack = told->rack,
                             .topics = std::move(told->topics),
                             .owned = std::move(told->owned),
                             .generation = told->generation,
                             .user_data = told->user_data.value_or(std::vector<std::byte>())});
  }
  for (const auto& [name, partitions] : *watched_topics_) {
    if (partitions != 0) {
      group.topics.push_back({.name = name, .partitions = partitions});
    }
  }
  const auto chosen =
      std::find_if(assignors_.begin(), assignors_.end(),
                   [&](const Assignor& assignor) { return assignor.name == assignor_; });
  if (chosen == assignors_.end()) {
    return error(ErrorCode::inconsistent_group_protocol,
                 absl::StrCat("the group chose assignor '", assignor_, "', which was not offered"));
  }
  const GroupAssignment assigned = chosen->assign(group);
  std::vector<SyncGroupRequest::Assignment> all;
  for (std::size_t i = 0; i < group.members.size() && i < assigned.size(); ++i) {
    all.push_back(
        {group.members[i].id, encode(ConsumerAssignment{.partitions = assigned[i].partitions,
                                                        .user_data = assigned[i].user_data})});
  }
  return all;
}

OTTLA_INLINE absl::Status Membership::synced(absl::StatusOr<SyncGroupResponse> answer,
                                             SteadyTime now) {
  state_ = State::outside;  // should it fail here
  if (!answer.ok()) {
    retry_at_ = after(now, consumer_impl::coordinator_pause);
    return std::move(answer).status();
  }
  if (answer->error != ErrorCode::none) {
    return failed(answer->error, now);
  }
  OTTLA_ASSIGN(const ConsumerAssignment assignment, decode_consumer_assignment(answer->assignment));
  std::vector<TopicPartition> assigned = consumer_impl::flatten(assignment.partitions);
  if (!are_subscribed(assigned)) {
    owned_since_ = generation_;  // so that its JoinGroup is no repeated one
    retry_at_ = after(now, consumer_impl::coordinator_pause);
    return absl::OkStatus();
  }
  const absl::Status taken = guarded([&] { take_assignment(std::move(assigned)); });
  if (!taken.ok()) {
    lose_all();  // what is read must be what is owned
    return taken;
  }
  state_ = State::stable;
  return absl::OkStatus();
}

/// They are not where it has subscribed to others since it joined, or is a static member that is
/// back, which is given what it had.
OTTLA_INLINE bool Membership::are_subscribed(const std::vector<TopicPartition>& partitions) const {
  return std::all_of(partitions.begin(), partitions.end(), [this](const TopicPartition& one) {
    return std::binary_search(topics_.begin(), topics_.end(), one.topic);
  });
}

OTTLA_INLINE void Membership::take_assignment(std::vector<TopicPartition> assigned) {
  const std::vector<TopicPartition> gone = consumer_impl::without(owned_, assigned);
  const std::vector<TopicPartition> added = consumer_impl::without(assigned, owned_);
  std::vector<TopicPartition> staying = consumer_impl::without(owned_, gone);
  if (!gone.empty()) {
    owned_ = std::move(staying);
    owner_.revoke(gone);
    rejoin_ = true;  // so that others get them
  }
  owner_.assign(assigned);
  owned_ = std::move(assigned);
  owned_since_ = generation_;
  owner_.tell_added(added);
}

OTTLA_INLINE void Membership::lose_all() {
  mailbox_->stop();
  generation_ = Generation(-1);
  owned_since_ = Generation(-1);
  state_ = State::outside;
  if (!owned_.empty()) {
    owner_.lose(std::exchange(owned_, {}));
  }
  owner_.assign({});
}

OTTLA_INLINE absl::Status Membership::failed(ErrorCode code, SteadyTime now) {
  switch (code) {
    case ErrorCode::rebalance_in_progress:
      if (state_ == State::stable) {
        rejoin_ = true;
      } else {
        state_ = State::outside;
      }
      return absl::OkStatus();
    case ErrorCode::unknown_member_id:
      member_id_.clear();
      lose_all();
      return absl::OkStatus();
    case ErrorCode::illegal_generation:
      lose_all();
      return absl::OkStatus();
    case ErrorCode::coordinator_load_in_progress:
    case ErrorCode::coordinator_not_available:
    case ErrorCode::not_coordinator:
      if (state_ != State::stable) {
        state_ = State::outside;
        retry_at_ = after(now, consumer_impl::coordinator_pause);
      }
      return absl::OkStatus();
    default:
      lose_all();
      return error(code, absl::StrCat("group '", absl::CHexEscape(config_.group.substr(0, 249)),
                                      "': ", av(name(code)), av(consumer_impl::remedy(code))));
  }
}

OTTLA_INLINE void Membership::leave() {
  if (auto request = give_back("the consumer has unsubscribed")) {
    say(*connection_, *std::move(request));
  }
}

/// Nobody waits for the answer.
OTTLA_INLINE void Membership::say(Connection& connection, LeaveGroupRequest request) {
  connection.call(std::move(request),
                  Reply<LeaveGroupResponse>([](const absl::StatusOr<LeaveGroupResponse>&) {}));
}

OTTLA_INLINE void Membership::close(SteadyTime deadline) {
  if (auto request = give_back("the consumer is closing")) {
    // A member that cannot say so is dropped when its session ends.
    guarded([&]() -> absl::Status {
      if (connection_->world().steady_now() >= deadline) {  // the disk may hang
        return apart(connection_->world(), "ottla-leave", deadline,
                     [connection = connection_, said = *std::move(request)](bool) mutable {
                       say(*connection, std::move(said));
                       return absl::OkStatus();
                     });
      }
      return ask_apart<LeaveGroupResponse>(*connection_, *std::move(request), deadline).status();
    }).IgnoreError();
  }
}

/// Everything; and what is to be said, where that is anything.
OTTLA_INLINE std::optional<LeaveGroupRequest> Membership::give_back(std::string_view reason) {
  LeaveGroupRequest request{.group = config_.group, .members = {}};
  request.members.push_back(
      {.member_id = member_id_, .instance_id = {}, .reason = std::string(reason)});
  std::string& leaving = request.members.back().member_id;
  if (!owned_.empty()) {
    owner_.revoke(std::exchange(owned_, {}));
    owner_.assign({});
  }
  std::string unheard = mailbox_->stop();
  if (leaving.empty()) {
    leaving = std::move(unheard);
  }
  member_id_.clear();
  generation_ = Generation(-1);
  owned_since_ = Generation(-1);
  state_ = State::outside;
  const bool says = !leaving.empty() && config_.instance_id.empty();
  return says ? std::optional(std::move(request)) : std::nullopt;
}

}  // namespace ottla::inline OTTLA_ABI
