// SPDX-License-Identifier: Apache-2.0
//
// Kafka's variable-length integers (spec storage.md section 1): base 128, low group first, signed
// ones zigzag. Readers take at most 5 (10) bytes, and answer null when the input ends or goes on
// beyond that, or when the last byte has bits that the integer has not (Kafka drops those, nobody
// writes them). Source: the encoding of Protocol Buffers.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

inline constexpr std::size_t max_varint_size = 5;
inline constexpr std::size_t max_varlong_size = 10;

constexpr std::uint32_t zigzag(std::int32_t n) {
  return (static_cast<std::uint32_t>(n) << 1) ^ static_cast<std::uint32_t>(n >> 31);
}
constexpr std::uint64_t zigzag(std::int64_t n) {
  return (static_cast<std::uint64_t>(n) << 1) ^ static_cast<std::uint64_t>(n >> 63);
}
constexpr std::int32_t unzigzag(std::uint32_t n) {
  return static_cast<std::int32_t>((n >> 1) ^ (~(n & 1) + 1));
}
constexpr std::int64_t unzigzag(std::uint64_t n) {
  return static_cast<std::int64_t>((n >> 1) ^ (~(n & 1) + 1));
}

/// Bytes that a value takes: 1 to 5 (10).
constexpr std::size_t unsigned_varint_size(std::uint32_t n) {
  return (static_cast<std::size_t>(std::bit_width(n | 1)) + 6) / 7;
}
constexpr std::size_t unsigned_varlong_size(std::uint64_t n) {
  return (static_cast<std::size_t>(std::bit_width(n | 1)) + 6) / 7;
}
constexpr std::size_t varint_size(std::int32_t n) { return unsigned_varint_size(zigzag(n)); }
constexpr std::size_t varlong_size(std::int64_t n) { return unsigned_varlong_size(zigzag(n)); }

/// Writes at `to` (room for the largest form) and returns the bytes written.
template <class Unsigned>
inline std::size_t write_base_128(std::byte* to, Unsigned n) {
  std::size_t size = 0;
  while (n >= 0x80) {
    to[size++] = static_cast<std::byte>(n | 0x80);
    n >>= 7;
  }
  to[size++] = static_cast<std::byte>(n);
  return size;
}
inline std::size_t write_unsigned_varint(std::byte* to, std::uint32_t n) {
  return write_base_128(to, n);
}
inline std::size_t write_varint(std::byte* to, std::int32_t n) {
  return write_base_128(to, zigzag(n));
}
inline std::size_t write_varlong(std::byte* to, std::int64_t n) {
  return write_base_128(to, zigzag(n));
}

/// Any form, byte by byte.
template <class Unsigned, std::size_t max_size>
inline const std::byte* read_long_base_128(const std::byte* at, const std::byte* end,
                                           Unsigned& value) {
  Unsigned result = 0;
  for (std::size_t i = 0; i < max_size && at != end; ++i) {
    const auto byte = static_cast<std::uint8_t>(*at++);
    const unsigned shift = 7 * static_cast<unsigned>(i);
    if (i == max_size - 1 && (byte >> (8 * sizeof(Unsigned) - shift)) != 0) {
      return nullptr;
    }
    result |= static_cast<Unsigned>(static_cast<Unsigned>(byte & 0x7f) << shift);
    if (byte < 0x80) {
      value = result;
      return at;
    }
  }
  return nullptr;
}

/// Reads from [at, end) into `value` and returns where it ended; null when it does not fit or is
/// malformed. Forms of one and two bytes, nearly all there are, come first.
template <class Unsigned, std::size_t max_size>
inline const std::byte* read_base_128(const std::byte* at, const std::byte* end, Unsigned& value) {
  if (end - at >= 2) [[likely]] {
    const auto first = static_cast<Unsigned>(at[0]);
    if (first < 0x80) {
      value = first;
      return at + 1;
    }
    const auto second = static_cast<Unsigned>(at[1]);
    if (second < 0x80) {
      value = (first & 0x7f) | second << 7;
      return at + 2;
    }
  }
  return read_long_base_128<Unsigned, max_size>(at, end, value);
}
inline const std::byte* read_unsigned_varint(const std::byte* at, const std::byte* end,
                                             std::uint32_t& value) {
  return read_base_128<std::uint32_t, max_varint_size>(at, end, value);
}
inline const std::byte* read_varint(const std::byte* at, const std::byte* end,
                                    std::int32_t& value) {
  std::uint32_t raw = 0;
  const std::byte* next = read_base_128<std::uint32_t, max_varint_size>(at, end, raw);
  value = unzigzag(raw);
  return next;
}
inline const std::byte* read_varlong(const std::byte* at, const std::byte* end,
                                     std::int64_t& value) {
  std::uint64_t raw = 0;
  const std::byte* next = read_base_128<std::uint64_t, max_varlong_size>(at, end, raw);
  value = unzigzag(raw);
  return next;
}

}  // namespace ottla::inline OTTLA_ABI
