// SPDX-License-Identifier: Apache-2.0
//
// The 61 bytes at the head of Kafka's record batch, magic 2: read, checked, found in a buffer or
// file, and stamped in place. All integers are big-endian (README.md draws them).
//   ScannedBatch next = scan_batch(bytes, bytes.size());
//   if (next.verdict == BatchVerdict::whole) use(BatchHeader::parse(bytes));
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <absl/status/status.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>
#include <ottla/record/compression_type.hpp>

namespace ottla::inline OTTLA_ABI {

inline constexpr std::size_t batch_header_size = 61;
/// Base offset and length: what `batch_length` does not count.
inline constexpr std::size_t batch_length_end = 12;
/// Enough bytes of a batch for `scan_batch` to tell what it is.
inline constexpr std::size_t batch_scan_size = 17;
inline constexpr std::int8_t batch_magic = 2;

/// Where fields stand in a batch, for those who patch bytes.
namespace batch_position {
inline constexpr std::size_t base_offset = 0;
inline constexpr std::size_t batch_length = 8;
inline constexpr std::size_t leader_epoch = 12;
inline constexpr std::size_t magic = 16;
inline constexpr std::size_t crc = 17;
inline constexpr std::size_t attributes = 21;  // the checksum covers all from here to the end
inline constexpr std::size_t last_offset_delta = 23;
inline constexpr std::size_t base_timestamp = 27;
inline constexpr std::size_t max_timestamp = 35;
inline constexpr std::size_t producer_id = 43;
inline constexpr std::size_t producer_epoch = 51;
inline constexpr std::size_t base_sequence = 53;
inline constexpr std::size_t record_count = 57;
}  // namespace batch_position

/// Bits of `BatchHeader::attributes`.
namespace batch_attribute {
inline constexpr std::int16_t codec_mask = 0x07;
inline constexpr std::int16_t log_append_time = 0x08;
inline constexpr std::int16_t transactional = 0x10;
inline constexpr std::int16_t control = 0x20;
inline constexpr std::int16_t delete_horizon = 0x40;
}  // namespace batch_attribute

/// Of the record `offset_delta` above one with `base_sequence`; `no_sequence` where that is
/// negative.
constexpr std::int32_t sequence_after(std::int32_t base_sequence, std::int32_t offset_delta) {
  // As increment_sequence, for any delta that a hostile batch may hold.
  const std::int64_t sum = std::int64_t{base_sequence} + offset_delta;
  return base_sequence < 0 ? no_sequence
                           : static_cast<std::int32_t>(sum > INT32_MAX ? sum - INT32_MAX - 1 : sum);
}

/// Every field as it is stored, and what follows from it. Values are not judged: offsets and counts
/// of a hostile batch may be anything, and what is derived from them wraps around.
struct BatchHeader {
  Offset base_offset;
  std::int32_t batch_length = 0;  ///< bytes behind this field
  LeaderEpoch leader_epoch = no_leader_epoch;
  std::int8_t magic = batch_magic;
  std::uint32_t crc = 0;
  std::int16_t attributes = 0;
  std::int32_t last_offset_delta = 0;
  Timestamp base_timestamp = no_timestamp;  ///< the delete horizon where that bit is set
  Timestamp max_timestamp = no_timestamp;
  ProducerId producer_id = no_producer_id;
  ProducerEpoch producer_epoch = no_producer_epoch;
  std::int32_t base_sequence = no_sequence;
  std::int32_t record_count = 0;

  bool operator==(const BatchHeader&) const = default;

  /// Before: at least batch_header_size bytes.
  static BatchHeader parse(Bytes bytes);
  /// Writes all 61 bytes. Before: room for them.
  void write(std::byte* to) const;

  /// Of the whole batch in bytes. Before: scan_batch said `whole`.
  std::size_t size() const { return static_cast<std::size_t>(batch_length) + batch_length_end; }
  /// May be a number that is no codec (5 to 7): see `is_known`.
  CompressionType compression() const {
    return static_cast<CompressionType>(attributes & batch_attribute::codec_mask);
  }
  TimestampType timestamp_type() const {
    return has(batch_attribute::log_append_time) ? TimestampType::log_append_time
                                                 : TimestampType::create_time;
  }
  bool is_transactional() const { return has(batch_attribute::transactional); }
  bool is_control() const { return has(batch_attribute::control); }
  bool has_producer_id() const { return producer_id != no_producer_id; }
  /// When tombstones and markers of this batch may go; nothing where none was set.
  std::optional<Timestamp> delete_horizon() const {
    return has(batch_attribute::delete_horizon) ? std::optional(base_timestamp) : std::nullopt;
  }
  Offset last_offset() const { return plus(last_offset_delta); }
  Offset next_offset() const { return plus(std::int64_t{last_offset_delta} + 1); }
  /// `no_sequence` where base_sequence is negative.
  std::int32_t last_sequence() const { return sequence_after(base_sequence, last_offset_delta); }

