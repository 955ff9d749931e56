// SPDX-License-Identifier: Apache-2.0
//
// A log directory with one of everything, to be damaged: two partitions of several segments with
// indexes, leader epochs, producer snapshots, an aborted transaction, manifests and checkpoints.
// And a way to open what is left of it, and to hold it against what was written.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ottla/log/log_directory.hpp>
#include <ottla/record/control_record.hpp>

#include "log_fixture.hpp"

namespace log_test {

/// Content by path.
using FileSet = std::map<std::string, std::string>;
/// Values by offset; a marker has none.
using Records = std::map<std::int64_t, std::string>;

inline const std::array<TopicPartition, 2> reference_partitions = {
    TopicPartition{"t", PartitionId(0)}, TopicPartition{"t", PartitionId(1)}};

struct Reference {
  LastStop stop = LastStop::clean;
  FileSet files;
  std::array<Records, 2> records;
  std::array<std::int64_t, 2> durable_end = {};  ///< what an absent record above may be absent by
};

namespace reference_impl {

inline Uuid uuid(int n) {
  Uuid id;
  id.bytes[15] = static_cast<std::byte>(n);
  return id;
}

inline LogOptions log_options(std::size_t partition) {
  LogOptions options{.topic_id = uuid(1), .partition = reference_partitions[partition].partition};
  options.config.segment_bytes = partition == 0 ? 700 : 900;
  options.config.index_interval_bytes = 120;
  return options;
}

struct Writer {
  Log& log;
  std::size_t partition;
  Records& records;

