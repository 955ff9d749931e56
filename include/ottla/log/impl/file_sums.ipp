// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/log/file_sums.hpp>
#include <ottla/log/impl/signed_text.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::optional<FileSums> FileSums::parse(std::string_view text) {
  const auto body = log_impl::verified_text(text);
  log_impl::TextLines lines(body.value_or(""));
  if (lines.next() != "ottla sums 1") {
    return std::nullopt;
  }
  FileSums sums;
  while (const auto line = lines.next()) {
    const auto fields = log_impl::split<3>(*line);
    const auto before = log_impl::number<std::uint32_t>(fields[1], 16);
    const auto next = log_impl::number<std::uint32_t>(fields[2], 16);
    if (fields[0].empty() || !before || !next) {
      return std::nullopt;
    }
    sums.sums_.insert_or_assign(std::string(fields[0]), std::pair(*before, *next));
  }
  return sums;
}

OTTLA_INLINE std::string FileSums::format() const {
  std::string text = "ottla sums 1\n";
  for (const auto& [file, sums] : sums_) {
    absl::StrAppend(&text, file, " ", log_impl::hex8(sums.first), " ", log_impl::hex8(sums.second),
                    "\n");
  }
  return log_impl::sign_text(std::move(text));
}

OTTLA_INLINE void FileSums::replace(std::string_view file, std::uint32_t current,
                                    std::uint32_t next) {
  sums_.insert_or_assign(std::string(file), std::pair(current, next));
}

OTTLA_INLINE bool FileSums::may_be(std::string_view file, std::uint32_t crc) const {
  const auto found = sums_.find(file);
  return found == sums_.end() || found->second.first == crc || found->second.second == crc;
}

}  // namespace ottla::inline OTTLA_ABI
