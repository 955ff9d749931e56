// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a log besides being written and read: retention, rest, the end.
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/impl/partition_memory.hpp>
#include <ottla/broker/partition.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
typename BasicPartition<Fs>::Ends BasicPartition<Fs>::current_ends() const {
  if (last_ends_) {
    return *last_ends_;
  }
  return {log_.start(), log_.end(), std::min(visible(), log_.end()), log_.durable_end(),
          log_.damage() == nullptr && !repairing_ && repair_failed_.ok()
              ? std::optional(log_.recovery_point())
              : std::nullopt};
}

template <FileSystem Fs>
typename BasicPartition<Fs>::Ends BasicPartition<Fs>::ends() const {
  Lock lock(mutex_);
  return current_ends();
}

template <FileSystem Fs>
std::vector<EpochStart> BasicPartition<Fs>::epochs() const {
  Lock lock(mutex_);
  if (last_ends_) {
    return {};
  }
  const auto entries = log_.epochs().entries();
  return {entries.begin(), entries.end()};
}

template <FileSystem Fs>
PartitionMetrics BasicPartition<Fs>::metrics() const {
  Lock lock(mutex_);
  PartitionMetrics now = metrics_;
  now.bytes = written_bytes_;
  now.staged_bytes = staged_.bytes();
  now.tail_bytes = tail_.bytes();
  now.waiters = waiters_.size();
  return now;
}

template <FileSystem Fs>
void BasicPartition<Fs>::account_tail(std::size_t before) {
  tails_->used.fetch_add(
      static_cast<std::int64_t>(tail_.bytes()) - static_cast<std::int64_t>(before),
      std::memory_order_relaxed);
}

template <FileSystem Fs>
void BasicPartition<Fs>::drop_tail(AfterLock& todo) {
  const std::size_t before = tail_.bytes();
  std::swap(todo.tail, tail_);
  account_tail(before);
}

template <FileSystem Fs>
void BasicPartition<Fs>::rest() {
  AfterLock todo;
  Lock lock(mutex_);
  if (std::exchange(used_, false)) {
    return;
  }
  drop_tail(todo);
  if (staged_.empty()) {
    staged_.release_memory();
  }
  if (replies_.empty()) {
    replies_.release_memory();
  }
  if (waiters_.empty()) {
    waiters_.release_memory();
  }
  if (last_ends_) {
    return;  // whoever closes has the log
  }
  const auto view = log_.view();
  lock.unlock();
  view.rest();
}

// ── files ─────────────────────────────────────────────────────────────────────────────────────

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::with_files(SteadyTime deadline,
                                            absl::FunctionRef<absl::Status()> work) {
  AfterLock todo;
  Lock lock(mutex_);
  OTTLA_TRY(refusal());
  if (absl::Status taken = take_write_baton(deadline); !taken.ok()) {
    return fault(taken) != Fault::timed_out ? taken : guarded([&] {
      return error(Fault::timed_out,
                   absl::StrCat(options_.partition.to_string(), ": the disk is busy; try again"));
    });
  }
  absl::Status worked = refusal();
  if (worked.ok()) {
    lock.unlock();
    worked = guarded([&] { return work(); });
    lock.lock();
    const auto replicated = replicated_end();
    worked.Update(guarded([&] { log_.publish(replicated); }));
  }
  give_write_baton(todo);
  lock.unlock();
  carry_out(todo);
  lock.lock();
  if (may_write() && state_ == State::open && wants_write()) {
    write_staged();  // what came meanwhile
  }
  return worked;
}