  void add(SealedBatch sealed) {
    const SharedBytes bytes = std::move(sealed).freeze();
    const Batch batch{bytes, BatchFacts::of(BatchHeader::parse(bytes.bytes()))};
    must(append(log, {batch}).status);
  }
  /// A batch of `n` records by a producer, or by none (-1).
  void add(int n, std::int32_t epoch, std::int64_t producer, std::int32_t sequence,
           bool is_transactional, CompressionType codec) {
    const std::int64_t base = log.end().value();
    BatchFields fields{.base_offset = Offset(base),
                       .leader_epoch = LeaderEpoch(epoch),
                       .compression = codec,
                       .is_transactional = is_transactional};
    if (producer >= 0) {
      fields.producer_id = ProducerId(producer);
      fields.producer_epoch = ProducerEpoch(0);
      fields.base_sequence = sequence;
    }
    BatchBuilder builder(fields);
    for (int i = 0; i < n; ++i) {
      const std::string value =
          reference_partitions[partition].to_string() + ":" + std::to_string(base + i);
      must(builder.append({.timestamp = Timestamp(t0 + 1000 * (base + i)),
                           .key = as_bytes("key"),
                           .value = as_bytes(value)}));
      records[base + i] = value;
    }
    Compressor compressor;
    add(must(builder.seal(compressor)));
  }
  void end_transaction(ControlType type, std::int32_t epoch, std::int64_t producer) {
    records[log.end().value()] = "";
    add(must(marker_batch({.base_offset = log.end(),
                           .leader_epoch = LeaderEpoch(epoch),
                           .timestamp = Timestamp(t0 + 1000 * log.end().value()),
                           .producer_id = ProducerId(producer),
                           .producer_epoch = ProducerEpoch(0)},
                          {type, 0})));
  }
  void write_all() {
    std::int32_t sequence = 0;
    for (std::int32_t epoch = 0; epoch < 3; ++epoch) {
      for (int i = 0; i < 4; ++i) {
        const auto codec = static_cast<CompressionType>(i % 2 == 1 ? (epoch * 2 + i) % 5 : 0);
        add(1 + i % 3 + static_cast<int>(partition), 2 * epoch, -1, 0, false, codec);
        add(2, 2 * epoch, 7, sequence, false, CompressionType::none);
        sequence += 2;
      }
      add(2, 2 * epoch, 9, 4 * epoch, true, CompressionType::none);
      add(2, 2 * epoch, 9, 4 * epoch + 2, true, CompressionType::lz4);
      end_transaction(epoch == 1 ? ControlType::commit : ControlType::abort, 2 * epoch, 9);
    }
  }
};

inline void read_files(MemoryFileSystem& memory, const std::string& directory, FileSet& files) {
  for (const DirectoryEntry& entry : must(memory.list(directory))) {
    const std::string path = directory + "/" + entry.name;
    if (entry.kind == FileKind::directory) {
      read_files(memory, path, files);
      continue;
    }
    const auto file = must(memory.open(path, OpenMode::read, IoReason::other));
    std::string& text = files[path];
    text.resize(static_cast<std::size_t>(must(file.size())));
    must(file.read(0, std::as_writable_bytes(std::span(text))).status());
  }
}

inline absl::StatusOr<LogDirectory> open_directory(AnyFileSystem& fs, int run,
                                                   DirectoryReport& report) {
  return LogDirectory::open(fs,
                            {.path = "/d",
                             .properties = {"cluster", BrokerId(1), uuid(9)},
                             .process = 4711,
                             .run = uuid(100 + run)},
                            report);
}

/// As a broker does it: recovery points to what is durable, log starts at 0.
inline void write_checkpoints(LogDirectory& directory, const std::array<std::int64_t, 2>& points) {
  for (std::size_t i = 0; i < points.size(); ++i) {
    directory.set_offset(CheckpointKind::recovery_point, reference_partitions[i],
                         Offset(points[i]));
    directory.set_offset(CheckpointKind::log_start, reference_partitions[i], Offset(0));
    directory.set_offset(CheckpointKind::high_watermark, reference_partitions[i],
                         Offset(points[i]));
  }
  for (const CheckpointKind kind : checkpoint_kinds) {
    must(directory.write_checkpoint(kind, directory.offsets(kind), Durability::durable));
  }
}

}  // namespace reference_impl

/// Left by a clean stop, by the death of the process, or of the machine, with everything written
/// and, but for a clean stop, some of it on the device.
inline Reference make_reference(LastStop stop) {
  using namespace reference_impl;
  Reference reference;
  reference.stop = stop;
  MemoryFileSystem memory{{.wall_now = [] { return Timestamp(t0); }}};
  AnyFileSystem fs(memory);
  {
    DirectoryReport report;
    LogDirectory directory = must(open_directory(fs, 1, report));
    const LogDirectory::NewPartition both[] = {{reference_partitions[0], uuid(1), uuid(51)},
                                               {reference_partitions[1], uuid(1), uuid(52)}};
    must(directory.create_partitions(both, Durability::durable));
    std::vector<Log> logs;
    for (std::size_t i = 0; i < 2; ++i) {
      directory.note_created(reference_partitions[i], Durability::durable);
      RecoveryReport recovery;
      logs.push_back(must(Log::open(fs, directory.path_of(reference_partitions[i]), log_options(i),
                                    directory.take_opening(reference_partitions[i], Timestamp(t0)),
                                    directory.health(), recovery)));
      Writer writer{logs.back(), i, reference.records[i]};
      writer.write_all();
      log_test::flush(logs.back());
      writer.add(3, 4, -1, 0, false, CompressionType::none);  // which notes what was synced
      writer.add(2, 4, 7, 24, false, CompressionType::none);
      reference.durable_end[i] = logs.back().durable_end().value();
    }
    if (stop == LastStop::clean) {
      for (std::size_t i = 0; i < 2; ++i) {
        reference.durable_end[i] = logs[i].end().value();
        directory.note_closed(reference_partitions[i], must(logs[i].close()));
      }
    }
    write_checkpoints(directory, reference.durable_end);
    if (stop == LastStop::clean) {
      must(directory.close(directory.clean_ends()));
    }
  }
  read_files(memory, "/d", reference.files);
  if (stop == LastStop::system_crash) {
    std::string& text = reference.files["/d/.ottla_run"];
    RunRecord run = *parse_run_record(text);
    run.volume.boot_id += "-before";
    text = format_run_record(run);
  }
  return reference;
}

/// What opening a damaged directory came to, and what can be read there.
struct Opened {
  struct Partition {
    absl::Status status;  ///< of opening
    RecoveryReport report;
    Records records;  ///< read one after the other from the start, until an error
    std::int64_t start = 0;
    std::int64_t end = 0;
    bool is_damaged = false;
    std::map<std::int64_t, std::string> answers;  ///< of reading from each offset of the original
    bool operator==(const Partition& other) const {
      return status == other.status && records == other.records && start == other.start &&
             end == other.end && is_damaged == other.is_damaged && answers == other.answers;
    }
  };
  absl::Status status;  ///< of opening the directory
  DirectoryReport report;
  std::array<Partition, 2> partitions;
};

namespace reference_impl {

inline std::string record_text(const RecordView& record, bool is_control) {
  return is_control ? "" : std::string(as_string_view(record.value().value_or(Bytes())));
}

/// The first record at or above `from`, and those of its batch behind it: nothing where there is
/// none. What is read is added to `records`.
inline absl::StatusOr<std::optional<std::int64_t>> read_batch(const LogView& view, Offset from,
                                                              ReadBuffers& buffers,
                                                              Records& records, Offset& next) {
  OTTLA_ASSIGN(const LogRead read, view.read({from, view.end(), 1}, buffers));
  std::optional<std::int64_t> first;
  Decompressor decompressor;
  for (const SharedBytes& piece : read.pieces) {
    BatchCursor batches(piece.bytes());
    while (const BatchView* batch = batches.next()) {
      RecordCursor cursor = batch->records(decompressor);
      while (const RecordView* record = cursor.next()) {
        if (record->offset() >= from) {
          first = first.value_or(record->offset().value());
          records[record->offset().value()] = record_text(*record, batch->header().is_control());
        }
      }
      OTTLA_TRY(cursor.status());
      next = batch->header().next_offset();
    }
    OTTLA_TRY(batches.status());
  }
  return first;
}

inline void read_partition(const Log& log, const Records& original, Opened::Partition& into) {
  const LogView view = log.view();
  const auto buffers = make_ref<ReadBuffers>();
  into.start = view.start().value();
  into.end = view.end().value();
  into.is_damaged = log.damage() != nullptr;
  for (Offset at = view.start(); at < view.end();) {
    const Offset from = at;
    const auto read = read_batch(view, at, *buffers, into.records, at);
    if (!read.ok() || at <= from) {
      break;
    }
  }
  for (const auto& [offset, value] : original) {
    Records records;
    Offset next;
    const auto read = read_batch(view, Offset(offset), *buffers, records, next);
    std::string& answer = into.answers[offset];
    if (!read.ok()) {
      answer = std::string("error ") + std::string(name(error_code(read.status())));
    } else if (!*read) {
      answer = "nothing";
    } else {
      answer = std::to_string(**read) + " " + records.begin()->second;
    }
  }
}

}  // namespace reference_impl

/// A directory of these files in memory.
struct DamagedDisk {
  MemoryFileSystem memory{{.wall_now = [] { return Timestamp(t0); }}};
  AnyFileSystem fs{memory};
  int run = 1;

