// SPDX-License-Identifier: Apache-2.0
//
// From closed batches to outcomes: sealing, handing over, trying again, giving up, telling.
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/callback_scope.hpp>
#include <ottla/base/guard.hpp>
#include <ottla/producer/impl/in_flight.hpp>
#include <ottla/producer/producer_core.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE void ProducerCore::drain(ProducerTopic& topic, ProducerLane& lane) {
  while (std::optional<ClosedBatch> batch = lane.queue.take()) {
    hand_over(topic, lane, *std::move(batch));
    lane.queue.sent();
  }
}

OTTLA_INLINE absl::StatusOr<SealedBatch> ProducerCore::seal(ProducerLane& lane,
                                                            ClosedBatch& batch) {
  const std::size_t size = batch.builder.size();
  if (config_.compression == CompressionType::none) {
    return batch.builder.seal();
  }
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
  absl::StatusOr<SealedBatch> sealed = batch.builder.seal(*compressor);
  if (sealed.ok() && size > batch_header_size) {
    lane.queue.observed_ratio(static_cast<float>(sealed->size() - batch_header_size) /
                              static_cast<float>(size - batch_header_size));
  }
  Lock lock(mutex_);
  compressors_.push_back(std::move(compressor));
  return sealed;
}

OTTLA_INLINE void ProducerCore::hand_over(ProducerTopic& topic, ProducerLane& lane,
                                          ClosedBatch batch) {
  const auto in_flight =
      make_ref<InFlight>(Ref<ProducerCore>(this), Ref<ProducerTopic>(&topic), lane, batch);
  lane.in_flight.fetch_add(1, std::memory_order_relaxed);
  absl::StatusOr<SealedBatch> sealed = seal(lane, batch);
  if (!sealed.ok()) {
    in_flight->done(std::move(sealed).status(), {});
    return;
  }
  if (config_.acks != Acks::none) {
    watch(in_flight);
  }
  in_flight->send(*std::move(sealed));
}

OTTLA_INLINE void ProducerCore::InFlight::send(SealedBatch batch) {
  ++attempts_;
  const bool acknowledged = core_->config_.acks != Acks::none;
  core_->connection_->produce({.topic_id = topic_->snapshot().id,
                               .partition = lane_.partition,
                               .acks = core_->config_.acks,
                               .durability = core_->config_.durability,
                               .batch = std::move(batch),
                               .reply = acknowledged ? Ref<ProduceReply>(this) : nullptr});
  if (!acknowledged) {
    finish(ProduceResponse{});
  }
}

OTTLA_INLINE void ProducerCore::InFlight::done(absl::StatusOr<ProduceResponse> outcome,
                                               SealedBatch refused) noexcept {
  if (!outcome.ok() && !refused.empty() && may_retry(outcome.status())) {
    retry(std::move(refused));
  } else {
    finish(std::move(outcome));
  }
}

OTTLA_INLINE bool ProducerCore::InFlight::may_retry(const absl::Status& status) const {
  return !finished() && fault(status) == Fault::none && retriable(status) &&
         outcome(status) == Outcome::not_written && attempts_ <= core_->config_.retries &&
         core_->world().steady_now() < deadline_;
}

OTTLA_INLINE void ProducerCore::InFlight::retry(SealedBatch batch) {
  const auto doublings = std::min(attempts_ - 1, 20);
  const auto wait = std::min(core_->config_.retry_backoff * (std::int64_t{1} << doublings),
                             core_->config_.retry_backoff_max);
  core_->world().post_at(after(core_->world().steady_now(), wait),
                         [self = Ref<InFlight>(this), again = std::move(batch)]() mutable {
                           if (absl::Status known = self->core_->refresh(*self->topic_);
                               !known.ok()) {
                             self->finish(std::move(known));
                           } else {
                             self->send(std::move(again));
                           }
                         });
}

