// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/crc32c.hpp>
#include <ottla/base/status.hpp>
#include <ottla/log/producer_snapshot.hpp>

namespace ottla::inline OTTLA_ABI {
namespace log_impl {

inline constexpr std::int16_t snapshot_version = 1;
inline constexpr std::size_t snapshot_crc_position = 2;
inline constexpr std::size_t snapshot_crc_from = 6;
inline constexpr std::size_t snapshot_entry_size = 46;

inline ProducerStateEntry read_snapshot_entry(ByteReader& reader) {
  ProducerStateEntry entry;
  entry.producer_id = ProducerId(reader.integer<std::int64_t>());
  entry.epoch = ProducerEpoch(reader.integer<std::int16_t>());
  BatchMetadata batch;
  batch.last_sequence = reader.integer<std::int32_t>();
  batch.last_offset = Offset(reader.integer<std::int64_t>());
  batch.offset_delta = reader.integer<std::int32_t>();
  batch.timestamp = entry.last_timestamp = Timestamp(reader.integer<std::int64_t>());
  entry.coordinator_epoch = reader.integer<std::int32_t>();
  const Offset transaction(reader.integer<std::int64_t>());
  if (transaction >= Offset(0)) {
    entry.transaction_start = transaction;
  }
  if (batch.last_offset >= Offset(0)) {
    entry.batches.add(batch);
  }
  return entry;
}

inline bool is_plausible(const ProducerStateEntry& entry, Offset end) {
  if (entry.producer_id < ProducerId(0) || entry.epoch < no_producer_epoch ||
      entry.coordinator_epoch < -1 || entry.transaction_start.value_or(Offset(-1)) >= end) {
    return false;
  }
  for (const BatchMetadata& batch : entry.batches.all()) {
    if (batch.last_sequence < no_sequence || batch.offset_delta < 0 ||
        batch.first_offset() < Offset(0) || batch.last_offset >= end) {
      return false;
    }
  }
  return true;
}

}  // namespace log_impl

OTTLA_INLINE std::vector<std::byte> format_producer_snapshot(const ProducerState& producers) {
  std::vector<std::byte> bytes;
  bytes.reserve(log_impl::snapshot_crc_from + sizeof(std::int32_t) +
                producers.size() * log_impl::snapshot_entry_size);
  ByteWriter writer(bytes);
  writer.integer(log_impl::snapshot_version);
  writer.integer(std::uint32_t{0});
  writer.array_count(producers.size());
  for (const ProducerStateEntry& entry : producers.entries()) {
    const BatchMetadata batch = entry.batches.newest();
    writer.integer(entry.producer_id.value());
    writer.integer(entry.epoch.value());
    writer.integer(batch.last_sequence);
    writer.integer(batch.last_offset.value());
    writer.integer(batch.offset_delta);
    writer.integer(entry.last_timestamp.value());
    writer.integer(entry.coordinator_epoch);
    writer.integer(entry.transaction_start.value_or(Offset(-1)).value());
  }
  writer.patch(log_impl::snapshot_crc_position,
               crc32c(Bytes(bytes).subspan(log_impl::snapshot_crc_from)));
  return bytes;
}

OTTLA_INLINE absl::StatusOr<std::vector<ProducerStateEntry>> parse_producer_snapshot(
    Bytes bytes, Offset offset) {
  const auto corrupt = [&](std::string_view why) {
    return error(Fault::corrupt,
                 absl::StrCat("a producer snapshot of ", bytes.size(), " bytes: ", av(why)));
  };
  ByteReader reader(bytes);
  if (reader.integer<std::int16_t>() != log_impl::snapshot_version) {
    return corrupt("it has another version than 1");
  }
  if (reader.integer<std::uint32_t>() !=
      crc32c(bytes.subspan(std::min(bytes.size(), log_impl::snapshot_crc_from)))) {
    return corrupt("it does not match its checksum");
  }
  const std::size_t count = reader.array_count(log_impl::snapshot_entry_size);
  if (!reader.ok() || reader.remaining() != count * log_impl::snapshot_entry_size) {
    return corrupt("it has more or less bytes than entries");
  }
  std::vector<ProducerStateEntry> entries;
  std::vector<ProducerId> ids;
  entries.reserve(count);
  ids.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    entries.push_back(log_impl::read_snapshot_entry(reader));
    ids.push_back(entries.back().producer_id);
    if (!log_impl::is_plausible(entries.back(), offset)) {
      return corrupt("an entry is not one of a log that ends there");
    }
  }
  std::sort(ids.begin(), ids.end());
  if (std::adjacent_find(ids.begin(), ids.end()) != ids.end()) {
    return corrupt("it has a producer twice");
  }
  return entries;
}

}  // namespace ottla::inline OTTLA_ABI
