// SPDX-License-Identifier: Apache-2.0
//
// The sync baton: group commit, and closed segments made durable in the background.
#pragma once

#include <algorithm>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/impl/partition_memory.hpp>
#include <ottla/broker/partition.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::sync_to(Offset target, SteadyTime deadline) {
  const std::uint64_t refused = syncs_refused_;
  while (sync_failed_.ok() && log_.durable_end() < target) {
    if (syncs_refused_ != refused) {
      return sync_refused_;
    }
    if (!syncing_) {
      sync_once(FlushScope::data);
    } else {
      OTTLA_TRY(wait_for(sync_bells_, deadline,
                         "the disk did not sync in time; the records may still become durable"));
    }
    OTTLA_TRY(refusal());
  }
  return sync_failed_;
}

template <FileSystem Fs>
void BasicPartition<Fs>::sync_once(FlushScope scope) {
  syncing_ = true;
  BasicLogFlush<Fs> flush;
  absl::Status synced = guarded([&] { flush = log_.plan_flush(scope); });
  const std::uint64_t bytes = written_bytes_;
  mutex_.unlock();
  if (synced.ok() && !flush.empty()) {
    synced = guarded([&] { return flush.run(); });
  }
  mutex_.lock();
  syncing_ = false;
  ++metrics_.syncs;
  AfterLock todo;
  if (synced.ok()) {
    // What it forgets for want of memory is which segments are sealed: recovery reads them.
    guarded([&] { log_.flushed(flush); }).IgnoreError();
    durable_bytes_ = std::max(durable_bytes_, bytes);
  } else {
    // Final (W5), for whoever waits and for those who come: the pages may be gone. One that was not
    // tried is so for whoever waits.
    const bool again = not_tried(synced);
    absl::Status& failed = again ? sync_refused_ : sync_failed_;
    failed = error(ErrorCode::kafka_storage_error, again ? fault(synced) : Fault::io,
                   sv(broker_impl::named(synced, options_.partition).message()), Outcome::unknown);
    syncs_refused_ += again ? 1 : 0;
    replies_.fail_durable(log_.end(), failed);
    todo.problem = synced;
    todo.code = "sync_failed";
  }
  settle(todo);
  if (synced.ok()) {
    seal_later(todo);  // else the next write-out asks for it
  }
  todo.bells.swap(sync_bells_);
  mutex_.unlock();
  carry_out(todo);
  mutex_.lock();
}

/// Recovery after a crash of the machine reads whatever lies above the recovery point.
template <FileSystem Fs>
void BasicPartition<Fs>::seal_later(AfterLock& todo) {
  if (!sealing_ && state_ == State::open && log_.has_unsealed()) {
    sealing_ = todo.seal = true;
  }
}

template <FileSystem Fs>
void BasicPartition<Fs>::seal() {
  Lock lock(mutex_);
  sealing_ = false;
  if (state_ == State::open && sync_failed_.ok() && !syncing_ && log_.has_unsealed()) {
    sync_once(FlushScope::sealed);
  }
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::flush(FlushScope scope, SteadyTime deadline) {
  Lock lock(mutex_);
  OTTLA_TRY(refusal());
  const Offset target = log_.end();
  if (scope == FlushScope::sealed) {
    while (syncing_) {
      OTTLA_TRY(wait_for(sync_bells_, deadline, "the disk did not sync in time"));
      OTTLA_TRY(refusal());
    }
    OTTLA_TRY(sync_failed_);
    sync_once(scope);
    OTTLA_TRY(refusal());
  }
  return sync_to(target, deadline);
}

}  // namespace ottla::inline OTTLA_ABI
