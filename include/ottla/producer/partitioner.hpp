// SPDX-License-Identifier: Apache-2.0
//
// Which partition a record goes to when it names none: Kafka's murmur2 of the key, else the sticky
// partition of the topic, which changes each time about `batch.size` bytes went there; or what the
// user's own function says.
#pragma once

#include <atomic>
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

/// The current partition of one topic for records without a key, by its place among those that are
/// available. Uniform: the next one is drawn at random, another than the last where there are
/// several. Thread-safe. Source: KIP-480 and KIP-794.
class StickyPartition {
 public:
  /// Before: `partitions` > 0. `random`: any 64 bits, used when there is none yet.
  PartitionId current(std::int32_t partitions, std::uint64_t random) {
    std::int32_t now = current_.load(std::memory_order_relaxed);
    if (now < 0 || now >= partitions) [[unlikely]] {
      const std::int32_t first = pick(-1, partitions, random);
      now = current_.compare_exchange_strong(now, first) ? first : now;
      now = now < partitions ? now : first;
    }
    return PartitionId(now);
  }

  /// Whether there is one already.
  bool known() const { return current_.load(std::memory_order_relaxed) >= 0; }

  /// `from` has had its share; does nothing when somebody moved on already.
  void move_on(PartitionId from, std::int32_t partitions, std::uint64_t random) {
    std::int32_t expected = from.value();
    current_.compare_exchange_strong(expected, pick(expected, partitions, random));
  }

 private:
  static std::int32_t pick(std::int32_t last, std::int32_t partitions, std::uint64_t random) {
    if (last < 0 || last >= partitions || partitions == 1) {
      return static_cast<std::int32_t>(random % static_cast<std::uint64_t>(partitions));
    }
    const auto others = static_cast<std::uint64_t>(partitions - 1);
    return (last + 1 + static_cast<std::int32_t>(random % others)) % partitions;
  }

  std::atomic<std::int32_t> current_{-1};
};

/// How much went to the sticky partition since it became that. Guarded by the owner of the
/// partition's queue.
class StickyShare {
 public:
  /// True when it is time to move on: at `batch_size` bytes once the batch is full, at twice as
  /// many in any case.
  bool add(std::int64_t bytes, bool batch_is_full, std::int64_t batch_size) {
    bytes_ += bytes;
    if (bytes_ < batch_size || (!batch_is_full && bytes_ < 2 * batch_size)) {
      return false;
    }
    bytes_ = 0;
    return true;
  }

 private:
  std::int64_t bytes_ = 0;
};

}  // namespace ottla::inline OTTLA_ABI
