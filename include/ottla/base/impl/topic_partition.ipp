// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/base/topic_partition.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::string TopicPartition::to_string() const {
  return absl::StrCat(topic, "-", partition.value());
}

OTTLA_INLINE std::optional<TopicPartition> TopicPartition::parse(std::string_view name) {
  const std::size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || dash == 0) {
    return std::nullopt;
  }
  const std::string_view digits = name.substr(dash + 1);
  const bool canonical = digits == "0" || (!digits.empty() && digits[0] >= '1' && digits[0] <= '9');
  std::int32_t partition = 0;
  const char* const end = digits.data() + digits.size();
  const std::from_chars_result parsed = std::from_chars(digits.data(), end, partition);
  if (!canonical || parsed.ec != std::errc() || parsed.ptr != end) {
    return std::nullopt;
  }
  return TopicPartition{std::string(name.substr(0, dash)), PartitionId(partition)};
}

OTTLA_INLINE absl::Status check_topic_name(std::string_view name) {
  constexpr std::size_t longest = 249;
  const auto refuse = [&](std::string_view why) {
    return error(ErrorCode::invalid_topic_exception, Fault::invalid_argument,
                 absl::StrCat("topic name '", absl::CHexEscape(av(name.substr(0, longest))), "' ",
                              av(why), "; use 1 to 249 of the characters A-Z a-z 0-9 . _ -"));
  };
  if (name.empty()) {
    return refuse("is empty");
  }
  if (name.size() > longest) {
    return refuse("is too long");
  }
  if (name == "." || name == "..") {
    return refuse("is reserved");
  }
  const bool legal = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
  return legal ? absl::OkStatus() : refuse("has a character that is not allowed");
}

OTTLA_INLINE bool topic_names_collide(std::string_view a, std::string_view b) {
  const auto same = [](char x, char y) { return (x == '.' ? '_' : x) == (y == '.' ? '_' : y); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

}  // namespace ottla::inline OTTLA_ABI
