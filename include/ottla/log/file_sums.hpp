// SPDX-License-Identifier: Apache-2.0
//
// `.ottla_sums`: checksums of Kafka's small files in a log directory, so that a file from elsewhere
// is noticed. Written before a file is replaced, with its CRC-32C now and then; either will do.
//   ottla sums 1 / then a line each: <file name> <crc, 8 hex> <crc> / sum <8 hex>
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

inline constexpr std::string_view file_sums_file = ".ottla_sums";

/// Not thread-safe.
class FileSums {
 public:
  FileSums() = default;
  /// Nothing when malformed.
  static std::optional<FileSums> parse(std::string_view text);
  std::string format() const;

  /// The file, of CRC-32C `current` (0 where it is missing), is about to get `next`.
  void replace(std::string_view file, std::uint32_t current, std::uint32_t next);
  /// True where nothing is known of the file.
  bool may_be(std::string_view file, std::uint32_t crc) const;
  bool operator==(const FileSums&) const = default;

 private:
  std::map<std::string, std::pair<std::uint32_t, std::uint32_t>, std::less<>> sums_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/file_sums.ipp>
#endif