OTTLA_INLINE void ProducerCore::InFlight::expire() {
  finish(error(
      ErrorCode::request_timed_out, Fault::timed_out,
      absl::StrCat("no acknowledgement within delivery.timeout.ms (",
                   core_->config_.delivery_timeout.count(), "); the records may still appear"),
      Outcome::unknown));
}

OTTLA_INLINE void ProducerCore::InFlight::finish(absl::StatusOr<ProduceResponse> outcome) {
  if (!finished_.exchange(true, std::memory_order_acq_rel)) {
    core_->finish(*this, std::move(outcome));
  }
}

OTTLA_INLINE void ProducerCore::finish(InFlight& batch, absl::StatusOr<ProduceResponse> outcome) {
  report(batch, outcome);
  batch.lane_.in_flight.fetch_sub(1, std::memory_order_relaxed);
  BatchOutcome kept{.status = outcome.status(), .partition = batch.lane_.partition};
  if (outcome.ok()) {
    kept.base_offset = outcome->base_offset;
    kept.log_append_time = outcome->log_append_time;
  } else {
    Lock lock(mutex_);
    if (first_failure_.ok()) {
      first_failure_ = outcome.status();
    }
  }
  budget_.give_back(batch.charged_);
  outcomes_.complete(batch.number_, std::move(kept));
}

OTTLA_INLINE void ProducerCore::report(InFlight& batch,
                                       const absl::StatusOr<ProduceResponse>& outcome) {
  if (!config_.on_delivery) {
    return;
  }
  callbacks_running_.fetch_add(1, std::memory_order_seq_cst);
  for (std::int32_t i = 0; i < batch.records_ && !muted_.load(std::memory_order_seq_cst); ++i) {
    Delivery delivery{.tag = batch.tags_[static_cast<std::size_t>(i)],
                      .topic = batch.topic_->name(),
                      .partition = batch.lane_.partition,
                      .offset = outcome.status(),
                      .timestamp = no_timestamp};
    if (outcome.ok()) {
      delivery.offset =
          outcome->base_offset < Offset(0) ? outcome->base_offset : outcome->base_offset + i;
      delivery.timestamp = outcome->log_append_time;
    }
    CallbackScope scope;
    if (!guarded([&] { config_.on_delivery(delivery); }).ok()) {
      callback_failures_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  callbacks_running_.fetch_sub(1, std::memory_order_seq_cst);
}

OTTLA_INLINE void ProducerCore::watch(const Ref<InFlight>& batch) {
  SteadyTime when = never;
  {
    Lock lock(mutex_);
    while (!watched_.empty() && watched_.front()->finished()) {
      watched_.pop_front();
    }
    watched_.push_back(batch);
    if (!std::exchange(expiry_armed_, true)) {
      when = watched_.front()->deadline();
    }
  }
  arm(expiry_timer, when);
}

OTTLA_INLINE void ProducerCore::expire_overdue() {
  const SteadyTime now = world().steady_now();
  std::vector<Ref<InFlight>> overdue;
  SteadyTime next = never;
  {
    Lock lock(mutex_);
    while (!watched_.empty() &&
           (watched_.front()->finished() || watched_.front()->deadline() <= now)) {
      overdue.push_back(std::move(watched_.front()));
      watched_.pop_front();
    }
    expiry_armed_ = !watched_.empty();
    next = expiry_armed_ ? watched_.front()->deadline() : never;
  }
  arm(expiry_timer, next);
  for (const Ref<InFlight>& batch : overdue) {
    batch->expire();
  }
}

OTTLA_INLINE void ProducerCore::arm(Timer timer, SteadyTime when) {
  if (when == never) {
    return;
  }
  const TimerId armed = world().post_at(when, [self = Ref<ProducerCore>(this), timer] {
    timer == linger_timer ? self->close_lingered() : self->expire_overdue();
  });
  {
    Lock lock(mutex_);
    timers_[timer] = armed;
  }
  if (closed_.load()) {
    world().cancel(armed);  // close() may not have seen it
  }
}

}  // namespace ottla::inline OTTLA_ABI
