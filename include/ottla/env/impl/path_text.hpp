// SPDX-License-Identifier: Apache-2.0
//
// Paths as text: one spelling each, so that they can be compared. ".." is left alone, since what it
// means depends on links.
#pragma once

#include <string>
#include <string_view>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

/// Absolute, below `directory` when it was relative; without "//", "/./" and a last "/".
inline std::string full_path(std::string_view directory, std::string_view path) {
  std::string full;
  full.reserve(directory.size() + 1 + path.size());
  const auto append = [&](std::string_view text) {
    while (!text.empty()) {
      const std::size_t length = text.find('/');
      const std::string_view part = text.substr(0, length);
      if (!part.empty() && part != ".") {
        full += '/';
        full += part;
      }
      text = length == std::string_view::npos ? std::string_view() : text.substr(length + 1);
    }
  };
  if (!path.starts_with('/')) {
    append(directory);
  }
  append(path);
  return full.empty() ? "/" : full;
}

/// Of a full path.
inline std::string_view parent_of(std::string_view path) { return path.substr(0, path.rfind('/')); }
inline std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

/// Whether full path `path` lies below the directory `directory`.
inline bool lies_below(std::string_view directory, std::string_view path) {
  return path.size() > directory.size() && path.starts_with(directory) &&
         path[directory.size()] == '/';
}

}  // namespace env_impl
}  // namespace ottla::inline OTTLA_ABI
