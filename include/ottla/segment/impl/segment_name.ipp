// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <charconv>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/segment/segment_name.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::string offset_file_name(Offset offset, std::string_view suffix) {
  return absl::StrCat(absl::Dec(offset.value(), absl::kZeroPad20), av(suffix));
}

OTTLA_INLINE std::string offset_file_path(std::string_view directory, Offset offset,
                                          std::string_view suffix) {
  return absl::StrCat(av(directory), "/", absl::Dec(offset.value(), absl::kZeroPad20), av(suffix));
}

OTTLA_INLINE std::optional<Offset> offset_of_file_name(std::string_view name,
                                                       std::string_view suffix) {
  constexpr std::size_t digits = 20;
  if (name.size() != digits + suffix.size() || !name.ends_with(suffix)) {
    return std::nullopt;
  }
  const char* end = name.data() + digits;
  if (!std::all_of(name.data(), end, [](char c) { return c >= '0' && c <= '9'; })) {
    return std::nullopt;
  }
  std::int64_t offset = 0;
  const auto [stop, failure] = std::from_chars(name.data(), end, offset);
  if (failure != std::errc() || stop != end || offset > INT64_MAX - INT32_MAX) {
    return std::nullopt;
  }
  return Offset(offset);
}

}  // namespace ottla::inline OTTLA_ABI
