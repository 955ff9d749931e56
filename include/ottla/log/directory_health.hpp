// SPDX-License-Identifier: Apache-2.0
//
// Whether a log directory may still be written to: after a sync has failed there, what the kernel
// says and what the device holds may differ, so nothing is written any more (write-ordering rule
// W5). Shared by all logs of the directory. One thing is done: whoever opens it next learns of it.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <ottla/base/ref.hpp>
#include <ottla/base/status.hpp>
#include <ottla/env/durability.hpp>

namespace ottla::inline OTTLA_ABI {

/// Of what a sync answered: it was not tried, and nothing is lost by that.
inline bool not_tried(const absl::Status& synced) {
  return fault(synced) == Fault::no_descriptors || fault(synced) == Fault::no_memory;
}

/// Thread-safe.
class DirectoryHealth final : public Counted {
 public:
  /// `withdraw`: what the first failure does, without a lock held.
  explicit DirectoryHealth(std::string directory, std::function<void()> withdraw = {})
      : directory_(std::move(directory)), withdraw_(std::move(withdraw)) {}

  bool writable() const { return !failed_.load(std::memory_order_acquire); }
  void fail() {
    if (!failed_.exchange(true, std::memory_order_acq_rel) && withdraw_ &&
        !left_.load(std::memory_order_acquire)) {
      withdraw_();
    }
  }
  /// Hands on what a sync answered. One that failed is final (W5), one that was not tried may be
  /// tried again, and where the file or directory is gone there is nothing to sync.
  absl::Status checked(absl::Status synced) {
    if (!synced.ok() && !not_tried(synced) && fault(synced) != Fault::not_found) {
      fail();
    }
    return synced;
  }
  /// Hands on what a replacement of a small file at that level answered: only where the device
  /// failed is it not known what became of it, and at the durable level that is a failed sync.
  absl::Status replaced(absl::Status answer, Durability durability) {
    const bool sync_failed = durability == Durability::durable && fault(answer) == Fault::io &&
                             outcome(answer) == Outcome::unknown;
    return sync_failed ? checked(std::move(answer)) : answer;
  }
  /// The directory may be somebody else's from now on.
  void leave() { left_.store(true, std::memory_order_release); }

  /// KAFKA_STORAGE_ERROR where it is not writable.
  absl::Status check() const {
    return writable() ? absl::OkStatus()
                      : error(ErrorCode::kafka_storage_error, Fault::io,
                              absl::StrCat(directory_,
                                           " takes no writes since a sync failed there; "
                                           "check the device, then open it again"));
  }

 private:
  const std::string directory_;
  const std::function<void()> withdraw_;
  std::atomic<bool> failed_{false};
  std::atomic<bool> left_{false};
};

}  // namespace ottla::inline OTTLA_ABI
