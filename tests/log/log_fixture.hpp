// SPDX-License-Identifier: Apache-2.0
//
// A log in memory (or wherever) with everything a test wants to do with it in one line.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ottla/env/any_file_system.hpp>
#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/log/log.hpp>
#include <ottla/record/batch_builder.hpp>

#include "tests/support/must.hpp"

namespace log_test {

using namespace ottla;

inline constexpr std::int64_t t0 = 1'700'000'000'000;

using test::must;

struct Batch {
  SharedBytes bytes;
  BatchFacts facts;
};

struct BatchShape {
  std::vector<std::int64_t> timestamps = {t0};
  std::vector<std::size_t> key_sizes = {};    ///< of each record; else keys are null
  std::vector<std::size_t> value_sizes = {};  ///< of each record; else `value_size`
  std::size_t value_size = 10;
  std::int32_t epoch = 0;
  std::optional<std::int64_t> append_time = {};
};

inline Batch make_batch(std::int64_t base, const BatchShape& shape = {}) {
  BatchBuilder builder({.base_offset = Offset(base),
                        .leader_epoch = LeaderEpoch(shape.epoch),
                        .log_append_time = shape.append_time
                                               ? std::optional(Timestamp(*shape.append_time))
                                               : std::nullopt});
  for (std::size_t i = 0; i < shape.timestamps.size(); ++i) {
    const std::size_t size = shape.value_sizes.empty() ? shape.value_size : shape.value_sizes[i];
    std::string value(size, 'v');
    const std::string number = std::to_string(base + static_cast<std::int64_t>(i));
    std::copy_n(number.begin(), std::min(size, number.size()), value.begin());
    const std::string key(shape.key_sizes.empty() ? 0 : shape.key_sizes[i], 'k');
    RecordFields record{.timestamp = Timestamp(shape.timestamps[i]), .value = as_bytes(value)};
    if (!shape.key_sizes.empty()) {
      record.key = as_bytes(key);
    }
    must(builder.append(record));
  }
  Compressor compressor;
  SharedBytes bytes = must(builder.seal(compressor)).freeze();
  const BatchFacts facts = BatchFacts::of(BatchHeader::parse(bytes.bytes()));
  return {std::move(bytes), facts};
}

/// `n` batches of one record each, from offset `base` on, a second apart.
inline std::vector<Batch> make_batches(std::int64_t base, int n, const BatchShape& shape = {}) {
  std::vector<Batch> batches;
  for (int i = 0; i < n; ++i) {
    BatchShape its = shape;
    its.timestamps = {t0 + (base + i) * 1000};
    batches.push_back(make_batch(base + i, its));
  }
  return batches;
}

inline Appended append(Log& log, const std::vector<Batch>& batches, std::int64_t now = t0) {
  std::vector<Bytes> pieces;
  std::vector<BatchFacts> facts;
  for (const Batch& batch : batches) {
    pieces.push_back(batch.bytes.bytes());
    facts.push_back(batch.facts);
  }
  Appended done = log.append(pieces, facts, Timestamp(now));
  log.publish();
  return done;
}

/// All that was appended is durable then.
inline absl::Status try_flush(Log& log, FlushScope scope = FlushScope::sealed) {
  LogFlush plan = log.plan_flush(scope);
  OTTLA_TRY(plan.run());
  log.flushed(plan);
  log.publish();
  return absl::OkStatus();
}
inline void flush(Log& log, FlushScope scope = FlushScope::sealed) { must(try_flush(log, scope)); }

/// Every record's offset from `from` to the view's end, and its value. Throws where reading fails.
inline std::vector<std::pair<std::int64_t, std::string>> read_all(const LogView& view,
                                                                  std::int64_t from = -1,
                                                                  std::size_t max_bytes = 1000) {
  const auto buffers = make_ref<ReadBuffers>();
  std::vector<std::pair<std::int64_t, std::string>> records;
  Decompressor decompressor;
  Offset at = from < 0 ? view.start() : Offset(from);
  while (at < view.end()) {
    const LogRead read = must(view.read({at, view.end(), max_bytes}, *buffers));
    if (read.pieces.empty()) {
      break;  // nothing more below the end
    }
    for (const SharedBytes& piece : read.pieces) {
      BatchCursor batches(piece.bytes());
      while (const BatchView* batch = batches.next()) {
        RecordCursor cursor = batch->records(decompressor);
        while (const RecordView* record = cursor.next()) {
          if (record->offset() >= at) {
            records.emplace_back(record->offset().value(),
                                 std::string(as_string_view(record->value().value_or(Bytes()))));
          }
        }
        must(cursor.status());
        at = std::max(at, batch->header().next_offset());
      }
      must(batches.status());
    }
  }
  return records;
}

inline std::vector<std::int64_t> offsets(const LogView& view, std::int64_t from = -1) {
  std::vector<std::int64_t> all;
  for (const auto& record : read_all(view, from)) {
    all.push_back(record.first);
  }
  return all;
}

inline std::vector<std::int64_t> range(std::int64_t from, std::int64_t to) {
  std::vector<std::int64_t> all;
  for (; from < to; ++from) {
    all.push_back(from);
  }
  return all;
}

inline std::vector<std::pair<std::int64_t, std::int64_t>> segments(const LogView& view) {
  std::vector<std::pair<std::int64_t, std::int64_t>> all;
  for (const auto& segment : must(view.segments())) {
    all.emplace_back(segment.base.value(), segment.bytes);
  }
  return all;
}

/// A file system in memory behind a hook, with one partition's directory, "/d/t-0".
struct Disk {
  MemoryFileSystem memory{{.wall_now = [] { return Timestamp(t0); }}};
  IoHook hook = [](IoCall&) { return absl::OkStatus(); };
  AnyFileSystem files{FaultFileSystem(memory, [this](IoCall& call) { return hook(call); })};
  std::string directory = "/d/t-0";
  LogOptions options{.topic_id = {{std::byte{1}}}, .partition = PartitionId(0)};
  RecoveryReport report;
  Ref<DirectoryHealth> health = make_ref<DirectoryHealth>("/d");

