// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C on aarch64, on the bare remainder (nothing inverted): the crc32c instruction in one
// chain, or in three side by side that a carry-less multiplication joins (as in crc32c_x86.hpp).
// Written in assembly since the two compilers call the same intrinsics and targets by different
// names.
#pragma once

#if defined(__aarch64__)
#include <cstddef>
#include <cstdint>

#include <sys/auxv.h>

#include <ottla/base/endian.hpp>
#include <ottla/base/impl/crc32c_polynomial.hpp>

namespace ottla::inline OTTLA_ABI::base_impl {

inline bool has_crc32c_chain() {
  constexpr unsigned long crc32 = 1UL << 7;  // HWCAP_CRC32
  static const bool has = (getauxval(AT_HWCAP) & crc32) != 0;
  return has;
}
inline bool has_crc32c_lanes() {
  constexpr unsigned long pmull = 1UL << 4;  // HWCAP_PMULL
  static const bool has = has_crc32c_chain() && (getauxval(AT_HWCAP) & pmull) != 0;
  return has;
}

inline std::uint32_t crc32c_step(std::uint32_t crc, std::uint64_t word) {
  asm(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(word));
  return crc;
}

inline std::uint32_t crc32c_chain(std::uint32_t crc, const std::byte* at, std::size_t size) {
  for (; size >= 8; size -= 8, at += 8) {
    crc = crc32c_step(crc, load_little_endian<std::uint64_t>(at));
  }
  if ((size & 4) != 0) {
    const auto word = load_little_endian<std::uint32_t>(at);
    asm(".arch_extension crc\n\tcrc32cw %w0, %w0, %w1" : "+r"(crc) : "r"(word));
    at += 4;
  }
  if ((size & 2) != 0) {
    const std::uint32_t word = load_little_endian<std::uint16_t>(at);
    asm(".arch_extension crc\n\tcrc32ch %w0, %w0, %w1" : "+r"(crc) : "r"(word));
    at += 2;
  }
  if ((size & 1) != 0) {
    const auto word = static_cast<std::uint32_t>(*at);
    asm(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"(word));
  }
  return crc;
}

/// A carry-less product; the crc32c instruction over it gives `crc * factor * x^33`.
inline std::uint64_t crc32c_times(std::uint32_t crc, std::uint32_t factor) {
  std::uint64_t product;
  asm(".arch_extension aes\n\t"
      "fmov d0, %x1\n\t"
      "fmov d1, %x2\n\t"
      "pmull v0.1q, v0.1d, v1.1d\n\t"
      "fmov %x0, d0"
      : "=r"(product)
      : "r"(std::uint64_t{crc}), "r"(std::uint64_t{factor})
      : "v0", "v1");
  return product;
}

inline std::uint32_t crc32c_lanes(std::uint32_t crc, const std::byte* at, std::size_t size) {
  while (size >= 24) {
    const std::size_t words = size / 24 < crc32c_lane_words ? size / 24 : crc32c_lane_words;
    const std::size_t lane = 8 * words;
    std::uint32_t second = 0;
    std::uint32_t third = 0;
    for (const std::byte* end = at + lane; at != end; at += 8) {
      crc = crc32c_step(crc, load_little_endian<std::uint64_t>(at));
      second = crc32c_step(second, load_little_endian<std::uint64_t>(at + lane));
      third = crc32c_step(third, load_little_endian<std::uint64_t>(at + 2 * lane));
    }
    const std::uint64_t joined = crc32c_times(crc, crc32c_words_behind[2 * words]) ^
                                 crc32c_times(second, crc32c_words_behind[words]);
    crc = third ^ crc32c_step(0, joined);
    at += 2 * lane;
    size -= 3 * lane;
  }
  return crc32c_chain(crc, at, size);
}

}  // namespace ottla::inline OTTLA_ABI::base_impl
#endif
