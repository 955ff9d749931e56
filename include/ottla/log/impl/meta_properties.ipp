// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <absl/strings/str_cat.h>

#include <ottla/base/config_table.hpp>
#include <ottla/base/status.hpp>
#include <ottla/log/impl/text_lines.hpp>
#include <ottla/log/meta_properties.hpp>

namespace ottla::inline OTTLA_ABI {

namespace log_impl {

/// A value of a property file, as Java writes it.
inline std::string escaped_property(std::string_view value) {
  constexpr std::string_view marked = "\\\t\n\r\f=:#!";
  constexpr std::string_view marks = "\\tnrf=:#!";
  std::string text = value.starts_with(' ') ? "\\" : "";
  for (const char c : value) {
    const std::size_t at = marked.find(c);
    text += at == std::string_view::npos ? std::string(1, c) : std::string{'\\', marks[at]};
  }
  return text;
}

}  // namespace log_impl

OTTLA_INLINE std::string format_meta_properties(const MetaProperties& properties) {
  std::string text =
      absl::StrCat("version=1\ncluster.id=", log_impl::escaped_property(properties.cluster_id),
                   "\nnode.id=", properties.node_id.value(), "\n");
  if (!properties.directory_id.is_zero()) {
    absl::StrAppend(&text, "directory.id=", properties.directory_id.to_string(), "\n");
  }
  return text;
}

OTTLA_INLINE absl::StatusOr<MetaProperties> parse_meta_properties(std::string_view text,
                                                                  std::string_view where) {
  const auto malformed = [&](std::string_view what) {
    return error(Fault::corrupt, absl::StrCat(av(where), ": ", av(what)));
  };
  const auto lines = parse_properties(text);
  if (!lines.ok()) {
    return malformed("not a property file");
  }
  const auto value = [&](std::string_view key) -> std::optional<std::string_view> {
    for (const auto& line : *lines) {
      if (line.first == key) {
        return line.second;
      }
    }
    return std::nullopt;
  };
  const std::optional<std::string_view> version = value("version");
  if (version != "0" && version != "1") {
    return version ? error(Fault::unsupported, absl::StrCat(av(where), ": version ", av(*version),
                                                            " is not known here"))
                   : malformed("no version");
  }
  MetaProperties properties;
  properties.cluster_id = value("cluster.id").value_or("");
  const auto id =
      log_impl::number<std::int32_t>(value(version == "0" ? "broker.id" : "node.id").value_or(""));
  if (!id || (version == "1" && properties.cluster_id.empty())) {
    return malformed("node.id or cluster.id is missing");
  }
  properties.node_id = BrokerId(*id);
  if (const auto text_of_id = value("directory.id")) {
    const std::optional<Uuid> directory = Uuid::parse(*text_of_id);
    if (!directory || directory->is_zero()) {
      return malformed("directory.id is no id");
    }
    properties.directory_id = *directory;
  }
  return properties;
}

}  // namespace ottla::inline OTTLA_ABI
