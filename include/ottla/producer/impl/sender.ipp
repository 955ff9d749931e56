// SPDX-License-Identifier: Apache-2.0
//
// From closed batches to outcomes: sealing, handing over, trying again, giving up, telling.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/callback_scope.hpp>
#include <ottla/base/guard.hpp>
#include <ottla/producer/impl/in_flight.hpp>
#include <ottla/producer/impl/split_batch.hpp>
#include <ottla/producer/producer_core.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE void ProducerCore::drain(ProducerLane& lane, SteadyTime deadline) noexcept {
  for (auto batch = lane.take(sendable_); batch; batch = lane.take_next(sendable_)) {
    const absl::Status handed = guarded([&] { hand_over(lane, *batch, deadline); });
    if (!handed.ok()) {
      finish(lane, *batch, handed);
    }
  }
}

OTTLA_INLINE absl::StatusOr<SealedBatch> ProducerCore::seal(ProducerLane& lane,
                                                            ClosedBatch& batch) {
  if (!batch.sealed.empty()) {
    return std::move(batch.sealed);
  }
  if (config_.compression == CompressionType::none) {
    return batch.builder.seal();
  }
  BatchBuilder builder = std::move(batch.builder);  // its memory goes when this returns
  const std::size_t size = builder.size();
  std::unique_ptr<Compressor> compressor;
  {
    Lock lock(mutex_);
    if (!compressors_.empty()) {
      compressor = std::move(compressors_.back());
      compressors_.pop_back();
    }
  }
  if (!compressor) {
    compressor = std::make_unique<Compressor>();
  }
  absl::StatusOr<SealedBatch> sealed = builder.seal(*compressor);
  if (sealed.ok() && size > batch_header_size) {
    lane.observed_ratio(static_cast<float>(sealed->size() - batch_header_size) /
                        static_cast<float>(size - batch_header_size));
  }
  Lock lock(mutex_);
  compressors_.push_back(std::move(compressor));
  return sealed;
}

/// Throws only while `batch` is still the caller's. It is watched before it is sealed, which may
/// take long: whoever gives it up meanwhile tells it.
OTTLA_INLINE void ProducerCore::hand_over(ProducerLane& lane, ClosedBatch& batch,
                                          SteadyTime deadline) {
  const TopicId topic = lane.topic.snapshot().id;
  if (producer_id_ != no_producer_id && !number(lane, batch, topic)) {
    const SteadyTime when = after(world_.steady_now(), config_.retry_backoff);
    if (when < after(batch.opened, config_.delivery_timeout)) {
      send_again_at(when, lane, batch);
    } else {
      finish(
          lane, batch,
          error(ErrorCode::request_timed_out, Fault::timed_out,
                lane.asking.load(std::memory_order_relaxed)
                    ? "not sent within delivery.timeout.ms: records before it failed, and the "
                      "broker gave no new producer id; send again"
                    : "not sent within delivery.timeout.ms: records before it failed, and others "
                      "are not acknowledged yet; send again"));
    }
    return;
  }
  ++batch.attempts;
  // A refusal for want of room comes again; not where it would be the end.
  const bool is_last = config_.acks == Acks::none || batch.attempts > config_.retries;
  const SteadyTime room_by =
      is_last ? never : std::min(deadline, after(batch.opened, config_.max_block));
  const Ref<InFlight> in_flight(new (*in_flight_memory_) InFlight(*this, lane, batch));
  if (!in_flight) {
    finish(lane, batch, out_of_memory());
    return;
  }
  if (!watch(in_flight).ok()) {
    return;
  }
  const bool replies = config_.acks != Acks::none;
  const absl::Status asked = guarded([&]() -> absl::Status {
    OTTLA_ASSIGN(SealedBatch sealed, in_flight->seal());
    if (!in_flight->finished()) {
      connection_->produce({.topic_id = topic,
                            .partition = lane.partition,
                            .acks = config_.acks,
                            .durability = config_.durability,
                            .deadline = room_by,
                            .batch = std::move(sealed),
                            .reply = replies ? in_flight : nullptr});
    }
    return absl::OkStatus();
  });
  if (!asked.ok()) {
    in_flight->give_up(asked);
  } else if (!replies) {
    in_flight->done(ProduceResponse{}, {});
  }
}

