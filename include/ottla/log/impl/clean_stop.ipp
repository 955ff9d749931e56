// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/log/clean_stop.hpp>
#include <ottla/log/impl/signed_text.hpp>

namespace ottla::inline OTTLA_ABI {
namespace log_impl {

/// A number of at least -1.
inline std::optional<std::int64_t> decimal_or_none(std::string_view text) {
  return text == "-1" ? -1 : decimal(text);
}

inline std::optional<CleanStop::Partition> parse_clean_partition(std::string_view line) {
  const auto fields = split<6>(line);
  const auto end = decimal(fields[1]);
  const auto segment = decimal_or_none(fields[2]);
  const auto size = decimal_or_none(fields[3]);
  const auto position = decimal_or_none(fields[4]);
  const auto digest = number<std::uint32_t>(fields[5], 16);
  if (fields[0].empty() || !end || !segment || !size || !position || !digest) {
    return std::nullopt;
  }
  return CleanStop::Partition{std::string(fields[0]),
                              {Offset(*end), Offset(*segment), *size, *position, *digest}};
}

}  // namespace log_impl

OTTLA_INLINE std::string format_clean_stop(const CleanStop& stop) {
  std::string text =
      absl::StrCat("ottla clean 1\nboot ", stop.volume.boot_id, "\ndevice ", stop.volume.device,
                   "\nrun ", stop.run.to_hex(), "\npartitions ", stop.partitions.size(), "\n");
  for (const CleanStop::Partition& partition : stop.partitions) {
    const CleanEnd& end = partition.end;
    absl::StrAppend(&text, partition.directory, " ", end.end.value(), " ");
    absl::StrAppend(&text, end.segment.value(), " ", end.size, " ", end.last_position, " ",
                    log_impl::hex8(end.digest), "\n");
  }
  return log_impl::sign_text(std::move(text));
}

OTTLA_INLINE std::optional<CleanStop> parse_clean_stop(std::string_view text) {
  const auto body = log_impl::verified_text(text);
  if (!body) {
    return std::nullopt;
  }
  log_impl::TextLines lines(*body);
  const auto value = [&](std::string_view key) {
    const auto fields = log_impl::split<2>(lines.next().value_or(""));
    return fields[0] == key ? fields[1] : std::string_view();
  };
  if (lines.next() != "ottla clean 1") {
    return std::nullopt;
  }
  const std::string_view boot = value("boot");
  const auto device = log_impl::number<std::uint64_t>(value("device"));
  const auto run = log_impl::parse_hex_uuid(value("run"));
  const auto count = log_impl::decimal(value("partitions"));
  if (boot.empty() || !device || !run || !count) {
    return std::nullopt;
  }
  CleanStop stop{{std::string(boot), *device}, *run, {}};
  while (const auto line = lines.next()) {
    auto partition = log_impl::parse_clean_partition(*line);
    if (!partition) {
      return std::nullopt;
    }
    stop.partitions.push_back(*std::move(partition));
  }
  return static_cast<std::int64_t>(stop.partitions.size()) == *count ? std::optional(stop)
                                                                     : std::nullopt;
}

}  // namespace ottla::inline OTTLA_ABI
