// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ottla/base/murmur2.hpp>

namespace ottla::inline OTTLA_ABI {
namespace base_impl {

/// Decodes one code point at `at` and moves behind it; U+FFFD for a malformed sequence (of one byte).
inline std::uint32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
  };
  const std::uint8_t lead = byte(at);
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (size == 1) {
    ++at;
    return lead;
  }
  constexpr std::uint32_t malformed = 0xfffd;
  if (size == 0) {
    ++at;
    return malformed;
  }
  std::uint32_t point = lead & (0xffU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) {
      ++at;
      return malformed;
    }
    point = point << 6 | (byte(at + i) & 0x3fU);
  }
  constexpr std::uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (point < smallest[size] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
    ++at;
    return malformed;
  }
  at += size;
  return point;
}

}  // namespace base_impl

OTTLA_INLINE std::int32_t murmur2(Bytes bytes) {
  constexpr std::uint32_t m = 0x5bd1e995;
  const auto at = [&](std::size_t i) { return static_cast<std::uint32_t>(bytes[i]); };
  std::uint32_t h = 0x9747b28cU ^ static_cast<std::uint32_t>(bytes.size());
  const std::size_t words = bytes.size() / 4;
  for (std::size_t i = 0; i < words; ++i) {
    std::uint32_t k = at(4 * i) | at(4 * i + 1) << 8 | at(4 * i + 2) << 16 | at(4 * i + 3) << 24;
    k *= m;
    k ^= k >> 24;
    k *= m;
    h = h * m ^ k;
  }
  const std::size_t tail = 4 * words;
  switch (bytes.size() - tail) {
    case 3:
      h ^= at(tail + 2) << 16;
      [[fallthrough]];
    case 2:
      h ^= at(tail + 1) << 8;
      [[fallthrough]];
    case 1:
      h ^= at(tail);
      h *= m;
      break;
    default:
      break;
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
