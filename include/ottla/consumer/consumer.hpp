// SPDX-License-Identifier: Apache-2.0
//
// Reads typed records from a broker, cluster or remote Kafka: as a member of a group, or from
// partitions of its own.
//   auto consumer = ottla::Consumer<std::string, std::string>::open(
//       *broker, {.group = "billing", .topics = {"orders"}});
//   auto records = consumer->poll(100ms);
//   for (const auto& record : *records) use(*record.key(), *record.value());
//   absl::Status kept = consumer->commit();
// `Consumer<std::string_view, std::string_view>` copies nothing: its views live as long as the
// polled records do.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/guard.hpp>
#include <ottla/consumer/consumer_core.hpp>
#include <ottla/consumer/consumer_records.hpp>
#include <ottla/protocol/host.hpp>

namespace ottla::inline OTTLA_ABI {

/// One thread at a time, but for `wakeup`: a second one is told `wrong_thread`. The destructor
/// commits (with auto commit), leaves the group, and takes `close_timeout` at most.
template <HasSerde K, HasSerde V>
class Consumer {
 public:
  using Records = ConsumerRecords<K, V>;

  template <Host H>
  static absl::StatusOr<Consumer> open(const H& host, ConsumerConfig config = {}) {
    OTTLA_ASSIGN(Ref<ConsumerCore> core,
                 guarded([&] { return ConsumerCore::open(host.connect(), std::move(config)); }));
    return Consumer(std::move(core));
  }

  Consumer(Consumer&&) noexcept = default;
  Consumer& operator=(Consumer&& other) noexcept {
    if (this != &other) {
      close_quietly();
      core_ = std::move(other.core_);
    }
    return *this;
  }
  ~Consumer() { close_quietly(); }

