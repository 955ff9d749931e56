// SPDX-License-Identifier: Apache-2.0
//
// Waiting for outcomes: of one record, of everything, for the last time.
#pragma once

#include <algorithm>
#include <chrono>
#include <iterator>
#include <list>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/callback_scope.hpp>
#include <ottla/base/guard.hpp>
#include <ottla/producer/impl/in_flight.hpp>
#include <ottla/producer/producer_core.hpp>

namespace ottla::inline OTTLA_ABI {
namespace producer_impl {

/// Another thread may hand a batch over after this one had everything written: look again.
inline constexpr std::chrono::milliseconds look_again{10};
/// A callback must not wait: one that began before close is soon over. One that waits all the same
/// keeps close so much longer at most.
inline constexpr std::chrono::seconds callback_grace{1};

inline absl::StatusOr<RecordMetadata> metadata_of(const BatchOutcome& outcome) {
  OTTLA_TRY(outcome.status);
  return RecordMetadata{.partition = outcome.partition,
                        .offset = outcome.offset,
                        .timestamp = outcome.log_append_time};
}

}  // namespace producer_impl

OTTLA_INLINE absl::StatusOr<RecordMetadata> ProducerCore::wait(Receipt receipt,
                                                               SteadyTime deadline) {
  if (!process_.here()) {
    return usable();
  }
  BatchOutcome outcome;
  BatchOutcomes::State state = outcomes_.look(receipt, outcome, {});
  const Ref<ProducerCore> self(this);  // a callback may destroy the producer
  return guarded([&]() -> absl::StatusOr<RecordMetadata> {
    if (state == BatchOutcomes::State::pending && CallbackScope::active()) {
      return producer_impl::would_deadlock("wait");
    }
    if (state == BatchOutcomes::State::pending) {
      bring(receipt.batch, deadline);  // mostly that is all
      state = outcomes_.look(receipt, outcome, {});
    }
    if (state == BatchOutcomes::State::pending) {
      const auto waiter = make_ref<OutcomeWaiter>();
      state = outcomes_.look(receipt, outcome, waiter);
      while (state == BatchOutcomes::State::pending) {
        const SteadyTime now = world_.steady_now();
        const SteadyTime until = std::min(deadline, after(now, producer_impl::look_again));
        if (world_.await(*waiter->bell, until)) {
          return producer_impl::metadata_of(waiter->outcome);
        }
        if (now >= deadline) {
          outcomes_.leave(*waiter);
          return error(ErrorCode::request_timed_out, Fault::timed_out,
                       "the record is not acknowledged yet; wait again", Outcome::unknown);
        }
        bring(receipt.batch, deadline);
      }
    }
    if (state == BatchOutcomes::State::forgotten) {
      return error(Fault::not_found,
                   absl::StrCat("the outcome of this receipt is not remembered any more, or never "
                                "was this producer's: wait before ",
                                BatchOutcomes::remembered, " more batches are begun"),
                   Outcome::unknown);
    }
    return producer_impl::metadata_of(outcome);
  });
}

OTTLA_INLINE void ProducerCore::bring(std::uint64_t batch, SteadyTime deadline) {
  if (PartitionQueue* const queue = outcomes_.queue_of(batch); queue != nullptr) {
    auto& lane = static_cast<ProducerLane&>(*queue);
    lane.close_if_open(batch);
    drain(lane, deadline);
    write_out(lane, deadline);
  }
}

OTTLA_INLINE absl::Status ProducerCore::flush(SteadyTime deadline) {
  OTTLA_TRY(usable());
  const Ref<ProducerCore> self(this);  // a callback may destroy the producer
  return guarded([&] {
    OTTLA_TRY(CallbackScope::active() ? producer_impl::would_deadlock("flush")
                                      : flush_everything(deadline));
    return take_first_failure();
  });
}

OTTLA_INLINE absl::Status ProducerCore::take_first_failure() {
  Lock lock(mutex_);
  return std::exchange(first_failure_, absl::OkStatus());
}

OTTLA_INLINE void ProducerCore::send_everything(SteadyTime deadline) {
  for_each_lane([&](ProducerLane& lane) {
    lane.close_open();
    drain(lane, deadline);
  });
}

OTTLA_INLINE void ProducerCore::write_out_everything(SteadyTime deadline) {
  for_each_lane([&](ProducerLane& lane) { write_out(lane, deadline); });
}

OTTLA_INLINE void ProducerCore::write_out(ProducerLane& lane, SteadyTime deadline) {
  if (lane.in_flight.load() != 0) {
    // A failed write reaches the batches it concerns.
    connection_->write_out(lane.topic.snapshot().id, lane.partition, config_.durability, deadline)
        .IgnoreError();
  }
}

OTTLA_INLINE absl::Status ProducerCore::flush_everything(SteadyTime deadline) {
  const std::uint64_t end = outcomes_.next();
  send_everything(deadline);
  const auto bell = make_ref<Doorbell>();
  bool done = outcomes_.done_below(end, bell);
  while (!done) {
    write_out_everything(deadline);
    const SteadyTime now = world_.steady_now();
    done = world_.await(*bell, std::min(deadline, after(now, producer_impl::look_again)));
    if (!done && now >= deadline) {
      outcomes_.leave(*bell);
      return error(ErrorCode::request_timed_out, Fault::timed_out,
                   absl::StrCat("batches that are not acknowledged yet: ", outcomes_.pending(),
                                "; flush again, or give close more time"),
                   Outcome::unknown);
    }
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status ProducerCore::close(SteadyTime deadline) {
  if (!process_.here()) {
    return usable();  // a child only forgets what it inherited
  }
  if (CallbackScope::active()) {
    return guarded([] { return producer_impl::would_deadlock("close"); });
  }
  const Ref<ProducerCore> self(this);  // a callback may destroy the producer
  if (closed_.exchange(true)) {
    return guarded([&] { return await_closed(deadline); });
  }
  const auto flush = [self, deadline](bool) { return self->flush_everything(deadline); };
  absl::Status closed = guarded([&] {
    return outcomes_.pending() == 0 ? absl::OkStatus()
                                    : apart(world_, "ottla-flush", deadline, flush);
  });
  if (outcomes_.pending() == 0) {
    closed = absl::OkStatus();
  } else if (fault(closed) == Fault::timed_out) {
    closed = guarded([&] { return left_behind(); });
  }
  end(deadline, false);
  if (closed.ok()) {
    closed = take_first_failure();
  }
  tell_closed(closed);
  return closed;
}

OTTLA_INLINE absl::Status ProducerCore::left_behind() const {
  return error(ErrorCode::request_timed_out, Fault::timed_out,
               absl::StrCat("closed with batches that were not acknowledged: ", outcomes_.pending(),
                            "; their receipts and on_delivery tell which records, and whether they "
                            "may have been written; give close more time"),
               Outcome::unknown);
}

OTTLA_INLINE absl::Status ProducerCore::await_closed(SteadyTime deadline) {
  const auto done = make_ref<Doorbell>();
  {
    Lock lock(mutex_);
    if (close_done_) {
      return close_status_;
    }
    closers_.push_back(done);
  }
  if (!world_.await(*done, deadline)) {
    return error(ErrorCode::request_timed_out, Fault::timed_out,
                 "another thread closes this producer and is not done yet; close again, or allow "
                 "more time",
                 Outcome::unknown);
  }
  Lock lock(mutex_);
  return close_status_;
}

OTTLA_INLINE void ProducerCore::tell_closed(const absl::Status& how) noexcept {
  std::list<Ref<Doorbell>> closers;
  {
    Lock lock(mutex_);
    close_done_ = true;
    close_status_ = how;
    closers.swap(closers_);
  }
  for (const Ref<Doorbell>& each : closers) {
    each->ring();
  }
}

OTTLA_INLINE void ProducerCore::abandon(SteadyTime deadline) noexcept {
  if (!CallbackScope::active()) {
    close(deadline).IgnoreError();
  } else if (process_.here() && !closed_.exchange(true)) {
    end(deadline, true);
    tell_closed(absl::OkStatus());
  }
}

OTTLA_INLINE void ProducerCore::end(SteadyTime deadline, bool in_callback) noexcept {
  budget_.close();  // from now on no batch is begun
  fail_unsent();
  TimerId timers[2];
  {
    Lock lock(mutex_);
    ended_ = true;
    std::copy(std::begin(timers_), std::end(timers_), timers);
    lingering_.clear();
  }
  world_.cancel(timers[linger_timer]);
  world_.cancel(timers[expiry_timer]);
  give_up_watched(never,
                  error(Fault::closed, "the producer was closed before the record was acknowledged",
                        Outcome::unknown));
  // What is left is in other threads' hands: each finishes what it has.
  Doorbell nobody;
  const SteadyTime latest =
      std::max(deadline, after(world_.steady_now(), producer_impl::callback_grace));
  while (!in_callback && outcomes_.pending() != 0 && world_.steady_now() < latest) {
    guarded([&] {
      world_.await(nobody, after(world_.steady_now(), std::chrono::microseconds(50)));
    }).IgnoreError();
  }
  muted_.store(true);
}

OTTLA_INLINE void ProducerCore::fail_unsent() noexcept {
  const absl::Status why =
      error(Fault::closed, "the producer was closed before the record was sent");
  for_each_lane([&](ProducerLane& lane) {
    for (ClosedBatch& batch : lane.end()) {
      finish(lane, batch, why);
    }
  });
}

}  // namespace ottla::inline OTTLA_ABI
