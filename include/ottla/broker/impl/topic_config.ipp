// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/broker/topic_config.hpp>
#include <ottla/record/compression.hpp>

namespace ottla::inline OTTLA_ABI {
namespace broker_impl {

struct KeyNotThere {
  std::string_view name;
  std::string_view harmless;  ///< the value that asks for nothing
};
inline constexpr KeyNotThere keys_not_there[] = {
    {"remote.storage.enable", "false"},   {"unclean.leader.election.enable", "false"},
    {"local.retention.ms", "-2"},         {"local.retention.bytes", "-2"},
    {"remote.log.copy.disable", "false"}, {"remote.log.delete.on.disable", "false"},
    {"flush.ms", "9223372036854775807"}};

}  // namespace broker_impl

OTTLA_INLINE absl::Status set_config(TopicConfig& config, std::string_view name,
                                     std::string_view value) {
  for (const broker_impl::KeyNotThere& known : broker_impl::keys_not_there) {
    if (name == known.name) {
      return value == known.harmless
                 ? absl::OkStatus()
                 : error(ErrorCode::invalid_config, Fault::unsupported,
                         absl::StrCat(av(name), "=", av(value), " is not there yet; leave it at ",
                                      av(known.harmless)));
    }
  }
  return set_config<TopicConfig>(config, name, value);
}

OTTLA_INLINE absl::StatusOr<TopicConfig> resolve_topic_config(
    const TopicConfig& defaults, const std::map<std::string, std::string>& own) {
  TopicConfig config = defaults;
  for (const auto& [key, value] : own) {
    OTTLA_TRY(set_config(config, key, value));
  }
  if (config.min_compaction_lag > config.log.max_compaction_lag) {
    return error(ErrorCode::invalid_config, Fault::invalid_argument,
                 "min.compaction.lag.ms is above max.compaction.lag.ms; lower it");
  }
  if (!(config.min_cleanable_dirty_ratio >= 0 && config.min_cleanable_dirty_ratio <= 1)) {
    return bad_config_value("min.cleanable.dirty.ratio",
                            print_config_double(config.min_cleanable_dirty_ratio),
                            "must be between 0 and 1");
  }
  if (config.flush_messages == 1 && config.visibility == Visibility::at_once) {
    return error(ErrorCode::invalid_config, Fault::invalid_argument,
                 "flush.messages=1 shows consumers what is on the device only; leave "
                 "ottla.visibility at written, or flush.messages at its default");
  }
  if (config.compression != TopicCompression::producer) {
    OTTLA_TRY(check_codec(static_cast<CompressionType>(config.compression)));
  }
  OTTLA_TRY(check_level(CompressionType::gzip, config.gzip_level));
  config.log.delete_old = config.cleanup == CleanupPolicy::remove ||
                          config.cleanup == CleanupPolicy::compact_and_remove;
  config.log.compact = config.cleanup == CleanupPolicy::compact ||
                       config.cleanup == CleanupPolicy::compact_and_remove;
  return config;
}

OTTLA_INLINE absl::Status check_replication(const TopicConfig& config, std::int32_t replicas) {
  return config.min_insync_replicas <= replicas
             ? absl::OkStatus()
             : error(ErrorCode::invalid_config, Fault::invalid_argument,
                     absl::StrCat("min.insync.replicas=", config.min_insync_replicas,
                                  " is above the replication factor, ", replicas,
                                  ": nothing sent with acks=all would be taken; leave it at 1 (for "
                                  "records on the device use flush.messages=1)"));
}

}  // namespace ottla::inline OTTLA_ABI
