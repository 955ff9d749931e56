// SPDX-License-Identifier: Apache-2.0
//
// `<offset>.snapshot`: a partition's producers as they are once everything below `offset` is in,
// Kafka's version 1 (spec storage.md sections 13 and 28.10), big-endian:
//   INT16 version (1) | UINT32 CRC-32C of all that follows | INT32 entries | entries of 46 bytes:
//   INT64 producer id | INT16 epoch | INT32 last sequence | INT64 last offset | INT32 offset delta
//   | INT64 timestamp | INT32 coordinator epoch | INT64 first offset of the open transaction
// -1 stands for what is not there. Of the batches the newest one is kept. Derived: one that does
// not pass is thrown away, and the state comes from an older one and the log.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/log/producer_state.hpp>

namespace ottla::inline OTTLA_ABI {

inline constexpr std::string_view producer_snapshot_suffix = ".snapshot";

/// Entries ascend by producer id; Kafka's are in no order.
std::vector<std::byte> format_producer_snapshot(const ProducerState& producers);

/// `corrupt` unless the checksum holds and each entry is one that a writer could have had before
/// `offset`, each producer once. Memory: entries of 176 bytes.
absl::StatusOr<std::vector<ProducerStateEntry>> parse_producer_snapshot(Bytes bytes, Offset offset);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/producer_snapshot.ipp>
#endif
