// SPDX-License-Identifier: Apache-2.0
//
// What Kafka's own metadata log (`__cluster_metadata-0` in a log directory) says of topics, for
// those that are adopted. It is read and never written: the newest snapshot
// (`<end offset>-<epoch>.checkpoint`), and the segments behind it, as far as they are whole.
// Source: spec replication.md section 14.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/env/file_system.hpp>
#include <ottla/env/small_file.hpp>
#include <ottla/metadata/metadata_machine.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/record/compression.hpp>

namespace ottla::inline OTTLA_ABI {

/// Not thread-safe; used once. Reads files of up to 256 MiB.
template <FileSystem Fs>
class KafkaMetadata {
 public:
  KafkaMetadata(Fs& fs, std::string directory) : fs_(fs), directory_(std::move(directory)) {}

  /// What topics there are, with their configs. `not_found` where there is no such directory; an
  /// error where a file cannot be read, or a record is of a version that is not known.
  absl::StatusOr<MetadataMachine> read() {
    OTTLA_ASSIGN(const auto entries, fs_.list(directory_));
    std::vector<std::string> logs;
    std::string snapshot;
    for (const DirectoryEntry& entry : entries) {
      if (entry.name.ends_with(".checkpoint")) {
        snapshot = std::max(snapshot, entry.name);  // numbers of one width: the newest
      } else if (entry.name.ends_with(".log")) {
        logs.push_back(entry.name);
      }
    }
    std::sort(logs.begin(), logs.end());
    if (!snapshot.empty()) {
      OTTLA_TRY(take(snapshot));
      next_ = Offset(0);
      for (const char digit : snapshot.substr(0, snapshot.find('-'))) {
        next_ = Offset(next_.value() * 10 + (digit - '0'));
      }
    }
    for (const std::string& log : logs) {
      OTTLA_TRY(take(log));
    }
    return std::move(machine_);
  }

 private:
  static constexpr std::size_t largest_file = std::size_t{256} << 20;

  absl::Status take(const std::string& file) {
    const std::string path = absl::StrCat(directory_, "/", file);
    OTTLA_ASSIGN(const std::string content, read_small_file(fs_, path, largest_file));
    BatchCursor batches(as_bytes(content), path);
    Decompressor decompressor;
    while (const BatchView* batch = batches.next()) {
      if (batch->header().is_control() || batch->header().base_offset < next_) {
        continue;
      }
      RecordCursor records = batch->records(decompressor);
      while (const RecordView* record = records.next()) {
        OTTLA_TRY(machine_.apply(
            {.key = record->key(), .value = record->value(), .offset = record->offset()}));
      }
      OTTLA_TRY(records.status());
    }
    return absl::OkStatus();  // what is torn at the end was not committed
  }

  Fs& fs_;
  const std::string directory_;
  MetadataMachine machine_{MetadataPlacement{}};
  Offset next_{0};  // of records that the snapshot has not
};

}  // namespace ottla::inline OTTLA_ABI
