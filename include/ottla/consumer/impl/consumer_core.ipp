// SPDX-License-Identifier: Apache-2.0
//
// Opening, subscribing, polling, closing.
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/callback_scope.hpp>
#include <ottla/base/guard.hpp>
#include <ottla/consumer/impl/consumer_inside.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE ConsumerCore::ConsumerCore(Ref<Connection> connection, ConsumerConfig config)
    : connection_(std::move(connection)),
      config_(std::move(config)),
      process_generation_(connection_->world().process_generation()),
      fetcher_(config_, *connection_) {}

OTTLA_INLINE absl::StatusOr<Ref<ConsumerCore>> ConsumerCore::open(Ref<Connection> connection,
                                                                  ConsumerConfig config) {
  OTTLA_TRY(check_consumer_config(config));
  auto core = make_ref<ConsumerCore>(std::move(connection), std::move(config));
  core->next_auto_commit_ = after(core->world().steady_now(), core->config_.auto_commit_interval);
  if (!core->config_.group.empty()) {
    ConsumerCore* self = core.get();  // which has the membership
    OTTLA_ASSIGN(
        auto membership,
        Membership::open(
            core->config_, core->connection_, core->bell_,
            {.revoke = [self](const auto& partitions) { self->on_revoked(partitions); },
             .lose = [self](const auto& partitions) { self->on_lost(partitions); },
             .assign = [self](const auto& all,
                              const auto& added) { self->on_assigned(all, added); },
             .describe = [self](const std::vector<std::string>& names)
                 -> absl::StatusOr<std::vector<TopicToAssign>> {
               OTTLA_ASSIGN(const auto topics,
                            self->describe(names, after(self->world().steady_now(),
                                                        self->config_.api_timeout)));
               std::vector<TopicToAssign> known;
               for (const auto& [name, topic] : topics) {
                 known.push_back({name, static_cast<std::int32_t>(topic.partitions.size())});
               }
               return known;
             }}));
    core->membership_.emplace(std::move(membership));
  }
  if (!core->config_.topics.empty()) {
    OTTLA_TRY(core->subscribe(core->config_.topics));
  }
  return core;
}

