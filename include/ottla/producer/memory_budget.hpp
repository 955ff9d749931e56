// SPDX-License-Identifier: Apache-2.0
//
// `buffer.memory`: how many bytes of unsent batches a producer may hold. Who finds too few left
// waits in turn, first come first served, until others give back or his deadline passes. Source:
// Kafka's buffer pool, spec producer_txn.md section 2.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/env/world.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe; its lock is a leaf.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::int64_t bytes) : total_(bytes), free_(bytes) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  /// Takes `bytes` at once, or false. Never overtakes somebody who waits.
  bool try_take(std::int64_t bytes);
  /// Takes `bytes`, waiting in `world` until `deadline`: `timed_out` when it passes (not_written,
  /// retriable), MESSAGE_TOO_LARGE when it is more than there is in all, `closed` after close().
  /// `no_memory` where there is none to wait with. `meanwhile` is called once, in the queue and
  /// before any waiting: to send what holds memory.
  absl::Status take(std::int64_t bytes, World& world, SteadyTime deadline,
                    absl::FunctionRef<void()> meanwhile);
  void give_back(std::int64_t bytes) noexcept;
  /// Ends every wait, now and later, with `closed`.
  void close() noexcept;

  std::int64_t total() const { return total_; }
  std::int64_t available() const;
  /// Somebody waits: batches should be sent though they are not full.
  bool exhausted() const { return waiting_.load() != 0; }

 private:
  struct Waiting final : Counted {
    explicit Waiting(std::int64_t wanted) : bytes(wanted) {}

    const std::int64_t bytes;
    Doorbell bell;
    bool granted = false;  // guarded by mutex_
  };
  using Queue = std::list<Ref<Waiting>>;

  /// Takes those who fit from the head of the queue: to be rung once unlocked.
  Queue grant() noexcept OTTLA_REQUIRES(mutex_);
  static void ring(const Queue& these) noexcept;

  const std::int64_t total_;
  mutable Mutex mutex_{Mutex::Kind::leaf};
  std::int64_t free_ OTTLA_GUARDED_BY(mutex_);
  bool closed_ OTTLA_GUARDED_BY(mutex_) = false;
  Queue queue_ OTTLA_GUARDED_BY(mutex_);
  std::atomic<std::size_t> waiting_{0};  // the queue's size
};

/// Gives `bytes` back at the end of its scope.
struct GivenBack {
  GivenBack(MemoryBudget& of, std::int64_t bytes_taken) : budget(of), bytes(bytes_taken) {}
  GivenBack(const GivenBack&) = delete;
  GivenBack& operator=(const GivenBack&) = delete;
  ~GivenBack() {
    if (bytes != 0) [[unlikely]] {
      budget.give_back(bytes);
    }
  }

  MemoryBudget& budget;
  std::int64_t bytes;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/producer/impl/memory_budget.ipp>
#endif
