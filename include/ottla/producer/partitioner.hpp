// SPDX-License-Identifier: Apache-2.0
//
// Which partition a record goes to when it names none: Kafka's murmur2 of the key, else the sticky
// partition of the topic, which changes each time about `batch.size` bytes went there; or what the
// user's own function says.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include <ottla/base/bytes.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/murmur2.hpp>

namespace ottla::inline OTTLA_ABI {

/// What a partitioner sees.
struct PartitionChoice {
  std::string_view topic;
  std::optional<Bytes> key;
  std::optional<Bytes> value;
  std::int32_t partitions = 0;  ///< how many the topic has
};

/// The user's own: called by the sending thread, without a lock, from several threads at once. A
/// negative answer means "no choice": the record is treated as one without a key. Beyond the
/// topic's partitions is the sender's error.
using Partitioner = std::function<std::int32_t(const PartitionChoice&)>;

/// The current partition of one topic for records without a key. Uniform: the next one is drawn at
/// random, another than the last where there are several. Source: KIP-480 and KIP-794. Guarded by
/// its owner.
class StickyPartition {
 public:
  /// `random`: any 64 bits; used when a new partition is due.
  PartitionId current(std::int32_t partitions, std::uint64_t random) {
    if (partition_ < 0 || partition_ >= partitions) {
      partition_ = pick(partitions, random);
    }
    return PartitionId(partition_);
  }

  /// `bytes` went to the current partition, whose open batch is full (or gone) or not. True when
  /// the partition changed: at `batch_size` bytes with a full batch, at twice as many in any case.
  bool appended(std::int64_t bytes, bool batch_is_full, std::int64_t batch_size,
                std::int32_t partitions, std::uint64_t random) {
    bytes_ += bytes;
    if (bytes_ < batch_size || (!batch_is_full && bytes_ < 2 * batch_size)) {
      return false;
    }
    bytes_ = 0;
    partition_ = pick(partitions, random);
    return true;
  }

 private:
  std::int32_t pick(std::int32_t partitions, std::uint64_t random) const {
    if (partition_ < 0 || partition_ >= partitions || partitions == 1) {
      return static_cast<std::int32_t>(random % static_cast<std::uint64_t>(partitions));
    }
    const auto others = static_cast<std::uint64_t>(partitions - 1);
    const auto step = static_cast<std::int32_t>(random % others) + 1;
    return (partition_ + step) % partitions;
  }

  std::int32_t partition_ = -1;
  std::int64_t bytes_ = 0;
};

}  // namespace ottla::inline OTTLA_ABI
