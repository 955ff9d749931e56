// SPDX-License-Identifier: Apache-2.0
//
// Encoding of records: small bodies that must be inlined where they are used.
#pragma once

#include <ottla/record/batch_builder.hpp>

namespace ottla::inline OTTLA_ABI {
namespace record_impl {

inline std::size_t nullable_size(const std::optional<Bytes>& bytes) {
  return bytes.has_value() ? varint_size(static_cast<std::int32_t>(bytes->size())) + bytes->size()
                           : 1;
}
inline std::byte* write_bytes(std::byte* to, const void* from, std::size_t size) {
  if (size != 0) {
    std::memcpy(to, from, size);
  }
  return to + size;
}
inline std::byte* write_nullable(std::byte* to, const std::optional<Bytes>& bytes) {
  if (!bytes.has_value()) {
    *to = std::byte{1};  // the varint -1
    return to + 1;
  }
  to += write_varint(to, static_cast<std::int32_t>(bytes->size()));
  return write_bytes(to, bytes->data(), bytes->size());
}

std::size_t headers_size(std::span<const RecordHeader> headers);
std::byte* write_headers(std::byte* to, std::span<const RecordHeader> headers);

/// Key, value and headers with their sizes.
inline std::size_t content_size(const RecordFields& record) {
  return nullable_size(record.key) + nullable_size(record.value) +
         (record.headers.empty() ? 1 : headers_size(record.headers));
}
/// What follows the length field.
inline std::size_t body_size(std::int32_t offset_delta, std::int64_t timestamp_delta,
                             const RecordFields& record) {
  return 1 + varlong_size(timestamp_delta) + varint_size(offset_delta) + content_size(record);
}

}  // namespace record_impl

inline std::size_t record_size(std::int32_t offset_delta, std::int64_t timestamp_delta,
                               const RecordFields& record) {
  const std::size_t body = record_impl::body_size(offset_delta, timestamp_delta, record);
  return unsigned_varint_size(zigzag(static_cast<std::int32_t>(body))) + body;
}

inline std::size_t batch_size_upper_bound(const RecordFields& record) {
  constexpr std::size_t most_overhead = max_varint_size + 1 + max_varlong_size + max_varint_size;
  return batch_header_size + most_overhead + record_impl::content_size(record);
}

inline absl::Status BatchBuilder::append_delta(std::int64_t delta, const RecordFields& record) {
  using namespace record_impl;
  if (delta < next_delta_ || delta > INT32_MAX) [[unlikely]] {
    return bad_offset(delta);
  }
  const std::int64_t timestamp_delta = this->timestamp_delta(record);
  const auto offset_delta = static_cast<std::int32_t>(delta);
  const std::size_t body = body_size(offset_delta, timestamp_delta, record);
  if (size() + body + max_varint_size > room_) [[unlikely]] {
    OTTLA_TRY(make_room(body + max_varint_size));
  }
  std::byte* const start = buffer_.data() + size();
  std::byte* to = start + write_varint(start, static_cast<std::int32_t>(body));
  *to++ = std::byte{0};  // attributes
  to += write_varlong(to, timestamp_delta);
  to += write_varint(to, offset_delta);
  to = write_nullable(to, record.key);
  to = write_nullable(to, record.value);
  if (record.headers.empty()) [[likely]] {
    *to++ = std::byte{0};
  } else {
    to = write_headers(to, record.headers);
  }
  if (count_++ == 0) {
    first_timestamp_ = record.timestamp;
  }
  if (record.timestamp > max_timestamp_) {
    max_timestamp_ = record.timestamp;
  }
  next_delta_ = delta + 1;
  records_size_ += static_cast<std::size_t>(to - start);
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