OTTLA_INLINE absl::Status ConsumerCore::usable() const {
  if (connection_->world().process_generation() != process_generation_) {
    return error(Fault::forked,
                 "this consumer belongs to the parent process; open a new broker "
                 "and consumer in the child");
  }
  if (closed_) {
    return error(Fault::closed, "the consumer was closed; open a new one");
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status ConsumerCore::needs_group() const {
  return membership_ ? absl::OkStatus()
                     : error(ErrorCode::invalid_group_id, Fault::invalid_argument,
                             "this needs a group: set group.id when opening the consumer");
}

OTTLA_INLINE absl::StatusOr<std::map<std::string, MetadataResponse::Topic>> ConsumerCore::describe(
    std::vector<std::string> topics, SteadyTime deadline) {
  OTTLA_ASSIGN(
      auto response,
      ask<MetadataResponse>(*connection_, MetadataRequest{.topics = std::move(topics)}, deadline));
  std::map<std::string, MetadataResponse::Topic> known;
  for (MetadataResponse::Topic& topic : response.topics) {
    if (topic.error == ErrorCode::none) {
      known.emplace(topic.name, std::move(topic));
    }
  }
  return known;
}

OTTLA_INLINE absl::Status ConsumerCore::subscribe(std::vector<std::string> topics) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  OTTLA_TRY(needs_group());
  for (const std::string& topic : topics) {
    OTTLA_TRY(check_topic_name(topic));
  }
  if (topics.empty()) {
    return unsubscribe();
  }
  if (subscribed_.empty() && !fetcher_.assignment().empty()) {
    return error(Fault::invalid_argument,
                 "partitions are assigned by hand: unsubscribe before subscribing");
  }
  subscribed_ = topics;
  metadata_version_ = 0;
  membership_->subscribe(std::move(topics));
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status ConsumerCore::assign(const std::vector<TopicPartition>& partitions) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  if (!subscribed_.empty()) {
    return error(Fault::invalid_argument,
                 "topics are subscribed: unsubscribe before assigning partitions by hand");
  }
  return take_assignment(partitions);
}

OTTLA_INLINE absl::Status ConsumerCore::unsubscribe() {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  if (!subscribed_.empty()) {
    membership_->leave();
    subscribed_.clear();
  }
  fetcher_.assign({});
  return absl::OkStatus();
}

OTTLA_INLINE absl::StatusOr<std::vector<TopicPartition>> ConsumerCore::assignment() {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  return fetcher_.assignment();
}

OTTLA_INLINE absl::Status ConsumerCore::take_assignment(const std::vector<TopicPartition>& all) {
  std::vector<std::string> names;
  for (const TopicPartition& partition : all) {
    names.push_back(partition.topic);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  OTTLA_ASSIGN(const auto topics,
               describe(names, after(world().steady_now(), config_.api_timeout)));
  std::vector<Fetcher::Assigned> assigned;
  for (const TopicPartition& partition : all) {
    const auto topic = topics.find(partition.topic);
    const auto count = topic == topics.end() ? 0 : topic->second.partitions.size();
    if (partition.partition.value() < 0 ||
        static_cast<std::size_t>(partition.partition.value()) >= count) {
      return error(ErrorCode::unknown_topic_or_partition, Fault::not_found,
                   absl::StrCat("there is no partition ", partition.to_string(), ": the topic has ",
                                count, " partitions"));
    }
    assigned.push_back({partition, topic->second.id});
  }
  fetcher_.assign(assigned);
  return absl::OkStatus();
}

/// Subscribed topics that have other partitions, or another id, than when the group was assigned.
OTTLA_INLINE absl::Status ConsumerCore::refresh_topics(SteadyTime deadline) {
  const std::uint64_t version = connection_->metadata_version();
  if (version == metadata_version_ && !fetcher_.take_metadata_is_old()) {
    return absl::OkStatus();
  }
  metadata_version_ = version;
  std::vector<std::string> names = subscribed_;
  for (const TopicPartition& partition : fetcher_.assignment()) {
    names.push_back(partition.topic);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  OTTLA_ASSIGN(const auto topics, describe(std::move(names), deadline));
  std::map<std::string, std::int32_t> counts;
  for (const std::string& name : subscribed_) {
    const auto topic = topics.find(name);
    counts[name] =
        topic == topics.end() ? 0 : static_cast<std::int32_t>(topic->second.partitions.size());
  }
  if (membership_ && !subscribed_.empty() && counts != partition_counts_) {
    if (!partition_counts_.empty()) {
      membership_->topics_changed();
    }
    partition_counts_ = std::move(counts);
  }
  for (const TopicPartition& partition : fetcher_.assignment()) {
    if (const auto topic = topics.find(partition.topic); topic != topics.end()) {
      fetcher_.set_topic_id(partition, topic->second.id);
    }
  }
  return absl::OkStatus();
}

OTTLA_INLINE void ConsumerCore::on_revoked(const std::vector<TopicPartition>& partitions) {
  if (config_.auto_commit) {
    // What cannot be committed now is read again by the next owner.
    commit_now(positions_to_commit(partitions), after(world().steady_now(), config_.api_timeout))
        .IgnoreError();
  }
  if (config_.rebalance.revoked) {
    CallbackScope scope;
    guarded([&] { config_.rebalance.revoked(partitions); }).IgnoreError();
  }
}

OTTLA_INLINE void ConsumerCore::on_lost(const std::vector<TopicPartition>& partitions) {
  const auto& listener =
      config_.rebalance.lost ? config_.rebalance.lost : config_.rebalance.revoked;
  if (listener) {
    CallbackScope scope;
    guarded([&] { listener(partitions); }).IgnoreError();
  }
}

OTTLA_INLINE void ConsumerCore::on_assigned(const std::vector<TopicPartition>& all,
                                            const std::vector<TopicPartition>& added) {
  assignment_failed_ = take_assignment(all);
  if (config_.rebalance.assigned && membership_ && !subscribed_.empty() &&
      (!all.empty() || !added.empty())) {
    CallbackScope scope;
    guarded([&] { config_.rebalance.assigned(added); }).IgnoreError();
  }
}

OTTLA_INLINE absl::Status ConsumerCore::step_membership(SteadyTime now) {
  if (subscribed_.empty()) {
    return absl::OkStatus();
  }
  membership_->polled();
  OTTLA_TRY(membership_->step(now).status());
  return std::exchange(assignment_failed_, absl::OkStatus());
}

OTTLA_INLINE SteadyTime ConsumerCore::next_turn(SteadyTime deadline) const {
  SteadyTime next = deadline;
  if (!subscribed_.empty()) {
    next = std::min(next, membership_->next_step());
  }
  if (config_.auto_commit && membership_) {
    next = std::min(next, next_auto_commit_);
  }
  return next;
}

OTTLA_INLINE absl::StatusOr<RecordBatches> ConsumerCore::poll(SteadyTime deadline) {
  Inside inside(*this);
  OTTLA_TRY(inside.status());
  if (subscribed_.empty() && fetcher_.assignment().empty()) {
    return error(Fault::invalid_argument,
                 "nothing to poll: subscribe to topics, or assign partitions first");
  }
  for (;;) {
    bell_->reset();
    if (woken_.exchange(false)) {
      return error(Fault::woken, "wakeup() ended the poll");
    }
    run_commit_callbacks();
    const SteadyTime now = world().steady_now();
    OTTLA_TRY(refresh_topics(after(now, config_.api_timeout)));
    OTTLA_TRY(step_membership(now));
    auto_commit(now);
    OTTLA_TRY(mend_out_of_range());
    OTTLA_TRY(find_positions(after(now, config_.api_timeout)));
    if (fetcher_.pinned_bytes() > config_.max_pinned_bytes) {
      return error(
          Fault::limit_reached,
          absl::StrCat("polled records of ", fetcher_.pinned_bytes(),
                       " bytes are still held; let go of some, or raise max_pinned_bytes"));
    }
    if (!fetcher_.has_data()) {
      OTTLA_TRY(fetcher_.fetch(deadline > now ? Ref<Wakeable>(bell_) : Ref<Wakeable>()));
    }
    OTTLA_ASSIGN(RecordBatches records, fetcher_.take(config_.max_poll_records));
    if (records.records() > 0 || world().steady_now() >= deadline) {
      return records;
    }
    world().await(*bell_, next_turn(deadline));
  }
}

OTTLA_INLINE void ConsumerCore::wakeup() {
  woken_.store(true);
  bell_->ring();
}

OTTLA_INLINE absl::Status ConsumerCore::close(SteadyTime deadline) {
  if (connection_->world().process_generation() != process_generation_) {
    return usable();
  }
  Inside inside(*this);
  if (closed_) {
    return absl::OkStatus();
  }
  OTTLA_TRY(inside.status());
  absl::Status committed;
  if (membership_) {
    if (config_.auto_commit) {
      committed = commit_now(positions_to_commit(fetcher_.assignment()), deadline);
    }
    membership_->leave();
    run_commit_callbacks();
  }
  closed_ = true;
  fetcher_.assign({});
  return committed;
}

}  // namespace ottla::inline OTTLA_ABI
