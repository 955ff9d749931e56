// SPDX-License-Identifier: Apache-2.0
//
// Outcomes of sent records, from whichever thread brings them to the one that waits for them.
#pragma once

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

  void add(const ottla::Delivery& delivery) {
    const std::lock_guard lock(mutex_);
    if (outcomes_.empty()) {
      ::eventfd_write(bell_, 1);
    }
    outcomes_.push_back({delivery.tag, delivery.offset.status()});
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
  std::mutex mutex_;
  std::vector<Outcome> outcomes_;
};

}  // namespace console
