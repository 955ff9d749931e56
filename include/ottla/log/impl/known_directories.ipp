// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/log/impl/signed_text.hpp>
#include <ottla/log/known_directories.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::string format_known_directories(std::span<const KnownDirectory> directories) {
  std::string text = "ottla directories 1\n";
  for (const KnownDirectory& directory : directories) {
    std::string path = directory.path;
    std::replace(path.begin(), path.end(), '\n', ' ');
    absl::StrAppend(&text, directory.id.to_hex(), " ", path, "\n");
  }
  return log_impl::sign_text(std::move(text));
}

OTTLA_INLINE std::optional<std::vector<KnownDirectory>> parse_known_directories(
    std::string_view text) {
  constexpr std::size_t id_size = 32;
  const auto body = log_impl::verified_text(text);
  if (!body || !body->ends_with('\n')) {
    return std::nullopt;
  }
  log_impl::TextLines lines(*body);
  if (lines.next() != "ottla directories 1") {
    return std::nullopt;
  }
  std::vector<KnownDirectory> all;
  while (const auto line = lines.next()) {
    const auto id = log_impl::parse_hex_uuid(line->substr(0, id_size));
    if (!id || line->substr(id_size, 1) != " ") {
      return std::nullopt;
    }
    all.push_back({*id, std::string(line->substr(id_size + 1))});
  }
  return all;
}

}  // namespace ottla::inline OTTLA_ABI
