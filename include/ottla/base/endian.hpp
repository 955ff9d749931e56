// SPDX-License-Identifier: Apache-2.0
//
// Big-endian integers at any address, as Kafka stores them. No bounds are checked here: see ByteReader.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ottla/base/abi.hpp>
#include <type_traits>

namespace ottla::inline OTTLA_ABI {

template <std::integral Int>
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
template <std::integral Int>
Int load_big_endian(const std::byte* from) {
  Int value;
  std::memcpy(&value, from, sizeof value);
  return std::endian::native == std::endian::big ? value : swap_bytes(value);
}

/// Writes `sizeof(Int)` bytes at `to`.
template <std::integral Int>
void store_big_endian(std::byte* to, Int value) {
  const Int bytes = std::endian::native == std::endian::big ? value : swap_bytes(value);
  std::memcpy(to, &bytes, sizeof bytes);
}

}  // namespace ottla::inline OTTLA_ABI