OTTLA_INLINE void ProducerCore::settle(ProducerLane& lane, ClosedBatch& batch,
                                       absl::StatusOr<ProduceResponse> outcome,
                                       SealedBatch refused) noexcept {
  if (!outcome.ok() && !refused.empty()) {
    const absl::Status why = outcome.status();
    const bool too_large = error_code(why) == ErrorCode::message_too_large && batch.records > 1;
    const absl::Status goes_on = guarded([&] {
      if (too_large) {
        return split(lane, batch, refused);
      }
      if (is_out_of_order(why, lane, batch)) {
        // One before it is sent again, or failed and had the lane numbered anew. If neither is so,
        // and nothing else is under way, the log lost what it had.
        if (std::exchange(batch.out_of_order, true) && lane.in_flight.load() == 0) {
          lane.renumber.store(true);
        }
      } else if (!may_retry(why, lane, batch)) {
        return why;
      }
      return retry(lane, batch, why, refused);
    });
    if (goes_on.ok()) {
      return;
    }
    outcome = goes_on;
  }
  finish(lane, batch, outcome);
}

OTTLA_INLINE bool ProducerCore::is_out_of_order(const absl::Status& status,
                                                const ProducerLane& lane,
                                                const ClosedBatch& batch) const {
  const ErrorCode code = error_code(status);
  return producer_id_ != no_producer_id &&
         (code == ErrorCode::out_of_order_sequence_number ||
          code == ErrorCode::unknown_producer_id || code == ErrorCode::invalid_producer_epoch) &&
         lane.partition.value() < lane.topic.snapshot().partitions &&
         batch.attempts <= config_.retries;
}

/// A topic of the same name that was made anew knows no numbers.
OTTLA_INLINE bool ProducerCore::number(ProducerLane& lane, ClosedBatch& batch,
                                       const TopicId& topic) {
  if (std::exchange(lane.numbered_for, topic) != topic && lane.next_sequence > 0) {
    lane.renumber.store(true);
  }
  if (lane.renumber.load()) {
    if (lane.in_flight.load() > 0 || lane.settling.load() > 0 || !lane.comes_first(batch) ||
        !begin_epoch(lane)) {
      return false;
    }
    lane.renumber.store(false);
    lane.next_sequence = 0;
  }
  if (batch.base_sequence != no_sequence && batch.epoch == lane.epoch) {
    return true;  // sent before
  }
  batch.epoch = lane.epoch;
  batch.base_sequence = lane.next_sequence;
  lane.next_sequence = increment_sequence(lane.next_sequence, batch.records);
  batch.builder.set_producer(id_of(lane), batch.epoch, batch.base_sequence);
  if (!batch.sealed.empty()) {
    namespace at = batch_position;
    std::byte* const bytes = batch.sealed.mutable_bytes().data();
    store_big_endian(bytes + at::producer_id, id_of(lane).value());
    store_big_endian(bytes + at::producer_epoch, batch.epoch.value());
    store_big_endian(bytes + at::base_sequence, batch.base_sequence);
    stamp_checksum(batch.sealed.mutable_bytes());
  }
  return true;
}

OTTLA_INLINE bool ProducerCore::begin_epoch(ProducerLane& lane) {
  if (lane.epoch.value() < INT16_MAX) {
    ++lane.epoch;
    return true;
  }
  if (!lane.asking.exchange(true)) {
    ask_for_id(lane);
  }
  const ProducerId given = lane.given.exchange(no_producer_id);
  if (given == no_producer_id) {
    return false;
  }
  lane.producer_id = given;
  lane.epoch = ProducerEpoch(0);
  lane.asking.store(false);
  return true;
}

OTTLA_INLINE void ProducerCore::ask_for_id(ProducerLane& lane) {
  const absl::Status asked = guarded([&] {
    connection_->call(InitProducerIdRequest{},
                      [self = Ref<ProducerCore>(this),
                       &lane](const absl::StatusOr<InitProducerIdResponse>& answer) {
                        if (answer.ok() && answer->error == ErrorCode::none) {
                          lane.given.store(answer->producer_id);
                        } else {
                          lane.asking.store(false);  // asked again with the next attempt
                        }
                      });
  });
  if (!asked.ok()) {
    lane.asking.store(false);
  }
}

/// A full disk is told at once: nothing here would make it better. So is a partition that the topic
/// had before it was deleted and made anew.
OTTLA_INLINE bool ProducerCore::may_retry(const absl::Status& status, const ProducerLane& lane,
                                          const ClosedBatch& batch) const {
  const Fault kind = fault(status);
  return retriable(status) && outcome(status) == Outcome::not_written &&
         (kind == Fault::none || kind == Fault::timed_out || kind == Fault::no_memory) &&
         lane.partition.value() < lane.topic.snapshot().partitions &&
         batch.attempts <= config_.retries;
}

