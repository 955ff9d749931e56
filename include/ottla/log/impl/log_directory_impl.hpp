// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/base/crc32c.hpp>
#include <ottla/env/small_file.hpp>
#include <ottla/log/impl/log_directory_open_impl.hpp>
#include <ottla/log/partition_metadata.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
std::string BasicLogDirectory<Fs>::in(std::string_view name) const {
  return absl::StrCat(path_, "/", av(name));
}

template <FileSystem Fs>
std::string BasicLogDirectory<Fs>::path_of(const TopicPartition& partition) const {
  return in(partition.to_string());
}

// ── lock ────────────────────────────────────────────────────────────────────────────────────────

template <FileSystem Fs>
LogOpening BasicLogDirectory<Fs>::take_opening(const TopicPartition& partition, Timestamp now) {
  const std::string name = partition.to_string();
  LogOpening opening;
  opening.last_stop = last_stop_;
  opening.now = now;
  opening.era = run_.era;
  opening.rewrite_tail = run_.rewrite_tail;
  opening.foreign = foreign_;
  opening.recovery_point = offset(CheckpointKind::recovery_point, partition).value_or(Offset(0));
  opening.log_start = offset(CheckpointKind::log_start, partition).value_or(Offset(0));
  if (const auto end = clean_ends_.find(name); end != clean_ends_.end()) {
    opening.last_stop = LastStop::clean;
    opening.clean_end = end->second;
    opening.entry_synced = true;
    clean_ends_.erase(end);  // in use from now on
  } else if (const auto made = created_.find(name); made != created_.end()) {
    opening.last_stop = LastStop::clean;
    opening.entry_synced = made->second == Durability::durable;
    created_.erase(made);
  } else if (ours_) {
    // Closed by somebody before the last stop, or not at all: nothing is known of it.
    opening.last_stop = LastStop::system_crash;
  }
  return opening;
}

template <FileSystem Fs>
void BasicLogDirectory<Fs>::note_closed(const TopicPartition& partition, const CleanEnd& end) {
  clean_ends_.insert_or_assign(partition.to_string(), end);
}

template <FileSystem Fs>
void BasicLogDirectory<Fs>::note_created(const TopicPartition& partition, Durability durability) {
  created_.insert_or_assign(partition.to_string(), durability);
}

template <FileSystem Fs>
void BasicLogDirectory<Fs>::note_deleted(const TopicPartition& partition) {
  const std::string name = partition.to_string();
  clean_ends_.erase(name);
  created_.erase(name);
  for (std::size_t i = 0; i < offsets_.size(); ++i) {
    changes_[i] += offsets_[i].erase(name);
  }
}

template <FileSystem Fs>
std::optional<Offset> BasicLogDirectory<Fs>::offset(CheckpointKind kind,
                                                    const TopicPartition& partition) const {
  const Offsets& offsets = offsets_[static_cast<std::size_t>(kind)];
  const auto found = offsets.find(partition.to_string());
  return found == offsets.end() ? std::nullopt : std::optional(found->second);
}

template <FileSystem Fs>
void BasicLogDirectory<Fs>::set_offset(CheckpointKind kind, const TopicPartition& partition,
                                       Offset offset) {
  const auto index = static_cast<std::size_t>(kind);
  const auto [entry, added] = offsets_[index].try_emplace(partition.to_string(), offset);
  if (added || entry->second != offset) {
    ++changes_[index];
  }
  entry->second = offset;
}

template <FileSystem Fs>
std::uint64_t BasicLogDirectory<Fs>::changes(CheckpointKind kind) const {
  return changes_[static_cast<std::size_t>(kind)];
}

template <FileSystem Fs>
std::vector<PartitionOffset> BasicLogDirectory<Fs>::offsets(CheckpointKind kind) const {
  std::vector<PartitionOffset> all;
  for (const auto& [name, offset] : offsets_[static_cast<std::size_t>(kind)]) {
    all.push_back({*TopicPartition::parse(name), offset});
  }
  std::sort(all.begin(), all.end(), [](const PartitionOffset& a, const PartitionOffset& b) {
    return a.partition < b.partition;
  });
  return all;
}

template <FileSystem Fs>
std::vector<CleanStop::Partition> BasicLogDirectory<Fs>::clean_ends() const {
  std::vector<CleanStop::Partition> all;
  for (const auto& [name, end] : clean_ends_) {
    all.push_back({name, end});
  }
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return a.directory < b.directory; });
  return all;
}

// ── serial ──────────────────────────────────────────────────────────────────────────────────────

