// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/log/directory_name.hpp>

namespace ottla::inline OTTLA_ABI {
namespace log_impl {

/// Whether `name` is "<anything>.<32 hex><suffix>".
inline bool has_unique_suffix(std::string_view name, std::string_view suffix) {
  constexpr std::size_t hex_digits = 32;
  if (!name.ends_with(suffix) || name.size() < suffix.size() + hex_digits + 2) {
    return false;
  }
  name.remove_suffix(suffix.size());
  const std::string_view hex = name.substr(name.size() - hex_digits);
  return name[name.size() - hex_digits - 1] == '.' &&
         std::all_of(hex.begin(), hex.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace log_impl

OTTLA_INLINE DirectoryKind directory_kind(std::string_view name) {
  if (log_impl::has_unique_suffix(name, "-delete")) {
    return DirectoryKind::deleted;
  }
  if (log_impl::has_unique_suffix(name, "-future")) {
    return DirectoryKind::future;
  }
  if (log_impl::has_unique_suffix(name, "-stray")) {
    return DirectoryKind::stray;
  }
  const auto partition = TopicPartition::parse(name);
  return partition && partition->to_string() == name && check_topic_name(partition->topic).ok()
             ? DirectoryKind::partition
             : DirectoryKind::other;
}

OTTLA_INLINE std::string deleted_directory_name(const TopicPartition& partition, const Uuid& id) {
  const std::string suffix =
      absl::StrCat("-", partition.partition.value(), ".", id.to_hex(), "-delete");
  const std::string_view topic(partition.topic);
  return absl::StrCat(av(topic.substr(0, 255 - suffix.size())), suffix);
}

}  // namespace ottla::inline OTTLA_ABI
