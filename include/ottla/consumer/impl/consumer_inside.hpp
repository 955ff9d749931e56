// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ottla/base/status.hpp>
#include <ottla/consumer/consumer_core.hpp>

namespace ottla::inline OTTLA_ABI {

class ConsumerCore::Inside {
 public:
  explicit Inside(ConsumerCore& core) : core_(core) {
    const std::uint64_t me = token();
    std::uint64_t nobody = 0;
    entered_ = core.inside_.compare_exchange_strong(nobody, me, std::memory_order_acquire);
    ok_ = entered_ || nobody == me;  // a listener of ours calls from within
  }
  ~Inside() {
    if (entered_) {
      core_.inside_.store(0, std::memory_order_release);
    }
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  absl::Status status() const {
    return ok_ ? core_.usable()
               : error(Fault::wrong_thread,
                       "a consumer is for one thread at a time, and another one is inside: give "
                       "each thread a consumer of its own");
  }

 private:
  /// An address that only this thread has.
  static std::uint64_t token() {
    thread_local char mine = 0;
    return reinterpret_cast<std::uintptr_t>(&mine);
  }

  ConsumerCore& core_;
  bool entered_ = false;
  bool ok_ = false;
};

}  // namespace ottla::inline OTTLA_ABI
