// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <ottla/base/endian.hpp>
#include <ottla/base/murmur2.hpp>

namespace ottla::inline OTTLA_ABI {
namespace base_impl {

/// Decodes one code point at `at` and moves behind it. As in Java a malformed sequence is one
/// U+FFFD, as far as it could have been the beginning of a good one; an encoded surrogate is one,
/// too.
inline std::uint32_t next_code_point(std::string_view text, std::size_t& at) {
  constexpr std::uint32_t malformed = 0xfffd;
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(at++);
  if (lead < 0x80) {
    return lead;
  }
  if (lead < 0xc2 || lead > 0xf4) {
    return malformed;
  }
  const unsigned behind = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  // The second byte's range keeps out what fewer bytes can say, and what is above U+10FFFF.
  std::uint8_t lowest = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  std::uint8_t highest = lead == 0xf4 ? 0x8f : 0xbf;
  std::uint32_t point = lead & (0x3fU >> behind);
  for (unsigned i = 0; i < behind; ++i) {
    if (at == text.size() || byte(at) < lowest || byte(at) > highest) {
      return malformed;
    }
    point = point << 6 | (byte(at++) & 0x3fU);
    lowest = 0x80;
    highest = 0xbf;
  }
  return point >= 0xd800 && point < 0xe000 ? malformed : point;
}

}  // namespace base_impl

OTTLA_INLINE std::int32_t murmur2(Bytes bytes) {
  constexpr std::uint32_t m = 0x5bd1e995;
  std::uint32_t h = 0x9747b28cU ^ static_cast<std::uint32_t>(bytes.size());
  const std::byte* at = bytes.data();
  std::size_t size = bytes.size();
  for (; size >= 4; size -= 4, at += 4) {
    std::uint32_t k = load_little_endian<std::uint32_t>(at) * m;
    k ^= k >> 24;
    k *= m;
    h = h * m ^ k;
  }
  if (size > 0) {
    for (; size > 0; --size) {
      h ^= static_cast<std::uint32_t>(at[size - 1]) << (8 * (size - 1));
    }
    h *= m;
  }
  h ^= h >> 13;
  h *= m;
  h ^= h >> 15;
  return static_cast<std::int32_t>(h);
}

OTTLA_INLINE std::int32_t java_string_hash(std::string_view utf8) {
  std::uint32_t hash = 0;
  for (std::size_t at = 0; at < utf8.size();) {
    const std::uint32_t point = base_impl::next_code_point(utf8, at);
    if (point < 0x10000) {
      hash = 31 * hash + point;
    } else {
      hash = 31 * hash + (0xd800 + ((point - 0x10000) >> 10));
      hash = 31 * hash + (0xdc00 + ((point - 0x10000) & 0x3ff));
    }
  }
  return static_cast<std::int32_t>(hash);
}

OTTLA_INLINE std::int32_t partition_for_id(std::string_view id, std::int32_t partitions) {
  const std::int32_t hash = java_string_hash(id);
  const std::int32_t positive = hash == INT32_MIN ? 0 : hash < 0 ? -hash : hash;
  return positive % partitions;
}

}  // namespace ottla::inline OTTLA_ABI