/// With the write baton. Before: start <= the high watermark.
template <FileSystem Fs>
absl::Status BasicPartition<Fs>::take_files_away(Checkpoint checkpoint, Offset start) {
  OTTLA_TRY(checkpoint(start));  // nobody sees a start that a crash would take back
  OTTLA_TRY(log_.raise_start(start, log_.end()));
  {
    // Who is told that an offset is gone finds the start above it, however long the disk takes.
    Lock lock(mutex_);
    log_.publish(replicated_end());
  }
  const SteadyTime now = world_.steady_now();
  OTTLA_ASSIGN(const int deleted, log_.delete_segments(start, now));
  if (deleted > 0) {
    remove_files_at(after(now, options_.config.log.file_delete_delay));
  }
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::StatusOr<bool> BasicPartition<Fs>::tick(Checkpoint checkpoint) {
  // Long enough for a write-out; a disk that hangs longer is left alone.
  const SteadyTime deadline = after(world_.steady_now(), std::chrono::milliseconds(20));
  const Offset high_watermark = ends().visible;
  const absl::Status ticked = with_files(deadline, [&]() -> absl::Status {
    const LogConfig& config = options_.config.log;
    const auto old_by = config.delete_old && config.retention
                            ? options_.now_for(*config.retention, world_)
                            : std::optional<Timestamp>();
    OTTLA_ASSIGN(const Offset start,
                 log_.retention_start(high_watermark, old_by.value_or(world_.wall_now()),
                                      old_by.has_value()));
    OTTLA_TRY(take_files_away(checkpoint, start));
    OTTLA_TRY(log_.repair_indexes().status());
    const auto idle_by = options_.now_for(options_.producer_id_expiration, world_);
    if (idle_by) {
      log_.remove_expired_producers(*idle_by);
    }
    const bool lost = [&] {
      Lock lock(mutex_);
      if (idle_by) {
        producers_.remove_expired(*idle_by, options_.producer_id_expiration);
      }
      return !removing_;
    }();
    // A task that there was no memory for is made up for here.
    return lost ? remove_some(world_.steady_now()) : absl::OkStatus();
  });
  const bool late = fault(ticked) == Fault::timed_out;
  return ticked.ok() || late || fault(ticked) == Fault::closed ? absl::StatusOr<bool>(late)
                                                               : ticked;
}

template <FileSystem Fs>
absl::StatusOr<Offset> BasicPartition<Fs>::delete_records(Offset before, Checkpoint checkpoint,
                                                          SteadyTime deadline) {
  if (!options_.config.log.delete_old) {
    return error(ErrorCode::policy_violation,
                 absl::StrCat("cleanup.policy of ", options_.partition.topic,
                              " has no \"delete\": its records go by compaction"));
  }
  if (at_once() && (before == Offset(-1) || before > ends().end)) {
    OTTLA_TRY(write_out(Durability::written, deadline));  // what is deleted is in the log
  }
  const Offset high_watermark = ends().visible;
  const Offset start = before == Offset(-1) ? high_watermark : before;
  const absl::Status deleted = with_files(deadline, [&]() -> absl::Status {
    if (start > high_watermark || start < Offset(0)) {
      return log_.raise_start(start, high_watermark);  // says why not
    }
    return take_files_away(checkpoint, std::max(start, log_.start()));
  });
  OTTLA_TRY(deleted);
  return ends().start;
}

template <FileSystem Fs>
void BasicPartition<Fs>::remove_files_at(SteadyTime when) {
  {
    Lock lock(mutex_);
    if (std::exchange(removing_, true)) {
      return;
    }
  }
  const absl::Status posted = guarded([&] {
    world_.post_at(
        when, [self = Ref<BasicPartition>(this)] { self->remove_files(); }, options_.lane);
  });
  if (!posted.ok()) {
    Lock lock(mutex_);
    removing_ = false;  // the next tick sees to it
  }
}

/// With the write baton.
template <FileSystem Fs>
absl::Status BasicPartition<Fs>::remove_some(SteadyTime now) {
  OTTLA_ASSIGN(const std::optional<SteadyTime> next, log_.remove_deleted(now));
  if (next) {
    remove_files_at(std::max(*next, after(now, std::chrono::milliseconds(1))));
  }
  return absl::OkStatus();
}

template <FileSystem Fs>
void BasicPartition<Fs>::remove_files() {
  {
    Lock lock(mutex_);
    removing_ = false;
  }
  const SteadyTime now = world_.steady_now();
  const absl::Status removed =
      with_files(after(now, std::chrono::milliseconds(20)), [&] { return remove_some(now); });
  if (fault(removed) == Fault::timed_out || fault(removed) == Fault::no_memory) {
    remove_files_at(after(now, std::chrono::seconds(1)));
  }
}

// ── the end ───────────────────────────────────────────────────────────────────────────────────

/// Both batons are this thread's. The write baton is kept.
template <FileSystem Fs>
bool BasicPartition<Fs>::wait_until_alone(SteadyTime deadline) {
  if (!take_write_baton(deadline).ok()) {
    return false;
  }
  while (syncing_) {
    if (!wait_for(sync_bells_, deadline, "the disk did not sync in time").ok()) {
      AfterLock given;
      give_write_baton(given);
      mutex_.unlock();
      carry_out(given);
      mutex_.lock();
      return false;
    }
  }
  return true;
}

template <FileSystem Fs>
absl::StatusOr<CleanEnd> BasicPartition<Fs>::close(SteadyTime deadline,
                                                   absl::FunctionRef<void()> make_room) {
  AfterLock todo;
  Lock lock(mutex_);
  if (state_ != State::open) {
    return refusal();
  }
  state_ = State::closing;
  if (!wait_until_alone(deadline)) {
    lock.unlock();
    abandon();
    return closed_late();
  }
  const absl::Status failed = write_all();
  const absl::Status lost = shown_ > log_.end() ? failed : absl::OkStatus();
  last_ends_ = current_ends();  // nobody but this thread looks at the log from now on
  const absl::Status unrepaired = repair_failed_;
  lock.unlock();
  absl::StatusOr<CleanEnd> end = guarded([&]() -> absl::StatusOr<CleanEnd> {
    OTTLA_TRY(unrepaired);
    absl::StatusOr<CleanEnd> closed = log_.close();
    if (fault(closed.status()) == Fault::no_space) {
      make_room();
      closed = log_.close();
    }
    return closed;
  });
  lock.lock();
  state_ = State::closed;
  if (end.ok()) {
    last_ends_->recovery_point = last_ends_->durable = last_ends_->end;
    replies_.settle(last_ends_->end, last_ends_->end);
  }
  replies_.fail_all(error(ErrorCode::not_leader_or_follower, Fault::closed,
                          "the broker was closed before the records were on the device",
                          Outcome::unknown));
  drop_tail(todo);
  settle(todo);
  give_write_baton(todo);
  lock.unlock();
  carry_out(todo);
  // Not clean where what was seen is lost: commits behind the end have to be brought down.
  return lost.ok() ? std::move(end) : lost;
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::closed_late() const {
  return too_slow("the disk did not answer before the deadline of closing; the next open recovers");
}

template <FileSystem Fs>
void BasicPartition<Fs>::abandon() {
  const absl::Status late = closed_late();
  AfterLock todo;
  AfterLock syncs;
  Lock lock(mutex_);
  if (state_ == State::closed || state_ == State::removed) {
    return;
  }
  abandoned_ = true;
  replies_.fail_all(late);
  settle(todo);
  todo.bells.swap(write_bells_);
  syncs.bells.swap(sync_bells_);
  lock.unlock();
  carry_out(todo);
  carry_out(syncs);
}

template <FileSystem Fs>
bool BasicPartition<Fs>::is_busy() const {
  Lock lock(mutex_);
  return writing_ || syncing_;
}

template <FileSystem Fs>
bool BasicPartition<Fs>::is_closed() const {
  Lock lock(mutex_);
  return state_ == State::closed || state_ == State::removed;
}

template <FileSystem Fs>
bool BasicPartition<Fs>::wait_until_idle(SteadyTime deadline) {
  Lock lock(mutex_);
  while (writing_ || syncing_) {
    if (!wait_for(writing_ ? write_bells_ : sync_bells_, deadline, "the disk is busy").ok()) {
      return false;
    }
  }
  return true;
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::remove(SteadyTime deadline) {
  AfterLock todo;
  Lock lock(mutex_);
  if (state_ != State::open) {
    return state_ == State::removed ? absl::OkStatus() : refusal();
  }
  state_ = State::removed;
  const bool alone = wait_until_alone(deadline);
  if (alone) {
    broker_impl::drop_staged(staged_, todo.failed);
    next_offset_ = log_.end();
    replies_.fail(next_offset_, refusal());
  }
  const absl::Status gone = refusal();
  replies_.fail_all(error(error_code(gone), fault(gone), sv(gone.message()), Outcome::unknown));
  drop_tail(todo);
  settle(todo);
  if (alone) {
    give_write_baton(todo);
  }
  lock.unlock();
  carry_out(todo);
  return alone ? absl::OkStatus() : too_slow("the disk still works on records of a deleted topic");
}

}  // namespace ottla::inline OTTLA_ABI
