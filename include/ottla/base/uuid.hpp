// SPDX-License-Identifier: Apache-2.0
//
// Kafka's UUID: 16 bytes, in text URL-safe base64 without padding, always 22 characters (spec
// storage.md section 1).
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

struct Uuid {
  std::array<std::byte, 16> bytes{};

  auto operator<=>(const Uuid&) const = default;
  bool operator==(const Uuid& other) const {  // the default one goes byte by byte
    return std::memcmp(bytes.data(), other.bytes.data(), sizeof bytes) == 0;
  }
  bool is_zero() const { return *this == Uuid{}; }

  /// 22 characters of base64.
  std::string to_string() const;
  /// 32 lower-case hexadecimal digits, as in names of directories.
  std::string to_hex() const;
  /// From 22 characters of base64; nothing when malformed.
  static std::optional<Uuid> parse(std::string_view text);

  template <class Hash>
  friend Hash AbslHashValue(Hash state, const Uuid& id) {
    std::array<std::uint64_t, 2> words{};
    std::memcpy(words.data(), id.bytes.data(), sizeof words);
    return Hash::combine(std::move(state), words[0], words[1]);
  }
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/base/impl/uuid.ipp>
#endif
