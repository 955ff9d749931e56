// SPDX-License-Identifier: Apache-2.0
//
// A log that is written, and what a reader beside it finds.
#pragma once

#include <ottla/log/read_only_log.hpp>

#include "cleaning_fixture.hpp"
#include "read_only_files.hpp"
#include "tests/support/catch.hpp"

namespace read_only_test {

using namespace ottla;
using namespace log_test;

inline const std::string directory = "/d/t-0";

/// A writer's log on a disk in memory; `between` is called before and after each call that it makes
/// on a file.
struct Writer {
  MemoryFileSystem memory{{.wall_now = [] { return Timestamp(t0); }}};
  std::function<void(const IoCall&)> between = [](const IoCall&) {};
  AnyFileSystem files{FaultFileSystem(memory, [this](IoCall& call) {
    between(call);
    return absl::OkStatus();
  })};
  LogOptions options{.topic_id = {{std::byte{1}}}, .partition = PartitionId(0)};
  std::optional<Log> log;

  explicit Writer(const LogConfig& config = {}) {
    options.config = config;
    must(memory.create_directory("/d", IoReason::other));
    must(memory.create_directory(directory, IoReason::other));
    open(LastStop::clean);
  }
  void open(LastStop stop, std::int64_t recovery_point = 0) {
    RecoveryReport report;
    log.emplace(must(Log::open(
        files, directory, options,
        {.last_stop = stop, .recovery_point = Offset(recovery_point), .now = Timestamp(t0)},
        make_ref<DirectoryHealth>("/d"), report)));
  }
  /// The first segment's data.
  MemoryFile file() {
    return must(memory.open(directory + "/00000000000000000000.log", OpenMode::read_write,
                            IoReason::other));
  }
  void append(int n, const BatchShape& shape = {}) {
    REQUIRE(log_test::append(*log, make_batches(log->end().value(), n, shape)).status.ok());
  }
};

inline LogConfig small_segments() {
  LogConfig config;
  config.segment_bytes = 600;
  config.index_interval_bytes = 100;
  return config;
}

/// Reads all, whatever the size of the pieces, and checks that each record is what was written.
inline std::vector<std::int64_t> read(ReadOnlyLog& log, std::int64_t from) {
  std::vector<std::int64_t> found;
  const auto buffers = make_ref<ReadBuffers>();
  Decompressor decompressor;
  Offset at = std::max(Offset(from), log.view().start());
  while (at < log.view().end()) {
    const LogRead pieces = must(log.read({at, log.view().end(), 300}, *buffers));
    if (pieces.pieces.empty()) {
      break;
    }
    for (const SharedBytes& piece : pieces.pieces) {
      BatchCursor batches(piece.bytes());
      while (const BatchView* batch = batches.next()) {
        RecordCursor records = batch->records(decompressor);
        while (const RecordView* record = records.next()) {
          const std::string value(as_string_view(record->value().value_or(Bytes())));
          REQUIRE(value.starts_with(std::to_string(record->offset().value())));
          found.push_back(record->offset().value());
        }
        must(records.status());
        at = batch->header().next_offset();
      }
      must(batches.status());
    }
  }
  return found;
}

}  // namespace read_only_test
