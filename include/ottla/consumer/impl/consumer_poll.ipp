// SPDX-License-Identifier: Apache-2.0
//
// Polling, and what the group gives and takes meanwhile.
#pragma once

#include <algorithm>
#include <chrono>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/consumer/impl/consumer_inside.hpp>

namespace ottla::inline OTTLA_ABI {
namespace consumer_impl {

/// Before an event loop tries again what may have failed for a while.
inline constexpr std::chrono::milliseconds error_pause{100};

}  // namespace consumer_impl

OTTLA_INLINE absl::StatusOr<RecordBatches> ConsumerCore::poll(std::chrono::nanoseconds timeout) {
  Inside inside(*this);
  OTTLA_TRY(inside.outermost("poll"));
  if (subscribed_.empty() && fetcher_.empty()) {
    return error(Fault::invalid_argument,
                 "nothing to poll: subscribe to topics, or assign partitions first");
  }
  if (membership_) {
    membership_->enter_poll();
  }
  may_commit_ = SteadyTime();
  const SteadyTime now = world_.steady_now();
  revoke_deadline_ = after(now, timeout);
  absl::StatusOr<RecordBatches> polled = guarded([&] { return poll_until(now, revoke_deadline_); });
  revoke_deadline_ = never;
  if (membership_) {
    membership_->leave_poll(world_.steady_now());
  }
  if (!polled.ok() && fault(polled.status()) != Fault::closed) {
    guarded([&] { tell_after_error(); }).IgnoreError();
  }
  return polled;
}

OTTLA_INLINE absl::StatusOr<RecordBatches> ConsumerCore::poll_until(SteadyTime now,
                                                                    SteadyTime deadline) {
  for (;; now = world_.steady_now()) {
    signal_->bell().reset();  // before looking: what comes afterwards rings it again
    if (woken_.load(std::memory_order_acquire) && woken_.exchange(false)) {
      return error(Fault::woken, "wakeup() ended the poll");
    }
    OTTLA_TRY(look_around(now, deadline));
    bool again = false;
    if (!fetcher_.has_data()) {
      const bool watched = now < deadline || signal_->has_callback();
      OTTLA_ASSIGN(again, fetcher_.fetch(watched ? Ref<Wakeable>(signal_) : Ref<Wakeable>(), now));
    }
    OTTLA_ASSIGN(RecordBatches records, fetcher_.take(config_.max_poll_records));
    if (records.records() > 0) {
      return records;
    }
    if (again) {
      continue;  // markers and the like were passed
    }
    if (now >= deadline) {
      tell_later(now, never);
      return records;
    }
    if (fetcher_.metadata_is_old() && connection_->metadata_version() != metadata_version_) {
      continue;  // a topic is another one now
    }
    world_.await(signal_->bell(), next_turn(now, deadline));
  }
}

OTTLA_INLINE absl::Status ConsumerCore::look_around(SteadyTime now, SteadyTime deadline) {
  run_commit_callbacks();
  OTTLA_TRY(refresh_topics(deadline));
  if (!subscribed_.empty()) {
    OTTLA_TRY(membership_->step(now).status());
  }
  if (!listener_failed_.ok()) {
    return std::exchange(listener_failed_, absl::OkStatus());
  }
  if (config_.auto_commit && membership_ && commit_due() <= now) {
    next_auto_commit_ = after(now, config_.auto_commit_interval);
    may_commit_ = after(now, std::chrono::seconds(1));
    commit_by_itself(now);
  }
  OTTLA_TRY(find_positions(now, deadline));
  if (fetcher_.is_full()) {
    return error(Fault::limit_reached,
                 absl::StrCat("polled records of ", fetcher_.pinned_bytes(),
                              " bytes are still held; let go of some, or raise max_pinned_bytes"));
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status ConsumerCore::refresh_topics(SteadyTime deadline) {
  const std::uint64_t version = connection_->metadata_version();
  if (version != metadata_version_ || fetcher_.metadata_is_old()) [[unlikely]] {
    const std::vector<TopicPartition> partitions = fetcher_.assignment();
    const auto topics = describe(consumer_impl::topics_of(partitions), deadline);
    if (!topics.ok()) {
      return fault(topics.status()) == Fault::timed_out ? absl::OkStatus() : topics.status();
    }
    gone_.clear();
    committed_.clear();  // of topics that were made anew, say
    for (const TopicPartition& partition : partitions) {
      const auto topic = topics->find(partition.topic);
      fetcher_.set_topic_id(partition, topic == topics->end() ? TopicId() : topic->second.id);
      if (topic == topics->end()) {
        gone_ = partition.topic;
      }
    }
    metadata_version_ = version;
    fetcher_.take_metadata_is_old();
    if (!subscribed_.empty()) {
      membership_->metadata_changed();
    }
  }
  if (!gone_.empty() && subscribed_.empty()) {
    return error(ErrorCode::unknown_topic_or_partition, Fault::not_found,
                 absl::StrCat("topic '", gone_, "' was deleted; assign other partitions"));
  }
  return absl::OkStatus();
}

OTTLA_INLINE SteadyTime ConsumerCore::next_turn(SteadyTime now, SteadyTime deadline) const {
  SteadyTime next = std::min({deadline, positions_retry_, fetcher_.next_fetch()});
  if (!subscribed_.empty()) {
    // Nobody rings when topics change.
    next = std::min({next, membership_->next_step(), after(now, config_.heartbeat_interval)});
  }
  if (config_.auto_commit && membership_) {
    next = std::min(next, commit_due());
  }
  if (fetcher_.metadata_is_old()) {
    next = std::min(next, after(now, std::chrono::milliseconds(50)));
  }
  return next;
}

/// What was left undone has nobody who rings, but records that are let go of do.
OTTLA_INLINE void ConsumerCore::tell_after_error() {
  const SteadyTime now = world_.steady_now();
  tell_later(now, fetcher_.is_full() ? never : after(now, consumer_impl::error_pause));
}

OTTLA_INLINE void ConsumerCore::tell_later(SteadyTime now, SteadyTime latest) {
  if (!signal_->has_callback()) {
    return;
  }
  const SteadyTime due = next_turn(now, latest);
  if (told_later_ != no_timer && now < told_at_ && told_at_ <= due) {
    return;
  }
  tell_nobody_later();
  if (due != never) {
    told_later_ = world_.post_at(due, [signal = signal_] { signal->wake(); });
    told_at_ = due;
  }
}

OTTLA_INLINE void ConsumerCore::tell_nobody_later() {
  if (told_later_ != no_timer) {
    world_.cancel(std::exchange(told_later_, no_timer));
  }
}

OTTLA_INLINE void ConsumerCore::on_revoked(const std::vector<TopicPartition>& partitions) {
  if (config_.auto_commit) {
    // What cannot be committed now is read again by the next owner.
    revoke_commit_ = guarded([&] {
      return commit_before_leaving(partitions, std::min(revoke_deadline_, api_deadline()));
    });
  }
  tell(config_.rebalance.revoked, partitions);
}

OTTLA_INLINE void ConsumerCore::tell(
    const std::function<void(const std::vector<TopicPartition>&)>& listener,
    const std::vector<TopicPartition>& partitions) {
  if (!listener) {
    return;
  }
  const absl::Status told = guarded([&] { listener(partitions); });
  if (!told.ok() && listener_failed_.ok()) {
    listener_failed_ = annotate(told, "a rebalance listener threw");
  }
}

}  // namespace ottla::inline OTTLA_ABI
