// SPDX-License-Identifier: Apache-2.0
//
// The two hashes that choose partitions in Kafka: murmur2 of a record's key, and Java's string hash
// of a group's name.
#pragma once

#include <cstdint>
#include <string_view>

#include <ottla/base/bytes.hpp>

namespace ottla::inline OTTLA_ABI {

/// 32-bit MurmurHash2 with Kafka's seed (spec producer_txn.md section 1.1). Source: Austin
/// Appleby's MurmurHash2.
std::int32_t murmur2(Bytes bytes);

/// The partition of a keyed record: the low 31 bits of murmur2, modulo. Before: `partitions` > 0.
inline std::int32_t partition_for_key(Bytes key, std::int32_t partitions) {
  return (murmur2(key) & INT32_MAX) % partitions;
}

/// Java's hash of a string over its UTF-16 units; malformed UTF-8 counts as U+FFFD (spec groups.md
/// section 1).
std::int32_t java_string_hash(std::string_view utf8);

/// abs(hash) modulo, where abs(-2147483648) is 0: the partition of a group or transactional id.
/// `partitions` > 0.
std::int32_t partition_for_id(std::string_view id, std::int32_t partitions);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/base/impl/murmur2.ipp>
#endif