/// Where there is no room left, what was kept for this is given back first.
template <FileSystem Fs>
absl::Status BasicLogDirectory<Fs>::replace(std::string_view name, std::string_view text,
                                            Durability durability, IoReason why) {
  OTTLA_TRY(health_->check());
  const std::string path = in(name);
  absl::Status replaced = replace_small_file(*files_, path, as_bytes(text), durability, why);
  if (fault(replaced) == Fault::no_space && give_back_reserve(why).ok()) {
    replaced = replace_small_file(*files_, path, as_bytes(text), durability, why);
  }
  return health_->replaced(std::move(replaced), durability);
}

template <FileSystem Fs>
absl::Status BasicLogDirectory<Fs>::give_back_reserve(IoReason why) {
  // Its name stays: that the directory is ours.
  OTTLA_ASSIGN(auto reserve, files_->open(in(log_impl::reserve_file), OpenMode::read_write, why));
  return reserve.truncate(0, why);
}

template <FileSystem Fs>
absl::Status BasicLogDirectory<Fs>::make_reserve() {
  const std::string path = in(log_impl::reserve_file);
  const auto status = files_->status(path);
  if (status.ok() && status->size == static_cast<std::int64_t>(log_impl::reserve_bytes)) {
    return absl::OkStatus();
  }
  const std::string zeros(log_impl::reserve_bytes, '\0');
  const absl::Status made = replace_small_file(*files_, path, as_bytes(zeros), Durability::written,
                                               IoReason::open_directory);
  return fault(made) == Fault::no_space ? absl::OkStatus() : made;
}

template <FileSystem Fs>
absl::Status BasicLogDirectory<Fs>::create_partitions(std::span<const NewPartition> partitions,
                                                      Durability durability) {
  OTTLA_TRY(health_->check());
  for (const NewPartition& partition : partitions) {
    OTTLA_TRY(make_partition(partition, durability));
  }
  return durability == Durability::durable && !partitions.empty()
             ? health_->checked(files_->sync_directory(path_, IoReason::create_partition))
             : absl::OkStatus();
}

/// A directory has its final name once it says whose it is; where it does not get that far it goes
/// like one that was deleted.
template <FileSystem Fs>
absl::Status BasicLogDirectory<Fs>::make_partition(const NewPartition& partition,
                                                   Durability durability) {
  constexpr IoReason why = IoReason::create_partition;
  const std::string text = format_partition_metadata(partition.topic_id);
  const std::string path = path_of(partition.partition);
  const auto status = files_->status(path);
  if (status.ok()) {
    OTTLA_ASSIGN(const bool empty, provably_empty(path));
    if (!empty) {
      return error(Fault::already_exists,
                   absl::StrCat(path, " is there already; move it away first"));
    }
    OTTLA_TRY(empty_directory(path));
    return replace_small_file(*files_, absl::StrCat(path, "/", av(partition_metadata_file)),
                              as_bytes(text), durability, why);
  }
  if (fault(status.status()) != Fault::not_found) {
    return status.status();
  }
  deleted_.push_back(deleted_directory_name(partition.partition, partition.unique));
  const std::string beside = in(deleted_.back());
  if (absl::Status begun = files_->create_directory(beside, why); !begun.ok()) {
    deleted_.pop_back();
    return begun;
  }
  {
    OTTLA_ASSIGN(auto file, files_->open(absl::StrCat(beside, "/", av(partition_metadata_file)),
                                         OpenMode::create_new, why));
    const Bytes piece = as_bytes(text);
    OTTLA_TRY(file.write(0, {&piece, 1}, why));
    if (durability == Durability::durable) {
      OTTLA_TRY(health_->checked(file.sync(why)));
      OTTLA_TRY(health_->checked(files_->sync_directory(beside, why)));
    }
    OTTLA_TRY(file.close());
  }
  OTTLA_TRY(files_->rename(beside, path, why));
  deleted_.pop_back();
  return absl::OkStatus();
}

/// Names without content are what a power cut left of a log: a new one does not begin with them.
template <FileSystem Fs>
absl::Status BasicLogDirectory<Fs>::empty_directory(const std::string& directory) {
  constexpr IoReason why = IoReason::create_partition;
  OTTLA_ASSIGN(const auto entries, files_->list(directory));
  for (const DirectoryEntry& entry : entries) {
    OTTLA_TRY(files_->remove(absl::StrCat(directory, "/", entry.name), why));
  }
  return entries.empty() ? absl::OkStatus()
                         : health_->checked(files_->sync_directory(directory, why));
}

/// Nobody's: no partition.metadata that says whose it is, and no file with anything in it.
template <FileSystem Fs>
absl::StatusOr<bool> BasicLogDirectory<Fs>::provably_empty(const std::string& directory) {
  OTTLA_ASSIGN(const auto entries, files_->list(directory));
  for (const DirectoryEntry& entry : entries) {
    const std::string path = absl::StrCat(directory, "/", entry.name);
    if (entry.name == partition_metadata_file) {
      OTTLA_ASSIGN(const auto text, read_small_file(*files_, path, log_impl::max_small_file));
      if (parse_partition_metadata(text, path).ok()) {
        return false;
      }
      continue;
    }
    OTTLA_ASSIGN(const FileStatus status, files_->status(path));
    if (status.kind != FileKind::file ||
        (status.size > 0 && entry.name != absl::StrCat(av(partition_metadata_file), ".tmp"))) {
      return false;
    }
  }
  return true;
}

