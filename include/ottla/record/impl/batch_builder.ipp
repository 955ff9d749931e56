// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/impl/codec.hpp>

namespace ottla::inline OTTLA_ABI {
namespace record_impl {

OTTLA_INLINE std::byte* put_long(std::byte* to, std::uint64_t n) {
  return to + write_base_128(to, n);
}

OTTLA_INLINE std::size_t headers_size(std::span<const RecordHeader> headers) {
  std::size_t size = varint_size(static_cast<std::int32_t>(headers.size()));
  for (const RecordHeader& header : headers) {
    size += nullable_size(as_bytes(header.key)) + nullable_size(header.value);
  }
  return size;
}

OTTLA_INLINE std::byte* put_headers(std::byte* to, std::span<const RecordHeader> headers) {
  to = put(to, 2 * std::uint64_t{headers.size()});
  for (const RecordHeader& header : headers) {
    to = put_nullable(to, as_bytes(header.key));
    to = put_nullable(to, header.value);
  }
  return to;
}

inline constexpr std::size_t max_batch_size = INT32_MAX;

}  // namespace record_impl

OTTLA_INLINE absl::Status BatchBuilder::bad_timestamp(Timestamp timestamp) {
  return error(ErrorCode::invalid_timestamp,
               absl::StrCat("record timestamp ", timestamp.value(),
                            ": milliseconds since 1970, or -1 for none, are allowed"));
}

OTTLA_INLINE absl::Status BatchBuilder::bad_offset(std::int64_t delta) const {
  return error(ErrorCode::invalid_record,
               absl::StrCat("a record ", delta, " offsets above the first of its batch, where ",
                            next_delta_, " is next: offsets ascend, by less than 2^31 in a batch"));
}

OTTLA_INLINE void BatchBuilder::take(Buffer buffer) {
  buffer_ = std::move(buffer);
  room_ = std::clamp(buffer_.capacity(), batch_header_size, record_impl::max_batch_size);
}

OTTLA_INLINE absl::Status BatchBuilder::make_room(std::size_t record_size) {
  if (record_size > record_impl::max_batch_size - size()) {
    return error(ErrorCode::message_too_large,
                 absl::StrCat("a record of ", record_size, " bytes in a batch of ", size(),
                              ": a batch holds less than 2 GiB"));
  }
  const std::size_t needed = size() + record_size;
  const std::size_t doubled = std::min(2 * capacity(), record_impl::max_batch_size);
  const std::size_t wanted = std::max({needed, doubled, initial_capacity});
  Buffer larger = Buffer::allocate(wanted);
  if (!larger) {
    return record_impl::no_memory(wanted);
  }
  move_to(std::move(larger));
  return absl::OkStatus();
}

OTTLA_INLINE Buffer BatchBuilder::move_to(Buffer larger) {
  if (count_ != 0) {
    std::memcpy(larger.data(), buffer_.data(), size());
  }
  Buffer smaller = std::move(buffer_);
  take(std::move(larger));
  return smaller;
}

OTTLA_INLINE absl::Status BatchBuilder::set_last_offset(Offset offset) {
  const std::int64_t delta = difference(offset.value(), fields_.base_offset.value());
  if (delta < next_delta_ - 1 || delta > INT32_MAX) {
    return bad_offset(delta);
  }
  next_delta_ = delta + 1;
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status BatchBuilder::check_fields() const {
  const auto wrong = [](std::string_view what) {
    return error(ErrorCode::invalid_record, absl::StrCat("BatchBuilder::seal: ", av(what)));
  };
  if (count_ == 0) {
    return wrong("a batch without records is no batch");
  }
  const bool has_producer = fields_.producer_id != no_producer_id;
  if (fields_.is_transactional && !has_producer) {
    return wrong("a transactional batch needs a producer id");
  }
  if (has_producer && fields_.producer_epoch.value() < 0) {
    return wrong("a producer id comes with a producer epoch");
  }
  if (has_producer && fields_.base_sequence < 0 && !fields_.is_control) {
    return wrong("a producer id comes with a base sequence");
  }
  return absl::OkStatus();
}

OTTLA_INLINE void BatchBuilder::write_header(std::byte* to, std::size_t payload_size) const {
  const auto bit = [](bool is_set, std::int16_t value) { return is_set ? value : 0; };
  BatchHeader header;
  header.base_offset = fields_.base_offset;
  header.batch_length =
      static_cast<std::int32_t>(batch_header_size + payload_size - batch_length_end);
  header.leader_epoch = fields_.leader_epoch;
  header.attributes = static_cast<std::int16_t>(
      static_cast<int>(fields_.compression) |
      bit(fields_.log_append_time.has_value(), batch_attribute::log_append_time) |
      bit(fields_.is_transactional, batch_attribute::transactional) |
      bit(fields_.is_control, batch_attribute::control) |
      bit(fields_.delete_horizon.has_value(), batch_attribute::delete_horizon));
  header.last_offset_delta = static_cast<std::int32_t>(next_delta_ - 1);
  header.base_timestamp = base_timestamp();
  header.max_timestamp = fields_.log_append_time.value_or(max_timestamp_);
  header.producer_id = fields_.producer_id;
  header.producer_epoch = fields_.producer_epoch;
  header.base_sequence = fields_.base_sequence;
  header.record_count = count_;
  header.write(to);
}

OTTLA_INLINE void BatchBuilder::clear() {
  used_ = batch_header_size;
  next_delta_ = 0;
  first_timestamp_ = no_timestamp;
  max_timestamp_ = no_timestamp;
  count_ = 0;
}

OTTLA_INLINE absl::StatusOr<SealedBatch> BatchBuilder::seal() {
  if (fields_.compression != CompressionType::none) {
    return error(Fault::invalid_argument,
                 "BatchBuilder::seal: a compressed batch needs a Compressor");
  }
  OTTLA_TRY(check_fields());
  const std::size_t size = this->size();
  write_header(buffer_.data(), size - batch_header_size);
  stamp_checksum(MutableBytes(buffer_.data(), size));
  clear();
  room_ = batch_header_size;
  return SealedBatch(std::move(buffer_), size);
}

OTTLA_INLINE absl::StatusOr<SealedBatch> BatchBuilder::seal(Compressor& compressor) {
  if (fields_.compression == CompressionType::none) {
    return seal();
  }
  OTTLA_TRY(check_fields());
  const Bytes records(buffer_.data() + batch_header_size, used_ - batch_header_size);
  OTTLA_ASSIGN(const Bytes blob,
               compressor.compress(fields_.compression, records, fields_.compression_level));
  const std::size_t size = batch_header_size + blob.size();
  if (size > record_impl::max_batch_size) {
    return error(ErrorCode::message_too_large, "a batch holds less than 2 GiB");
  }
  Buffer exact = Buffer::allocate(size);
  if (!exact) {
    return record_impl::no_memory(size);
  }
  write_header(exact.data(), blob.size());
  std::memcpy(exact.data() + batch_header_size, blob.data(), blob.size());
  stamp_checksum(MutableBytes(exact.data(), size));
  clear();
  return SealedBatch(std::move(exact), size);
}

OTTLA_INLINE SealedBatch emptied_batch(const BatchHeader& of) {
  Buffer buffer = Buffer::allocate(batch_header_size);
  if (!buffer) {
    return {};
  }
  BatchHeader header = of;
  header.batch_length = static_cast<std::int32_t>(batch_header_size - batch_length_end);
  header.magic = batch_magic;
  header.attributes = static_cast<std::int16_t>(of.attributes & (batch_attribute::log_append_time |
                                                                 batch_attribute::transactional |
                                                                 batch_attribute::control));
  header.base_timestamp = no_timestamp;
  header.record_count = 0;
  header.write(buffer.data());
  stamp_checksum(MutableBytes(buffer.data(), batch_header_size));
  return SealedBatch(std::move(buffer), batch_header_size);
}

}  // namespace ottla::inline OTTLA_ABI
