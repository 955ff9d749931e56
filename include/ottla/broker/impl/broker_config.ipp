// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/broker/broker_config.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE absl::Status check_broker_config(const BrokerConfig& config) {
  const std::vector<std::string>& paths = config.log_dirs.paths();
  if (paths.empty() || std::count(paths.begin(), paths.end(), "") > 0) {
    return error(ErrorCode::invalid_config, Fault::invalid_argument,
                 "log_dirs is empty: name a directory, or ottla::in_memory");
  }
  if (config.threads < 0 || config.threads > 1024) {
    return error(ErrorCode::invalid_config, Fault::invalid_argument,
                 absl::StrCat("threads is ", config.threads,
                              ": 0 to 1024 (0 starts none, the program calls run_once)"));
  }
  OTTLA_TRY(check_config(config));
  if (config.access == Access::read_only && config.log_dirs.in_memory()) {
    return error(ErrorCode::invalid_config, Fault::invalid_argument,
                 "in memory there is nothing to be read: access is read_write, or log_dirs a path");
  }
  if (config.follow_interval.count() < 1) {
    return error(ErrorCode::invalid_config, Fault::invalid_argument,
                 "follow_interval is 1 ms at least");
  }
  if (std::min({config.hot_tail_bytes, config.hot_tail_partition_bytes, config.staged_bytes,
                std::int64_t{config.group_max_member_metadata},
                std::int64_t{config.write_out_delay.count()},
                std::int64_t{config.close_timeout.count()}}) < 0) {
    return error(ErrorCode::invalid_config, Fault::invalid_argument,
                 "hot_tail_bytes, hot_tail_partition_bytes, staged_bytes, "
                 "group_max_member_metadata, write_out_delay and close_timeout are 0 at least");
  }
  if (config.group_min_session_timeout > config.group_max_session_timeout) {
    return error(ErrorCode::invalid_config, Fault::invalid_argument,
                 "group.min.session.timeout.ms is above group.max.session.timeout.ms; lower it");
  }
  const CleanerConfig& cleaner = config.cleaner;
  if (!(cleaner.min_cleanable_ratio >= 0 && cleaner.min_cleanable_ratio <= 1)) {
    return error(ErrorCode::invalid_config, Fault::invalid_argument,
                 "log.cleaner.min.cleanable.ratio is between 0 and 1");
  }
  if (!(cleaner.load_factor > 0 && cleaner.load_factor <= 1 &&
        cleaner.io_max_bytes_per_second > 0)) {
    return error(ErrorCode::invalid_config, Fault::invalid_argument,
                 "log.cleaner.io.buffer.load.factor is above 0 and 1 at most, "
                 "log.cleaner.io.max.bytes.per.second above 0");
  }
  if (!(config.scrubber.interval.count() >= 0 && config.scrubber.max_bytes_per_second > 0)) {
    return error(ErrorCode::invalid_config, Fault::invalid_argument,
                 "log.scrubber.interval.ms is 0 at least, log.scrubber.max.bytes.per.second "
                 "above 0");
  }
  for (const std::string& path : paths) {
    if (std::count(paths.begin(), paths.end(), path) > 1) {
      return error(ErrorCode::invalid_config, Fault::invalid_argument,
                   absl::StrCat("log_dirs names '", path, "' twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
