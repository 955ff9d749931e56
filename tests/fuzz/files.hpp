// SPDX-License-Identifier: Apache-2.0
//
// Files in memory that a fuzz target opens.
#pragma once

#include <string>

#include <ottla/env/any_file_system.hpp>
#include <ottla/env/memory/file_system.hpp>

#include "fuzz.hpp"

namespace fuzz {

struct Files {
  ottla::MemoryFileSystem memory;
  ottla::AnyFileSystem fs{memory};

  Files() { must(memory.create_directory("/d", ottla::IoReason::other)); }

  static void must(const absl::Status& status) { require(status.ok(), status.ToString()); }
  void put(const std::string& path, ottla::Bytes content) {
    auto file = memory.open(path, ottla::OpenMode::create, ottla::IoReason::other);
    must(file.status());
    must(file->write(0, {&content, 1}, ottla::IoReason::other));
  }
  ottla::AnyFile open(const std::string& path) {
    auto file = fs.open(path, ottla::OpenMode::read_write, ottla::IoReason::other);
    must(file.status());
    return *std::move(file);
  }
  std::string content(const std::string& path) {
    auto file = memory.open(path, ottla::OpenMode::read, ottla::IoReason::other);
    must(file.status());
    std::string text(static_cast<std::size_t>(*file->size()), '\0');
    must(file->read(0, std::as_writable_bytes(std::span(text))).status());
    return text;
  }
};

}  // namespace fuzz
