// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/crc32c.hpp>
#include <ottla/base/status.hpp>
#include <ottla/record/batch_header.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE void BatchHeader::write(std::byte* to) const {
  namespace pos = batch_position;
  store_big_endian(to + pos::base_offset, base_offset.value());
  store_big_endian(to + pos::batch_length, batch_length);
  store_big_endian(to + pos::leader_epoch, leader_epoch.value());
  store_big_endian(to + pos::magic, magic);
  store_big_endian(to + pos::crc, crc);
  store_big_endian(to + pos::attributes, attributes);
  store_big_endian(to + pos::last_offset_delta, last_offset_delta);
  store_big_endian(to + pos::base_timestamp, base_timestamp.value());
  store_big_endian(to + pos::max_timestamp, max_timestamp.value());
  store_big_endian(to + pos::producer_id, producer_id.value());
  store_big_endian(to + pos::producer_epoch, producer_epoch.value());
  store_big_endian(to + pos::base_sequence, base_sequence);
  store_big_endian(to + pos::record_count, record_count);
}

OTTLA_INLINE ScannedBatch scan_batch(Bytes head, std::uint64_t remaining) {
  constexpr std::int32_t least_length = 14;  // the smallest batch of any format
  if (remaining < batch_length_end || head.size() < batch_length_end) {
    return {BatchVerdict::partial, 0};
  }
  const auto length = load_big_endian<std::int32_t>(head.data() + batch_position::batch_length);
  if (length < least_length || length > INT32_MAX - static_cast<std::int32_t>(batch_length_end)) {
    return {BatchVerdict::corrupt_length, 0};
  }
  const std::size_t size = static_cast<std::size_t>(length) + batch_length_end;
  if (remaining < batch_scan_size || head.size() < batch_scan_size) {
    return {BatchVerdict::partial, size};
  }
  const auto magic = static_cast<std::int8_t>(head[batch_position::magic]);
  if (magic < 0 || magic > batch_magic) {
    return {BatchVerdict::corrupt_magic, 0};
  }
  if (size > remaining) {
    return {BatchVerdict::partial, size};
  }
  if (magic < batch_magic) {
    return {BatchVerdict::old_format, size};
  }
  return {size < batch_header_size ? BatchVerdict::too_small : BatchVerdict::whole, size};
}

OTTLA_INLINE absl::Status batch_error(BatchVerdict verdict, std::string_view where,
                                      std::uint64_t position) {
  const auto corrupt = [&](std::string_view what) {
    return error(
        ErrorCode::corrupt_message, Fault::corrupt,
        absl::StrCat("record batch at byte ", position, " of ", av(where), ": ", av(what)));
  };
  switch (verdict) {
    case BatchVerdict::whole:
      return absl::OkStatus();
    case BatchVerdict::partial:
      return corrupt("the bytes end before the batch does");
    case BatchVerdict::corrupt_length:
      return corrupt("its length is not that of a batch");
    case BatchVerdict::corrupt_magic:
      return corrupt("its magic byte is none of 0, 1 and 2");
    case BatchVerdict::too_small:
      return corrupt("it is shorter than its own header of 61 bytes");
    case BatchVerdict::old_format:
      break;
  }
  // One flipped bit of a batch says the same.
  return error(ErrorCode::unsupported_for_message_format, Fault::corrupt,
               absl::StrCat("record batch at byte ", position, " of ", av(where),
                            ": message format 0 or 1, which Kafka stopped writing in 3.0; only "
                            "format 2 is read here: convert the topic with Kafka first"));
}

OTTLA_INLINE std::uint32_t batch_checksum(Bytes batch) {
  return crc32c(batch.subspan(batch_position::attributes));
}

OTTLA_INLINE bool checksum_matches(Bytes batch) {
  return load_big_endian<std::uint32_t>(batch.data() + batch_position::crc) ==
         batch_checksum(batch);
}

OTTLA_INLINE void stamp_offset_and_epoch(MutableBytes batch, Offset base_offset,
                                         LeaderEpoch leader_epoch) {
  store_big_endian(batch.data() + batch_position::base_offset, base_offset.value());
  store_big_endian(batch.data() + batch_position::leader_epoch, leader_epoch.value());
}

OTTLA_INLINE void stamp_max_timestamp(MutableBytes batch, TimestampType type,
                                      Timestamp max_timestamp) {
  std::byte* attributes = batch.data() + batch_position::attributes;
  const auto before = load_big_endian<std::int16_t>(attributes);
  const auto bit = batch_attribute::log_append_time;
  const int after = type == TimestampType::log_append_time ? before | bit : before & ~bit;
  store_big_endian(attributes, static_cast<std::int16_t>(after));
  store_big_endian(batch.data() + batch_position::max_timestamp, max_timestamp.value());
  stamp_checksum(batch);
}

OTTLA_INLINE void stamp_checksum(MutableBytes batch) {
  store_big_endian(batch.data() + batch_position::crc, batch_checksum(batch));
}

}  // namespace ottla::inline OTTLA_ABI
