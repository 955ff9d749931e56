// SPDX-License-Identifier: Apache-2.0
//
// What a topic is like, with a table of Kafka's topic keys (spec configs.md section 1): the
// broker's defaults, and over them what the topic itself says. Keys of what is not there yet are
// known and refused with that reason.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include <ottla/base/config_table.hpp>
#include <ottla/base/time.hpp>
#include <ottla/broker/impl/absent_keys.hpp>
#include <ottla/log/log_config.hpp>

namespace ottla::inline OTTLA_ABI {

enum class CleanupPolicy : std::uint8_t { none, remove, compact, compact_and_remove };

/// From when on consumers see a record: when the kernel has it, or as soon as it has an offset, and
/// then what was seen can be lost with the process.
enum class Visibility : std::uint8_t { written, at_once };

/// The codec of what a partition stores. The first five are those of CompressionType.
enum class TopicCompression : std::uint8_t { uncompressed, gzip, snappy, lz4, zstd, producer };

struct TopicConfig {
  LogConfig log = {};
  CleanupPolicy cleanup = CleanupPolicy::remove;  ///< goes into `log` by `resolve_topic_config`
  std::int32_t max_message_bytes = 1'048'588;     ///< of one batch
  TopicCompression compression = TopicCompression::producer;
  int gzip_level = -1;
  int lz4_level = 9;
  int zstd_level = 3;
  TimestampType timestamp_type = TimestampType::create_time;
  std::chrono::milliseconds timestamp_before_max = std::chrono::milliseconds::max();
  std::chrono::milliseconds timestamp_after_max{3'600'000};
  std::int64_t flush_messages = INT64_MAX;  ///< 1: acknowledged means durable
  Visibility visibility = Visibility::written;
  std::int32_t min_insync_replicas = 1;
  std::chrono::milliseconds delete_retention{86'400'000};
  std::chrono::milliseconds min_compaction_lag{0};
  double min_cleanable_dirty_ratio = 0.5;
};

template <>
inline constexpr auto config_words<TimestampType> =
    std::array{ConfigWord<TimestampType>{"CreateTime", TimestampType::create_time},
               ConfigWord<TimestampType>{"LogAppendTime", TimestampType::log_append_time}};
template <>
inline constexpr auto config_words<Visibility> =
    std::array{ConfigWord<Visibility>{"written", Visibility::written},
               ConfigWord<Visibility>{"at_once", Visibility::at_once}};
template <>
inline constexpr auto config_words<TopicCompression> =
    std::array{ConfigWord<TopicCompression>{"producer", TopicCompression::producer},
               ConfigWord<TopicCompression>{"uncompressed", TopicCompression::uncompressed},
               ConfigWord<TopicCompression>{"gzip", TopicCompression::gzip},
               ConfigWord<TopicCompression>{"snappy", TopicCompression::snappy},
               ConfigWord<TopicCompression>{"lz4", TopicCompression::lz4},
               ConfigWord<TopicCompression>{"zstd", TopicCompression::zstd}};
template <>
inline constexpr auto config_words<CleanupPolicy> =
    std::array{ConfigWord<CleanupPolicy>{"delete", CleanupPolicy::remove},
               ConfigWord<CleanupPolicy>{"compact", CleanupPolicy::compact},
               ConfigWord<CleanupPolicy>{"compact,delete", CleanupPolicy::compact_and_remove},
               ConfigWord<CleanupPolicy>{"delete,compact", CleanupPolicy::compact_and_remove},
               ConfigWord<CleanupPolicy>{"", CleanupPolicy::none}};

template <>
inline constexpr auto config_table<TopicConfig> = std::array{
    config_key<&TopicConfig::log, &LogConfig::segment_bytes>(
        "segment.bytes", at_least(1'048'576), "Bytes at which a new segment file begins."),
    config_key<&TopicConfig::log, &LogConfig::segment_bytes>(
        "internal.segment.bytes", at_least(1), "The same without a lower limit, for tests."),
    config_key<&TopicConfig::log, &LogConfig::segment_age>("segment.ms", at_least(1),
                                                           "Age at which one begins."),
    config_key<&TopicConfig::log, &LogConfig::segment_jitter>("segment.jitter.ms", at_least(0),
                                                              "Random time taken off segment.ms."),
    config_key<&TopicConfig::log, &LogConfig::segment_index_bytes>(
        "segment.index.bytes", at_least(4), "Largest size of an index file."),
    config_key<&TopicConfig::log, &LogConfig::index_interval_bytes>(
        "index.interval.bytes", at_least(0), "Bytes of data between index entries."),
    config_key<&TopicConfig::log, &LogConfig::preallocate>(
        "preallocate", {}, "Room for a segment is reserved when it begins."),
    config_key<&TopicConfig::log, &LogConfig::retention>(
        "retention.ms", at_least(-1), "Age at which segments are deleted; -1: never."),
    config_key<&TopicConfig::log, &LogConfig::retention_bytes>(
        "retention.bytes", at_least(-1), "Bytes of a partition above which they are; -1: never."),
    config_key<&TopicConfig::log, &LogConfig::file_delete_delay>(
        "file.delete.delay.ms", at_least(0), "Wait between renaming a file and removing it."),
    config_key<&TopicConfig::cleanup>("cleanup.policy", {}, "delete, compact, both, or empty."),
    config_key<&TopicConfig::log, &LogConfig::max_compaction_lag>(
        "max.compaction.lag.ms", at_least(1),
        "Age at which a record may be compacted at the latest."),
    config_key<&TopicConfig::min_compaction_lag>("min.compaction.lag.ms", at_least(0),
                                                 "Age before which a record is never compacted."),
    config_key<&TopicConfig::delete_retention>("delete.retention.ms", at_least(0),
                                               "How long a tombstone stays readable."),
    config_key<&TopicConfig::min_cleanable_dirty_ratio>(
        "min.cleanable.dirty.ratio", {}, "Share of new data at which compaction begins."),
    config_key<&TopicConfig::max_message_bytes>("max.message.bytes", at_least(0),
                                                "Bytes of the largest batch."),
    config_key<&TopicConfig::compression>("compression.type", {},
                                          "Codec of what is stored; producer: as the batch came."),
    config_key<&TopicConfig::gzip_level>("compression.gzip.level", between(-1, 9),
                                         "gzip's, where batches are compressed anew."),
    config_key<&TopicConfig::lz4_level>("compression.lz4.level", between(1, 17), "lz4's."),
    config_key<&TopicConfig::zstd_level>("compression.zstd.level", between(-131'072, 22),
                                         "zstd's."),
    config_key<&TopicConfig::timestamp_type>("message.timestamp.type", {},
                                             "Whose time a record carries."),
    config_key<&TopicConfig::timestamp_before_max>("message.timestamp.before.max.ms", at_least(0),
                                                   "How old a record's time may be."),
    config_key<&TopicConfig::timestamp_after_max>("message.timestamp.after.max.ms", at_least(0),
                                                  "How far ahead it may be."),
    config_key<&TopicConfig::flush_messages>(
        "flush.messages", at_least(1),
        "1: acknowledged means durable; else never synced for this."),
    config_key<&TopicConfig::visibility>(
        "ottla.visibility", {},
        "When consumers see a record: written, or at_once, which a crash may take back."),
    config_key<&TopicConfig::min_insync_replicas>("min.insync.replicas", at_least(1),
                                                  "Log directories that acks=all needs.")};

/// As for other configs. A key of what is not there yet may have the value that asks for nothing.
absl::Status set_config(TopicConfig& config, std::string_view name, std::string_view value);

/// `defaults` with the topic's own keys over them. INVALID_CONFIG for a key that is unknown, out of
/// its range, does not fit another, or asks for what is not there yet.
absl::StatusOr<TopicConfig> resolve_topic_config(const TopicConfig& defaults,
                                                 const std::map<std::string, std::string>& own);

/// INVALID_CONFIG: acks=all would never be acknowledged, since `min.insync.replicas` is above the
/// number of replicas. New topics are refused for it; one that is there is served.
absl::Status check_replication(const TopicConfig& config, std::int32_t replicas);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/broker/impl/topic_config.ipp>
#endif
