// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C on x86-64, on the bare remainder (nothing inverted).
// - chain: one crc32 instruction after the other; each waits three cycles for the one before.
// - lanes: three chains side by side over three equal parts, then joined: the remainder of a part
// is
//   multiplied by x^(bits behind it) modulo the polynomial.
// - folding: 16 bytes times x^distance added to the 16 bytes that far behind, which keeps the
//   remainder; four registers of 64 bytes at a time. Source: V. Gopal and others, "Fast CRC
//   Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel, 2009, in its form for
//   reflected polynomials; the crc32 instruction does the last reduction.
#pragma once

#if defined(__x86_64__)
#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include <ottla/base/endian.hpp>
#include <ottla/base/impl/crc32c_polynomial.hpp>

#define OTTLA_CRC32C_CHAIN __attribute__((target("sse4.2")))
#define OTTLA_CRC32C_LANES __attribute__((target("sse4.2,pclmul")))
#define OTTLA_CRC32C_FOLDING __attribute__((target("sse4.2,pclmul,avx512f,vpclmulqdq")))

namespace ottla::inline OTTLA_ABI::base_impl {

inline bool has_crc32c_chain() { return __builtin_cpu_supports("sse4.2") != 0; }
inline bool has_crc32c_lanes() {
  return __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0;
}
inline bool has_crc32c_folding() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("vpclmulqdq") != 0 &&
         has_crc32c_lanes();
}

OTTLA_CRC32C_CHAIN inline std::uint32_t crc32c_chain(std::uint32_t crc, const std::byte* at,
                                                     std::size_t size) {
  std::uint64_t wide = crc;
  for (; size >= 8; size -= 8, at += 8) {
    wide = _mm_crc32_u64(wide, load_little_endian<std::uint64_t>(at));
  }
  crc = static_cast<std::uint32_t>(wide);
  if ((size & 4) != 0) {
    crc = _mm_crc32_u32(crc, load_little_endian<std::uint32_t>(at));
    at += 4;
  }
  if ((size & 2) != 0) {
    crc = _mm_crc32_u16(crc, load_little_endian<std::uint16_t>(at));
    at += 2;
  }
  return (size & 1) != 0 ? _mm_crc32_u8(crc, static_cast<std::uint8_t>(*at)) : crc;
}

/// A carry-less product; the crc32 instruction over it gives `crc * factor * x^33`.
OTTLA_CRC32C_LANES inline std::uint64_t crc32c_times(std::uint64_t crc, std::uint32_t factor) {
  const __m128i a = _mm_cvtsi64_si128(static_cast<long long>(crc));
  const __m128i b = _mm_cvtsi64_si128(static_cast<long long>(factor));
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_clmulepi64_si128(a, b, 0)));
}

OTTLA_CRC32C_LANES inline std::uint32_t crc32c_lanes(std::uint32_t crc, const std::byte* at,
                                                     std::size_t size) {
  std::uint64_t first = crc;
  while (size >= 24) {
    const std::size_t words = size / 24 < crc32c_lane_words ? size / 24 : crc32c_lane_words;
    const std::size_t lane = 8 * words;
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (const std::byte* end = at + lane; at != end; at += 8) {
      first = _mm_crc32_u64(first, load_little_endian<std::uint64_t>(at));
      second = _mm_crc32_u64(second, load_little_endian<std::uint64_t>(at + lane));
      third = _mm_crc32_u64(third, load_little_endian<std::uint64_t>(at + 2 * lane));
    }
    const std::uint64_t joined = crc32c_times(first, crc32c_words_behind[2 * words]) ^
                                 crc32c_times(second, crc32c_words_behind[words]);
    first = third ^ _mm_crc32_u64(0, joined);
    at += 2 * lane;
    size -= 3 * lane;
  }
  return crc32c_chain(static_cast<std::uint32_t>(first), at, size);
}

