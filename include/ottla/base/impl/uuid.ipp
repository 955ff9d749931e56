// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ottla/base/uuid.hpp>

namespace ottla::inline OTTLA_ABI {
namespace base_impl {

inline constexpr std::string_view base64_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
inline constexpr std::size_t uuid_digits = 22;

}  // namespace base_impl

OTTLA_INLINE std::string Uuid::to_string() const {
  std::string text;
  text.reserve(base_impl::uuid_digits);
  std::uint32_t bits = 0;
  int count = 0;
  for (const std::byte byte : bytes) {
    bits = bits << 8 | static_cast<std::uint32_t>(byte);
    for (count += 8; count >= 6; count -= 6) {
      text += base_impl::base64_digits[bits >> (count - 6) & 63];
    }
  }
  text += base_impl::base64_digits[bits << (6 - count) & 63];
  return text;
}

OTTLA_INLINE std::string Uuid::to_hex() const {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) {
    text += "0123456789abcdef"[static_cast<std::size_t>(byte >> 4)];
    text += "0123456789abcdef"[static_cast<std::size_t>(byte & std::byte{15})];
  }
  return text;
}

OTTLA_INLINE std::optional<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != base_impl::uuid_digits) {
    return std::nullopt;
  }
  Uuid id;
  std::uint32_t bits = 0;
  int count = 0;
  std::size_t next = 0;
  for (const char c : text) {
    const std::size_t digit = base_impl::base64_digits.find(c);
    if (digit == std::string_view::npos) {
      return std::nullopt;
    }
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      id.bytes[next++] = static_cast<std::byte>(bits >> count);
    }
  }
  const bool clean_end = (bits & ((1U << count) - 1)) == 0;
  return clean_end ? std::optional(id) : std::nullopt;
}

}  // namespace ottla::inline OTTLA_ABI
