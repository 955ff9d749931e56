// SPDX-License-Identifier: Apache-2.0
//
// Opening a log directory again and again, as another run each time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <ottla/log/log_directory.hpp>

#include "log_fixture.hpp"

namespace log_test {

inline Uuid id(int n) {
  Uuid uuid;
  uuid.bytes[15] = static_cast<std::byte>(n);
  return uuid;
}

inline absl::StatusOr<LogDirectory> open_directory(AnyFileSystem& files, int run,
                                                   DirectoryReport& report) {
  return LogDirectory::open(files,
                            {.path = "/d",
                             .properties = {"cluster", BrokerId(1), id(9)},
                             .process = 4711,
                             .run = id(100 + run)},
                            report);
}

/// "/d" in memory behind a hook.
struct Directory {
  MemoryFileSystem memory{{.wall_now = [] { return Timestamp(t0); }}};
  IoHook hook = [](IoCall&) { return absl::OkStatus(); };
  AnyFileSystem files{FaultFileSystem(memory, [this](IoCall& call) { return hook(call); })};
  DirectoryReport report;
  int runs = 0;

  Directory() = default;
  Directory(const Directory&) = delete;

  absl::StatusOr<LogDirectory> try_open() {
    report = {};
    return open_directory(files, ++runs, report);
  }
  LogDirectory open() { return must(try_open()); }
  std::string content(const std::string& name) {
    const auto file = must(memory.open("/d/" + name, OpenMode::read, IoReason::other));
    std::string text(static_cast<std::size_t>(must(file.size())), '\0');
    must(file.read(0, std::as_writable_bytes(std::span(text))).status());
    return text;
  }
  void put(const std::string& name, std::string_view text) {
    auto file = must(memory.open("/d/" + name, OpenMode::create, IoReason::other));
    must(file.truncate(0, IoReason::other));
    const Bytes piece = as_bytes(text);
    must(file.write(0, {&piece, 1}, IoReason::other));
  }
};

}  // namespace log_test