/// The queue is held until then, so that no later batch overtakes this one.
OTTLA_INLINE absl::Status ProducerCore::retry(ProducerLane& lane, ClosedBatch& batch,
                                              const absl::Status& why, SealedBatch& refused) {
  const int doublings = std::min(batch.attempts - 1, 20);
  const std::chrono::nanoseconds longest =
      std::min(config_.retry_backoff * (std::int64_t{1} << doublings), config_.retry_backoff_max);
  // 20 % more or less, so that many producers do not come back at once.
  const auto share = static_cast<std::int64_t>(world_.next_random() % 401) + 800;
  const SteadyTime when = after(world_.steady_now(), longest / 1000 * share);
  if (when >= after(batch.opened, config_.delivery_timeout)) {
    return annotate(why, absl::StrCat("given up after ", batch.attempts,
                                      " attempts, at the end of delivery.timeout.ms (",
                                      config_.delivery_timeout.count(), ")"));
  }
  batch.sealed = std::move(refused);
  send_again_at(when, lane, batch);
  return absl::OkStatus();
}

/// The timer comes first: what throws here has changed nothing.
OTTLA_INLINE void ProducerCore::send_again_at(SteadyTime when, ProducerLane& lane,
                                              ClosedBatch& batch) {
  std::list<ClosedBatch> one(1);
  const TimerId timer =
      world_.post_at(when, [self = Ref<ProducerCore>(this), &lane] { self->resume(lane); });
  one.front() = std::move(batch);
  switch (lane.put_back(one, true)) {
    case PartitionQueue::PutBack::ended:
      world_.cancel(timer);
      finish(lane, one.front(),
             error(Fault::closed, "the producer was closed before the record was sent again"));
      break;
    case PartitionQueue::PutBack::held:
      break;
    case PartitionQueue::PutBack::queued:  // the timer was faster
      drain(lane);
      break;
  }
}

OTTLA_INLINE void ProducerCore::resume(ProducerLane& lane) noexcept {
  const auto go_on = [self = Ref<ProducerCore>(this), &lane] {
    lane.release();
    self->drain(lane);
  };
  if (lane.topic.metadata_version() == connection_->metadata_version() ||
      !look_up_later(lane.topic, go_on)) {
    go_on();
  }
}

OTTLA_INLINE absl::Status ProducerCore::split(ProducerLane& lane, ClosedBatch& batch,
                                              const SealedBatch& refused) {
  OTTLA_ASSIGN(std::list<ClosedBatch> pieces,
               producer_impl::split_batch(batch, refused.bytes(), batching_));
  if (config_.compression != CompressionType::none) {
    std::size_t size = 0;
    for (const ClosedBatch& piece : pieces) {
      size += piece.builder.size() - batch_header_size;
    }
    lane.observed_overflow(static_cast<float>(refused.size() - batch_header_size) /
                           static_cast<float>(size));
  }
  if (batch.base_sequence != no_sequence) {
    for (ClosedBatch& piece : pieces) {
      piece.epoch = batch.epoch;
      piece.base_sequence =
          increment_sequence(batch.base_sequence, piece.first_index - batch.first_index);
      piece.builder.set_producer(id_of(lane), piece.epoch, piece.base_sequence);
    }
  }
  outcomes_.split(batch.number, static_cast<std::int32_t>(pieces.size()));
  if (lane.put_back(pieces, false) == PartitionQueue::PutBack::ended) {
    for (ClosedBatch& piece : pieces) {
      finish(lane, piece,
             error(Fault::closed, "the producer was closed before the record was sent again"));
    }
  }
  drain(lane);
  return absl::OkStatus();
}

OTTLA_INLINE void ProducerCore::finish(ProducerLane& lane, ClosedBatch& batch,
                                       const absl::StatusOr<ProduceResponse>& outcome) noexcept {
  report(lane, batch, outcome);
  BatchOutcome kept{.status = outcome.status(), .partition = lane.partition};
  if (outcome.ok()) {
    kept.offset = outcome->base_offset;
    kept.log_append_time = outcome->log_append_time;
  } else {
    if (batch.base_sequence != no_sequence) {
      lane.renumber.store(true);  // its numbers may never be in the log
    }
    Lock lock(mutex_);
    if (first_failure_.ok()) {
      first_failure_ = outcome.status();
    }
  }
  budget_.give_back(std::exchange(batch.charged, 0));
  outcomes_.complete(batch.number, batch.first_index, std::move(kept));
}

