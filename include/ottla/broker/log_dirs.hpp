// SPDX-License-Identifier: Apache-2.0
//
// Where a broker keeps its logs: a path, several, or nowhere. Several know each other: while one is
// not there, what lies in it is offline, and is not made anew in another.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

/// `.log_dirs = ottla::in_memory`: the same broker, without leaving a file.
struct InMemory {};
inline constexpr InMemory in_memory{};

class LogDirs {
 public:
  LogDirs() = default;
  LogDirs(const char* path) : paths_{path} {}
  LogDirs(std::string_view path) : paths_{std::string(path)} {}
  LogDirs(const std::string& path) : paths_{path} {}
  LogDirs(std::vector<std::string> paths) : paths_(std::move(paths)) {}
  LogDirs(std::initializer_list<std::string_view> paths) : paths_(paths.begin(), paths.end()) {}
  LogDirs(InMemory) : paths_{"memory"}, in_memory_(true) {}

  const std::vector<std::string>& paths() const { return paths_; }
  bool in_memory() const { return in_memory_; }

 private:
  std::vector<std::string> paths_;
  bool in_memory_ = false;
};

}  // namespace ottla::inline OTTLA_ABI
