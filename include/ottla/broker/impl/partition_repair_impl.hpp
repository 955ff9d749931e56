// SPDX-License-Identifier: Apache-2.0
//
// A partition whose log is repaired: another log, of the same files, takes its place.
#pragma once

#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/impl/partition_memory.hpp>
#include <ottla/broker/partition.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
LeaderEpoch BasicPartition<Fs>::epoch() const {
  Lock lock(mutex_);
  return epoch_;
}

template <FileSystem Fs>
std::optional<Offset> BasicPartition<Fs>::recovered_end() const {
  Lock lock(mutex_);
  return recovered_end_;
}

/// What was there before is in `reopened`, to be let go without the lock.
template <FileSystem Fs>
void BasicPartition<Fs>::take_log(ReopenedLog<Fs>& reopened, AfterLock& todo) {
  std::swap(log_, reopened.log);
  const bool whole = log_.damage() == nullptr;
  if (whole) {
    epoch_ = reopened.epoch;
    recovered_end_ = log_.end();
    cut_ = reopened.cut;
    log_.assign_epoch(epoch_);
  }
  broker_impl::drop_staged(staged_, todo.failed);  // what could not be written
  kept_for_ = absl::OkStatus();
  shown_ = next_offset_ = log_.end();
  replies_.fail_all(error(ErrorCode::kafka_storage_error,
                          "the log was repaired before the records were on the device",
                          Outcome::unknown));
  const auto replicated = replicated_end();
  repair_failed_ = guarded([&] { log_.publish(replicated); });
  copy_producers();
  drop_tail(todo);
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::repair(absl::FunctionRef<absl::StatusOr<ReopenedLog<Fs>>()> reopen,
                                        absl::FunctionRef<absl::Status()> afterwards,
                                        SteadyTime deadline) {
  AfterLock todo;
  Lock lock(mutex_);
  if (state_ != State::open || abandoned_) {
    return refusal();
  }
  if (std::exchange(repairing_, true)) {
    return error(ErrorCode::kafka_storage_error, Fault::locked,
                 "somebody else repairs this partition just now");
  }
  if (!wait_until_alone(deadline)) {
    repairing_ = false;
    return too_slow("the disk is busy; try again");
  }
  syncing_ = true;
  write_all().IgnoreError();  // what was staged before; replies tell
  absl::Status repaired = state_ == State::open ? absl::OkStatus() : refusal();
  lock.unlock();
  absl::StatusOr<ReopenedLog<Fs>> reopened =
      repaired.ok() ? guarded([&] { return reopen(); })
                    : absl::StatusOr<ReopenedLog<Fs>>(std::move(repaired));
  lock.lock();
  if (reopened.ok()) {
    repaired = std::move(reopened->status);
    take_log(*reopened, todo);
    waiters_.make_due();  // records may be elsewhere
  } else {
    repaired = reopened.status();
    const bool unchanged = fault(repaired) == Fault::invalid_argument || state_ != State::open;
    repair_failed_ = unchanged ? repair_failed_ : guarded([&] {
      return error(ErrorCode::kafka_storage_error, fault(repaired),
                   absl::StrCat(options_.partition.to_string(), ": its repair came to no end: ",
                                repaired.message(), "; repair it again"));
    });
  }
  syncing_ = false;
  AfterLock synced;
  synced.bells.swap(sync_bells_);
  settle(todo);
  give_write_baton(todo);
  lock.unlock();
  carry_out(synced);
  carry_out(todo);
  if (reopened.ok() && repaired.ok()) {
    repaired = guarded([&] { return afterwards(); });
  }
  lock.lock();
  repairing_ = false;
  return repaired;
}

}  // namespace ottla::inline OTTLA_ABI
