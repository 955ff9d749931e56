// SPDX-License-Identifier: Apache-2.0
//
// Our own small text files end in a line `sum <8 hex digits>`: the CRC-32C of every byte before it.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include <absl/strings/str_cat.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/crc32c.hpp>
#include <ottla/base/endian.hpp>
#include <ottla/base/status.hpp>
#include <ottla/base/uuid.hpp>
#include <ottla/log/impl/text_lines.hpp>

namespace ottla::inline OTTLA_ABI {
namespace log_impl {

inline std::string hex8(std::uint32_t value) {
  return absl::StrCat(absl::Hex(value, absl::kZeroPad8));
}

inline std::string sign_text(std::string body) {
  absl::StrAppend(&body, "sum ", hex8(crc32c(as_bytes(body))), "\n");
  return body;
}

/// The body; nothing when the sum is missing or does not match.
inline std::optional<std::string_view> verified_text(std::string_view text) {
  constexpr std::size_t sum_size = 13;  // "sum 01234567\n"
  if (text.size() < sum_size) {
    return std::nullopt;
  }
  const std::string_view body = text.substr(0, text.size() - sum_size);
  const std::string_view sum = text.substr(body.size());
  if (sum.substr(0, 4) != "sum " || sum.back() != '\n' ||
      sum.substr(4, 8) != hex8(crc32c(as_bytes(body)))) {
    return std::nullopt;
  }
  return body;
}

/// From 32 lower-case hexadecimal digits.
inline std::optional<Uuid> parse_hex_uuid(std::string_view text) {
  const auto high = number<std::uint64_t>(text.substr(0, 16), 16);
  const auto low = number<std::uint64_t>(text.substr(std::min<std::size_t>(16, text.size())), 16);
  if (text.size() != 32 || !high || !low) {
    return std::nullopt;
  }
  Uuid id;
  store_big_endian(id.bytes.data(), *high);
  store_big_endian(id.bytes.data() + 8, *low);
  return id.to_hex() == text ? std::optional(id) : std::nullopt;
}

}  // namespace log_impl
}  // namespace ottla::inline OTTLA_ABI
