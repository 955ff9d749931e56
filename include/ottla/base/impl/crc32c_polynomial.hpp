// SPDX-License-Identifier: Apache-2.0
//
// Polynomials modulo CRC-32C's, reflected: bit 31 stands for x^0, bit 0 for x^31. In a 64-bit word
// bit 0 stands for x^63, so a carry-less product comes out multiplied by x; with the x^32 that a
// CRC brings along, that is why each factor here is lower by 33.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI::base_impl {

constexpr std::uint32_t crc32c_times_x(std::uint32_t polynomial) {
  return (polynomial >> 1) ^ ((polynomial & 1) != 0 ? 0x82F63B78U : 0U);
}

constexpr std::uint32_t make_crc32c_power(unsigned exponent) {
  std::uint32_t power = 0x80000000U;
  for (; exponent > 0; --exponent) {
    power = crc32c_times_x(power);
  }
  return power;
}
/// x^exponent.
template <unsigned exponent>
inline constexpr std::uint32_t crc32c_power = make_crc32c_power(exponent);

/// The longest lane of three chains side by side, in words of 8 bytes.
inline constexpr std::size_t crc32c_lane_words = 128;

consteval std::array<std::uint32_t, 2 * crc32c_lane_words + 1> make_crc32c_words_behind() {
  std::array<std::uint32_t, 2 * crc32c_lane_words + 1> factors{};
  std::uint32_t power = make_crc32c_power(64 - 33);
  for (std::size_t words = 1; words < factors.size(); ++words) {
    factors[words] = power;
    for (int bit = 0; bit < 64; ++bit) {
      power = crc32c_times_x(power);
    }
  }
  return factors;
}
/// By words: what moves a remainder in front of as many, x^(64 * words - 33).
inline constexpr auto crc32c_words_behind = make_crc32c_words_behind();

}  // namespace ottla::inline OTTLA_ABI::base_impl
