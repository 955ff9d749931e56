// SPDX-License-Identifier: Apache-2.0
//
// How a producer behaves: one aggregate, whose table gives Kafka's keys, ranges and defaults (spec
// configs.md section 3).
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include <ottla/base/config_table.hpp>
#include <ottla/producer/impl/absent_keys.hpp>
#include <ottla/producer/partitioner.hpp>
#include <ottla/protocol/produce.hpp>
#include <ottla/record/compression_type.hpp>

namespace ottla::inline OTTLA_ABI {

/// What became of one record. Handed to `ProducerConfig::on_delivery`, and answered by `wait`.
struct Delivery {
  std::uint64_t tag = 0;  ///< the record's own
  std::string_view topic;
  PartitionId partition{-1};
  absl::StatusOr<Offset> offset{Offset(-1)};  ///< -1 with acks=0; else the error, with its outcome
  Timestamp timestamp = no_timestamp;         ///< the broker's with LogAppendTime, else none
};

/// Called once per record, by whichever thread brings the outcome; without a lock. Of a partition,
/// records that were written come in order; one that failed may come before those sent earlier. It
/// must not wait: close() returns once every record was told, a second beyond its deadline at most,
/// and what a slow one holds up for longer is not told. What it throws is caught and counted.
using DeliveryCallback = std::function<void(const Delivery&)>;

/// Whether batches carry sequence numbers, by which the broker knows one that it has, and one that
/// came too early.
enum class Idempotence : std::uint8_t {
  off,
  on,
  where_possible,  ///< on with acks=all and retries
};

struct ProducerConfig {
  Acks acks = Acks::all;
  Durability durability =
      Durability::written;  ///< how far an acknowledgement of this producer's records goes
  std::chrono::milliseconds linger{5};
  std::int32_t batch_size = 16'384;  ///< bytes; 0: no record waits for another of its size
  /// With a codec a batch, and so a record, is 16 MiB at most before it is compressed: readers
  /// decompress no more (DecompressionLimits).
  CompressionType compression = CompressionType::none;
  std::int32_t gzip_level = -1;
  std::int32_t lz4_level = 9;
  std::int32_t zstd_level = 3;
  std::int64_t buffer_memory = 33'554'432;
  std::int32_t max_request_size = 1'048'576;  ///< bytes of one record, not compressed
  std::chrono::milliseconds max_block{60'000};
  /// Raised to `linger` and `request_timeout` together where it is left at this.
  std::chrono::milliseconds delivery_timeout{120'000};
  /// Only looked at when opening: `delivery_timeout` is at least this and `linger`.
  std::chrono::milliseconds request_timeout{30'000};
  std::int32_t retries = INT32_MAX;
  std::chrono::milliseconds retry_backoff{100};
  std::chrono::milliseconds retry_backoff_max{1'000};
  bool ignore_keys = false;
  Idempotence enable_idempotence = Idempotence::where_possible;
  Partitioner partitioner = {};
  DeliveryCallback on_delivery = {};
  std::chrono::milliseconds close_timeout{30'000};  ///< how long the destructor may take
};

template <>
inline constexpr auto config_words<Acks> =
    std::array{ConfigWord<Acks>{"all", Acks::all}, ConfigWord<Acks>{"-1", Acks::all},
               ConfigWord<Acks>{"0", Acks::none}, ConfigWord<Acks>{"1", Acks::leader}};
template <>
inline constexpr auto config_words<Idempotence> =
    std::array{ConfigWord<Idempotence>{"true", Idempotence::on},
               ConfigWord<Idempotence>{"false", Idempotence::off},
               ConfigWord<Idempotence>{"true", Idempotence::where_possible}};
template <>
inline constexpr auto config_words<CompressionType> =
    std::array{ConfigWord<CompressionType>{"none", CompressionType::none},
               ConfigWord<CompressionType>{"gzip", CompressionType::gzip},
               ConfigWord<CompressionType>{"snappy", CompressionType::snappy},
               ConfigWord<CompressionType>{"lz4", CompressionType::lz4},
               ConfigWord<CompressionType>{"zstd", CompressionType::zstd}};

template <>
inline constexpr auto config_table<ProducerConfig> = std::array{
    config_key<&ProducerConfig::acks>("acks", {}, "Whose promise an acknowledgement is."),
    config_key<&ProducerConfig::linger>("linger.ms", at_least(0),
                                        "How long a batch waits for more records."),
    config_key<&ProducerConfig::batch_size>("batch.size", at_least(0),
                                            "Bytes of one partition's batch; 0: one per record."),
    config_key<&ProducerConfig::compression>("compression.type", {}, "Codec of the batches."),
    config_key<&ProducerConfig::gzip_level>("compression.gzip.level", between(-1, 9),
                                            "Level of gzip; -1: its own default."),
    config_key<&ProducerConfig::lz4_level>("compression.lz4.level", between(1, 17),
                                           "Level of lz4."),
    config_key<&ProducerConfig::zstd_level>("compression.zstd.level", between(-131'072, 22),
                                            "Level of zstd."),
    config_key<&ProducerConfig::buffer_memory>("buffer.memory", at_least(0),
                                               "Bytes of unsent batches; beyond it send waits."),
    config_key<&ProducerConfig::max_request_size>("max.request.size", at_least(0),
                                                  "Bytes of the largest record."),
    config_key<&ProducerConfig::max_block>("max.block.ms", at_least(0),
                                           "How long send may wait for memory or metadata."),
    config_key<&ProducerConfig::delivery_timeout>("delivery.timeout.ms", between(0, INT32_MAX),
                                                  "From send to success or failure, at most."),
    config_key<&ProducerConfig::request_timeout>(
        "request.timeout.ms", between(0, INT32_MAX),
        "What delivery.timeout.ms leaves for an answer at least; it ends none."),
    config_key<&ProducerConfig::retries>("retries", at_least(0),
                                         "How often a failed request is sent again."),
    config_key<&ProducerConfig::retry_backoff>("retry.backoff.ms", at_least(0),
                                               "The first wait before sending again."),
    config_key<&ProducerConfig::retry_backoff_max>("retry.backoff.max.ms", at_least(0),
                                                   "The longest wait before sending again."),
    config_key<&ProducerConfig::ignore_keys>("partitioner.ignore.keys", {},
                                             "Keys do not choose the partition."),
    config_key<&ProducerConfig::enable_idempotence>(
        "enable.idempotence", {}, "Sequence numbers keep order and remove duplicates.")};

inline bool is_idempotent(const ProducerConfig& config) {
  return config.enable_idempotence != Idempotence::off && config.acks == Acks::all &&
         config.retries > 0;
}

/// What `delivery_timeout` leaves, at least, for lingering and an answer; as in Kafka, no more than
/// INT32_MAX.
inline std::chrono::milliseconds least_delivery_timeout(const ProducerConfig& config) {
  constexpr std::chrono::milliseconds most{INT32_MAX};
  return std::min(most, std::min(most, config.linger) + config.request_timeout);
}

/// Ranges, and what must fit together: INVALID_CONFIG.
absl::Status check_producer_config(const ProducerConfig& config);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/producer/impl/producer_config.ipp>
#endif
