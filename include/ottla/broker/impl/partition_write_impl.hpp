// SPDX-License-Identifier: Apache-2.0
//
// Staging, writing, syncing, replying.
#pragma once

#include <algorithm>
#include <iterator>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/broker/partition.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
BasicPartition<Fs>::BasicPartition(World& world, BasicLog<Fs> log, PartitionOptions options,
                                   Ref<TailBudget> tails, Ref<ReadBuffers> buffers)
    : world_(world),
      options_(std::move(options)),
      tails_(std::move(tails)),
      buffers_(std::move(buffers)),
      log_(std::move(log)),
      next_offset_(log_.end()) {
  log_.assign_epoch(options_.epoch);
}

template <FileSystem Fs>
BasicPartition<Fs>::~BasicPartition() {
  tails_->used.fetch_sub(static_cast<std::int64_t>(tail_.bytes()), std::memory_order_relaxed);
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::refusal() const {
  switch (state_) {
    case State::open:
      break;
    case State::removed:
      return error(ErrorCode::unknown_topic_id,
                   absl::StrCat("topic of ", options_.partition.to_string(), " was deleted"));
    case State::closing:
    case State::closed:
      return error(ErrorCode::not_leader_or_follower, Fault::closed,
                   "the broker was closed; open it again");
  }
  if (log_.damage() != nullptr) {
    return error(ErrorCode::kafka_storage_error, Fault::corrupt,
                 absl::StrCat(log_.damage()->file, " is damaged at byte ", log_.damage()->position,
                              " (", log_.damage()->why,
                              "): what lies before it can be read, nothing is appended"));
  }
  return sync_failed_;
}

template <FileSystem Fs>
void BasicPartition<Fs>::produce(ProduceRequest request, bool trusted) {
  const Ref<BasicPartition> alive(this);
  const Timestamp now = world_.wall_now();
  absl::Status refused = check_produced(request.batch, options_.config, now, trusted);
  if (refused.ok()) {
    refused = wait_for_room(request.batch.size());
  }
  Lock lock(mutex_);
  if (refused.ok()) {
    refused = refusal();
  }
  if (!refused.ok()) {
    lock.unlock();
    if (request.reply) {
      request.reply->done(std::move(refused), std::move(request.batch));
    }
    return;
  }
  used_ = true;
  request.batch.stamp(next_offset_, options_.epoch);
  const BatchFacts facts = BatchFacts::of(BatchHeader::parse(request.batch.bytes()));
  next_offset_ = facts.last_offset + 1;
  if (request.reply) {
    const bool stamped = options_.config.timestamp_type == TimestampType::log_append_time;
    pending_.push_back({.reply = std::move(request.reply),
                        .base = facts.base_offset,
                        .last = facts.last_offset,
                        .append_time = stamped ? now : no_timestamp,
                        .durable = always_durable() || request.durability == Durability::durable});
  }
  staged_.push(std::move(request.batch).freeze(), facts);
  if (staged_.waiting_bytes() >= write_out_bytes && !writing_) {
    writing_ = true;
    write_staged();
    lock.unlock();
    reply_all();
  } else if (!timer_armed_) {
    arm_timer();
  }
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::wait_for_room(std::size_t bytes) {
  Lock lock(mutex_);
  if (staged_.bytes() + bytes <= options_.staged_bytes || staged_.empty()) {
    return absl::OkStatus();
  }
  const SteadyTime deadline = after(world_.steady_now(), options_.produce_timeout);
  if (!take_write_baton(deadline)) {
    return error(ErrorCode::request_timed_out, Fault::timed_out,
                 absl::StrCat(options_.partition.to_string(), ": ", staged_.bytes(),
                              " bytes wait to be written, the disk does not keep up; try again"));
  }
  write_staged();
  lock.unlock();
  reply_all();
  return absl::OkStatus();
}

template <FileSystem Fs>
bool BasicPartition<Fs>::take_write_baton(SteadyTime deadline) {
  while (writing_) {
    const auto bell = make_ref<Doorbell>();
    write_queue_.push_back(bell);
    mutex_.unlock();
    const bool rung = world_.await(*bell, deadline);
    mutex_.lock();
    if (!rung) {
      std::erase_if(write_queue_,
                    [&](const Ref<Doorbell>& each) { return each.get() == bell.get(); });
      return false;
    }
  }
  writing_ = true;
  return true;
}

template <FileSystem Fs>
void BasicPartition<Fs>::give_write_baton(After& after) {
  writing_ = false;
  for (Ref<Doorbell>& bell : write_queue_) {
    after.wakeups.add(std::move(bell));
  }
  write_queue_.clear();
}

template <FileSystem Fs>
void BasicPartition<Fs>::write_staged() {
  After done;
  while (staged_.waiting_bytes() > 0 && state_ != State::removed) {
    const StagedRange range = staged_.take();
    mutex_.unlock();
    const Appended appended = log_.append(range.pieces, range.facts, world_.wall_now());
    mutex_.lock();
    const Offset before = visible();
    log_.publish();
    publish_written(range, appended, done);
    if (visible() > before) {
      wake_waiters(done.bytes, false, done);
    }
  }
  give_write_baton(done);
  mutex_.unlock();
  done.wakeups.run();
  done.dropped.clear();
  done.failed.clear();
  mutex_.lock();
}

template <FileSystem Fs>
void BasicPartition<Fs>::publish_written(const StagedRange& range, const Appended& appended,
                                         After& after) {
  after.bytes = 0;
  for (std::size_t i = 0; i < appended.batches; ++i) {
    after.bytes += range.facts[i].size;
    push_tail(range.batches[i], range.facts[i], after);
  }
  if (appended.status.ok()) {
    staged_.written();
  } else {
    fail_staged(appended.status, after);
  }
  finish_up_to(log_.end(), log_.durable_end());
}

template <FileSystem Fs>
void BasicPartition<Fs>::fail_staged(const absl::Status& why, After& after) {
  const Offset end = log_.end();
  const auto first = std::find_if(pending_.begin(), pending_.end(),
                                  [&](const Pending& each) { return each.base >= end; });
  std::deque<Pending> failing(std::make_move_iterator(first),
                              std::make_move_iterator(pending_.end()));
  pending_.erase(first, pending_.end());
  finish_up_to(end, log_.durable_end());
  for (Pending& each : failing) {
    finished_.push_back({std::move(each.reply), annotate(why, options_.partition.to_string())});
  }
  staged_.drop(after.failed);
  next_offset_ = end;
}

template <FileSystem Fs>
void BasicPartition<Fs>::finish_up_to(Offset written, Offset durable) {
  // Offsets are answered in order, so one that waits for the device holds up those behind it.
  while (!pending_.empty()) {
    Pending& first = pending_.front();
    if (first.last >= (first.durable ? durable : written)) {
      return;
    }
    finished_.push_back(
        {std::move(first.reply), ProduceResponse{.base_offset = first.base,
                                                 .log_append_time = first.append_time,
                                                 .log_start_offset = log_.start()}});
    pending_.pop_front();
  }
}

template <FileSystem Fs>
void BasicPartition<Fs>::reply_all() {
  {
    Lock lock(mutex_);
    if (replying_) {
      return;
    }
    replying_ = true;
  }
  for (;;) {
    std::deque<Finished> ready;
    {
      Lock lock(mutex_);
      if (finished_.empty()) {
        replying_ = false;
        return;
      }
      ready.swap(finished_);
    }
    for (Finished& each : ready) {
      each.reply->done(std::move(each.outcome), {});
    }
  }
}

template <FileSystem Fs>
void BasicPartition<Fs>::arm_timer() {
  timer_armed_ = true;
  mutex_.unlock();
  world_.post_at(after(world_.steady_now(), options_.write_out_delay),
                 [self = Ref<BasicPartition>(this)] { self->timer_due(); });
  mutex_.lock();
}

template <FileSystem Fs>
void BasicPartition<Fs>::timer_due() {
  Lock lock(mutex_);
  timer_armed_ = false;
  if (!writing_ && staged_.waiting_bytes() > 0) {
    writing_ = true;
    write_staged();
  }
  const bool durable_waits = std::any_of(pending_.begin(), pending_.end(),
                                         [](const Pending& each) { return each.durable; });
  if ((durable_waits || (always_durable() && log_.durable_end() < log_.end())) && !syncing_ &&
      sync_failed_.ok() && state_ == State::open) {
    sync_to(log_.end(), FlushScope::data, never).IgnoreError();  // each waiter is told
  }
  if (staged_.waiting_bytes() > 0 && !timer_armed_ && state_ == State::open) {
    arm_timer();
  }
  lock.unlock();
  reply_all();
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::write_out(Durability durability, SteadyTime deadline) {
  const Ref<BasicPartition> alive(this);
  Lock lock(mutex_);
  const Offset target = next_offset_;
  while (log_.end() < target && !staged_.empty()) {
    if (!take_write_baton(deadline)) {
      return error(ErrorCode::request_timed_out, Fault::timed_out,
                   absl::StrCat(options_.partition.to_string(),
                                ": the disk did not take the records in time; they may still be "
                                "written"),
                   Outcome::unknown);
    }
    write_staged();
  }
  absl::Status synced;
  if (durability == Durability::durable || always_durable()) {
    synced = sync_to(std::min(target, log_.end()), FlushScope::data, deadline);
  }
  lock.unlock();
  reply_all();
  return synced;
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::sync_to(Offset target, FlushScope scope, SteadyTime deadline) {
  while (log_.durable_end() < target && sync_failed_.ok()) {
    if (syncing_) {
      const auto bell = make_ref<Doorbell>();
      sync_queue_.push_back(bell);
      mutex_.unlock();
      const bool rung = world_.await(*bell, deadline);
      mutex_.lock();
      if (!rung) {
        return error(
            ErrorCode::request_timed_out, Fault::timed_out,
            absl::StrCat(options_.partition.to_string(), ": the disk did not sync in time"),
            Outcome::unknown);
      }
      continue;
    }
    syncing_ = true;
    auto flush = log_.plan_flush(scope);
    mutex_.unlock();
    const absl::Status synced = flush.run();
    mutex_.lock();
    syncing_ = false;
    After done;
    const Offset before = visible();
    if (synced.ok()) {
      log_.flushed(flush);
    } else {
      sync_failed_ = synced;  // final: the pages may be gone (W5)
      for (Pending& each : pending_) {
        if (each.durable) {
          finished_.push_back({std::move(each.reply), synced});
        }
      }
      std::erase_if(pending_, [](const Pending& each) { return each.durable; });
    }
    finish_up_to(log_.end(), log_.durable_end());
    if (visible() > before) {
      wake_waiters(visible() - before, false, done);
    }
    for (Ref<Doorbell>& bell : sync_queue_) {
      done.wakeups.add(std::move(bell));
    }
    sync_queue_.clear();
    mutex_.unlock();
    done.wakeups.run();
    mutex_.lock();
  }
  return sync_failed_;
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::flush(FlushScope scope, SteadyTime deadline) {
  const Ref<BasicPartition> alive(this);
  Lock lock(mutex_);
  const absl::Status synced = sync_to(log_.end(), scope, deadline);
  lock.unlock();
  reply_all();
  return synced;
}

template <FileSystem Fs>
absl::StatusOr<CleanEnd> BasicPartition<Fs>::close(SteadyTime deadline) {
  const Ref<BasicPartition> alive(this);
  Lock lock(mutex_);
  if (state_ != State::open) {
    return refusal();
  }
  state_ = State::closing;
  const auto give_up = [&] {
    return error(Fault::timed_out,
                 absl::StrCat(options_.partition.to_string(),
                              ": the disk did not answer before the deadline of "
                              "closing; the next open recovers the log"),
                 Outcome::unknown);
  };
  if (!take_write_baton(deadline)) {
    return give_up();
  }
  write_staged();  // gives the baton back
  if (!take_write_baton(deadline)) {
    return give_up();
  }
  lock.unlock();
  reply_all();
  absl::StatusOr<CleanEnd> end = log_.close();
  After done;
  lock.lock();
  state_ = State::closed;
  finish_up_to(log_.end(), end.ok() ? log_.end() : log_.durable_end());
  for (Pending& each : pending_) {
    finished_.push_back(
        {std::move(each.reply), error(Fault::closed, "the broker was closed", Outcome::unknown)});
  }
  pending_.clear();
  wake_waiters(0, true, done);
  const std::size_t before = tail_.bytes();
  tail_.clear(done.dropped);
  account_tail(before);
  give_write_baton(done);
  lock.unlock();
  done.wakeups.run();
  reply_all();
  return end;
}

template <FileSystem Fs>
void BasicPartition<Fs>::remove(SteadyTime deadline) {
  const Ref<BasicPartition> alive(this);
  After done;
  Lock lock(mutex_);
  if (state_ == State::removed) {
    return;
  }
  state_ = State::removed;
  const bool mine = take_write_baton(deadline);
  for (Pending& each : pending_) {
    finished_.push_back({std::move(each.reply), refusal()});
  }
  pending_.clear();
  if (mine) {
    staged_.drop(done.failed);
    next_offset_ = log_.end();
  }
  const std::size_t before = tail_.bytes();
  tail_.clear(done.dropped);
  account_tail(before);
  wake_waiters(0, true, done);
  if (mine) {
    give_write_baton(done);
  }
  lock.unlock();
  done.wakeups.run();
  reply_all();
}

}  // namespace ottla::inline OTTLA_ABI
