// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/metadata_file.hpp>
#include <ottla/env/small_file.hpp>
#include <ottla/log/log_flush.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/batch_view.hpp>

namespace ottla::inline OTTLA_ABI {

namespace broker_impl {

inline constexpr std::size_t largest_metadata = std::size_t{256} << 20;

/// A whole batch begins somewhere in `rest`: what stands before it was whole once.
inline bool batch_follows(Bytes rest, Offset next) {
  for (std::size_t i = 1; i + batch_header_size <= rest.size(); ++i) {
    if (rest[i + batch_position::magic] != std::byte{batch_magic}) {
      continue;
    }
    BatchCursor batches(rest.subspan(i), metadata_file_name);
    const BatchView* batch = batches.next();
    if (batch != nullptr && batch->header().base_offset >= next) {
      return true;
    }
  }
  return false;
}

}  // namespace broker_impl

template <FileSystem Fs>
MetadataFile<Fs>::MetadataFile(Fs& fs, World& world, std::string directory, typename Fs::File file,
                               Ref<DirectoryHealth> health)
    : fs_(fs),
      world_(world),
      directory_(std::move(directory)),
      path_(absl::StrCat(directory_, "/", av(metadata_file_name))),
      health_(std::move(health)),
      file_(std::move(file)) {}

template <FileSystem Fs>
absl::StatusOr<Ref<MetadataFile<Fs>>> MetadataFile<Fs>::open(Fs& fs, World& world,
                                                             std::string directory, Stop stop,
                                                             Ref<DirectoryHealth> health,
                                                             std::string& cut) {
  OTTLA_ASSIGN(auto file, fs.open(absl::StrCat(directory, "/", av(metadata_file_name)),
                                  OpenMode::create, IoReason::metadata));
  auto opened =
      make_ref<MetadataFile>(fs, world, std::move(directory), std::move(file), std::move(health));
  OTTLA_TRY(opened->recover(stop, cut));
  return opened;
}

template <FileSystem Fs>
absl::Status MetadataFile<Fs>::damaged(std::int64_t position, std::string_view what) const {
  return error(Fault::corrupt,
               absl::StrCat(path_, " at byte ", position, ": ", av(what),
                            "; restore the file from a backup, or move it away to have the topics "
                            "adopted from their directories (their configs are lost)"));
}

/// After: `end_` and `next_` are behind the last whole batch. `corrupt` where that is not all.
template <FileSystem Fs>
absl::Status MetadataFile<Fs>::scan(absl::FunctionRef<absl::Status(const WrittenRecord&)> take) {
  OTTLA_ASSIGN(const std::string content,
               read_small_file(fs_, path_, broker_impl::largest_metadata));
  BatchCursor batches(as_bytes(content), path_);
  end_ = 0;
  next_ = Offset(0);
  while (const BatchView* batch = batches.next()) {
    if (batch->header().base_offset != next_) {
      return damaged(end_, "an offset out of order");
    }
    RecordCursor records = batch->records();
    Offset next = next_;
    while (const RecordView* record = records.next()) {
      WrittenRecord written{.key = record->key(), .value = record->value(), .offset = next};
      OTTLA_TRY(take(written));
      ++next;
    }
    OTTLA_TRY(records.status());
    end_ = static_cast<std::int64_t>(batches.position());
    next_ = next;
  }
  if (!batches.ok()) {
    return damaged(end_, sv(batches.status().message()));
  }
  return end_ == static_cast<std::int64_t>(content.size()) ? absl::OkStatus()
                                                           : damaged(end_, "an unfinished batch");
}

template <FileSystem Fs>
absl::Status MetadataFile<Fs>::recover(Stop stop, std::string& cut) {
  const absl::Status found = scan([](const WrittenRecord&) { return absl::OkStatus(); });
  OTTLA_TRY(found.ok() ? found : cut_torn(found, stop, cut));
  return stop.clean || end_ == 0 ? settle(*file_) : write_anew(stop);
}

template <FileSystem Fs>
absl::Status MetadataFile<Fs>::cut_torn(const absl::Status& found, Stop stop, std::string& cut) {
  if (stop.clean || fault(found) != Fault::corrupt) {
    return found;
  }
  OTTLA_ASSIGN(const std::string content,
               read_small_file(fs_, path_, broker_impl::largest_metadata));
  const Bytes rest = as_bytes(content).subspan(static_cast<std::size_t>(end_));
  // A batch is synced before the next one is written: only the last can be torn.
  if (broker_impl::batch_follows(rest, next_)) {
    return found;
  }
  cut = absl::StrCat(path_, ".cut");
  OTTLA_TRY(replace_small_file(fs_, cut, rest, Durability::written, IoReason::recover_cut));
  return file_->truncate(end_, IoReason::recover_cut);
}

/// After a failed sync the kernel may take pages for written that the device never got. It is not
/// said for sure that one failed: who saw it may have died of it.
template <FileSystem Fs>
absl::Status MetadataFile<Fs>::write_anew(Stop stop) {
  OTTLA_ASSIGN(const std::string content,
               read_small_file(fs_, path_, broker_impl::largest_metadata));
  const absl::Status replaced = replace(as_bytes(content));
  if (!replaced.ok() && fault(replaced) != Fault::no_space) {
    return replaced;
  }
  if (!replaced.ok() && stop.sync_failed) {
    // It can be read. Nothing is written behind it, and the next opening tries again.
    health_->fail();
    failed_ = with_outcome(
        annotate(replaced, "no topic can be changed; free space, then open the broker again"),
        Outcome::not_written);
    return absl::OkStatus();
  }
  return astray_ ? find_again() : settle(*file_);
}

/// From the renaming on the old file is nobody's: `astray_` says that it may have come to that.
template <FileSystem Fs>
absl::Status MetadataFile<Fs>::replace(Bytes content) {
  const absl::Status replaced = guarded([&] {
    return replace_small_file(fs_, path_, content, Durability::durable, IoReason::metadata);
  });
  astray_ = replaced.ok() || outcome(replaced) == Outcome::unknown;
  return astray_ && fault(replaced) == Fault::io ? checked(replaced) : replaced;
}

/// What it holds, and its name, is on the device.
template <FileSystem Fs>
absl::Status MetadataFile<Fs>::settle(typename Fs::File& file) {
  return checked(guarded([&]() -> absl::Status {
    OTTLA_TRY(file.sync(IoReason::metadata));
    return fs_.sync_directory(directory_, IoReason::metadata);
  }));
}

/// A failed sync is final (W5).
template <FileSystem Fs>
absl::Status MetadataFile<Fs>::checked(const absl::Status& synced) {
  if (synced.ok() || not_tried(synced)) {
    return synced;
  }
  health_->fail();
  failed_ = annotate(with_outcome(synced, Outcome::unknown),
                     "the metadata log cannot be written any more");
  return failed_;
}

template <FileSystem Fs>
absl::Status MetadataFile<Fs>::load(absl::FunctionRef<absl::Status(const WrittenRecord&)> take) {
  return scan(take);
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
  OTTLA_TRY(ready());
  OTTLA_TRY(health_->check());
  OTTLA_ASSIGN(const SharedBytes batch, batch_of(records, next_));
  const Bytes piece = batch.bytes();
  absl::Status written =
      guarded([&] { return file_->write(end_, std::span(&piece, 1), IoReason::metadata); });
  if (!written.ok() && outcome(written) == Outcome::not_written) {
    return written;
  }
  if (written.ok()) {
    written = checked(guarded([&] { return file_->sync(IoReason::metadata); }));
    OTTLA_TRY(failed_);
  }
  if (!written.ok()) {
    return with_outcome(written, undo().ok() ? Outcome::not_written : Outcome::unknown);
  }
  const Offset base = next_;
  end_ += static_cast<std::int64_t>(piece.size());
  next_ += static_cast<std::int64_t>(records.size());
  return base;
}

/// Nothing of the change stays in the file, nor on the device: it may have got there before it was
/// cut.
template <FileSystem Fs>
absl::Status MetadataFile<Fs>::undo() {
  absl::Status undone = guarded([&] { return file_->truncate(end_, IoReason::undo_append); });
  if (!undone.ok() && !not_tried(undone)) {
    failed_ = annotate(undone, "the metadata log cannot be written any more");
  }
  if (undone.ok()) {
    undone = checked(guarded([&] { return file_->sync(IoReason::undo_append); }));
  }
  torn_ = not_tried(undone);
  return undone;
}

/// What an earlier change has left to do is done. An error: nothing is written.
template <FileSystem Fs>
absl::Status MetadataFile<Fs>::ready() {
  const absl::Status found = failed_.ok() && torn_ ? undo() : find_again();
  return with_outcome(found, Outcome::not_written);
}

/// A rewriting has put another file in its place, or may have.
template <FileSystem Fs>
absl::Status MetadataFile<Fs>::find_again() {
  if (!failed_.ok() || !astray_) {
    return failed_;
  }
  OTTLA_ASSIGN(auto file, fs_.open(path_, OpenMode::read_write, IoReason::metadata));
  OTTLA_TRY(settle(file));
  OTTLA_TRY(scan([](const WrittenRecord&) { return absl::OkStatus(); }));
  file_ = std::move(file);
  astray_ = false;
  return absl::OkStatus();
}

template <FileSystem Fs>
void MetadataFile<Fs>::append(std::span<const MachineRecord> records, Done done) noexcept {
  absl::StatusOr<Offset> written = error(Fault::closed, "the broker was closed; open it again");
  if (!work_.take_now()) {  // whoever closes has it
    done(std::move(written));
    return;
  }
  if (!closed_) {
    written = guarded([&]() -> absl::StatusOr<Offset> {
      OTTLA_TRY(ready());
      // The state before this change is what a snapshot holds, so the file is rewritten first.
      guarded([&] {
        return rewrite_when_large();
      }).IgnoreError();  // the long file is as good, and the next change tries again
      return write(records);
    });
  }
  work_.give();
  done(std::move(written));
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
  OTTLA_TRY(replace(content));
  snapshot_size_ = static_cast<std::int64_t>(content.size());
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::Status MetadataFile<Fs>::close(SteadyTime deadline) {
  if (!work_.take(world_, deadline)) {
    return error(Fault::timed_out, "a change of topics is still being written", Outcome::unknown);
  }
  absl::Status closed;
  if (!std::exchange(closed_, true)) {
    closed = guarded([&] {
      absl::Status whole = torn_ ? undo() : failed_;
      whole.Update(file_->close());
      return whole;
    });
  }
  work_.give();
  return closed;
}

}  // namespace ottla::inline OTTLA_ABI
