// SPDX-License-Identifier: Apache-2.0
//
// Kafka's numbers, each a type of its own, with the width it has on disk.
#pragma once

#include <cstdint>

#include <ottla/base/strong_int.hpp>

namespace ottla::inline OTTLA_ABI {

using Offset = StrongInt<struct OffsetTag, std::int64_t>;
using PartitionId = StrongInt<struct PartitionIdTag, std::int32_t>;
using LeaderEpoch = StrongInt<struct LeaderEpochTag, std::int32_t>;
using BrokerId = StrongInt<struct BrokerIdTag, std::int32_t>;
using ProducerId = StrongInt<struct ProducerIdTag, std::int64_t>;
using ProducerEpoch = StrongInt<struct ProducerEpochTag, std::int16_t>;
using Generation = StrongInt<struct GenerationTag, std::int32_t>;  ///< of a consumer group

inline constexpr LeaderEpoch no_leader_epoch{-1};
inline constexpr ProducerId no_producer_id{-1};
inline constexpr ProducerEpoch no_producer_epoch{-1};
inline constexpr std::int32_t no_sequence = -1;

/// Sequence numbers wrap from 2147483647 to 0 and are never negative (spec storage.md section 2).
/// Before: `sequence` >= 0 and `n` >= 0.
constexpr std::int32_t increment_sequence(std::int32_t sequence, std::int32_t n) {
  return sequence > INT32_MAX - n ? n - (INT32_MAX - sequence) - 1 : sequence + n;
}
constexpr std::int32_t decrement_sequence(std::int32_t sequence, std::int32_t n) {
  return sequence < n ? INT32_MAX - (n - sequence) + 1 : sequence - n;
}

}  // namespace ottla::inline OTTLA_ABI