 private:
  bool has(std::int16_t bit) const { return (attributes & bit) != 0; }
  Offset plus(std::int64_t delta) const {
    return Offset(static_cast<std::int64_t>(static_cast<std::uint64_t>(base_offset.value()) +
                                            static_cast<std::uint64_t>(delta)));
  }
};

/// What stands at a place where a batch should begin.
enum class BatchVerdict : std::uint8_t {
  whole,    ///< a batch of magic 2 that lies there completely; its checksum was not looked at
  partial,  ///< the bytes end before the batch does: the end of a fetched buffer, or a torn write
  corrupt_length,  ///< CORRUPT_MESSAGE: a length below 14, or above what a file can hold
  corrupt_magic,   ///< CORRUPT_MESSAGE: magic below 0 or above 2
  too_small,       ///< CORRUPT_MESSAGE: complete, but shorter than its header
  old_format,      ///< UNSUPPORTED_FOR_MESSAGE_FORMAT: magic 0 or 1
};

struct ScannedBatch {
  BatchVerdict verdict = BatchVerdict::partial;
  /// Declared size of the whole batch in bytes; 0 where it could not be read or is corrupt.
  std::size_t size = 0;
};

/// Looks at the start of `head`, of which `remaining` bytes are there in all (a file's rest may be
/// longer than `head`). Before: `head` holds batch_scan_size bytes or all that remains. No
/// allocation.
ScannedBatch scan_batch(Bytes head, std::uint64_t remaining);

/// The error for a verdict other than `whole` and `partial`, at byte `position` of `where` (a
/// file's name, or what the buffer is). `partial` is answered as CORRUPT_MESSAGE too, for callers
/// that need a whole batch.
absl::Status batch_error(BatchVerdict verdict, std::string_view where, std::uint64_t position);

/// CRC-32C of byte 21 to the end. Before: a whole batch and nothing else.
std::uint32_t batch_checksum(Bytes batch);
/// Before: as above.
bool checksum_matches(Bytes batch);

/// What a leader assigns in place, outside the checksum: bytes 0 to 7 and 12 to 15. Before: a whole
/// batch.
void stamp_offset_and_epoch(MutableBytes batch, Offset base_offset, LeaderEpoch leader_epoch);
/// Sets the largest timestamp and its type and computes the checksum again. With `log_append_time`
/// every record reads as `max_timestamp` from then on. Before: a whole batch and nothing else.
void stamp_max_timestamp(MutableBytes batch, TimestampType type, Timestamp max_timestamp);
/// Computes the checksum and stores it. Before: as above.
void stamp_checksum(MutableBytes batch);

// ── bodies of what runs once per batch ──────────────────────────────────────────────────────────

inline BatchHeader BatchHeader::parse(Bytes bytes) {
  const std::byte* at = bytes.data();
  namespace pos = batch_position;
  BatchHeader header;
  header.base_offset = Offset(load_big_endian<std::int64_t>(at + pos::base_offset));
  header.batch_length = load_big_endian<std::int32_t>(at + pos::batch_length);
  header.leader_epoch = LeaderEpoch(load_big_endian<std::int32_t>(at + pos::leader_epoch));
  header.magic = load_big_endian<std::int8_t>(at + pos::magic);
  header.crc = load_big_endian<std::uint32_t>(at + pos::crc);
  header.attributes = load_big_endian<std::int16_t>(at + pos::attributes);
  header.last_offset_delta = load_big_endian<std::int32_t>(at + pos::last_offset_delta);
  header.base_timestamp = Timestamp(load_big_endian<std::int64_t>(at + pos::base_timestamp));
  header.max_timestamp = Timestamp(load_big_endian<std::int64_t>(at + pos::max_timestamp));
  header.producer_id = ProducerId(load_big_endian<std::int64_t>(at + pos::producer_id));
  header.producer_epoch = ProducerEpoch(load_big_endian<std::int16_t>(at + pos::producer_epoch));
  header.base_sequence = load_big_endian<std::int32_t>(at + pos::base_sequence);
  header.record_count = load_big_endian<std::int32_t>(at + pos::record_count);
  return header;
}

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/record/impl/batch_header.ipp>
#endif
