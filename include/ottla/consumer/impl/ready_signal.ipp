// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include <ottla/base/callback_scope.hpp>
#include <ottla/base/guard.hpp>
#include <ottla/consumer/ready_signal.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE void ReadySignal::wake() noexcept {
  bell_.ring();
  if (!has_callback()) {
    return;
  }
  std::shared_ptr<const std::function<void()>> callback;
  {
    Lock lock(mutex_);
    callback = callback_;
    calls_ += callback ? 1 : 0;
  }
  if (!callback) {
    return;
  }
  {
    CallbackScope scope;
    guarded([&] { (*callback)(); }).IgnoreError();
  }
  Ref<Doorbell> idle;
  {
    Lock lock(mutex_);
    if (--calls_ == 0) {
      idle = std::exchange(idle_, {});
    }
  }
  if (idle) {
    idle->ring();
  }
}

OTTLA_INLINE void ReadySignal::drop_callback(World& world, SteadyTime deadline) {
  guarded([&] {
    set_callback({});
    const auto bell = make_ref<Doorbell>();
    {
      Lock lock(mutex_);
      if (calls_ == 0 || CallbackScope::active()) {
        return;
      }
      idle_ = bell;
    }
    world.await(*bell, deadline);
  }).IgnoreError();
}

OTTLA_INLINE void ReadySignal::set_callback(std::function<void()> callback) {
  std::shared_ptr<const std::function<void()>> next;
  if (callback) {
    next = std::make_shared<const std::function<void()>>(std::move(callback));
  }
  has_callback_.store(next != nullptr, std::memory_order_release);
  Lock lock(mutex_);
  callback_.swap(next);
  lock.unlock();  // what the old one holds is destroyed after it
}

}  // namespace ottla::inline OTTLA_ABI
