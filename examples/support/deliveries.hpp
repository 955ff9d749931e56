// SPDX-License-Identifier: Apache-2.0
//
// Outcomes of sent records, from whichever thread brings them to the one that waits for them.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

#include <ottla/producer/producer.hpp>

namespace console {

/// Thread-safe.
class Deliveries {
 public:
  struct Outcome {
    std::uint64_t tag;
    absl::Status status;
  };

  Deliveries() : bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  Deliveries(const Deliveries&) = delete;
  Deliveries& operator=(const Deliveries&) = delete;
  ~Deliveries() { ::close(bell_); }

  /// Whether a line failed for another reason than itself: those that follow would, too.
  bool failed() const { return failed_.load(std::memory_order_relaxed); }
  static bool is_about_the_line(const absl::Status& status) {
    return ottla::error_code(status) == ottla::ErrorCode::message_too_large;
  }

  void add(const ottla::Delivery& delivery) {
    const absl::Status status = delivery.offset.status();
    if (!status.ok() && !is_about_the_line(status)) failed_.store(true, std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    if (outcomes_.empty()) {
      ::eventfd_write(bell_, 1);
    }
    outcomes_.push_back({delivery.tag, status});
  }

  /// Those that came since the last call, in their order.
  std::vector<Outcome> take() {
    const std::lock_guard lock(mutex_);
    eventfd_t ignored = 0;
    ::eventfd_read(bell_, &ignored);
    return std::exchange(outcomes_, {});
  }

  /// Readable while there are some.
  int descriptor() const { return bell_; }

 private:
  int bell_;
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::vector<Outcome> outcomes_;
};

}  // namespace console
