// SPDX-License-Identifier: Apache-2.0
//
// How a consumer behaves: one aggregate, whose table gives Kafka's keys, ranges and defaults (spec
// configs.md section 4).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <ottla/base/config_table.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/consumer/impl/absent_keys.hpp>
#include <ottla/protocol/fetch.hpp>

namespace ottla::inline OTTLA_ABI {

/// Where a partition begins when its group has committed nothing, or its position is not in the log
/// any more.
enum class OffsetReset : std::uint8_t {
  latest,    ///< at the end: only what comes from now on
  earliest,  ///< at the log's start
  none,      ///< nowhere: poll answers OFFSET_OUT_OF_RANGE until the program seeks
};

/// Told of what the group gives and takes, by the thread that polls, closes or unsubscribes;
/// without a lock.
struct RebalanceListener {
  /// Newly added partitions.
  std::function<void(const std::vector<TopicPartition>&)> assigned = {};
  /// Before another member may own them: committing here is safe.
  std::function<void(const std::vector<TopicPartition>&)> revoked = {};
  /// They belong to somebody else already. Where empty, `revoked` is called.
  std::function<void(const std::vector<TopicPartition>&)> lost = {};
};

struct ConsumerConfig {
  std::string group = {};  ///< needed to subscribe and to commit
  /// Subscribed at once; else call subscribe or assign. One that is not there yet brings nothing
  /// until it is.
  std::vector<std::string> topics = {};
  OffsetReset offset_reset = OffsetReset::latest;
  bool auto_commit = true;
  std::chrono::milliseconds auto_commit_interval{5'000};
  std::int32_t max_poll_records = 500;
  std::chrono::milliseconds max_poll_interval{300'000};
  std::int32_t fetch_min_bytes = 1;
  /// Of one fetch, as it is stored; also of what its compressed batches unpack to, up to a batch
  /// beyond it: the rest is fetched again when that was polled.
  std::int32_t fetch_max_bytes = 52'428'800;
  std::int32_t max_partition_fetch_bytes = 1'048'576;
  std::chrono::milliseconds fetch_max_wait{500};
  bool check_crcs = true;  ///< of batches that this process did not build or verify
  IsolationLevel isolation = IsolationLevel::read_uncommitted;
  std::chrono::milliseconds session_timeout{45'000};
  /// Also how soon a member hears that others came or went. Kafka's is 3 s; in process it costs a
  /// call.
  std::chrono::milliseconds heartbeat_interval{500};
  std::vector<std::string> assignors = {"range", "cooperative-sticky"};  ///< in order of preference
  std::string instance_id = {};                                          ///< a static member's
  std::string client_id = {};
  RebalanceListener rebalance = {};
  std::chrono::milliseconds api_timeout{60'000};    ///< of calls that take no timeout
  std::chrono::milliseconds close_timeout{30'000};  ///< how long the destructor may take
  /// Bytes of polled batches that the program may hold; beyond it poll answers `limit_reached`.
  /// What one fetch brought and no poll has answered yet comes on top.
  std::int64_t max_pinned_bytes = std::int64_t{512} << 20;
};

template <>
inline constexpr auto config_words<OffsetReset> =
    std::array{ConfigWord<OffsetReset>{"latest", OffsetReset::latest},
               ConfigWord<OffsetReset>{"earliest", OffsetReset::earliest},
               ConfigWord<OffsetReset>{"none", OffsetReset::none}};
template <>
inline constexpr auto config_words<IsolationLevel> =
    std::array{ConfigWord<IsolationLevel>{"read_uncommitted", IsolationLevel::read_uncommitted},
               ConfigWord<IsolationLevel>{"read_committed", IsolationLevel::read_committed}};

template <>
inline constexpr auto config_table<ConsumerConfig> = std::array{
    config_key<&ConsumerConfig::group>("group.id", {}, "The consumer group."),
    config_key<&ConsumerConfig::offset_reset>("auto.offset.reset", {},
                                              "Where to begin without a position."),
    config_key<&ConsumerConfig::auto_commit>("enable.auto.commit", {},
                                             "Polled positions are committed by themselves."),
    config_key<&ConsumerConfig::auto_commit_interval>("auto.commit.interval.ms", at_least(0),
                                                      "How often they are."),
    config_key<&ConsumerConfig::max_poll_records>("max.poll.records", at_least(1),
                                                  "Records that one poll answers at most."),
    config_key<&ConsumerConfig::max_poll_interval>(
        "max.poll.interval.ms", between(1, INT32_MAX),
        "The longest time between polls before the member leaves its group."),
    config_key<&ConsumerConfig::fetch_min_bytes>("fetch.min.bytes", at_least(0),
                                                 "Bytes that a waiting poll waits for."),
    config_key<&ConsumerConfig::fetch_max_bytes>("fetch.max.bytes", at_least(0),
                                                 "Bytes of one fetch, packed and unpacked."),
    config_key<&ConsumerConfig::max_partition_fetch_bytes>("max.partition.fetch.bytes", at_least(0),
                                                           "Bytes of one partition in a fetch."),
    config_key<&ConsumerConfig::fetch_max_wait>("fetch.max.wait.ms", between(0, INT32_MAX),
                                                "How long fetch.min.bytes may be waited for."),
    config_key<&ConsumerConfig::check_crcs>("check.crcs", {}, "Checksums are verified."),
    config_key<&ConsumerConfig::isolation>(
        "isolation.level", {}, "Whether records of transactions wait for their commit."),
    config_key<&ConsumerConfig::session_timeout>("session.timeout.ms", between(1, INT32_MAX),
                                                 "A silent member is dropped after this."),
    config_key<&ConsumerConfig::heartbeat_interval>("heartbeat.interval.ms", between(1, INT32_MAX),
                                                    "How often a member shows that it lives."),
    config_key<&ConsumerConfig::instance_id>("group.instance.id", {}, "Static membership."),
    config_key<&ConsumerConfig::client_id>("client.id", {}, "This client's name in listings."),
    config_key<&ConsumerConfig::api_timeout>("default.api.timeout.ms", between(0, INT32_MAX),
                                             "How long calls without a timeout may take.")};

/// Ranges, and what must fit together: INVALID_CONFIG.
absl::Status check_consumer_config(const ConsumerConfig& config);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/consumer/impl/consumer_config.ipp>
#endif
