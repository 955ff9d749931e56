// SPDX-License-Identifier: Apache-2.0
//
// From records to closed batches; flushing and closing.
#pragma once

#include <algorithm>
#include <iterator>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/callback_scope.hpp>
#include <ottla/producer/impl/in_flight.hpp>
#include <ottla/producer/producer_core.hpp>

namespace ottla::inline OTTLA_ABI {
namespace producer_impl {

inline BatchingOptions batching_options(const ProducerConfig& config) {
  BatchingOptions options{.batch_size = config.batch_size,
                          .fields = {.compression = config.compression},
                          .keep_tags = static_cast<bool>(config.on_delivery)};
  switch (config.compression) {
    case CompressionType::gzip:
      options.fields.compression_level = config.gzip_level;
      break;
    case CompressionType::lz4:
      options.fields.compression_level = config.lz4_level;
      break;
    case CompressionType::zstd:
      options.fields.compression_level = config.zstd_level;
      break;
    case CompressionType::none:
    case CompressionType::snappy:
      break;
  }
  return options;
}

inline absl::Status would_deadlock(std::string_view call) {
  return error(Fault::would_deadlock,
               absl::StrCat(av(call),
                            " waits for outcomes, and this thread is in the callback that "
                            "brings them; call it elsewhere"));
}

}  // namespace producer_impl

OTTLA_INLINE ProducerCore::ProducerCore(Ref<Connection> connection, ProducerConfig config)
    : connection_(std::move(connection)),
      config_(std::move(config)),
      batching_(producer_impl::batching_options(config_)),
      process_generation_(connection_->world().process_generation()),
      budget_(config_.buffer_memory) {}

OTTLA_INLINE absl::StatusOr<Ref<ProducerCore>> ProducerCore::open(Ref<Connection> connection,
                                                                  ProducerConfig config) {
  OTTLA_TRY(check_producer_config(config));
  return make_ref<ProducerCore>(std::move(connection), std::move(config));
}

OTTLA_INLINE absl::Status ProducerCore::usable() const {
  if (connection_->world().process_generation() != process_generation_) [[unlikely]] {
    return error(Fault::forked,
                 "this producer belongs to the parent process; open a new broker and "
                 "producer in the child");
  }
  if (closed_.load(std::memory_order_relaxed)) [[unlikely]] {
    return error(Fault::closed, "the producer was closed; open a new one");
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::StatusOr<Ref<ProducerTopic>> ProducerCore::topic(std::string_view name) {
  OTTLA_TRY(usable());
  Ref<ProducerTopic> topic;
  {
    Lock lock(mutex_);
    if (const auto found = topics_.find(name); found != topics_.end()) {
      return found->second;
    }
  }
  OTTLA_TRY(check_topic_name(name));
  topic = make_ref<ProducerTopic>(std::string(name));
  OTTLA_TRY(refresh(*topic));
  Lock lock(mutex_);
  return topics_.try_emplace(std::string(name), std::move(topic)).first->second;
}

OTTLA_INLINE absl::Status ProducerCore::refresh(ProducerTopic& topic) {
  const std::uint64_t version = connection_->metadata_version();
  auto answer = ask<MetadataResponse>(
      *connection_, MetadataRequest{.topics = std::vector<std::string>{topic.name()}},
      after(connection_->world().steady_now(), config_.max_block));
  if (!answer.ok()) {
    return std::move(answer).status();
  }
  const bool there = answer->topics.size() == 1 && answer->topics[0].error == ErrorCode::none &&
                     !answer->topics[0].partitions.empty();
  if (!there) {
    return error(ErrorCode::unknown_topic_or_partition, Fault::not_found,
                 absl::StrCat("topic '", topic.name(), "' does not exist; create it first"));
  }
  topic.update(answer->topics[0].id, static_cast<std::int32_t>(answer->topics[0].partitions.size()),
               version, batching_, budget_, outcomes_);
  return absl::OkStatus();
}

OTTLA_INLINE absl::StatusOr<ProducerLane*> ProducerCore::choose_lane(
    ProducerTopic& topic, std::optional<PartitionId> partition, const RecordFields& record,
    bool& sticky) {
  const auto count = [&] { return static_cast<std::int32_t>(topic.snapshot().lanes.size()); };
  std::int32_t chosen = -1;
  if (partition) {
    chosen = partition->value();
    if (chosen >= count() && topic.snapshot().metadata_version != connection_->metadata_version()) {
      OTTLA_TRY(refresh(topic));
    }
  } else if (config_.partitioner) {
    chosen = config_.partitioner(
        {.topic = topic.name(), .key = record.key, .value = record.value, .partitions = count()});
  } else if (record.key && !config_.ignore_keys) {
    chosen = partition_for_key(*record.key, count());
  }
  sticky = chosen < 0 && !partition;
  if (sticky) {
    chosen =
        topic.sticky().current(count(), topic.sticky().known() ? 0 : world().next_random()).value();
  }
  const std::vector<ProducerLane*>& lanes = topic.snapshot().lanes;
  if (chosen < 0 || static_cast<std::size_t>(chosen) >= lanes.size()) [[unlikely]] {
    return error(ErrorCode::unknown_topic_or_partition, Fault::invalid_argument,
                 absl::StrCat("topic '", topic.name(), "' has partitions 0 to ", count() - 1,
                              ", there is no partition ", chosen));
  }
  return lanes[static_cast<std::size_t>(chosen)];
}

OTTLA_INLINE absl::Status ProducerCore::check_size(const RecordFields& record) const {
  const auto size = static_cast<std::int64_t>(batch_size_upper_bound(record));
  const std::int64_t limit =
      std::min<std::int64_t>(config_.max_request_size, config_.buffer_memory);
  if (size <= limit) [[likely]] {
    return absl::OkStatus();
  }
  return error(ErrorCode::message_too_large, Fault::limit_reached,
               absl::StrCat("a record of ", size, " bytes is larger than max.request.size (",
                            config_.max_request_size, ") or buffer.memory (", config_.buffer_memory,
                            "); raise them, and the topic's max.message.bytes"));
}

OTTLA_INLINE absl::StatusOr<Receipt> ProducerCore::send(ProducerTopic& topic,
                                                        std::optional<PartitionId> partition,
                                                        const RecordFields& record,
                                                        std::uint64_t tag) {
  OTTLA_TRY(usable());
  OTTLA_TRY(check_size(record));
  bool sticky = false;
  OTTLA_ASSIGN(ProducerLane * lane, choose_lane(topic, partition, record, sticky));
  auto appended = lane->queue.append(record, tag, sticky, world());
  if (!appended.ok()) [[unlikely]] {
    if (fault(appended.status()) != Fault::limit_reached) {
      return std::move(appended).status();
    }
    appended = append_when_there_is_memory(topic, *lane, record, tag, sticky);
    if (!appended.ok()) {
      return std::move(appended).status();
    }
  }
  if (appended->move_on) {
    topic.sticky().move_on(lane->partition,
                           static_cast<std::int32_t>(topic.snapshot().lanes.size()),
                           world().next_random());
  }
  if (config_.linger.count() == 0) {
    lane->queue.close_open();
    drain(topic, *lane);
    return appended->receipt;
  }
  if (appended->opened) {
    linger(topic, *lane);
  }
  if (appended->closed) {
    drain(topic, *lane);
  }
  return appended->receipt;
}

OTTLA_INLINE absl::StatusOr<PartitionQueue::Appended> ProducerCore::append_when_there_is_memory(
    ProducerTopic& topic, ProducerLane& lane, const RecordFields& record, std::uint64_t tag,
    bool sticky) {
  // Memory comes back when batches are done: send every one there is, and have them written.
  const SteadyTime deadline = after(world().steady_now(), config_.max_block);
  drain(topic, lane);
  for (const Ref<ProducerTopic>& other : topics()) {
    for (ProducerLane* each : other->snapshot().lanes) {
      each->queue.close_open();
      drain(*other, *each);
      OTTLA_TRY(write_out(*other, *each, deadline));
    }
  }
  if (CallbackScope::active() && !budget_.try_take(0)) {
    return producer_impl::would_deadlock("send with buffer.memory full");
  }
  const std::int64_t needed = lane.queue.memory_needed(record);
  OTTLA_TRY(budget_.take(needed, world(), deadline));
  OTTLA_TRY(usable());
  return lane.queue.append(record, tag, sticky, world(), needed);
}

OTTLA_INLINE absl::Status ProducerCore::write_out(const ProducerTopic& topic, ProducerLane& lane,
                                                  SteadyTime deadline) {
  if (lane.in_flight.load(std::memory_order_relaxed) == 0) {
    return absl::OkStatus();
  }
  // A failed write reaches the batches it concerns; here it only ends the waiting.
  absl::Status written =
      connection_->write_out(topic.snapshot().id, lane.partition, config_.durability, deadline);
  return fault(written) == Fault::closed ? written : absl::OkStatus();
}

OTTLA_INLINE void ProducerCore::linger(ProducerTopic& topic, ProducerLane& lane) {
  const SteadyTime opened = world().steady_now();
  SteadyTime when = never;
  {
    Lock lock(mutex_);
    lingering_.push_back({Ref<ProducerTopic>(&topic), &lane, opened});
    if (!std::exchange(linger_armed_, true)) {
      when = after(lingering_.front().opened, config_.linger);
    }
  }
  arm(linger_timer, when);
}

OTTLA_INLINE void ProducerCore::close_lingered() {
  const SteadyTime now = world().steady_now();
  std::vector<Lingering> due;
  SteadyTime next = never;
  {
    Lock lock(mutex_);
    while (!lingering_.empty() && after(lingering_.front().opened, config_.linger) <= now) {
      due.push_back(std::move(lingering_.front()));
      lingering_.pop_front();
    }
    linger_armed_ = !lingering_.empty();
    next = linger_armed_ ? after(lingering_.front().opened, config_.linger) : never;
  }
  arm(linger_timer, next);
  for (const Lingering& each : due) {
    each.lane->queue.close_opened_by(each.opened);
    drain(*each.topic, *each.lane);
  }
}

OTTLA_INLINE std::vector<Ref<ProducerTopic>> ProducerCore::topics() const {
  std::vector<Ref<ProducerTopic>> all;
  Lock lock(mutex_);
  for (const auto& [name, topic] : topics_) {
    all.push_back(topic);
  }
  return all;
}

OTTLA_INLINE absl::StatusOr<RecordMetadata> ProducerCore::wait(Receipt receipt,
                                                               SteadyTime deadline) {
  const auto bell = make_ref<Doorbell>();
  BatchOutcome outcome;
  BatchOutcomes::State state = outcomes_.look(receipt.batch, outcome, bell);
  if (state == BatchOutcomes::State::pending) {
    if (CallbackScope::active()) {
      return producer_impl::would_deadlock("wait");
    }
    for (const Ref<ProducerTopic>& topic : topics()) {
      for (ProducerLane* lane : topic->snapshot().lanes) {
        lane->queue.close_if_open(receipt.batch);
        drain(*topic, *lane);
        OTTLA_TRY(write_out(*topic, *lane, deadline));
      }
    }
    world().await(*bell, deadline);
    state = outcomes_.look(receipt.batch, outcome, {});
  }
  if (state == BatchOutcomes::State::forgotten) {
    return error(Fault::not_found,
                 absl::StrCat("the outcome of this receipt is not remembered any "
                              "more: wait before ",
                              BatchOutcomes::remembered, " more batches are done"),
                 Outcome::unknown);
  }
  if (state == BatchOutcomes::State::pending) {
    return error(ErrorCode::request_timed_out, Fault::timed_out,
                 "the record is not acknowledged yet; wait again", Outcome::unknown);
  }
  if (!outcome.status.ok()) {
    return outcome.status;
  }
  const bool known = outcome.base_offset >= Offset(0);
  return RecordMetadata{.partition = outcome.partition,
                        .offset = known ? outcome.base_offset + receipt.index : Offset(-1),
                        .timestamp = outcome.log_append_time};
}

OTTLA_INLINE absl::Status ProducerCore::flush(SteadyTime deadline) {
  if (CallbackScope::active()) {
    return producer_impl::would_deadlock("flush");
  }
  if (connection_->world().process_generation() != process_generation_) {
    return usable();
  }
  const std::uint64_t end = outcomes_.next();
  for (const Ref<ProducerTopic>& topic : topics()) {
    for (ProducerLane* lane : topic->snapshot().lanes) {
      lane->queue.close_open();
      drain(*topic, *lane);
    }
  }
  for (const Ref<ProducerTopic>& topic : topics()) {
    for (ProducerLane* lane : topic->snapshot().lanes) {
      OTTLA_TRY(write_out(*topic, *lane, deadline));
    }
  }
  for (;;) {
    const auto bell = make_ref<Doorbell>();
    if (outcomes_.done_below(end, bell)) {
      break;
    }
    if (!world().await(*bell, deadline)) {
      return error(
          ErrorCode::request_timed_out, Fault::timed_out,
          absl::StrCat(outcomes_.pending(), " batches are not acknowledged yet; flush again"),
          Outcome::unknown);
    }
  }
  Lock lock(mutex_);
  return std::exchange(first_failure_, absl::OkStatus());
}

OTTLA_INLINE absl::Status ProducerCore::close(SteadyTime deadline) {
  if (connection_->world().process_generation() != process_generation_) {
    return usable();  // a child only forgets what it inherited
  }
  if (closed_.exchange(true)) {
    return absl::OkStatus();
  }
  const bool in_callback = CallbackScope::active();
  absl::Status flushed = in_callback ? producer_impl::would_deadlock("close") : flush(deadline);
  budget_.close();
  fail_unsent(error(Fault::closed, "the producer was closed before the record was sent"));
  std::deque<Ref<InFlight>> left;
  std::deque<Lingering> lingering;
  TimerId timers[2];
  {
    Lock lock(mutex_);
    std::copy(std::begin(timers_), std::end(timers_), timers);
    left.swap(watched_);
    lingering.swap(lingering_);
  }
  world().cancel(timers[0]);
  world().cancel(timers[1]);
  for (const Ref<InFlight>& batch : left) {
    batch->finish(error(Fault::closed, "the producer was closed before the record was acknowledged",
                        Outcome::unknown));
  }
  muted_.store(true, std::memory_order_seq_cst);
  const auto nobody = make_ref<Doorbell>();
  while (!in_callback && callbacks_running_.load(std::memory_order_seq_cst) != 0 &&
         world().steady_now() < deadline) {
    world().await(*nobody, after(world().steady_now(), std::chrono::microseconds(50)));
  }
  return flushed;
}

OTTLA_INLINE void ProducerCore::fail_unsent(const absl::Status& why) {
  for (const Ref<ProducerTopic>& topic : topics()) {
    for (ProducerLane* lane : topic->snapshot().lanes) {
      for (ClosedBatch& batch : lane->queue.take_all()) {
        lane->in_flight.fetch_add(1, std::memory_order_relaxed);
        make_ref<InFlight>(Ref<ProducerCore>(this), topic, *lane, batch)->done(why, {});
      }
    }
  }
}

}  // namespace ottla::inline OTTLA_ABI
