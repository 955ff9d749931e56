// SPDX-License-Identifier: Apache-2.0
//
// What nobody comes for is written and synced by a timer.
#pragma once

#include <algorithm>

#include <ottla/base/guard.hpp>
#include <ottla/broker/partition.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
void BasicPartition<Fs>::arm_timer(SteadyTime due) {
  const auto post = [&] {
    return guarded([&] {
      world_.post_at(
          due, [self = Ref<BasicPartition>(this)] { self->timer_due(); }, options_.lane);
    });
  };
  while (!post().ok() && work_off()) {
  }
}

template <FileSystem Fs>
void BasicPartition<Fs>::write_soon() {
  {
    Lock lock(mutex_);
    if (std::exchange(write_posted_, true)) {
      return;
    }
  }
  const auto write = [self = Ref<BasicPartition>(this)] {
    {
      Lock lock(self->mutex_);
      self->write_posted_ = false;
    }
    const SteadyTime deadline = after(self->world_.steady_now(), self->options_.produce_timeout);
    self->write_out(Durability::written, deadline).IgnoreError();  // replies tell
  };
  if (!guarded([&] { world_.post_at(world_.steady_now(), write, options_.lane); }).ok()) {
    Lock lock(mutex_);
    write_posted_ = false;  // the timer writes
  }
}

/// A write that failed is tried again, but not at once.
template <FileSystem Fs>
std::chrono::nanoseconds BasicPartition<Fs>::write_out_delay() const {
  constexpr std::chrono::nanoseconds retry_delay = std::chrono::milliseconds(100);
  const std::chrono::nanoseconds delay = options_.write_out_delay;
  return kept_for_.ok() ? delay : std::max(delay, retry_delay);
}

/// True when something is left to be done. A sync that is refused is left to whoever comes next.
template <FileSystem Fs>
bool BasicPartition<Fs>::work_off() {
  Lock lock(mutex_);
  if (state_ == State::open && !writing_ && staged_.waiting_bytes() > 0) {
    write_staged();
  }
  bool synced = true;
  if (device_due()) {
    const std::uint64_t refused = syncs_refused_;
    sync_once(FlushScope::data);
    synced = syncs_refused_ == refused;
  }
  const bool more = state_ == State::open && !writing_ &&
                    ((staged_.waiting_bytes() > 0 && kept_for_.ok()) || (synced && device_due()));
  timer_armed_ = more;
  return more;
}

/// Writes what waits too long. Where others have written since it was armed, that is not much, and
/// it comes again.
template <FileSystem Fs>
void BasicPartition<Fs>::timer_due() {
  const SteadyTime now = world_.steady_now();
  Lock lock(mutex_);
  if (state_ == State::open && !writing_ && staged_.waiting_bytes() > 0 &&
      after(staged_since_, write_out_delay()) <= now) {
    write_staged();
  }
  timer_armed_ = false;  // from here on it may be armed again: syncing takes its time
  if (device_due()) {
    sync_once(FlushScope::data);
  }
  if (state_ != State::open || timer_armed_ || writing_ || staged_.waiting_bytes() == 0) {
    return;  // whoever is writing arms it
  }
  timer_armed_ = true;
  SteadyTime due = after(staged_since_, write_out_delay());
  if (due <= now) {
    due = after(now, write_out_delay());  // a write-out failed, or passed its turns
  }
  lock.unlock();
  arm_timer(due);
}

}  // namespace ottla::inline OTTLA_ABI