  /// In the place of what was subscribed before; takes effect in the next poll. An empty list
  /// unsubscribes.
  absl::Status subscribe(std::vector<std::string> topics) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->subscribe(std::move(topics)); });
  }
  /// By hand, without a group's rebalancing; commits still work with a group.
  absl::Status assign(const std::vector<TopicPartition>& partitions) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->assign(partitions); });
  }
  absl::Status unsubscribe() {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->unsubscribe(); });
  }
  /// Ascending; empty until a poll has joined the group.
  absl::StatusOr<std::vector<TopicPartition>> assignment() {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->assignment(); });
  }

  /// The topics that are subscribed.
  absl::StatusOr<std::vector<std::string>> subscription() {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->subscription(); });
  }
  /// The next poll joins the group anew.
  absl::Status enforce_rebalance() {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->enforce_rebalance(); });
  }

  /// Records as soon as there are some, max.poll.records at most, none after `timeout`; 0 never
  /// waits. Drives the group: listeners are called in here. The position is behind what was
  /// returned. Auto commit, before partitions are given up, asks in any case and waits within
  /// `timeout`: what is not committed then is read again by their next owner.
  absl::StatusOr<Records> poll(Duration timeout) {
    OTTLA_TRY(usable());
    OTTLA_ASSIGN(RecordBatches batches, guarded([&] { return core_->poll(timeout); }));
    return Records(std::move(batches));
  }
  /// Any thread: a poll that waits, or the next one, answers `woken`. In a child of fork nothing
  /// happens.
  void wakeup() {
    if (core_) {
      core_->wakeup();
    }
  }

  /// For event loops: called whenever a poll may bring something after one that brought nothing or
  /// answered an error, be it that time has passed (a member's each heartbeat.interval.ms), from
  /// any thread and without a lock; after `limit_reached` also by who lets go of enough records. It
  /// returns soon (an eventfd, a post) and calls nothing of this consumer. Polls stay due within
  /// max.poll.interval. None is under way behind `close` and the destructor, but for one that takes
  /// longer than their timeout.
  absl::Status on_ready(std::function<void()> callback) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->on_ready(std::move(callback)); });
  }

  absl::Status seek(const TopicPartition& partition, Offset offset) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->seek(partition, offset); });
  }
  /// An empty list: all that are assigned.
  absl::Status seek_to_beginning(const std::vector<TopicPartition>& partitions = {}) {
    return seek_to(partitions, at_earliest);
  }
  absl::Status seek_to_end(const std::vector<TopicPartition>& partitions = {}) {
    return seek_to(partitions, at_latest);
  }
  /// To the first record with that timestamp or a later one; to the end where there is none.
  absl::Status seek_to_time(Timestamp time, const std::vector<TopicPartition>& partitions = {}) {
    if (time < Timestamp(0)) {
      return error(Fault::invalid_argument, "times count milliseconds since 1970, from 0 on");
    }
    return seek_to(partitions, time);
  }
  /// Of the next record to be returned.
  absl::StatusOr<Offset> position(const TopicPartition& partition) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->position(partition, api_deadline()); });
  }
  absl::StatusOr<std::map<TopicPartition, Offset>> beginning_offsets(
      const std::vector<TopicPartition>& partitions) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->ends(partitions, at_earliest, api_deadline()); });
  }
  /// What is visible ends there.
  absl::StatusOr<std::map<TopicPartition, Offset>> end_offsets(
      const std::vector<TopicPartition>& partitions) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->ends(partitions, at_latest, api_deadline()); });
  }
  /// The first record with that timestamp or a later one; partitions without one are left out.
  absl::StatusOr<std::map<TopicPartition, OffsetAndTimestamp>> offsets_for_times(
      const std::map<TopicPartition, Timestamp>& times) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->offsets_for_times(times, api_deadline()); });
  }
  absl::StatusOr<std::vector<TopicPartition>> partitions_of(std::string_view topic) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->partitions_of(topic, api_deadline()); });
  }

  /// Paused partitions stay assigned and return nothing.
  absl::Status pause(const std::vector<TopicPartition>& partitions) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->pause(partitions, true); });
  }
  absl::Status resume(const std::vector<TopicPartition>& partitions) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->pause(partitions, false); });
  }
  absl::StatusOr<std::vector<TopicPartition>> paused() {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->paused(); });
  }
  /// Records between the position and the end, as of the last fetch; nothing where that is not
  /// known yet.
  absl::StatusOr<std::optional<std::int64_t>> lag(const TopicPartition& partition) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->lag(partition); });
  }

  /// Commits what was returned so far, or `offsets`, and waits until that is written. An error may
  /// be of one partition, and the others are committed. UNKNOWN_TOPIC_ID: its topic was deleted and
  /// made anew since it was read; the next poll begins the new one.
  absl::Status commit() {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->commit(std::nullopt, api_deadline()); });
  }
  absl::Status commit(OffsetsToCommit offsets) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->commit(std::move(offsets), api_deadline()); });
  }
  /// Does not wait. `done` is called by the thread that polls, commits or closes next.
  absl::Status commit_async(CommitCallback done = {}) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->commit_async(std::nullopt, std::move(done)); });
  }
  absl::Status commit_async(OffsetsToCommit offsets, CommitCallback done = {}) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->commit_async(std::move(offsets), std::move(done)); });
  }
  /// Partitions for which nothing was committed are left out.
  absl::StatusOr<OffsetsToCommit> committed(const std::vector<TopicPartition>& partitions) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->committed(partitions, api_deadline()); });
  }

  /// Commits with auto commit, leaves the group. What a listener calls meanwhile ends with
  /// `timeout`, too. The error of that commit: it is closed all the same, what was not committed
  /// comes again. Closing again answers the same.
  absl::Status close(Duration timeout) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->close(deadline(timeout)); });
  }
  absl::Status close() {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->close(deadline(core_->config().close_timeout)); });
  }

 private:
  explicit Consumer(Ref<ConsumerCore> core) : core_(std::move(core)) {}

  absl::Status usable() const {
    return core_ ? absl::OkStatus()
                 : error(Fault::moved_from, "this consumer was moved from; use the one it went to");
  }
  SteadyTime deadline(Duration timeout) const {
    return after(core_->world().steady_now(), timeout);
  }
  SteadyTime api_deadline() const { return deadline(core_->config().api_timeout); }
  absl::Status seek_to(const std::vector<TopicPartition>& partitions, Timestamp where) {
    OTTLA_TRY(usable());
    return guarded([&] { return core_->seek_to(partitions, where, api_deadline()); });
  }
  void close_quietly() {
    if (core_) {
      const SteadyTime end = deadline(core_->config().close_timeout);
      guarded([&] { return core_->close(end); }).IgnoreError();
      core_->drop_callback(end);  // close is refused within a callback of this consumer
    }
  }

  Ref<ConsumerCore> core_;
};

}  // namespace ottla::inline OTTLA_ABI
