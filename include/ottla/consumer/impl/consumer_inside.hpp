// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/consumer/consumer_core.hpp>
#include <ottla/consumer/impl/partition_lists.hpp>

namespace ottla::inline OTTLA_ABI {

class ConsumerCore::Inside {
 public:
  explicit Inside(ConsumerCore& core) : core_(core), alive_(&core) {
    const std::uint64_t me = token();
    std::uint64_t nobody = 0;
    entered_ = core.inside_.compare_exchange_strong(nobody, me, std::memory_order_acquire);
    is_mine_ = entered_ || nobody == me;  // a listener of ours calls from within
  }
  ~Inside() {
    if (entered_) {
      core_.inside_.store(0, std::memory_order_release);
    }
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  /// Ok where this call may go on.
  absl::Status status() const { return is_mine_ ? core_.usable() : wrong_thread(); }
  /// The same for a call that must not come from a listener of this consumer.
  absl::Status outermost(std::string_view call) const {
    if (is_mine_ && !entered_) {
      return error(Fault::would_deadlock,
                   absl::StrCat(av(call),
                                " was called by a callback of this consumer, in the "
                                "middle of another call; call it after that has returned"));
    }
    return status();
  }
  bool is_mine() const { return is_mine_; }
  static absl::Status wrong_thread() {
    return error(Fault::wrong_thread,
                 "a consumer is for one thread at a time, and another one is inside: give each "
                 "thread a consumer of its own");
  }

 private:
  /// An address that only this thread has.
  static std::uint64_t token() {
    thread_local constinit char mine = 0;
    return reinterpret_cast<std::uintptr_t>(&mine);
  }

  ConsumerCore& core_;
  const Ref<ConsumerCore> alive_;  // though a listener drops the consumer
  bool entered_ = false;
  bool is_mine_ = false;
};

}  // namespace ottla::inline OTTLA_ABI
