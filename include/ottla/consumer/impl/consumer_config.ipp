// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/consumer/consumer_config.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE absl::Status check_consumer_config(const ConsumerConfig& config) {
  OTTLA_TRY(check_config(config));
  const auto refuse = [](std::string_view why) {
    return error(ErrorCode::invalid_config, Fault::invalid_argument, why);
  };
  if (config.group.empty() && !config.topics.empty()) {
    return refuse("topics are subscribed by a group: set group.id, or assign partitions instead");
  }
  if (config.heartbeat_interval >= config.session_timeout) {
    return refuse(absl::StrCat("heartbeat.interval.ms (", config.heartbeat_interval.count(),
                               ") must be below session.timeout.ms (",
                               config.session_timeout.count(), "); a third of it is usual"));
  }
  if (config.assignors.empty()) {
    return refuse("partition.assignment.strategy is empty: name one, e.g. range");
  }
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