template <FileSystem Fs>
absl::StatusOr<TopicId> BasicLogDirectory<Fs>::topic_id(const TopicPartition& partition) {
  const std::string path = absl::StrCat(path_of(partition), "/", av(partition_metadata_file));
  OTTLA_ASSIGN(const auto text, read_small_file(*files_, path, log_impl::max_small_file));
  return parse_partition_metadata(text, path);
}

template <FileSystem Fs>
absl::Status BasicLogDirectory<Fs>::delete_partition(const TopicPartition& partition,
                                                     const Uuid& unique, Durability durability) {
  constexpr IoReason why = IoReason::delete_partition;
  OTTLA_TRY(health_->check());
  const std::string name = deleted_directory_name(partition, unique);
  deleted_.push_back(name);
  if (absl::Status renamed = files_->rename(path_of(partition), in(name), why); !renamed.ok()) {
    deleted_.pop_back();
    return renamed;
  }
  return durability == Durability::durable ? health_->checked(files_->sync_directory(path_, why))
                                           : absl::OkStatus();
}

template <FileSystem Fs>
absl::StatusOr<bool> BasicLogDirectory<Fs>::remove_deleted_partitions() {
  OTTLA_TRY(health_->check());
  if (deleted_.empty()) {
    return false;
  }
  const std::string name = deleted_.back();
  const auto more = remove_some(in(name));
  if (!more.ok() || !*more) {
    deleted_.pop_back();  // after an error it is tried again when the directory is opened again
  }
  OTTLA_TRY(more.status());
  return !deleted_.empty();
}

/// A few files, or a part of a large one. Whether more are left.
template <FileSystem Fs>
absl::StatusOr<bool> BasicLogDirectory<Fs>::remove_some(const std::string& directory) {
  constexpr IoReason why = IoReason::delete_partition;
  constexpr std::size_t step_files = 64;
  constexpr std::int64_t step_bytes = std::int64_t{64} << 20;
  OTTLA_ASSIGN(const auto entries, files_->list(directory));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (i == step_files) {
      return true;
    }
    const std::string path = absl::StrCat(directory, "/", entries[i].name);
    OTTLA_ASSIGN(const FileStatus status, files_->status(path));
    if (status.kind == FileKind::file && status.size > step_bytes) {
      OTTLA_ASSIGN(auto file, files_->open(path, OpenMode::read_write, why));
      OTTLA_TRY(file.truncate(status.size - step_bytes, why));
      return true;
    }
    OTTLA_TRY(files_->remove(path, why));
  }
  OTTLA_TRY(files_->remove_directory(directory, why));
  return false;
}

template <FileSystem Fs>
absl::Status BasicLogDirectory<Fs>::write_checkpoint(CheckpointKind kind,
                                                     std::span<const PartitionOffset> offsets,
                                                     Durability durability) {
  constexpr IoReason why = IoReason::checkpoint;
  const std::string_view name = checkpoint_files[static_cast<std::size_t>(kind)];
  const std::string text = format_offset_checkpoint(offsets);
  std::optional<std::uint32_t>& crc = checkpoint_crcs_[static_cast<std::size_t>(kind)];
  if (!crc) {
    const auto current = read_small_file(*files_, in(name), log_impl::max_small_file);
    if (!current.ok() && fault(current.status()) != Fault::not_found) {
      return current.status();
    }
    crc = crc32c(as_bytes(current.ok() ? std::string_view(*current) : ""));
  }
  const std::uint32_t next = crc32c(as_bytes(text));
  sums_.replace(name, *crc, next);
  crc.reset();  // not known until the file is there
  OTTLA_TRY(replace(file_sums_file, sums_.format(), durability, why));
  OTTLA_TRY(replace(name, text, durability, why));
  crc = next;
  return make_reserve();
}

template <FileSystem Fs>
absl::Status BasicLogDirectory<Fs>::close(std::vector<CleanStop::Partition> clean_ends) {
  constexpr IoReason why = IoReason::clean_stop;
  const CleanStop stop{run_.volume, run_.run, std::move(clean_ends)};
  OTTLA_TRY(replace(clean_stop_file, format_clean_stop(stop), Durability::durable, why));
  return replace(kafka_clean_stop_file, kafka_clean_stop_text, Durability::durable, why);
}

}  // namespace ottla::inline OTTLA_ABI
