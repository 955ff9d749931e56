// SPDX-License-Identifier: Apache-2.0
//
// How a broker behaves, and what its topics are like unless they say otherwise: one aggregate with
// a table of Kafka's keys (spec configs.md section 7). The defaults are Kafka's, but where being in
// one process makes another one right.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <absl/status/status.h>

#include <ottla/base/config_table.hpp>
#include <ottla/base/units.hpp>
#include <ottla/broker/cleaner_config.hpp>
#include <ottla/broker/events.hpp>
#include <ottla/broker/impl/absent_keys.hpp>
#include <ottla/broker/log_dirs.hpp>
#include <ottla/broker/scrubber.hpp>
#include <ottla/log/log_config.hpp>
#include <ottla/offsets/offsets_config.hpp>

namespace ottla::inline OTTLA_ABI {

/// What a broker may do to its log directories.
enum class Access : std::uint8_t {
  read_write,
  read_only,  ///< nothing is made, changed or locked: on a read-only medium, or beside a process
              ///< that writes there (read_only_core.hpp)
};

struct BrokerConfig {
  LogDirs log_dirs = {};  ///< needed
  Access access = Access::read_write;
  /// Read only: how often is looked for what consumers wait for.
  std::chrono::milliseconds follow_interval{10};
  LogConfig log = {};                          ///< of topics that say nothing else
  std::int32_t partitions = 1;                 ///< of topics that are created without a number
  std::int32_t message_max_bytes = 1'048'588;  ///< of one batch
  /// Threads for background work, of files in memory; on disk at least two more than there are log
  /// directories, so that one that hangs holds up no other. 0: none, the program calls `run_once`.
  std::int32_t threads = 2;
  std::int32_t node_id = 0;
  std::string cluster_id = {};  ///< of a new directory; drawn where empty
  /// How long staged records may wait to be written when nobody waits for them.
  std::chrono::microseconds write_out_delay{1'000};
  /// Bytes of newest batches that are kept in memory for consumers that keep up; of all partitions
  /// together.
  std::int64_t hot_tail_bytes = std::int64_t{64} << 20;
  /// Of one partition.
  std::int64_t hot_tail_partition_bytes = std::int64_t{1} << 20;
  /// Bytes of records that are staged and not written yet, of one partition; beyond it producers
  /// wait.
  std::int64_t staged_bytes = std::int64_t{8} << 20;
  std::chrono::milliseconds retention_check_interval{300'000};
  std::chrono::milliseconds checkpoint_interval{60'000};
  /// How long after opening background work begins that deletes something.
  std::chrono::milliseconds initial_task_delay{30'000};
  std::int32_t offsets_topic_partitions = 50;
  std::chrono::milliseconds group_initial_rebalance_delay{
      0};  ///< Kafka's is 3 s: in process nobody is far away
  std::chrono::milliseconds group_min_session_timeout{6'000};
  std::chrono::milliseconds group_max_session_timeout{1'800'000};
  std::int32_t group_max_size = 1'000;
  /// Bytes that a member says of itself to each assignor: its topics, the partitions that it owns.
  std::int32_t group_max_member_metadata = 65'536;
  /// How long what is known of an idle producer is kept: duplicates that come later are not seen.
  std::chrono::milliseconds producer_id_expiration{86'400'000};
  OffsetsConfig offsets = {};    ///< what groups commit
  CleanerConfig cleaner = {};    ///< compaction of topics
  ScrubberConfig scrubber = {};  ///< everything is read again, and checked, from time to time
  EventSink on_event = {};
  /// How long the destructor may take. With `threads` 0 it makes the calls of the disk itself.
  std::chrono::milliseconds close_timeout{30'000};
};

namespace broker_impl {

inline constexpr auto cleaner_keys = std::array{
    config_key<&BrokerConfig::cleaner, &CleanerConfig::enable>(
        "log.cleaner.enable", {}, "Topics with cleanup.policy=compact are compacted."),
    config_key<&BrokerConfig::cleaner, &CleanerConfig::io_max_bytes_per_second>(
        "log.cleaner.io.max.bytes.per.second", {}, "Read and written by compaction."),
    config_key<&BrokerConfig::cleaner, &CleanerConfig::dedupe_buffer_bytes>(
        "log.cleaner.dedupe.buffer.size", at_least(1024), "Bytes for the keys of one round."),
    config_key<&BrokerConfig::cleaner, &CleanerConfig::load_factor>(
        "log.cleaner.io.buffer.load.factor", {}, "How much of them is used."),
    config_key<&BrokerConfig::cleaner, &CleanerConfig::io_buffer_bytes>(
        "log.cleaner.io.buffer.size", at_least(1024), "Bytes read in one step."),
    config_key<&BrokerConfig::cleaner, &CleanerConfig::backoff>(
        "log.cleaner.backoff.ms", at_least(0), "Wait when nothing is to be compacted."),
    config_key<&BrokerConfig::cleaner, &CleanerConfig::min_cleanable_ratio>(
        "log.cleaner.min.cleanable.ratio", {}, "Share of new data at which compaction begins."),
    config_key<&BrokerConfig::cleaner, &CleanerConfig::delete_retention>(
        "log.cleaner.delete.retention.ms", at_least(0), "How long a tombstone stays readable."),
    config_key<&BrokerConfig::cleaner, &CleanerConfig::min_compaction_lag>(
        "log.cleaner.min.compaction.lag.ms", at_least(0),
        "Age before which a record is never compacted."),
    config_key<&BrokerConfig::log, &LogConfig::max_compaction_lag>(
        "log.cleaner.max.compaction.lag.ms", at_least(1),
        "Age at which a record may be compacted at the latest.")};

template <std::size_t N, std::size_t M>
constexpr auto joined(const std::array<ConfigKey<BrokerConfig>, N>& first,
                      const std::array<ConfigKey<BrokerConfig>, M>& second) {
  std::array<ConfigKey<BrokerConfig>, N + M> all{};
  std::copy(second.begin(), second.end(), std::copy(first.begin(), first.end(), all.begin()));
  return all;
}

inline constexpr auto main_keys = std::array{
    config_key<&BrokerConfig::partitions>("num.partitions", at_least(1),
                                          "Partitions of topics created without a number."),
    config_key<&BrokerConfig::message_max_bytes>("message.max.bytes", at_least(0),
                                                 "Bytes of the largest batch."),
    config_key<&BrokerConfig::threads>("background.threads", between(0, 1024),
                                       "Threads for background work; 0: the program's own."),
    config_key<&BrokerConfig::node_id>("node.id", at_least(0), "This broker's number."),
    config_key<&BrokerConfig::retention_check_interval>(
        "log.retention.check.interval.ms", at_least(1), "How often retention is applied."),
    config_key<&BrokerConfig::checkpoint_interval>("log.flush.offset.checkpoint.interval.ms",
                                                   at_least(0),
                                                   "How often checkpoints are written."),
    config_key<&BrokerConfig::initial_task_delay>("log.initial.task.delay.ms", at_least(0),
                                                  "When background work begins after opening."),
    config_key<&BrokerConfig::log, &LogConfig::segment_bytes>(
        "log.segment.bytes", at_least(1), "Bytes at which a new segment file begins."),
    config_key<&BrokerConfig::log, &LogConfig::segment_age>("log.roll.ms", at_least(1),
                                                            "Age at which one begins."),
    config_key<&BrokerConfig::log, &LogConfig::segment_jitter>(
        "log.roll.jitter.ms", at_least(0), "Random time taken off log.roll.ms."),
    config_key<&BrokerConfig::log, &LogConfig::segment_index_bytes>(
        "log.index.size.max.bytes", at_least(4), "Largest size of an index file."),
    config_key<&BrokerConfig::log, &LogConfig::index_interval_bytes>(
        "log.index.interval.bytes", at_least(0), "Bytes of data between index entries."),
    config_key<&BrokerConfig::log, &LogConfig::preallocate>(
        "log.preallocate", {}, "Room for a segment is reserved when it begins."),
    config_key<&BrokerConfig::log, &LogConfig::retention>(
        "log.retention.ms", at_least(-1), "Age at which segments are deleted; -1: never."),
    config_key<&BrokerConfig::log, &LogConfig::retention_bytes>(
        "log.retention.bytes", at_least(-1), "Bytes above which they are; -1: never."),
    config_key<&BrokerConfig::log, &LogConfig::file_delete_delay>(
        "log.segment.delete.delay.ms", at_least(0),
        "Wait between renaming a file and removing it."),
    config_key<&BrokerConfig::scrubber, &ScrubberConfig::interval>(
        "log.scrubber.interval.ms", at_least(0), "How often all is read and checked; 0: never."),
    config_key<&BrokerConfig::scrubber, &ScrubberConfig::max_bytes_per_second>(
        "log.scrubber.max.bytes.per.second", {}, "Read for that."),
    config_key<&BrokerConfig::producer_id_expiration>("producer.id.expiration.ms", at_least(1),
                                                      "How long an idle producer is remembered."),
    config_key<&BrokerConfig::offsets, &OffsetsConfig::retention>(
        "offsets.retention.minutes", at_least(1), "How long unused offsets are kept."),
    config_key<&BrokerConfig::offsets, &OffsetsConfig::retention_check_interval>(
        "offsets.retention.check.interval.ms", at_least(1), "How often that is looked at."),
    config_key<&BrokerConfig::offsets, &OffsetsConfig::metadata_max_bytes>(
        "offset.metadata.max.bytes", between(0, 32'767),
        "The longest text committed with an offset."),
    config_key<&BrokerConfig::offsets_topic_partitions>(
        "offsets.topic.num.partitions", between(1, 100'000), "Partitions of __consumer_offsets."),
    config_key<&BrokerConfig::group_initial_rebalance_delay>(
        "group.initial.rebalance.delay.ms", at_least(0), "How long a new group waits for members."),
    config_key<&BrokerConfig::group_min_session_timeout>("group.min.session.timeout.ms",
                                                         at_least(1), "The least session timeout."),
    config_key<&BrokerConfig::group_max_session_timeout>(
        "group.max.session.timeout.ms", at_least(1), "The longest session timeout."),
    config_key<&BrokerConfig::group_max_size>("group.max.size", at_least(1),
                                              "Members of a group.")};

}  // namespace broker_impl

template <>
inline constexpr auto config_table<BrokerConfig> = broker_impl::joined(broker_impl::main_keys,
                                                                       broker_impl::cleaner_keys);

/// INVALID_CONFIG for what is out of its range or does not fit together; says which.
absl::Status check_broker_config(const BrokerConfig& config);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/broker/impl/broker_config.ipp>
#endif
