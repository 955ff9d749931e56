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
/// The forms of three bytes and more.
std::byte* put_long(std::byte* to, std::uint64_t n);

/// Base 128. Nearly all that a record has are of one byte or two.
inline std::byte* put(std::byte* to, std::uint64_t n) {
  if (n < 0x80) {
    *to = static_cast<std::byte>(n);
    return to + 1;
  }
  if (n < 0x4000) [[likely]] {
    to[0] = static_cast<std::byte>(n | 0x80);
    to[1] = static_cast<std::byte>(n >> 7);
    return to + 2;
  }
  return put_long(to, n);
}
inline std::byte* put_nullable(std::byte* to, const std::optional<Bytes>& bytes) {
  if (!bytes.has_value()) {
    *to = std::byte{1};  // the varint -1
    return to + 1;
  }
  const std::size_t size = bytes->size();
  to = put(to, 2 * std::uint64_t{size});
  if (size != 0) {
    std::memcpy(to, bytes->data(), size);
  }
  return to + size;
}

std::size_t headers_size(std::span<const RecordHeader> headers);
std::byte* put_headers(std::byte* to, std::span<const RecordHeader> headers);

/// Key, value and headers, without the sizes of the first two.
inline std::size_t payload_size(const RecordFields& record) {
  return record.key.value_or(Bytes()).size() + record.value.value_or(Bytes()).size() +
         (record.headers.empty() ? 1 : headers_size(record.headers));
}
/// Key, value and headers with their sizes.
inline std::size_t content_size(const RecordFields& record) {
  return nullable_size(record.key) + nullable_size(record.value) +
         (record.headers.empty() ? 1 : headers_size(record.headers));
}
/// Of the length field.
inline std::size_t length_width(std::size_t body) {
  return varint_size(static_cast<std::int32_t>(body));
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
  return record_impl::length_width(body) + body;
}

inline std::size_t batch_size_upper_bound(const RecordFields& record) {
  constexpr std::size_t most_overhead = max_varint_size + 1 + max_varlong_size + max_varint_size;
  return batch_header_size + most_overhead + record_impl::content_size(record);
}

inline absl::Status BatchBuilder::append_delta(std::int64_t delta, const RecordFields& record,
                                               Timestamp timestamp) {
  using namespace record_impl;
  if (delta < next_delta_ || delta > INT32_MAX) [[unlikely]] {
    return bad_offset(delta);
  }
  const std::int64_t timestamp_delta = this->timestamp_delta(timestamp);
  // The length stands first and is known last; mostly its width is known, for the shortest body as
  // for the longest.
  constexpr std::size_t least_besides = 1 + 1 + 1 + 1 + 1;
  constexpr std::size_t most_besides = 1 + max_varlong_size + 3 * max_varint_size;
  const std::size_t payload = payload_size(record);
  if (payload + most_besides + max_varint_size > room_ - used_) [[unlikely]] {
    OTTLA_TRY(make_room(payload + most_besides + max_varint_size));
  }
  const bool is_two = payload + least_besides >= 64 && payload + most_besides < 8192;
  const std::size_t width =
      is_two ? 2
             : length_width(body_size(static_cast<std::int32_t>(delta), timestamp_delta, record));
  std::byte* const start = buffer_.data() + used_;
  std::byte* const body = start + width;
  std::byte* to = body;
  *to++ = std::byte{0};  // attributes
  to = put(to, zigzag(timestamp_delta));
  to = put(to, 2 * static_cast<std::uint64_t>(delta));
  to = put_nullable(to, record.key);
  to = put_nullable(to, record.value);
  if (record.headers.empty()) [[likely]] {
    *to++ = std::byte{0};
  } else {
    to = put_headers(to, record.headers);
  }
  put(start, 2 * static_cast<std::uint64_t>(to - body));
  if (count_++ == 0) {
    first_timestamp_ = timestamp;
  }
  if (timestamp > max_timestamp_) {
    max_timestamp_ = timestamp;
  }
  next_delta_ = delta + 1;
  used_ += static_cast<std::size_t>(to - start);
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
