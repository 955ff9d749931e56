// SPDX-License-Identifier: Apache-2.0
//
// Kafka's codecs by the number that stands in a batch's attributes, and their names in
// configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

enum class CompressionType : std::uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };

/// False for the numbers 5 to 7, which a batch may carry and nobody can read.
constexpr bool is_known(CompressionType type) { return type <= CompressionType::zstd; }

/// "none", "gzip", "snappy", "lz4", "zstd"; "unknown" for the rest.
constexpr std::string_view name(CompressionType type) {
  constexpr std::string_view names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
  return is_known(type) ? names[static_cast<std::uint8_t>(type)] : std::string_view("unknown");
}

constexpr std::optional<CompressionType> compression_type(std::string_view text) {
  for (std::uint8_t i = 0; i <= 4; ++i) {
    if (name(static_cast<CompressionType>(i)) == text) {
      return static_cast<CompressionType>(i);
    }
  }
  return std::nullopt;
}

}  // namespace ottla::inline OTTLA_ABI