  Disk() {
    must(memory.create_directory("/d", IoReason::other));
    must(memory.create_directory("/d/t-0", IoReason::other));
  }
  Disk(const Disk&) = delete;

  absl::StatusOr<Log> try_open(LogOpening opening = {.last_stop = LastStop::clean}) {
    report = {};
    health = make_ref<DirectoryHealth>("/d");
    if (opening.now == no_timestamp) {
      opening.now = Timestamp(t0);
    }
    return Log::open(files, directory, options, opening, health, report);
  }
  Log open(const LogOpening& opening = {.last_stop = LastStop::clean}) {
    return must(try_open(opening));
  }
  Log open_after(LastStop stop, std::int64_t recovery_point = 0, std::int64_t log_start = 0) {
    return open({.last_stop = stop,
                 .recovery_point = Offset(recovery_point),
                 .log_start = Offset(log_start)});
  }

  std::string path(std::string_view name) const { return directory + "/" + std::string(name); }
  std::vector<std::string> names() {
    std::vector<std::string> names;
    for (const DirectoryEntry& entry : must(memory.list(directory))) {
      names.push_back(entry.name);
    }
    return names;
  }
  bool has(std::string_view name) { return memory.status(path(name)).ok(); }
  std::string content(std::string_view name) {
    const auto file = must(memory.open(path(name), OpenMode::read, IoReason::other));
    std::string text(static_cast<std::size_t>(must(file.size())), '\0');
    must(file.read(0, std::as_writable_bytes(std::span(text))).status());
    return text;
  }
  void put(std::string_view name, std::string_view text) {
    auto file = must(memory.open(path(name), OpenMode::create, IoReason::other));
    must(file.truncate(0, IoReason::other));
    const Bytes piece = as_bytes(text);
    must(file.write(0, {&piece, 1}, IoReason::other));
  }
  std::int64_t size(std::string_view name) { return must(memory.status(path(name))).size; }
  void cut(std::string_view name, std::int64_t size) {
    auto file = must(memory.open(path(name), OpenMode::read_write, IoReason::other));
    must(file.truncate(size, IoReason::other));
  }
  void flip(std::string_view name, std::size_t position) {
    std::string text = content(name);
    text[position] = static_cast<char>(text[position] ^ 0x10);
    put(name, text);
  }
};

}  // namespace log_test
