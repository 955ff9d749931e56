// SPDX-License-Identifier: Apache-2.0
//
// A simulated disk, and what a test does with it in one line. Directories and files that `settled`
// is called after are on the device.
#pragma once

#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include <ottla/base/status.hpp>
#include <ottla/sim/sim_disk.hpp>

#include "tests/support/must.hpp"

namespace disk_test {

using namespace ottla;

inline constexpr IoReason why = IoReason::other;

using test::must;

inline absl::Status write(SimFile& file, std::int64_t position, std::string_view text,
                          IoReason reason = why) {
  const Bytes piece = as_bytes(text);
  return file.write(position, std::span(&piece, 1), reason);
}

inline std::string text_of(const SimFile& file) {
  std::string text(1 << 16, '?');
  text.resize(must(file.read(0, std::as_writable_bytes(std::span(text)))));
  return text;
}
inline std::string text_of(SimFileSystem fs, const std::string& path) {
  return text_of(must(fs.open(path, OpenMode::read, why)));
}

/// Of all files by path; directories end in "/" and have no text.
inline std::map<std::string, std::string> tree(SimFileSystem fs,
                                               const std::string& directory = "/") {
  std::map<std::string, std::string> all;
  for (const DirectoryEntry& entry : must(fs.list(directory))) {
    const std::string path = directory + entry.name;
    if (entry.kind == FileKind::directory) {
      all[path + "/"] = "";
      all.merge(tree(fs, path + "/"));
    } else {
      all[path] = text_of(fs, path);
    }
  }
  return all;
}

struct DiskFixture {
  explicit DiskFixture(SimDiskOptions options = {}) : disk(std::move(options)) {}

  SimDisk disk;
  SimFileSystem fs = disk.file_system();

  SimFile create(const std::string& path, std::string_view text = {}) {
    SimFile file = must(fs.open(path, OpenMode::create_new, why));
    must(write(file, 0, text));
    return file;
  }
  /// It and its name are on the device.
  SimFile settled(const std::string& path, std::string_view text = {}) {
    SimFile file = create(path, text);
    must(file.sync(why));
    must(fs.sync_directory(path.substr(0, path.rfind('/') + 1), why));
    return file;
  }
  /// Each state that a power cut can leave, once. Throws where one is visited twice, or where there
  /// are too many.
  std::set<std::map<std::string, std::string>> states() {
    std::set<std::map<std::string, std::string>> all;
    const DurableStateCount count = disk.for_each_durable_state(4096, [&](SimDisk& state) {
      if (!all.insert(tree(state.file_system())).second) {
        throw std::runtime_error("a state was visited twice");
      }
    });
    if (!count.all || count.visited != all.size()) {
      throw std::runtime_error("not all states were visited");
    }
    return all;
  }
};

}  // namespace disk_test
