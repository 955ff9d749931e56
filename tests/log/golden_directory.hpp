// SPDX-License-Identifier: Apache-2.0
//
// A copy in memory of a log directory that Kafka wrote, and what is known of it.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ottla/log/log_directory.hpp>

#include "log_fixture.hpp"
#include "tests/support/golden.hpp"

namespace log_test {

using Json = nlohmann::json;

inline std::int64_t number(const Json& json) { return json.get<std::int64_t>(); }

/// The text is parsed once for each case.
inline const Json& expected_of(const std::string& golden_case) {
  static std::map<std::string, Json> parsed;
  const auto [at, is_new] = parsed.try_emplace(golden_case);
  if (is_new) {
    at->second = golden::read_json(golden::dir() / golden_case / "expected.json");
  }
  return at->second;
}

struct GoldenDirectory {
  MemoryFileSystem memory{{.wall_now = [] { return Timestamp(t0); }}};
  AnyFileSystem files{memory};
  std::string golden_case;
  std::filesystem::path from;
  const Json& expected;  // of this directory
  DirectoryReport report;

  GoldenDirectory(const std::string& its_case, const std::string& name)
      : golden_case(its_case),
        from(golden::dir() / its_case / name),
        expected(expected_of(its_case)["dirs"][name]) {
    must(memory.create_directory("/d", IoReason::other));
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(from)) {
      paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) {
      const std::string to = "/d/" + path.lexically_relative(from).string();
      if (std::filesystem::is_directory(path)) {
        must(memory.create_directory(to, IoReason::other));
      } else {
        put(to, golden::read_text(path));
      }
    }
    set_times();
  }

  void put(const std::string& path, const std::string& text) {
    auto file = must(memory.open(path, OpenMode::create, IoReason::other));
    const Bytes piece = as_bytes(text);
    must(file.write(0, {&piece, 1}, IoReason::other));
  }

  void set_times() {
    for (const auto& [name, partition] : expected["partitions"].items()) {
      for (const Json& log : partition["logs"]) {
        const std::string path = "/d/" + name + "/" + log["file"].get<std::string>();
        if (memory.status(path).ok()) {
          must(memory.set_modified(path, Timestamp(number(log["mtime_ms"]))));
        }
      }
    }
  }

  LogDirectory open() {
    report = {};
    Uuid run;
    run.bytes[0] = std::byte{1};
    return must(LogDirectory::open(files, {.path = "/d", .process = 7, .run = run}, report));
  }

  std::string content(const std::string& path) {
    auto file = must(memory.open(path, OpenMode::read, IoReason::other));
    std::string text(static_cast<std::size_t>(must(file.size())), '\0');
    must(file.read(0, std::as_writable_bytes(std::span(text))).status());
    return text;
  }

  /// Those that a log can be opened of.
  std::vector<std::string> partitions() const {
    std::vector<std::string> names;
    for (const auto& [name, partition] : expected["partitions"].items()) {
      if (directory_kind(name) == DirectoryKind::partition) {
        names.push_back(name);
      }
    }
    return names;
  }

  /// The bytes of the batches that end at `start` or above and begin below `end`, from the golden
  /// copy of this directory (or of `other`, e.g. "after").
  std::string batches(const std::string& partition, std::int64_t start, std::int64_t end,
                      const std::string& other = {}) const {
    const Json& its = other.empty() ? expected : expected_of(golden_case)["dirs"][other];
    const auto root = other.empty() ? from : from.parent_path() / other;
    std::string all;
    std::int64_t last = -1;
    for (const Json& log : its["partitions"][partition]["logs"]) {
      const std::string file = log["file"];
      if (!file.ends_with(".log")) {
        continue;
      }
      const std::string text = golden::read_text(root / partition / file);
      for (const Json& batch : log["batches"]) {
        if (number(batch["lastOffset"]) >= start && number(batch["baseOffset"]) < end &&
            number(batch["baseOffset"]) > last) {
          last = number(batch["lastOffset"]);
          all += text.substr(static_cast<std::size_t>(number(batch["position"])),
                             static_cast<std::size_t>(number(batch["size"])));
        }
      }
    }
    return all;
  }
};

/// Not a comparison that a failed check would print.
inline bool same(const std::string& a, const std::string& b) { return a == b; }

struct ReadBytes {
  std::string bytes;
  absl::Status status;  ///< what ended it
};

/// All bytes from `from` to the end of the view, in reads of `max_bytes`.
inline ReadBytes read_bytes(const LogView& view, Offset from, std::size_t max_bytes) {
  const auto buffers = make_ref<ReadBuffers>();
  ReadBytes all;
  for (;;) {
    const auto read = view.read({from, view.end(), max_bytes}, *buffers);
    if (!read.ok() || read->pieces.empty()) {
      all.status = read.status();
      return all;
    }
    for (const SharedBytes& piece : read->pieces) {
      all.bytes += as_string_view(piece.bytes());
      BatchCursor batches(piece.bytes());
      while (const BatchView* batch = batches.next()) {
        from = batch->header().next_offset();
      }
    }
  }
}

/// The first record at or after `target`, by looking at every one.
inline std::optional<FoundOffset> scan_for(const LogView& view, std::int64_t target) {
  const std::string bytes = read_bytes(view, view.start(), 100'000).bytes;
  BatchCursor batches(as_bytes(bytes));
  Decompressor decompressor;
  while (const BatchView* batch = batches.next()) {
    RecordCursor records = batch->records(decompressor);
    while (const RecordView* record = records.next()) {
      if (record->timestamp().value() >= target && record->offset() >= view.start()) {
        return FoundOffset{record->timestamp(), record->offset(), batch->header().leader_epoch};
      }
    }
  }
  return std::nullopt;
}

}  // namespace log_test
