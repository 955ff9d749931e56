// SPDX-License-Identifier: Apache-2.0
//
// Chooses among the kernels; the portable one is slicing by 8. Source: M. Kounavis and F. Berry, "A
// Systematic Approach to Building High Performance, Software-based, CRC Generators", 2005.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <ottla/base/crc32c.hpp>
#include <ottla/base/endian.hpp>
#include <ottla/base/impl/crc32c_arm.hpp>
#include <ottla/base/impl/crc32c_polynomial.hpp>
#include <ottla/base/impl/crc32c_x86.hpp>

namespace ottla::inline OTTLA_ABI {
namespace base_impl {

using Crc32cTables = std::array<std::array<std::uint32_t, 256>, 8>;

consteval Crc32cTables make_crc32c_tables() {
  Crc32cTables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc32c_times_x(crc);
    }
    tables[0][i] = crc;
  }
  for (std::size_t behind = 1; behind < 8; ++behind) {
    for (std::size_t i = 0; i < 256; ++i) {
      const std::uint32_t nearer = tables[behind - 1][i];
      tables[behind][i] = (nearer >> 8) ^ tables[0][nearer & 0xff];
    }
  }
  return tables;
}
/// [n][b]: the remainder of byte b with n zero bytes behind it.
inline constexpr Crc32cTables crc32c_tables = make_crc32c_tables();

inline std::uint32_t crc32c_slicing(std::uint32_t crc, const std::byte* at, std::size_t size) {
  const Crc32cTables& t = crc32c_tables;
  for (; size >= 8; size -= 8, at += 8) {
    const std::uint64_t word = load_little_endian<std::uint64_t>(at) ^ crc;
    crc = t[7][word & 0xff] ^ t[6][word >> 8 & 0xff] ^ t[5][word >> 16 & 0xff] ^
          t[4][word >> 24 & 0xff] ^ t[3][word >> 32 & 0xff] ^ t[2][word >> 40 & 0xff] ^
          t[1][word >> 48 & 0xff] ^ t[0][word >> 56];
  }
  for (; size > 0; --size, ++at) {
    crc = (crc >> 8) ^ t[0][(crc ^ static_cast<std::uint32_t>(*at)) & 0xff];
  }
  return crc;
}

/// A kernel as everybody knows CRC-32C: inverted before and after.
template <std::uint32_t (*kernel)(std::uint32_t, const std::byte*, std::size_t)>
std::uint32_t inverted(Bytes bytes, std::uint32_t before) {
  return ~kernel(~before, bytes.data(), bytes.size());
}

struct Crc32cKernels {
  std::array<Crc32cKernel, 4> all{};
  std::size_t count = 0;

  Crc32cKernels() {
    add(true, {"portable", &inverted<&crc32c_slicing>});
    add(has_crc32c_chain(), {"chain", &inverted<&crc32c_chain>});
    add(has_crc32c_lanes(), {"lanes", &inverted<&crc32c_lanes>});
#if defined(__x86_64__)
    add(has_crc32c_folding(), {"folding", &inverted<&crc32c_folding>});
#endif
  }
  void add(bool has, Crc32cKernel kernel) {
    if (has) {
      all[count++] = kernel;
    }
  }
};

/// From these sizes on the next kernel is ahead: see bench/crc32c_bench.cpp.
inline constexpr std::size_t crc32c_lanes_from = 128;
inline constexpr std::size_t crc32c_folding_from = 256;

inline std::uint32_t crc32c_best(std::uint32_t crc, const std::byte* at, std::size_t size) {
  if (!has_crc32c_chain()) [[unlikely]] {
    return crc32c_slicing(crc, at, size);
  }
  if (size < crc32c_lanes_from || !has_crc32c_lanes()) {
    return crc32c_chain(crc, at, size);
  }
#if defined(__x86_64__)
  if (size >= crc32c_folding_from && has_crc32c_folding()) {
    return crc32c_folding(crc, at, size);
  }
#endif
  return crc32c_lanes(crc, at, size);
}

}  // namespace base_impl

OTTLA_INLINE std::uint32_t crc32c(Bytes bytes, std::uint32_t before) {
  return base_impl::inverted<&base_impl::crc32c_best>(bytes, before);
}

OTTLA_INLINE std::uint32_t crc32c_portable(Bytes bytes, std::uint32_t before) {
  return base_impl::inverted<&base_impl::crc32c_slicing>(bytes, before);
}

OTTLA_INLINE std::span<const Crc32cKernel> crc32c_kernels() {
  static const base_impl::Crc32cKernels kernels;
  return {kernels.all.data(), kernels.count};
}

}  // namespace ottla::inline OTTLA_ABI
