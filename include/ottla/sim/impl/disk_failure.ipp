// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iterator>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/sim/impl/disk_failure.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

OTTLA_INLINE absl::Status disk_error(DiskFailure failure, std::string_view action,
                                     std::string_view path, Outcome outcome) {
  struct Words {
    Fault fault;
    std::string_view text;
  };
  static constexpr Words words[] = {
      {Fault::none, ""},
      {Fault::not_found, "No such file or directory"},
      {Fault::not_found, "Not a directory"},
      {Fault::already_exists, "File exists"},
      {Fault::already_exists, "Directory not empty"},
      {Fault::invalid_argument, "Is a directory"},
      {Fault::invalid_argument, "Invalid argument"},
      {Fault::invalid_argument, "File name too long"},
      {Fault::invalid_argument, "Bad file descriptor"},
      {Fault::io, "Device or resource busy"},
      {Fault::no_space, "No space left on device"},
      {Fault::no_descriptors, "Too many open files"},
      {Fault::read_only, "Read-only file system"},
      {Fault::read_only, "Permission denied"},
      {Fault::io, "Input/output error"},
  };
  static_assert(std::size(words) == static_cast<std::size_t>(DiskFailure::io) + 1);
  const Words& its = words[static_cast<std::size_t>(failure)];
  return failure == DiskFailure::none
             ? absl::OkStatus()
             : error(its.fault,
                     absl::StrCat("cannot ", av(action), " ", av(path), ": ", av(its.text)),
                     outcome);
}

OTTLA_INLINE absl::Status negative_position(std::int64_t position) {
  return error(Fault::invalid_argument, absl::StrCat("position ", position, " in a file"));
}

OTTLA_INLINE absl::StatusOr<std::string> resolve_path(std::string_view path) {
  if (path.empty() || path.find('\0') != std::string_view::npos) {
    return error(Fault::invalid_argument, "a path that is empty or holds a zero byte");
  }
  std::vector<std::string_view> parts;
  for (std::string_view rest = path; !rest.empty();) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    if (part == "..") {
      if (!parts.empty()) {
        parts.pop_back();
      }
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
  }
  std::string full;
  for (const std::string_view part : parts) {
    if (part.size() > 255) {
      return disk_error(DiskFailure::name_too_long, "use", path);
    }
    full += '/';
    full += part;
  }
  return full.empty() ? "/" : std::move(full);
}

OTTLA_INLINE std::string_view parent_path(std::string_view path) {
  return path.substr(0, path.rfind('/'));
}
OTTLA_INLINE std::string_view last_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI
