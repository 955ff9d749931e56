// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/log/impl/text_lines.hpp>
#include <ottla/log/partition_metadata.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::string format_partition_metadata(const TopicId& topic_id) {
  return absl::StrCat("version: 0\ntopic_id: ", topic_id.to_string());
}

OTTLA_INLINE absl::StatusOr<TopicId> parse_partition_metadata(std::string_view text,
                                                              std::string_view where) {
  log_impl::TextLines lines(text);
  const auto version = log_impl::split<2>(lines.next().value_or(""));
  const auto id = log_impl::split<2>(lines.next().value_or(""));
  const std::optional<TopicId> topic_id = Uuid::parse(id[1]);
  if (version[0] != "version:" || !log_impl::decimal(version[1]) || id[0] != "topic_id:" ||
      !topic_id || topic_id->is_zero() || lines.next()) {
    return error(Fault::corrupt,
                 absl::StrCat(av(where), ": not the two lines of a partition.metadata file"));
  }
  return *topic_id;
}

}  // namespace ottla::inline OTTLA_ABI
