// SPDX-License-Identifier: Apache-2.0
//
// From records to batches that may be sent.
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/callback_scope.hpp>
#include <ottla/base/guard.hpp>
#include <ottla/producer/impl/in_flight.hpp>
#include <ottla/producer/producer_core.hpp>
#include <ottla/protocol/host.hpp>

namespace ottla::inline OTTLA_ABI {
namespace producer_impl {

/// Of batches that are done, for those that come: as much as a partition gathers for two writes.
inline constexpr std::size_t most_kept_bytes = std::size_t{512} << 10;

inline BatchingOptions batching_options(const ProducerConfig& config) {
  const auto block = static_cast<std::size_t>(config.batch_size) + batch_memory_slack;
  const std::size_t kept =
      std::min(static_cast<std::size_t>(config.buffer_memory), most_kept_bytes);
  BatchingOptions options{.batch_size = config.batch_size,
                          .fields = {.compression = config.compression},
                          .keep_tags = static_cast<bool>(config.on_delivery),
                          .memory = make_ref<BufferPool>(block, kept)};
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

/// Bytes of its batch. However small it becomes compressed, readers decompress no more than their
/// limit.
inline std::size_t largest_record(const ProducerConfig& config) {
  const auto configured = static_cast<std::size_t>(
      std::min<std::int64_t>(config.max_request_size, config.buffer_memory));
  return config.compression == CompressionType::none
             ? configured
             : std::min(configured, batch_header_size + DecompressionLimits().max_bytes);
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
      world_(connection_->world()),
      config_(std::move(config)),
      batching_(producer_impl::batching_options(config_)),
      in_flight_memory_(
          make_ref<BufferPool>(sizeof(InFlight), producer_impl::most_kept_bytes / 16)),
      sendable_(config_.linger.count() == 0 ? PartitionQueue::Take::open_too
                                            : PartitionQueue::Take::closed),
      largest_record_(producer_impl::largest_record(config_)),
      id_(world_.next_random()),
      budget_(config_.buffer_memory) {}

OTTLA_INLINE absl::StatusOr<Ref<ProducerCore>> ProducerCore::open(Ref<Connection> connection,
                                                                  ProducerConfig config) {
  return guarded([&]() -> absl::StatusOr<Ref<ProducerCore>> {
    OTTLA_TRY(usable_host(connection));
    OTTLA_TRY(check_producer_config(config));
    config.delivery_timeout = std::max(config.delivery_timeout, least_delivery_timeout(config));
    auto core = make_ref<ProducerCore>(std::move(connection), std::move(config));
    OTTLA_TRY(is_idempotent(core->config_) ? core->begin_sequences() : absl::OkStatus());
    return core;
  });
}

OTTLA_INLINE absl::Status ProducerCore::begin_sequences() {
  OTTLA_ASSIGN(const auto answer,
               ask<InitProducerIdResponse>(*connection_, InitProducerIdRequest{},
                                           after(world_.steady_now(), config_.request_timeout)));
  if (answer.error != ErrorCode::none) {
    return error(
        answer.error,
        absl::StrCat("no producer id can be had now: ", av(name(answer.error)), "; try again"));
  }
  producer_id_ = answer.producer_id;
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status ProducerCore::unusable() const {
  if (!process_.here()) {
    return error(Fault::forked,
                 "this producer belongs to the parent process; open a new broker and "
                 "producer in the child");
  }
  return error(Fault::closed, "the producer was closed; open a new one");
}

OTTLA_INLINE absl::StatusOr<ProducerTopic*> ProducerCore::topic(std::string_view name) {
  OTTLA_TRY(usable());
  ProducerTopic* const last = last_topic_.load(std::memory_order_acquire);
  if (last != nullptr && last->name() == name) [[likely]] {
    return last;
  }
  return guarded([&]() -> absl::StatusOr<ProducerTopic*> {
    {
      Lock lock(mutex_);
      if (const auto found = topic_by_name_.find(name); found != topic_by_name_.end()) {
        last_topic_.store(found->second, std::memory_order_release);
        return found->second;
      }
    }
    OTTLA_TRY(check_topic_name(name));
    const auto made = make_ref<ProducerTopic>(id_, std::string(name));
    OTTLA_TRY(look_up(*made));
    Lock lock(mutex_);
    topics_.reserve(topics_.size() + 1);
    const auto [place, is_new] = topic_by_name_.try_emplace(made->name(), made.get());
    if (is_new) {  // nobody else was faster
      topics_.push_back(made);
    }
    return place->second;
  });
}

OTTLA_INLINE absl::StatusOr<std::vector<MetadataResponse::Partition>> ProducerCore::partitions_for(
    std::string_view name) {
  using Partitions = std::vector<MetadataResponse::Partition>;
  OTTLA_TRY(usable());
  return guarded([&]() -> absl::StatusOr<Partitions> {
    OTTLA_TRY(check_topic_name(name));
    const std::uint64_t version = connection_->metadata_version();
    auto answer = ask<MetadataResponse>(
        *connection_, MetadataRequest{.topics = std::vector<std::string>{std::string(name)}},
        after(world_.steady_now(), config_.max_block));
    ProducerTopic asked(id_, std::string(name));
    OTTLA_TRY(learn(asked, version, answer));
    return std::move(answer->topics[0].partitions);
  });
}

OTTLA_INLINE absl::Status ProducerCore::learn(ProducerTopic& topic, std::uint64_t version,
                                              const absl::StatusOr<MetadataResponse>& answer) {
  OTTLA_TRY(answer.status());
  const MetadataResponse::Topic* found = nullptr;
  for (const MetadataResponse::Topic& each : answer->topics) {
    found = each.name == topic.name() ? &each : found;
  }
  const ErrorCode code = found == nullptr ? ErrorCode::unknown_topic_or_partition : found->error;
  if (code != ErrorCode::none || found->partitions.empty()) {
    topic.set_metadata_version(version);
  }
  if (code == ErrorCode::unknown_topic_or_partition) {
    return error(code, Fault::not_found,
                 absl::StrCat("topic '", topic.name(), "' does not exist; create it first"));
  }
  if (code != ErrorCode::none || found->partitions.empty()) {
    return error(code == ErrorCode::none ? ErrorCode::leader_not_available : code,
                 absl::StrCat("topic '", topic.name(),
                              "' cannot be written to now: ", av(name(code)), "; try again"));
  }
  topic.update(found->id, found->partitions, batching_, budget_, outcomes_);
  topic.set_metadata_version(version);
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status ProducerCore::look_up(ProducerTopic& topic) {
  const std::uint64_t version = connection_->metadata_version();
  return learn(topic, version,
               ask<MetadataResponse>(
                   *connection_, MetadataRequest{.topics = std::vector<std::string>{topic.name()}},
                   after(world_.steady_now(), config_.max_block)));
}

OTTLA_INLINE bool ProducerCore::look_up_later(ProducerTopic& topic,
                                              absl::AnyInvocable<void()> then) noexcept {
  const std::uint64_t version = connection_->metadata_version();
  const absl::Status asked = guarded([&] {
    connection_->call(MetadataRequest{.topics = std::vector<std::string>{topic.name()}},
                      [self = Ref<ProducerCore>(this), &topic, version, then = std::move(then)](
                          const absl::StatusOr<MetadataResponse>& answer) mutable {
                        guarded([&] { return self->learn(topic, version, answer); }).IgnoreError();
                        then();
                      });
  });
  return asked.ok();
}

OTTLA_INLINE absl::StatusOr<ProducerLane*> ProducerCore::choose_lane(
    ProducerTopic& topic, std::optional<PartitionId> partition, const RecordFields& record,
    bool& sticky) {
  const ProducerTopic::Snapshot* now = &topic.snapshot();
  std::int32_t chosen = -1;
  if (partition) {
    chosen = partition->value();
    if (chosen >= now->partitions && topic.metadata_version() != connection_->metadata_version())
        [[unlikely]] {
      OTTLA_TRY(look_up(topic));
      now = &topic.snapshot();
    }
  } else if (config_.partitioner) {
    chosen = config_.partitioner({.topic = topic.name(),
                                  .key = record.key,
                                  .value = record.value,
                                  .partitions = now->partitions});
  } else if (record.key && !config_.ignore_keys) {
    chosen = partition_for_key(*record.key, now->partitions);
  }
  sticky = chosen < 0 && !partition;
  if (sticky) {
    const std::uint64_t random = topic.sticky().known() ? 0 : world_.next_random();
    const auto drawn = static_cast<std::int32_t>(now->drawn.size());
    return now->drawn[static_cast<std::size_t>(topic.sticky().current(drawn, random).value())];
  }
  if (chosen < 0 || chosen >= now->partitions) [[unlikely]] {
    return error(ErrorCode::unknown_topic_or_partition, Fault::invalid_argument,
                 absl::StrCat("topic '", topic.name(), "' has partitions 0 to ",
                              now->partitions - 1, ", there is no partition ", chosen));
  }
  return now->lanes[static_cast<std::size_t>(chosen)];
}

OTTLA_INLINE absl::Status ProducerCore::check_size(const RecordFields& record) const {
  const std::size_t size = batch_size_upper_bound(record);
  if (size <= largest_record_) {
    return absl::OkStatus();
  }
  const auto configured = std::min<std::int64_t>(config_.max_request_size, config_.buffer_memory);
  if (static_cast<std::int64_t>(size) <= configured) {
    return error(ErrorCode::message_too_large, Fault::limit_reached,
                 absl::StrCat("a record of ", size, " bytes cannot be compressed: no more than ",
                              DecompressionLimits().max_bytes,
                              " are decompressed again; send it with compression.type=none"));
  }
  return error(ErrorCode::message_too_large, Fault::limit_reached,
               absl::StrCat("a record of ", size, " bytes is larger than max.request.size (",
                            config_.max_request_size, ") or buffer.memory (", config_.buffer_memory,
                            "); raise them, and the topic's max.message.bytes"));
}

OTTLA_INLINE absl::Status ProducerCore::acceptable(const ProducerTopic& topic,
                                                   const RecordFields& record) const {
  OTTLA_TRY(usable());
  OTTLA_TRY(check_size(record));
  if (topic.producer() != id_) {
    return error(Fault::invalid_argument,
                 absl::StrCat("the handle of topic '", topic.name(),
                              "' is another producer's; ask this one for its own"));
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::StatusOr<Receipt> ProducerCore::send(ProducerTopic& topic,
                                                        std::optional<PartitionId> partition,
                                                        const RecordFields& record,
                                                        std::uint64_t tag) {
  if (!is_usable() || !is_small(record) || topic.producer() != id_) [[unlikely]] {
    OTTLA_TRY(guarded([&] { return acceptable(topic, record); }));
  }
  return guarded([&] { return append(topic, partition, record, tag); });
}

OTTLA_INLINE absl::StatusOr<Receipt> ProducerCore::append(ProducerTopic& topic,
                                                          std::optional<PartitionId> partition,
                                                          const RecordFields& record,
                                                          std::uint64_t tag) {
  bool sticky = false;
  const ProducerTopic::Snapshot& now = topic.snapshot();
  ProducerLane* lane = nullptr;  // of a partition that was given: without a call
  if (partition && partition->value() >= 0 && partition->value() < now.partitions) {
    lane = now.lanes[static_cast<std::size_t>(partition->value())];
  } else {
    OTTLA_ASSIGN(lane, choose_lane(topic, partition, record, sticky));
  }
  auto appended = lane->append(record, tag, sticky, world_);
  Ref<ProducerCore> self;  // where callbacks may run, which may destroy the producer
  if (!appended.ok()) [[unlikely]] {
    self = Ref<ProducerCore>(this);
    if (fault(appended.status()) != Fault::limit_reached) {
      return std::move(appended).status();
    }
    appended = append_when_there_is_memory(*lane, record, tag, sticky);
    if (!appended.ok()) {
      return std::move(appended).status();
    }
  }
  if (appended->move_on) {
    topic.move_on(*lane, world_.next_random());
  }
  const bool sends = appended->closed || sendable_ == PartitionQueue::Take::open_too;
  if (appended->opened || sends) {
    self = Ref<ProducerCore>(this);
  }
  if (appended->opened) {
    batch_opened(*lane);
  }
  if (sends) {
    drain(*lane);
  }
  // By its members: a copy of the whole would wait for the stores of both (3 ns).
  return Receipt{.batch = appended->receipt.batch, .index = appended->receipt.index};
}

/// What is looked at once a batch, not once a record.
OTTLA_INLINE void ProducerCore::batch_opened(ProducerLane& lane) noexcept {
  if (lane.topic.metadata_version() != connection_->metadata_version() &&
      lane.topic.begin_looking() &&
      !look_up_later(lane.topic, [&topic = lane.topic] { topic.end_looking(); })) {
    lane.topic.end_looking();
  }
  if (sendable_ == PartitionQueue::Take::open_too) {
    return;
  }
  if (budget_.exhausted()) {
    lane.close_open();
    drain(lane);
  } else if (!lane.lingering.exchange(true)) {
    linger(lane, world_.steady_now());
  }
}

OTTLA_INLINE absl::StatusOr<PartitionQueue::Appended> ProducerCore::append_when_there_is_memory(
    ProducerLane& lane, const RecordFields& record, std::uint64_t tag, bool sticky) {
  const std::int64_t needed = lane.memory_needed(record);
  if (CallbackScope::active()) {
    send_everything();
    if (!budget_.try_take(needed)) {
      return producer_impl::would_deadlock("send with buffer.memory full");
    }
  } else {
    const SteadyTime deadline = after(world_.steady_now(), config_.max_block);
    OTTLA_TRY(budget_.take(needed, world_, deadline, [&] {
      // Memory comes back when batches are done: send every one there is, and have them written.
      send_everything();
      write_out_everything(deadline);
    }));
  }
  return lane.append(record, tag, sticky, world_, needed);
}

OTTLA_INLINE void ProducerCore::linger(ProducerLane& lane, SteadyTime opened) noexcept {
  SteadyTime when = never;
  const absl::Status listed = guarded([&] {
    Lock lock(mutex_);
    auto place = lingering_.end();
    while (place != lingering_.begin() && std::prev(place)->opened > opened) {
      --place;
    }
    lingering_.insert(place, {&lane, opened});
    when = advance(linger_timer, after(opened, config_.linger));
  });
  if (!listed.ok()) {
    lane.lingering.exchange(false);
    lane.close_open();
    drain(lane);
  } else if (!arm(linger_timer, when)) {
    send_lingered(never);  // others may have counted on it
  }
}

OTTLA_INLINE void ProducerCore::close_lingered() noexcept {
  const SteadyTime latest = world_.steady_now() - config_.linger;
  SteadyTime next = never;
  {
    Lock lock(mutex_);
    const auto later = std::find_if(lingering_.begin(), lingering_.end(),
                                    [&](const Lingering& each) { return each.opened > latest; });
    next = later == lingering_.end() ? never : after(later->opened, config_.linger);
    due_[linger_timer] = next;
  }
  send_lingered(arm(linger_timer, next) ? latest : never);
}

OTTLA_INLINE void ProducerCore::send_lingered(SteadyTime latest) noexcept {
  for (;;) {
    ProducerLane* lane = nullptr;
    {
      Lock lock(mutex_);
      if (lingering_.empty() || lingering_.front().opened > latest) {
        return;
      }
      lane = lingering_.front().lane;
      lingering_.pop_front();
    }
    lane->lingering.exchange(false);
    const SteadyTime opened = lane->close_opened_by(latest);
    if (opened != never && opened > latest && !lane->lingering.exchange(true)) {
      linger(*lane, opened);  // a younger batch was open
    }
    drain(*lane);
  }
}

}  // namespace ottla::inline OTTLA_ABI
