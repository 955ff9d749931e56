// SPDX-License-Identifier: Apache-2.0
//
// Opening, subscribing, assigning, closing.
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/consumer/impl/consumer_inside.hpp>
#include <ottla/protocol/host.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE ConsumerCore::ConsumerCore(Ref<Connection> connection, ConsumerConfig config)
    : connection_(std::move(connection)),
      world_(connection_->world()),
      config_(std::move(config)),
      process_generation_(world_.process_generation()),
      commits_(make_ref<CommitOutcomes>(signal_)),
      fetcher_(config_, *connection_, signal_) {}

OTTLA_INLINE ConsumerCore::~ConsumerCore() {
  // A child of fork must not touch the locks that it inherited.
  if (world_.process_generation() != process_generation_) {
    return;
  }
  tell_nobody_later();
  if (membership_) {
    membership_->abandon();
  }
}

OTTLA_INLINE absl::StatusOr<Ref<ConsumerCore>> ConsumerCore::open(Ref<Connection> connection,
                                                                  ConsumerConfig config) {
  return guarded([&]() -> absl::StatusOr<Ref<ConsumerCore>> {
    OTTLA_TRY(usable_host(connection));
    OTTLA_TRY(check_consumer_config(config));
    auto core = make_ref<ConsumerCore>(std::move(connection), std::move(config));
    core->next_auto_commit_ = after(core->world_.steady_now(), core->config_.auto_commit_interval);
    if (!core->config_.group.empty()) {
      OTTLA_TRY(core->open_membership());
    }
    if (!core->config_.topics.empty()) {
      OTTLA_TRY(core->subscribe(core->config_.topics));
    }
    return core;
  });
}