  explicit DamagedDisk(const FileSet& files) {
    for (const char* directory : {"/d", "/d/t-0", "/d/t-1"}) {
      must(memory.create_directory(directory, IoReason::other));
    }
    for (const auto& [path, content] : files) {
      auto file = must(memory.open(path, OpenMode::create, IoReason::other));
      const Bytes piece = as_bytes(content);
      must(file.write(0, {&piece, 1}, IoReason::other));
    }
  }
  DamagedDisk(const DamagedDisk&) = delete;

  FileSet files() {
    FileSet all;
    reference_impl::read_files(memory, "/d", all);
    return all;
  }

  /// Opens and reads everything, as another run each time; nothing is closed. `ask_each`: also from
  /// each offset of the original.
  Opened open(const Reference& reference, bool ask_each = true) {
    using namespace reference_impl;
    Opened opened;
    auto directory = open_directory(fs, ++run, opened.report);
    opened.status = directory.status();
    for (std::size_t i = 0; directory.ok() && i < reference_partitions.size(); ++i) {
      Opened::Partition& partition = opened.partitions[i];
      auto log = Log::open(fs, directory->path_of(reference_partitions[i]), log_options(i),
                           directory->take_opening(reference_partitions[i], Timestamp(t0)),
                           directory->health(), partition.report);
      partition.status = log.status();
      if (log.ok()) {
        read_partition(*log, ask_each ? reference.records[i] : Records(), partition);
      }
    }
    return opened;
  }
};

/// The first record that was never written there; empty where there is none.
inline std::string wrong_record(const Reference& reference, const Opened& opened) {
  for (std::size_t i = 0; i < 2; ++i) {
    const Records& original = reference.records[i];
    const auto check = [&](std::int64_t offset, const std::string& value) {
      const auto found = original.find(offset);
      return found != original.end() && found->second == value;
    };
    for (const auto& [offset, value] : opened.partitions[i].records) {
      if (!check(offset, value)) {
        return reference_partitions[i].to_string() + " has '" + value + "' at " +
               std::to_string(offset);
      }
    }
    for (const auto& [asked, answer] : opened.partitions[i].answers) {
      if (answer.starts_with("error ") || answer == "nothing") {
        continue;
      }
      const std::int64_t offset = std::stoll(answer);
      if (!check(offset, answer.substr(answer.find(' ') + 1))) {
        return reference_partitions[i].to_string() + " asked for " + std::to_string(asked) +
               " answers " + answer;
      }
    }
  }
  return "";
}

/// The first original record that is neither served nor reported; empty where there is none. What
/// was not durable may be gone without a word when it was not a clean stop: nothing knows of it.
inline std::string silent_loss(const Reference& reference, const Opened& opened) {
  for (std::size_t i = 0; opened.status.ok() && i < 2; ++i) {
    const Opened::Partition& partition = opened.partitions[i];
    const bool reported = partition.is_damaged || opened.report.foreign ||
                          !opened.report.findings.empty() ||
                          partition.report.has(RecoveryReport::Kind::cut) ||
                          partition.report.has(RecoveryReport::Kind::segments_missing);
    for (const auto& [offset, value] : reference.records[i]) {
      if (!partition.status.ok() || offset >= reference.durable_end[i]) {
        continue;
      }
      const std::string& answer = partition.answers.at(offset);
      const bool outside = offset < partition.start || offset >= partition.end;
      if (answer == std::to_string(offset) + " " + value ||
          (answer.starts_with("error ") && !outside) || (outside && reported)) {
        continue;
      }
      return reference_partitions[i].to_string() + " at " + std::to_string(offset) + ": " + answer;
    }
  }
  return "";
}

}  // namespace log_test
