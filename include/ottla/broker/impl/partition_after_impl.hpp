// SPDX-License-Identifier: Apache-2.0
//
// What follows once the lock is released: who waited is woken and told.
#pragma once

#include <utility>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/impl/partition_memory.hpp>
#include <ottla/broker/partition.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
void BasicPartition<Fs>::settle(AfterLock& todo) {
  const Ends ends = current_ends();
  replies_.settle(ends.end, ends.durable);
  todo.replies = replies_.ready() && !replying_;
  todo.woken_count = waiters_.take_due(due_bytes(), todo.woken);
  if (device_due() && !timer_armed_) {
    timer_armed_ = todo.arm = true;  // nobody may come to ask for it
  }
}

/// Somebody waits for the device, and nobody is at it.
template <FileSystem Fs>
bool BasicPartition<Fs>::device_due() const {
  return state_ == State::open && !syncing_ && sync_failed_.ok() &&
         (replies_.waits_for_device(log_.end()) || visible() < log_.end());
}

template <FileSystem Fs>
void BasicPartition<Fs>::carry_out(AfterLock& todo) {
  while (todo.woken_count > 0) {
    for (std::size_t i = 0; i < todo.woken_count; ++i) {
      std::exchange(todo.woken[i], {})->wake();
    }
    if (std::exchange(todo.woken_count, 0) < todo.woken.size()) {
      break;
    }
    Lock lock(mutex_);
    todo.woken_count = waiters_.take_due(due_bytes(), todo.woken);
  }
  for (const Ref<Doorbell>& bell : todo.bells) {
    bell->ring();
  }
  if (todo.arm) {
    arm_timer(after(world_.steady_now(), options_.write_out_delay));
  }
  if (todo.seal) {
    // Without memory for the task: closed segments wait for the next flush.
    guarded([&] {
      world_.post_at(
          world_.steady_now(), [self = Ref<BasicPartition>(this)] { self->seal(); }, options_.lane);
    }).IgnoreError();
  }
  if (todo.replies) {
    deliver();
  }
  if (!todo.problem.ok() && options_.events) {
    guarded([&] {
      options_.events->tell(EventLevel::error, todo.code, options_.partition.to_string(),
                            sv(todo.problem.message()));
    }).IgnoreError();
  }
}

/// One thread at a time, so that replies keep the order of their batches.
template <FileSystem Fs>
void BasicPartition<Fs>::deliver() {
  bool mine = false;
  for (;;) {
    Lock lock(mutex_);
    if (replying_ != mine) {
      return;
    }
    ReplyQueue::Taken entries = replies_.take();
    mine = replying_ = !entries.empty();
    if (!mine) {
      return;
    }
    const Offset start = current_ends().start;
    lock.unlock();
    for (ReplyQueue::Entry& each : entries) {
      ReplyQueue::Entry entry = std::move(each);
      if (entry.problem.ok()) {
        entry.reply->done(ProduceResponse{entry.base, entry.append_time, start}, {});
      } else {
        entry.reply->done(std::move(entry.problem), broker_impl::batch_again(entry.refused));
      }
    }
  }
}

template <FileSystem Fs>
void BasicPartition<Fs>::wake_due() {
  AfterLock todo;
  todo.woken_count = waiters_.take_due(due_bytes(), todo.woken);
  mutex_.unlock();
  carry_out(todo);
  mutex_.lock();
}

}  // namespace ottla::inline OTTLA_ABI