OTTLA_INLINE absl::Status ConsumerCore::open_membership() {
  using Partitions = std::vector<TopicPartition>;
  Membership::Owner owner;  // this has the membership, and outlives it
  owner.revoke = [this](const Partitions& these) { on_revoked(these); };
  owner.lose = [this](const Partitions& these) {
    tell(config_.rebalance.lost ? config_.rebalance.lost : config_.rebalance.revoked, these);
  };
  owner.assign = [this](const Partitions& all) { assign_by_group(all); };
  owner.tell_added = [this](const Partitions& these) { tell(config_.rebalance.assigned, these); };
  owner.describe = [this](const std::vector<std::string>& names) {
    return topics_to_assign(names);
  };
  OTTLA_ASSIGN(auto membership, Membership::open(config_, connection_, signal_, std::move(owner)));
  membership_.emplace(std::move(membership));
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status ConsumerCore::usable() const {
  if (world_.process_generation() != process_generation_) [[unlikely]] {
    return error(Fault::forked,
                 "this consumer belongs to the parent process; open a new broker and consumer in "
                 "the child");
  }
  if (closed_) [[unlikely]] {
    return error(Fault::closed, "the consumer was closed; open a new one");
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status ConsumerCore::needs_group() const {
  return membership_ ? absl::OkStatus()
                     : error(ErrorCode::invalid_group_id, Fault::invalid_argument,
                             "this needs a group: set group.id when opening the consumer");
}

OTTLA_INLINE bool ConsumerCore::rest(SteadyTime deadline) {
  constexpr std::chrono::milliseconds nap{50};
  const SteadyTime now = world_.steady_now();
  if (now >= deadline) {
    return false;
  }
  Doorbell nobody;
  world_.await(nobody, std::min(deadline, after(now, nap)));
  return true;
}

OTTLA_INLINE absl::StatusOr<ConsumerCore::Topics> ConsumerCore::describe(
    std::vector<std::string> topics, SteadyTime deadline) {
  if (topics.empty()) {
    return Topics();
  }
  OTTLA_ASSIGN(
      auto response,
      ask<MetadataResponse>(*connection_, MetadataRequest{.topics = std::move(topics)}, deadline));
  Topics known;
  for (MetadataResponse::Topic& topic : response.topics) {
    if (topic.error == ErrorCode::none) {
      known.emplace(topic.name, std::move(topic));
    }
  }
  return known;
}

OTTLA_INLINE absl::StatusOr<std::vector<TopicToAssign>> ConsumerCore::topics_to_assign(
    const std::vector<std::string>& names) {
  OTTLA_ASSIGN(const Topics topics, describe(names, api_deadline()));
  std::vector<TopicToAssign> known;
  for (const auto& [name, topic] : topics) {
    known.push_back(
        {.name = name, .partitions = static_cast<std::int32_t>(topic.partitions.size())});
  }
  return known;
}

OTTLA_INLINE absl::Status ConsumerCore::subscribe(std::vector<std::string> topics) {
  Inside inside(*this);
  OTTLA_TRY(inside.outermost("subscribe"));
  OTTLA_TRY(needs_group());
  for (const std::string& topic : topics) {
    OTTLA_TRY(check_topic_name(topic));
  }
  if (topics.empty()) {
    return let_go();
  }
  if (subscribed_.empty() && !fetcher_.empty()) {
    return error(Fault::invalid_argument,
                 "partitions are assigned by hand: unsubscribe before subscribing");
  }
  consumer_impl::sort_and_unite(topics);
  subscribed_ = topics;
  membership_->subscribe(std::move(topics));
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status ConsumerCore::assign(const std::vector<TopicPartition>& partitions) {
  Inside inside(*this);
  OTTLA_TRY(inside.outermost("assign"));
  if (!subscribed_.empty()) {
    return error(Fault::invalid_argument,
                 "topics are subscribed: unsubscribe before assigning partitions by hand");
  }
  return assign_by_hand(partitions);
}

OTTLA_INLINE absl::Status ConsumerCore::unsubscribe() {
  Inside inside(*this);
  OTTLA_TRY(inside.outermost("unsubscribe"));
  return let_go();
}

OTTLA_INLINE absl::Status ConsumerCore::let_go() {
  if (subscribed_.empty()) {
    return assign_by_hand({});
  }
  membership_->leave();
  subscribed_.clear();
  return std::exchange(listener_failed_, absl::OkStatus());
}

OTTLA_INLINE absl::StatusOr<std::vector<TopicPartition>> ConsumerCore::assignment() {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  return fetcher_.assignment();
}

OTTLA_INLINE absl::StatusOr<std::vector<std::string>> ConsumerCore::subscription() {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  return subscribed_;
}

OTTLA_INLINE absl::Status ConsumerCore::enforce_rebalance() {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  if (subscribed_.empty()) {
    return error(Fault::invalid_argument,
                 "no topics are subscribed: there is nothing to rebalance");
  }
  membership_->enforce_rebalance();
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status ConsumerCore::assign_by_hand(
    const std::vector<TopicPartition>& partitions) {
  OTTLA_ASSIGN(const Topics topics, describe(consumer_impl::topics_of(partitions), api_deadline()));
  std::vector<Fetcher::Assigned> assigned;
  for (const TopicPartition& partition : partitions) {
    const auto topic = topics.find(partition.topic);
    if (topic == topics.end()) {
      return error(ErrorCode::unknown_topic_or_partition, Fault::not_found,
                   absl::StrCat("topic '", partition.topic, "' does not exist; create it first"));
    }
    const auto count = static_cast<std::int32_t>(topic->second.partitions.size());
    if (partition.partition.value() < 0 || partition.partition.value() >= count) {
      return error(ErrorCode::unknown_topic_or_partition, Fault::not_found,
                   absl::StrCat("topic '", partition.topic, "' has partitions 0 to ", count - 1,
                                ", there is no partition ", partition.partition.value()));
    }
    assigned.push_back({partition, topic->second.id});
  }
  if (config_.auto_commit && membership_) {
    commit_by_itself(world_.steady_now());  // of what is not read any more
  }
  committed_.clear();
  fetcher_.assign(assigned);
  gone_.clear();
  return absl::OkStatus();
}

/// Topics that are not there, or could not be asked for, are looked up with the next poll.
OTTLA_INLINE void ConsumerCore::assign_by_group(const std::vector<TopicPartition>& partitions) {
  committed_.clear();  // others may have, since
  const auto topics = describe(consumer_impl::topics_of(partitions), api_deadline());
  std::vector<Fetcher::Assigned> assigned;
  for (const TopicPartition& partition : partitions) {
    const bool known = topics.ok() && topics->contains(partition.topic);
    assigned.push_back({partition, known ? topics->at(partition.topic).id : TopicId()});
    if (!known) {
      metadata_version_ = 0;
    }
  }
  fetcher_.assign(assigned);
}

OTTLA_INLINE absl::Status ConsumerCore::on_ready(std::function<void()> callback) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  signal_->set_callback(std::move(callback));
  return absl::OkStatus();
}

OTTLA_INLINE void ConsumerCore::drop_callback(SteadyTime deadline) {
  if (world_.process_generation() == process_generation_) {
    signal_->drop_callback(world_, deadline);
  }
}

OTTLA_INLINE void ConsumerCore::wakeup() {
  if (world_.process_generation() != process_generation_) {
    return;  // a child has no poll to end
  }
  woken_.store(true, std::memory_order_release);
  signal_->wake();
}

OTTLA_INLINE absl::Status ConsumerCore::close(SteadyTime deadline) {
  if (world_.process_generation() != process_generation_) {
    return usable();  // a child only forgets what it inherited
  }
  Inside inside(*this);
  if (!inside.is_mine()) {
    return Inside::wrong_thread();
  }
  if (closed_) {
    return close_status_;
  }
  OTTLA_TRY(inside.outermost("close"));
  closing_ = true;
  revoke_deadline_ = deadline;
  revoke_commit_ = absl::OkStatus();
  if (!subscribed_.empty()) {
    const SteadyTime now = world_.steady_now();
    revoke_deadline_ -= (std::max(deadline, now) - now) / 8;  // some are left for leaving
    membership_->close(deadline);
  } else if (membership_ && config_.auto_commit) {
    revoke_commit_ = commit_before_leaving(fetcher_.assignment(), deadline);
  }
  finish_commits(deadline);
  closed_ = true;
  fetcher_.assign({});
  tell_nobody_later();
  signal_->drop_callback(world_, deadline);
  close_status_ = revoke_commit_.ok() ? listener_failed_ : revoke_commit_;
  return close_status_;
}

}  // namespace ottla::inline OTTLA_ABI
