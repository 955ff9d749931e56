// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/log/checkpoint_file.hpp>
#include <ottla/log/impl/text_lines.hpp>

namespace ottla::inline OTTLA_ABI {
namespace log_impl {

/// Reads version and count, then calls `entry(fields)` for each line; false makes it malformed.
template <class Entry>
absl::Status parse_checkpoint(std::string_view text, std::string_view where, std::size_t fields,
                              Entry entry) {
  TextLines lines(text);
  const auto malformed = [&](std::string_view what) {
    return error(Fault::corrupt,
                 absl::StrCat(av(where), ", line ", lines.number(), ": ", av(what)));
  };
  if (text.empty()) {
    return absl::OkStatus();
  }
  if (lines.next() != "0") {
    return malformed("not version 0 of a checkpoint file");
  }
  const std::optional<std::int64_t> count = decimal(lines.next().value_or(""));
  // Two characters a field: a digit, and the blank or line end behind it.
  if (!count || static_cast<std::uint64_t>(*count) > text.size() / (2 * fields)) {
    return malformed("not a number of entries that the file has room for");
  }
  for (std::int64_t i = 0; i < *count; ++i) {
    const auto line = lines.next();
    if (!line || !entry(*line)) {
      return malformed("not an entry");
    }
  }
  return lines.next() ? malformed("more entries than line 2 says") : absl::OkStatus();
}

}  // namespace log_impl

OTTLA_INLINE std::string format_epoch_checkpoint(std::span<const EpochStart> entries) {
  std::string text = absl::StrCat("0\n", entries.size(), "\n");
  for (const EpochStart& entry : entries) {
    absl::StrAppend(&text, entry.epoch.value(), " ", entry.start.value(), "\n");
  }
  return text;
}

OTTLA_INLINE absl::StatusOr<std::vector<EpochStart>> parse_epoch_checkpoint(
    std::string_view text, std::string_view where) {
  std::vector<EpochStart> entries;
  OTTLA_TRY(log_impl::parse_checkpoint(text, where, 2, [&](std::string_view line) {
    const auto fields = log_impl::split<2>(line);
    const auto epoch = log_impl::decimal(fields[0]);
    const auto start = log_impl::decimal(fields[1]);
    if (!epoch || *epoch > INT32_MAX || !start) {
      return false;
    }
    const EpochStart entry{LeaderEpoch(static_cast<std::int32_t>(*epoch)), Offset(*start)};
    if (!entries.empty() &&
        (entry.epoch <= entries.back().epoch || entry.start <= entries.back().start)) {
      return false;
    }
    entries.push_back(entry);
    return true;
  }));
  return entries;
}

OTTLA_INLINE std::string format_offset_checkpoint(std::span<const PartitionOffset> entries) {
  std::string text = absl::StrCat("0\n", entries.size(), "\n");
  for (const PartitionOffset& entry : entries) {
    absl::StrAppend(&text, entry.partition.topic, " ", entry.partition.partition.value(), " ",
                    entry.offset.value(), "\n");
  }
  return text;
}

OTTLA_INLINE absl::StatusOr<std::vector<PartitionOffset>> parse_offset_checkpoint(
    std::string_view text, std::string_view where) {
  std::vector<PartitionOffset> entries;
  OTTLA_TRY(log_impl::parse_checkpoint(text, where, 3, [&](std::string_view line) {
    const auto fields = log_impl::split<3>(line);
    const auto partition = log_impl::decimal(fields[1]);
    const auto offset = log_impl::decimal(fields[2]);
    if (!partition || *partition > INT32_MAX || !offset || !check_topic_name(fields[0]).ok()) {
      return false;
    }
    entries.push_back({{std::string(fields[0]), PartitionId(static_cast<std::int32_t>(*partition))},
                       Offset(*offset)});
    return true;
  }));
  return entries;
}

}  // namespace ottla::inline OTTLA_ABI
