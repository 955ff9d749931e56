// SPDX-License-Identifier: Apache-2.0
//
// Index files in memory, and what is in them.
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <ottla/base/bytes.hpp>
#include <ottla/env/any_file_system.hpp>
#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/memory/file_system.hpp>

struct IndexFiles {
  ottla::MemoryFileSystem memory;
  ottla::IoHook hook = [](ottla::IoCall&) { return absl::OkStatus(); };
  ottla::AnyFileSystem fs{
      ottla::FaultFileSystem(memory, [this](ottla::IoCall& call) { return hook(call); })};

  /// The file, made when missing.
  ottla::AnyFile open(const std::string& name = "/index") {
    return fs.open(name, ottla::OpenMode::create, ottla::IoReason::other).value();
  }
  /// A file with that content and nothing else.
  ottla::AnyFile open(ottla::Bytes content, const std::string& name = "/index") {
    put(content, name);
    return open(name);
  }
  void put(ottla::Bytes content, const std::string& name = "/index") {
    auto file = memory.open(name, ottla::OpenMode::create, ottla::IoReason::other).value();
    if (!file.truncate(0, ottla::IoReason::other).ok() ||
        !file.write(0, std::span(&content, 1), ottla::IoReason::other).ok()) {
      throw std::runtime_error("cannot write " + name);
    }
  }
  std::vector<std::byte> content(const std::string& name = "/index") {
    auto file = memory.open(name, ottla::OpenMode::read, ottla::IoReason::other).value();
    std::vector<std::byte> bytes(static_cast<std::size_t>(file.size().value()));
    if (file.read(0, bytes).value() != bytes.size()) {
      throw std::runtime_error("cannot read " + name);
    }
    return bytes;
  }
};