/// What multiplies each 16 bytes by x^bits.
template <unsigned bits>
OTTLA_CRC32C_FOLDING inline __m512i crc32c_distance() {
  constexpr long long front = crc32c_power<bits + 31>;
  constexpr long long back = crc32c_power<bits - 33>;
  return _mm512_set_epi64(back, front, back, front, back, front, back, front);
}

/// `x` moved by `distance`, onto `next`.
OTTLA_CRC32C_FOLDING inline __m512i crc32c_fold(__m512i x, __m512i distance, __m512i next) {
  const __m512i front = _mm512_clmulepi64_epi128(x, distance, 0x00);
  const __m512i back = _mm512_clmulepi64_epi128(x, distance, 0x11);
  return _mm512_xor_si512(_mm512_xor_si512(front, back), next);
}

/// The remainder of 64 folded bytes: the first three quarters onto the last one, then 16 bytes.
OTTLA_CRC32C_FOLDING inline std::uint32_t crc32c_reduce(__m512i x) {
  const __m512i distances =
      _mm512_set_epi64(0, 0, crc32c_power<128 - 33>, crc32c_power<128 + 31>, crc32c_power<256 - 33>,
                       crc32c_power<256 + 31>, crc32c_power<384 - 33>, crc32c_power<384 + 31>);
  const __m512i quarters = crc32c_fold(x, distances, _mm512_maskz_mov_epi64(0xc0, x));
  // The forms with a mask: g++ 12 warns about its own other ones.
  const __m256i halves = _mm256_xor_si256(_mm512_maskz_extracti64x4_epi64(0xff, quarters, 0),
                                          _mm512_maskz_extracti64x4_epi64(0xff, quarters, 1));
  const __m128i last =
      _mm_xor_si128(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
  const std::uint64_t crc =
      _mm_crc32_u64(0, static_cast<std::uint64_t>(_mm_extract_epi64(last, 0)));
  return static_cast<std::uint32_t>(
      _mm_crc32_u64(crc, static_cast<std::uint64_t>(_mm_extract_epi64(last, 1))));
}

OTTLA_CRC32C_FOLDING inline std::uint32_t crc32c_folding(std::uint32_t crc, const std::byte* at,
                                                         std::size_t size) {
  if (size < 64) {
    return crc32c_chain(crc, at, size);
  }
  const std::byte* const end = at + size;
  __m512i a = _mm512_xor_si512(_mm512_loadu_si512(at), _mm512_set_epi64(0, 0, 0, 0, 0, 0, 0, crc));
  at += 64;
  if (size >= 256) {
    __m512i b = _mm512_loadu_si512(at);
    __m512i c = _mm512_loadu_si512(at + 64);
    __m512i d = _mm512_loadu_si512(at + 128);
    at += 192;
    for (const __m512i distance = crc32c_distance<4 * 512>(); end - at >= 256; at += 256) {
      a = crc32c_fold(a, distance, _mm512_loadu_si512(at));
      b = crc32c_fold(b, distance, _mm512_loadu_si512(at + 64));
      c = crc32c_fold(c, distance, _mm512_loadu_si512(at + 128));
      d = crc32c_fold(d, distance, _mm512_loadu_si512(at + 192));
    }
    d = crc32c_fold(c, crc32c_distance<512>(), d);
    d = crc32c_fold(b, crc32c_distance<2 * 512>(), d);
    a = crc32c_fold(a, crc32c_distance<3 * 512>(), d);
  }
  for (const __m512i distance = crc32c_distance<512>(); end - at >= 64; at += 64) {
    a = crc32c_fold(a, distance, _mm512_loadu_si512(at));
  }
  return crc32c_chain(crc32c_reduce(a), at, static_cast<std::size_t>(end - at));
}

}  // namespace ottla::inline OTTLA_ABI::base_impl

#undef OTTLA_CRC32C_CHAIN
#undef OTTLA_CRC32C_LANES
#undef OTTLA_CRC32C_FOLDING
#endif
