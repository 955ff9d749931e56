// SPDX-License-Identifier: Apache-2.0
//
// Retention in the background: of all partitions once in the interval, of those that others were
// writing a second later.
#pragma once

#include <algorithm>
#include <utility>

#include <ottla/base/status.hpp>
#include <ottla/broker/broker_core.hpp>

namespace ottla::inline OTTLA_ABI {

template <Env E>
void BasicBrokerCore<E>::retain(const Ref<Partition>& partition) {
  if (!partition || closed_.load()) {
    return;
  }
  const auto late = partition->tick([&](Offset start) { return save_start(*partition, start); });
  if (late.ok() && *late) {
    unretained_.push_back(partition);
  }
  if (!late.ok() && !partition->is_closed()) {
    events_->tell(EventLevel::error, "retention_failed", partition->partition().to_string(),
                  sv(late.status().message()));
  }
}

template <Env E>
Duration BasicBrokerCore<E>::retention() {
  const std::vector<Ref<Partition>> late = std::exchange(unretained_, {});
  if (world_.steady_now() < retention_due_) {
    std::for_each(late.begin(), late.end(), [&](const auto& partition) { retain(partition); });
  } else {
    for (const Ref<Topic>& topic : topics_.all()) {
      for (const Ref<Partition>& partition : topic->partitions) {
        retain(partition);
      }
    }
    retention_due_ = after(world_.steady_now(), config_.retention_check_interval);
  }
  const std::chrono::nanoseconds left = retention_due_ - world_.steady_now();
  return unretained_.empty() ? left
                             : std::min<std::chrono::nanoseconds>(left, std::chrono::seconds(1));
}

}  // namespace ottla::inline OTTLA_ABI
