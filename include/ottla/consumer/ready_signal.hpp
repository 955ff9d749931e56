// SPDX-License-Identifier: Apache-2.0
//
// What wakes a consumer: rings the bell that its poll waits for, and tells the program's event loop
// that polling is worth while.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/wakeups.hpp>
#include <ottla/env/world.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe.
class ReadySignal final : public Wakeable {
 public:
  void wake() noexcept override;
  /// The polling thread's.
  Doorbell& bell() { return bell_; }

  /// Called by each wake, from any thread, without a lock; what it throws is dropped. Empty: nobody
  /// is. A call of the one before may be under way.
  void set_callback(std::function<void()> callback);
  /// No call begins any more. Waits until none is under way, until `deadline` at most, and not at
  /// all in a callback.
  void drop_callback(World& world, SteadyTime deadline);
  bool has_callback() const { return has_callback_.load(std::memory_order_acquire); }

 private:
  Doorbell bell_;
  std::atomic<bool> has_callback_{false};
  Mutex mutex_{Mutex::Kind::leaf};
  std::shared_ptr<const std::function<void()>> callback_ OTTLA_GUARDED_BY(mutex_);
  int calls_ OTTLA_GUARDED_BY(mutex_) = 0;  // under way
  Ref<Doorbell> idle_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/consumer/impl/ready_signal.ipp>
#endif
