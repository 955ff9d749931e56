// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/record/serde.hpp>

namespace ottla::inline OTTLA_ABI {
namespace record_impl {

inline constexpr std::size_t uuid_text_size = 36;
inline constexpr bool is_uuid_dash(std::size_t i) {
  return i == 8 || i == 13 || i == 18 || i == 23;
}
/// 0 to 15; 16 for what is no hexadecimal digit.
inline constexpr unsigned hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return static_cast<unsigned>(c - '0');
  }
  if (c >= 'a' && c <= 'f') {
    return static_cast<unsigned>(c - 'a' + 10);
  }
  return c >= 'A' && c <= 'F' ? static_cast<unsigned>(c - 'A' + 10) : 16U;
}

}  // namespace record_impl

OTTLA_INLINE absl::Status bad_bytes(std::string_view type, std::string_view what) {
  return error(Fault::invalid_argument,
               absl::StrCat("bytes that are not ", av(type), ": ", av(what)));
}

OTTLA_INLINE Bytes Serde<bool>::serialize(input value, std::vector<std::byte>& scratch) {
  scratch.assign(1, std::byte{value});
  return scratch;
}

OTTLA_INLINE absl::StatusOr<bool> Serde<bool>::deserialize(Bytes bytes) {
  if (bytes.size() != 1) {
    return bad_bytes("a boolean of 1 byte", absl::StrCat("there are ", bytes.size()));
  }
  const auto byte = static_cast<unsigned>(bytes[0]);
  if (byte > 1) {
    return bad_bytes("a boolean, 0 or 1", absl::StrCat("the byte is ", byte));
  }
  return byte == 1;
}

OTTLA_INLINE Bytes Serde<Uuid>::serialize(input id, std::vector<std::byte>& scratch) {
  scratch.resize(record_impl::uuid_text_size);
  std::size_t digit = 0;
  for (std::size_t i = 0; i < scratch.size(); ++i) {
    if (record_impl::is_uuid_dash(i)) {
      scratch[i] = std::byte{'-'};
      continue;
    }
    const auto byte = static_cast<unsigned>(id.bytes[digit / 2]);
    const unsigned nibble = digit % 2 == 0 ? byte >> 4 : byte & 15;
    scratch[i] = static_cast<std::byte>("0123456789abcdef"[nibble]);
    ++digit;
  }
  return scratch;
}

OTTLA_INLINE absl::StatusOr<Uuid> Serde<Uuid>::deserialize(Bytes bytes) {
  constexpr std::string_view wanted = "a UUID of 36 characters";
  if (bytes.size() != record_impl::uuid_text_size) {
    return bad_bytes(wanted, absl::StrCat("there are ", bytes.size()));
  }
  const std::string_view text = as_string_view(bytes);
  Uuid id;
  std::size_t digit = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (record_impl::is_uuid_dash(i)) {
      if (text[i] != '-') {
        return bad_bytes(wanted, absl::StrCat("no dash at ", i));
      }
      continue;
    }
    const unsigned value = record_impl::hex_digit(text[i]);
    if (value > 15) {
      return bad_bytes(wanted, absl::StrCat("no hexadecimal digit at ", i));
    }
    id.bytes[digit / 2] =
        static_cast<std::byte>(static_cast<unsigned>(id.bytes[digit / 2]) << 4 | value);
    ++digit;
  }
  return id;
}

OTTLA_INLINE absl::StatusOr<std::monostate> Serde<std::monostate>::deserialize(Bytes bytes) {
  return bad_bytes("null", absl::StrCat("there are ", bytes.size(), " bytes"));
}

}  // namespace ottla::inline OTTLA_ABI
