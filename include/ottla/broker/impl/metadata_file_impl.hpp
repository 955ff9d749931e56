// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/broker/metadata_file.hpp>
#include <ottla/env/small_file.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/batch_view.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
absl::StatusOr<Ref<MetadataFile<Fs>>> MetadataFile<Fs>::open(Fs& fs, World& world,
                                                             std::string directory) {
  std::string path = absl::StrCat(directory, "/", av(metadata_file_name));
  OTTLA_ASSIGN(auto file, fs.open(path, OpenMode::create, IoReason::metadata));
  auto opened = make_ref<MetadataFile>(fs, world, std::move(path), std::move(file));
  OTTLA_TRY(opened->scan([](const WrittenRecord&) { return absl::OkStatus(); }, true));
  return opened;
}

template <FileSystem Fs>
absl::Status MetadataFile<Fs>::damaged(std::int64_t position, std::string_view what) const {
  return error(Fault::corrupt,
               absl::StrCat(path_, " at byte ", position, ": ", av(what),
                            "; restore the file from a backup, or move it away to have the topics "
                            "adopted from their directories (their configs are lost)"));
}

template <FileSystem Fs>
absl::Status MetadataFile<Fs>::scan(absl::FunctionRef<absl::Status(const WrittenRecord&)> take,
                                    bool cut_end) {
  constexpr std::size_t largest = std::size_t{256} << 20;
  OTTLA_ASSIGN(const std::string content, read_small_file(fs_, path_, largest));
  BatchCursor batches(as_bytes(content), path_);
  Offset next(0);
  while (const BatchView* batch = batches.next()) {
    if (batch->header().base_offset != next) {
      return damaged(static_cast<std::int64_t>(batches.position() - batch->size()),
                     "an offset out of order");
    }
    RecordCursor records = batch->records();
    while (const RecordView* record = records.next()) {
      WrittenRecord written{.key = record->key(), .value = record->value(), .offset = next};
      OTTLA_TRY(take(written));
      ++next;
    }
    OTTLA_TRY(records.status());
  }
  const auto end = static_cast<std::int64_t>(batches.position());
  const auto size = static_cast<std::int64_t>(content.size());
  if (!batches.ok()) {
    // A batch is written by one call: only the last one can be unfinished.
    const BatchVerdict verdict = batches.verdict();
    const Bytes rest = as_bytes(content).subspan(batches.position());
    const bool at_end =
        verdict == BatchVerdict::whole && scan_batch(rest, rest.size()).size == rest.size();
    if (!at_end) {
      return damaged(end, sv(batches.status().message()));
    }
  }
  if (end < size && cut_end) {
    OTTLA_TRY(file_->truncate(end, IoReason::recover_cut));
  }
  end_ = end;
  next_ = next;
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::Status MetadataFile<Fs>::load(absl::FunctionRef<absl::Status(const WrittenRecord&)> take) {
  return scan(take, false);
}

template <FileSystem Fs>
absl::StatusOr<SharedBytes> MetadataFile<Fs>::batch_of(std::span<const MachineRecord> records,
                                                       Offset base) const {
  BatchBuilder builder({.base_offset = base, .leader_epoch = LeaderEpoch(0)});
  const Timestamp now = world_.wall_now();
  for (const MachineRecord& record : records) {
    RecordFields fields{.timestamp = now};
    if (record.key) {
      fields.key = Bytes(*record.key);
    }
    if (record.value) {
      fields.value = Bytes(*record.value);
    }
    OTTLA_TRY(builder.append(fields));
  }
  OTTLA_ASSIGN(SealedBatch batch, builder.seal());
  return std::move(batch).freeze();
}

template <FileSystem Fs>
absl::StatusOr<Offset> MetadataFile<Fs>::write(std::span<const MachineRecord> records) {
  OTTLA_TRY(failed_);
  OTTLA_ASSIGN(const SharedBytes batch, batch_of(records, next_));
  const Bytes piece = batch.bytes();
  if (absl::Status written = file_->write(end_, std::span(&piece, 1), IoReason::metadata);
      !written.ok()) {
    if (absl::Status undone = file_->truncate(end_, IoReason::undo_append); !undone.ok()) {
      failed_ = annotate(undone, "the metadata log cannot be written any more");
    }
    return written;
  }
  const Offset base = next_;
  end_ += static_cast<std::int64_t>(piece.size());
  next_ += static_cast<std::int64_t>(records.size());
  return base;
}

template <FileSystem Fs>
void MetadataFile<Fs>::append(std::span<const MachineRecord> records, Done done) {
  // The state before this change is what a snapshot holds, so the file is rewritten first.
  rewrite_when_large().IgnoreError();  // the long file is as good, and the next change tries again
  done(write(records));
}

template <FileSystem Fs>
absl::Status MetadataFile<Fs>::rewrite_when_large() {
  if (!snapshot_ || end_ < smallest_rewrite || end_ < 4 * snapshot_size_) {
    return absl::OkStatus();
  }
  const std::vector<MachineRecord> records = snapshot_();
  if (records.empty()) {
    return absl::OkStatus();
  }
  constexpr std::size_t per_batch = 1024;
  std::vector<std::byte> content;
  Offset next(0);
  for (std::size_t i = 0; i < records.size(); i += per_batch) {
    const auto part = std::span(records).subspan(i, std::min(per_batch, records.size() - i));
    OTTLA_ASSIGN(const SharedBytes batch, batch_of(part, next));
    content.insert(content.end(), batch.bytes().begin(), batch.bytes().end());
    next += static_cast<std::int64_t>(part.size());
  }
  // From the renaming on the old file is nobody's: what cannot be written to the new one is
  // refused.
  const absl::Status replaced =
      replace_small_file(fs_, path_, content, Durability::durable, IoReason::metadata);
  auto file = replaced.ok() ? fs_.open(path_, OpenMode::read_write, IoReason::metadata)
                            : absl::StatusOr<typename Fs::File>(replaced);
  if (!file.ok()) {
    if (replaced.ok() || outcome(replaced) == Outcome::unknown) {
      failed_ = annotate(file.status(), "the metadata log cannot be written any more");
    }
    return std::move(file).status();
  }
  file_ = *std::move(file);
  end_ = snapshot_size_ = static_cast<std::int64_t>(content.size());
  next_ = next;
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::Status MetadataFile<Fs>::sync() {
  return file_->sync(IoReason::metadata);
}

template <FileSystem Fs>
absl::Status MetadataFile<Fs>::close() {
  return file_->close();
}

}  // namespace ottla::inline OTTLA_ABI
