// SPDX-License-Identifier: Apache-2.0
//
// What a partition leaves to be done without its lock.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/shared_bytes.hpp>
#include <ottla/base/wakeups.hpp>
#include <ottla/log/hot_tail.hpp>

namespace ottla::inline OTTLA_ABI::broker_impl {

struct AfterLock {
  std::array<Ref<Wakeable>, 8> woken;
  std::size_t woken_count = 0;
  std::vector<Ref<Doorbell>> bells;
  HotTail tail;
  HotTail::Dropped dropped;
  std::vector<SharedBytes> failed;
  bool arm = false;      // the timer
  bool seal = false;     // closed segments are to be synced
  bool replies = false;  // some are to be given
  absl::Status problem;  // an event
  std::string_view code;
};

}  // namespace ottla::inline OTTLA_ABI::broker_impl