OTTLA_INLINE void ProducerCore::report(ProducerLane& lane, const ClosedBatch& batch,
                                       const absl::StatusOr<ProduceResponse>& outcome) {
  if (!config_.on_delivery) {
    return;
  }
  Delivery delivery{.topic = lane.topic.name(), .partition = lane.partition};
  if (!outcome.ok()) {
    delivery.offset = outcome.status();
  }
  for (std::size_t i = 0; i < batch.tags.size() && !muted_.load(); ++i) {
    delivery.tag = batch.tags[i];
    if (outcome.ok()) {
      const bool known = outcome->base_offset >= Offset(0);
      delivery.offset =
          known ? outcome->base_offset + static_cast<std::int64_t>(i) : outcome->base_offset;
      delivery.timestamp = outcome->log_append_time;
    }
    CallbackScope scope;
    if (!guarded([&] { config_.on_delivery(delivery); }).ok()) {
      callback_failures_.fetch_add(1, std::memory_order_relaxed);
    }
  }
}

/// After: its time is watched, or it was given up with the status.
OTTLA_INLINE absl::Status ProducerCore::watch(const Ref<InFlight>& batch) {
  SteadyTime when = never;
  std::vector<Ref<InFlight>> finished;  // let go without the lock
  const absl::Status listed = guarded([&]() -> absl::Status {
    Lock lock(mutex_);
    if (ended_) {
      return error(Fault::closed, "the producer was closed before the record was sent");
    }
    if (watched_.size() >= sweep_at_) {  // a stuck one must not keep all that came after it
      finished.reserve(watched_.size());
      for (Ref<InFlight>& each : watched_) {
        if (each->finished()) {
          finished.push_back(std::move(each));
        }
      }
      std::erase(watched_, nullptr);
      sweep_at_ = std::max(std::size_t{64}, 2 * watched_.size());
    }
    auto place = watched_.end();
    while (place != watched_.begin() && (*std::prev(place))->deadline() > batch->deadline()) {
      --place;
    }
    watched_.insert(place, batch);
    when = advance(expiry_timer, batch->deadline());
    return absl::OkStatus();
  });
  if (!listed.ok()) {
    batch->give_up(listed);
    return listed;
  }
  if (!arm(expiry_timer, when)) {
    give_up_watched(never, out_of_memory());
    return out_of_memory();
  }
  return absl::OkStatus();
}

OTTLA_INLINE void ProducerCore::expire_overdue() noexcept {
  const SteadyTime now = world_.steady_now();
  SteadyTime next = never;
  {
    Lock lock(mutex_);
    const auto later = std::find_if(watched_.begin(), watched_.end(), [&](const auto& each) {
      return !each->finished() && each->deadline() > now;
    });
    next = later == watched_.end() ? never : (*later)->deadline();
    due_[expiry_timer] = next;
  }
  const bool armed = arm(expiry_timer, next);
  give_up_watched(now, guarded([&] {
                    return error(ErrorCode::request_timed_out, Fault::timed_out,
                                 absl::StrCat("no acknowledgement within delivery.timeout.ms (",
                                              config_.delivery_timeout.count(),
                                              "); the records may still appear"),
                                 Outcome::unknown);
                  }));
  if (!armed) {
    give_up_watched(never, out_of_memory());
  }
}

OTTLA_INLINE void ProducerCore::give_up_watched(SteadyTime latest,
                                                const absl::Status& why) noexcept {
  for (;;) {
    Ref<InFlight> batch;
    {
      Lock lock(mutex_);
      if (watched_.empty() ||
          (!watched_.front()->finished() && watched_.front()->deadline() > latest)) {
        return;
      }
      batch = std::move(watched_.front());
      watched_.pop_front();
    }
    batch->give_up(why);
  }
}

OTTLA_INLINE SteadyTime ProducerCore::advance(Timer timer, SteadyTime when) {
  if (when >= due_[timer]) {
    return never;
  }
  due_[timer] = when;
  return when;
}

OTTLA_INLINE bool ProducerCore::arm(Timer timer, SteadyTime when) noexcept {
  if (when == never) {
    return true;
  }
  TimerId armed = no_timer;
  const absl::Status posted = guarded([&] {
    armed = world_.post_at(when, [self = Ref<ProducerCore>(this), timer] {
      timer == linger_timer ? self->close_lingered() : self->expire_overdue();
    });
  });
  {
    Lock lock(mutex_);
    if (!ended_ && due_[timer] == when) {
      if (!posted.ok()) {
        due_[timer] = never;
        return false;
      }
      std::swap(timers_[timer], armed);
    }
  }
  world_.cancel(armed);  // the one before, or this one where it is not needed any more
  return true;
}

}  // namespace ottla::inline OTTLA_ABI
