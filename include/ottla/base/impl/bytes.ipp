// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ottla/base/bytes.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::string_view ByteReader::string() {
  const auto text = nullable_string();
  if (!text) {
    fail();
    return {};
  }
  return *text;
}

OTTLA_INLINE std::optional<std::string_view> ByteReader::nullable_string() {
  const auto text = nullable(integer<std::int16_t>(), INT16_MAX);
  return text ? std::optional(as_string_view(*text)) : std::nullopt;
}

OTTLA_INLINE std::string_view ByteReader::compact_string() {
  const auto text = nullable_compact_string();
  if (!text) {
    fail();
    return {};
  }
  return *text;
}

OTTLA_INLINE std::optional<std::string_view> ByteReader::nullable_compact_string() {
  const auto text = nullable(std::int64_t{unsigned_varint()} - 1, INT16_MAX);
  return text ? std::optional(as_string_view(*text)) : std::nullopt;
}

OTTLA_INLINE std::optional<Bytes> ByteReader::nullable_bytes() {
  return nullable(integer<std::int32_t>(), INT32_MAX);
}

OTTLA_INLINE std::optional<Bytes> ByteReader::nullable_compact_bytes() {
  return nullable(std::int64_t{unsigned_varint()} - 1, INT32_MAX);
}

OTTLA_INLINE std::optional<Bytes> ByteReader::nullable(std::int64_t length, std::int64_t longest) {
  if (length < -1 || length > longest) {
    fail();
  }
  if (!ok() || length == -1) {
    return std::nullopt;
  }
  const Bytes taken = bytes(static_cast<std::size_t>(length));
  return ok() ? std::optional(taken) : std::nullopt;
}

OTTLA_INLINE std::size_t ByteReader::checked_count(std::int64_t count,
                                                   std::size_t min_element_size) {
  if (count < -1 ||
      (count > 0 && static_cast<std::uint64_t>(count) >
                        remaining() / (min_element_size > 0 ? min_element_size : 1))) {
    fail();
    return 0;
  }
  return count < 0 ? 0 : static_cast<std::size_t>(count);
}

OTTLA_INLINE std::size_t ByteReader::array_count(std::size_t min_element_size) {
  return checked_count(integer<std::int32_t>(), min_element_size);
}

OTTLA_INLINE std::size_t ByteReader::compact_array_count(std::size_t min_element_size) {
  return checked_count(std::int64_t{unsigned_varint()} - 1, min_element_size);
}

OTTLA_INLINE void ByteReader::skip_tagged_fields() {
  const std::uint32_t count = unsigned_varint();
  std::int64_t last_tag = -1;
  for (std::uint32_t i = 0; i < count && ok(); ++i) {
    const std::int64_t tag = unsigned_varint();
    if (tag <= last_tag) {
      fail();
    }
    last_tag = tag;
    bytes(unsigned_varint());
  }
}

OTTLA_INLINE void ByteWriter::varint(std::int32_t value) {
  std::byte bytes[max_varint_size];
  this->bytes(Bytes(bytes, write_varint(bytes, value)));
}

OTTLA_INLINE void ByteWriter::varlong(std::int64_t value) {
  std::byte bytes[max_varlong_size];
  this->bytes(Bytes(bytes, write_varlong(bytes, value)));
}

OTTLA_INLINE void ByteWriter::unsigned_varint(std::uint32_t value) {
  std::byte bytes[max_varint_size];
  this->bytes(Bytes(bytes, write_unsigned_varint(bytes, value)));
}

OTTLA_INLINE void ByteWriter::string(std::string_view text) {
  integer(static_cast<std::int16_t>(text.size()));
  bytes(as_bytes(text));
}

OTTLA_INLINE void ByteWriter::nullable_string(std::optional<std::string_view> text) {
  if (text) {
    string(*text);
  } else {
    integer(std::int16_t{-1});
  }
}

OTTLA_INLINE void ByteWriter::compact_string(std::string_view text) {
  nullable_compact_bytes(as_bytes(text));
}

OTTLA_INLINE void ByteWriter::nullable_compact_string(std::optional<std::string_view> text) {
  nullable_compact_bytes(text ? std::optional(as_bytes(*text)) : std::nullopt);
}

OTTLA_INLINE void ByteWriter::nullable_bytes(std::optional<Bytes> bytes) {
  integer(bytes ? static_cast<std::int32_t>(bytes->size()) : std::int32_t{-1});
  if (bytes) {
    this->bytes(*bytes);
  }
}

OTTLA_INLINE void ByteWriter::nullable_compact_bytes(std::optional<Bytes> bytes) {
  unsigned_varint(bytes ? static_cast<std::uint32_t>(bytes->size() + 1) : 0U);
  if (bytes) {
    this->bytes(*bytes);
  }
}

}  // namespace ottla::inline OTTLA_ABI
