// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <ottla/base/crc32c.hpp>

namespace ottla::inline OTTLA_ABI {
namespace base_impl {

consteval std::array<std::uint32_t, 256> make_crc32c_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    }
    table[i] = crc;
  }
  return table;
}
inline constexpr std::array<std::uint32_t, 256> crc32c_table = make_crc32c_table();

}  // namespace base_impl

OTTLA_INLINE std::uint32_t crc32c_portable(Bytes bytes, std::uint32_t before) {
  std::uint32_t crc = ~before;
  for (const std::byte byte : bytes) {
    crc = (crc >> 8) ^ base_impl::crc32c_table[(crc ^ static_cast<std::uint32_t>(byte)) & 0xff];
  }
  return ~crc;
}

OTTLA_INLINE std::uint32_t crc32c(Bytes bytes, std::uint32_t before) {
  return crc32c_portable(bytes, before);
}

}  // namespace ottla::inline OTTLA_ABI
