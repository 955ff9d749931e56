// SPDX-License-Identifier: Apache-2.0
//
// Big-endian integers at any address, as Kafka stores them. No bounds are checked here: see
// ByteReader.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

/// An integer of fixed width. Not bool: a byte that is neither 0 nor 1 is no bool.
template <class Int>
concept FixedInteger = std::integral<Int> && !std::same_as<Int, bool> && sizeof(Int) <= 8;

template <FixedInteger Int>
constexpr Int swap_bytes(Int value) {
  if constexpr (sizeof(Int) == 1) {
    return value;
  } else if constexpr (sizeof(Int) == 2) {
    return static_cast<Int>(__builtin_bswap16(static_cast<std::uint16_t>(value)));
  } else if constexpr (sizeof(Int) == 4) {
    return static_cast<Int>(__builtin_bswap32(static_cast<std::uint32_t>(value)));
  } else {
    return static_cast<Int>(__builtin_bswap64(static_cast<std::uint64_t>(value)));
  }
}

/// Reads `sizeof(Int)` bytes at `from`.
template <FixedInteger Int>
Int load_big_endian(const std::byte* from) {
  Int value;
  std::memcpy(&value, from, sizeof value);
  return std::endian::native == std::endian::big ? value : swap_bytes(value);
}

/// The same for the algorithms that want the low byte first.
template <FixedInteger Int>
Int load_little_endian(const std::byte* from) {
  Int value;
  std::memcpy(&value, from, sizeof value);
  return std::endian::native == std::endian::little ? value : swap_bytes(value);
}

/// Writes `sizeof(Int)` bytes at `to`.
template <FixedInteger Int>
void store_big_endian(std::byte* to, Int value) {
  const Int bytes = std::endian::native == std::endian::big ? value : swap_bytes(value);
  std::memcpy(to, &bytes, sizeof bytes);
}

}  // namespace ottla::inline OTTLA_ABI
