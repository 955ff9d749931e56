// SPDX-License-Identifier: Apache-2.0
//
// Staging, and the write baton.
#pragma once

#include <algorithm>
#include <iterator>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/impl/partition_memory.hpp>
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
  if (log_.damage() == nullptr) {
    log_.assign_epoch(options_.epoch);
  }
  Lock lock(mutex_);
  epoch_ = options_.epoch;
  recovered_end_ = options_.recovered_end;
  log_.publish(replicated_end());
  copy_producers();
}

template <FileSystem Fs>
BasicPartition<Fs>::~BasicPartition() {
  tails_->used.fetch_sub(static_cast<std::int64_t>(tail_.bytes()), std::memory_order_relaxed);
  // Not closed, and the world that would have written them has ended.
  replies_.fail_all(error(ErrorCode::not_leader_or_follower, Fault::closed,
                          "the broker ended before the records were written", Outcome::unknown));
  replies_.settle(next_offset_, next_offset_);
  while (replies_.ready()) {
    for (ReplyQueue::Entry& entry : replies_.take()) {
      entry.reply->done(std::move(entry.problem), {});
    }
  }
}

// ── whether ───────────────────────────────────────────────────────────────────────────────────

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::refusal() const {
  switch (state_) {
    case State::open:
      if (!abandoned_) {
        return repair_failed_;
      }
      break;
    case State::removed:
      return guarded([&] {
        return error(ErrorCode::unknown_topic_id,
                     absl::StrCat("topic of ", options_.partition.to_string(), " was deleted"));
      });
    case State::closing:
    case State::closed:
      break;
  }
  return error(ErrorCode::not_leader_or_follower, Fault::closed,
               "the broker was closed; open it again");
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::writable() const {
  OTTLA_TRY(refusal());
  if (const Damage* damage = log_.damage(); damage != nullptr) {
    return guarded([&] {
      return error(
          ErrorCode::kafka_storage_error, Fault::corrupt,
          absl::StrCat(damage->file, " is damaged at byte ", damage->position, " (", damage->why,
                       "): what lies before it can be read, nothing is appended; repair it "
                       "(Broker::repair), restore the file from a backup, or delete the topic"));
    });
  }
  if (repairing_) {
    return error(ErrorCode::kafka_storage_error, "the partition is being repaired; try again");
  }
  if (!kept_for_.ok()) {
    const absl::Status why = kept_for_;
    return guarded([&] {
      return error(error_code(why), fault(why),
                   absl::StrCat("nothing is taken while records that consumers may have seen "
                                "cannot be written: ",
                                why.message()));
    });
  }
  if (!sync_failed_.ok()) {
    const absl::Status why = sync_failed_;
    return guarded([&] {
      return error(ErrorCode::kafka_storage_error, Fault::io,
                   absl::StrCat("nothing is appended any more: ", why.message()));
    });
  }
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::too_slow(std::string_view what) const {
  return guarded([&] {
    return error(ErrorCode::request_timed_out, Fault::timed_out,
                 absl::StrCat(options_.partition.to_string(), ": ", av(what)), Outcome::unknown);
  });
}

// ── staging ───────────────────────────────────────────────────────────────────────────────────

template <FileSystem Fs>
void BasicPartition<Fs>::produce(ProduceRequest request, BatchOrigin origin) {
  if (request.acks == Acks::none) {
    request.reply = {};
  }
  const auto checked = guarded([&]() -> absl::StatusOr<ProducedBatch> {
    OTTLA_TRY(check_replicas(request.acks, options_.config));
    return check_produced(request.batch, options_.config, world_.wall_now(), origin);
  });
  BatchHeader header = checked.ok() ? BatchHeader::parse(request.batch.bytes()) : BatchHeader();
  std::optional<BatchMetadata> repeated;
  Lock lock(mutex_);
  absl::Status refused = checked.status();
  if (refused.ok() && header.has_producer_id() && !producers_known_) {
    const SteadyTime until =
        std::min(request.deadline, after(world_.steady_now(), options_.produce_timeout));
    // Whoever holds the baton is late, not this batch: nothing of it is there.
    refused = with_outcome(learn_producers(until), Outcome::not_written);
  }
  if (refused.ok()) {
    refused = make_room(request.batch.size(), request.deadline);
  }
  if (refused.ok()) {
    refused = broker_impl::reserve_one(staged_, replies_, request.durability);
  }
  if (refused.ok() && header.has_producer_id()) {
    const auto admitted = admit(header);
    refused = admitted.status();
    repeated = admitted.ok() ? *admitted : std::nullopt;
  }
  if (fault(refused) == Fault::no_memory) {
    refused = error(Fault::no_memory, "no memory for one more batch; free some, then send again");
  }
  if (!refused.ok()) {
    ++metrics_.refused;
    lock.unlock();
    return broker_impl::refuse(request, checked.ok(), std::move(refused));
  }
  if (repeated) {
    AfterLock todo;
    stage_repeated(request, *checked, *repeated, todo);
    lock.unlock();
    carry_out(todo);
    return;
  }
  stage(request, *checked);
  const bool wanted = may_write() && wants_write();
  const bool soon = wanted && BriefScope::active();
  if (wanted && !soon) {
    write_staged();
  }
  const bool arm = !timer_armed_ && staged_.waiting_bytes() > 0;
  timer_armed_ = timer_armed_ || arm;
  lock.unlock();
  if (arm) {
    arm_timer(after(world_.steady_now(), options_.write_out_delay));
  }
  if (soon) {
    write_soon();
  }
}

/// Twelve bytes, and two entries for which there is room: nothing else is done under the lock,
/// which is let go where somebody is woken.
template <FileSystem Fs>
void BasicPartition<Fs>::stage(ProduceRequest& request, const ProducedBatch& batch) {
  used_ = true;
  const Offset base = next_offset_;
  const Offset last = base + batch.last_offset_delta;
  request.batch.stamp(base, epoch_);
  if (request.reply) {
    replies_.push(request.durability,
                  {.reply = std::move(request.reply),
                   .base = base,
                   .last = last,
                   .append_time = batch.append_time,
                   .durable = always_durable() || request.durability == Durability::durable});
  }
  const auto size = static_cast<std::int32_t>(request.batch.size());
  staged_.push(std::move(request.batch).freeze(), {base, last, batch.max_timestamp, size});
  next_offset_ = last + 1;
  if (at_once()) {
    wake_due();
  }
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::make_room(std::size_t bytes, SteadyTime asked) {
  OTTLA_TRY(writable());
  if (staged_.empty() || staged_.bytes() + bytes <= options_.staged_bytes) {
    return absl::OkStatus();
  }
  const bool brief = BriefScope::active();  // sent again once the timer has written
  const SteadyTime deadline =
      brief ? SteadyTime::min()
            : std::min(asked, after(world_.steady_now(), options_.produce_timeout));
  while (!staged_.empty() && staged_.bytes() + bytes > options_.staged_bytes) {
    if (may_write() && !brief) {
      write_staged();
    } else if (absl::Status rung = wait_to_write(deadline, "the disk does not keep up");
               !rung.ok()) {
      const std::size_t staged = staged_.bytes();
      return fault(rung) != Fault::timed_out ? rung : guarded([&] {
        return error(
            ErrorCode::request_timed_out,
            absl::StrCat(options_.partition.to_string(), ": ", staged,
                         " bytes wait to be written, the disk does not keep up; try again"));
      });
    }
    OTTLA_TRY(writable());
  }
  return absl::OkStatus();
}

template <FileSystem Fs>
bool BasicPartition<Fs>::wants_write() const {
  const std::size_t waiting = staged_.waiting_bytes();
  return state_ == State::open && kept_for_.ok() &&
         (waiting >= write_out_bytes || (waiting > 0 && !always_durable() && !at_once() &&
                                         waiters_.due(written_bytes_ + waiting)));
}

// ── the write baton ───────────────────────────────────────────────────────────────────────────

/// The lock is let go; ok when somebody rang, `late` when the deadline passed.
template <FileSystem Fs>
absl::Status BasicPartition<Fs>::wait_for(std::vector<Ref<Doorbell>>& bells, SteadyTime deadline,
                                          std::string_view late) {
  Ref<Doorbell> bell;
  OTTLA_TRY(guarded([&] {
    bell = make_ref<Doorbell>();
    bells.push_back(bell);
  }));
  mutex_.unlock();
  const absl::StatusOr<bool> rung = broker_impl::await(world_, *bell, deadline);
  mutex_.lock();
  if (rung.ok() && *rung) {
    return absl::OkStatus();
  }
  std::erase(bells, bell);
  return rung.ok() ? too_slow(late) : rung.status();
}

/// Who writes leaves the baton to those who wait to take it, but not for long: they may be late, or
/// run a task that waits for this thread.
template <FileSystem Fs>
bool BasicPartition<Fs>::may_write() const {
  return !writing_ && (taking_ == 0 || world_.steady_now() >= left_until_);
}

/// Ok when somebody wrote, or did not take what was left to him.
template <FileSystem Fs>
absl::Status BasicPartition<Fs>::wait_to_write(SteadyTime deadline, std::string_view late) {
  const bool left = !writing_ && left_until_ < deadline;
  absl::Status rung = wait_for(write_bells_, left ? left_until_ : deadline, late);
  return left && fault(rung) == Fault::timed_out ? absl::OkStatus() : rung;
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::take_write_baton(SteadyTime deadline) {
  absl::Status rung;
  ++taking_;
  while (writing_ && rung.ok()) {
    rung = wait_for(write_bells_, deadline, "the disk is busy");
  }
  --taking_;
  return std::exchange(writing_, true) ? rung : absl::OkStatus();
}

template <FileSystem Fs>
void BasicPartition<Fs>::give_write_baton(AfterLock& todo) {
  writing_ = false;
  if (taking_ > 0) {
    left_until_ = after(world_.steady_now(), std::chrono::milliseconds(10));
  }
  todo.bells.swap(write_bells_);
  if ((staged_.waiting_bytes() > 0 || device_due()) && !timer_armed_ && state_ == State::open) {
    timer_armed_ = todo.arm = true;  // the timer left it to this thread
  }
}

template <FileSystem Fs>
void BasicPartition<Fs>::write_staged() {
  // What is staged meanwhile found the baton taken. A few times: this thread has a caller, too.
  for (int i = 0; i < 4; ++i) {
    writing_ = true;
    AfterLock todo;
    write_once(todo);
    give_write_baton(todo);
    mutex_.unlock();
    carry_out(todo);
    mutex_.lock();
    if (!may_write() || !wants_write()) {
      return;
    }
  }
}

template <FileSystem Fs>
void BasicPartition<Fs>::write_once(AfterLock& todo) {
  const StagedRange range = staged_.take();
  if (range.empty()) {
    return;
  }
  mutex_.unlock();
  const SteadyTime began = world_.steady_now();
  Appended appended;
  const absl::Status tried =
      guarded([&] { appended = log_.append(range.pieces, range.facts, world_.wall_now()); });
  mutex_.lock();
  staged_since_ = began;
  const auto replicated = replicated_end();
  const absl::Status published = guarded([&] { log_.publish(replicated); });
  if (!tried.ok() || !published.ok()) {
    appended.status = tried.ok() ? published : tried;
    appended.batches = 0;
    while (appended.batches < range.facts.size() &&
           range.facts[appended.batches].last_offset < log_.end()) {
      ++appended.batches;
    }
  }
  publish_written(range, appended, todo);
}

/// Of a partition that takes no more: until nothing is staged (behind what was kept there may be
/// more), or why not. Before: the write baton is this thread's.
template <FileSystem Fs>
absl::Status BasicPartition<Fs>::write_all() {
  absl::Status failed;
  for (const auto failures = failures_;
       !staged_.empty() && failures_ == failures && state_ != State::removed;) {
    AfterLock todo;
    write_once(todo);
    failed = todo.problem;
    mutex_.unlock();
    carry_out(todo);
    mutex_.lock();
  }
  return failed;
}

template <FileSystem Fs>
void BasicPartition<Fs>::publish_written(const StagedRange& range, const Appended& appended,
                                         AfterLock& todo) {
  ++metrics_.write_outs;
  metrics_.batches += appended.batches;
  for (std::size_t i = 0; i < appended.batches; ++i) {
    written_bytes_ += static_cast<std::uint64_t>(range.facts[i].size);
  }
  if (state_ == State::open) {
    push_tail(range, appended.batches, todo);
  }
  if (appended.status.ok()) {
    staged_.written();
    kept_for_ = absl::OkStatus();
  } else if (at_once() && shown_ > log_.end() && state_ == State::open) {
    keep_staged(appended, todo);
  } else {
    fail_staged(range.facts.back().last_offset + 1, appended.status, todo);
  }
  if (!sync_failed_.ok()) {
    replies_.fail_durable(log_.end(), sync_failed_);  // it failed while this was being written
  }
  seal_later(todo);
  settle(todo);
}

/// Nothing behind a batch that failed can be written: offsets are given anew from the written end
/// on.
template <FileSystem Fs>
void BasicPartition<Fs>::fail_staged(Offset range_end, const absl::Status& why, AfterLock& todo) {
  ++metrics_.failed_write_outs;
  ++failures_;
  todo.problem = why;
  todo.code = "write_failed";
  const bool shown = shown_ > log_.end();  // and closing: it may have been read
  next_offset_ = log_.end();
  broker_impl::drop_staged(staged_, todo.failed);
  copy_producers();
  const absl::Status named = with_outcome(broker_impl::named(why, options_.partition),
                                          shown ? Outcome::unknown : outcome(why));
  // Those that were not even tried are not there for sure.
  const absl::Status behind = shown ? named : with_outcome(named, Outcome::not_written);
  const std::span<SharedBytes> batches =
      retriable(why) && !shown ? std::span<SharedBytes>(todo.failed) : std::span<SharedBytes>();
  replies_.fail(range_end, behind, batches);
  replies_.fail(next_offset_, named,
                outcome(named) == Outcome::not_written ? batches : std::span<SharedBytes>());
}

/// It has been seen: nothing else may come at its offsets, so it is written once that can be done.
template <FileSystem Fs>
void BasicPartition<Fs>::keep_staged(const Appended& appended, AfterLock& todo) {
  ++metrics_.failed_write_outs;
  ++failures_;
  if (kept_for_.ok()) {
    todo.problem = appended.status;
    todo.code = "write_failed";
  }
  kept_for_ = broker_impl::named(appended.status, options_.partition);
  staged_.keep(appended.batches);
}

template <FileSystem Fs>
void BasicPartition<Fs>::push_tail(const StagedRange& range, std::size_t batches, AfterLock& todo) {
  const std::size_t before = tail_.bytes();
  // What the others leave, but never less than a little.
  const std::int64_t left = tails_->limit - tails_->used.load(std::memory_order_relaxed) +
                            static_cast<std::int64_t>(before);
  const std::size_t least = options_.tail_bytes / 16;
  const auto budget = std::clamp(static_cast<std::size_t>(std::max<std::int64_t>(left, 0)), least,
                                 options_.tail_bytes);
  broker_impl::push_tail(tail_, range, batches, budget, todo.dropped);
  account_tail(before);
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::write_out(Durability durability, SteadyTime deadline) {
  Lock lock(mutex_);
  OTTLA_TRY(refusal());
  const Offset target = next_offset_;
  const std::uint64_t failures = failures_;
  while (log_.end() < target && failures_ == failures) {
    if (may_write()) {
      write_staged();
    } else {
      OTTLA_TRY(wait_to_write(
          deadline, "the disk did not take the records in time; they may still be written"));
    }
    OTTLA_TRY(refusal());
  }
  if (log_.end() < target && !kept_for_.ok()) {
    return with_outcome(kept_for_, Outcome::unknown);
  }
  if (durability == Durability::written && !always_durable()) {
    return absl::OkStatus();
  }
  return sync_to(std::min(target, log_.end()), deadline);
}

}  // namespace ottla::inline OTTLA_ABI
