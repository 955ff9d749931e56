// SPDX-License-Identifier: Apache-2.0
//
// A log directory: its lock, who was here last and how they left, Kafka's checkpoint files, and the
// directories of its partitions. It has no lock for its callers' threads:
//   lock     functions that touch memory only; the owner calls them under its lock
//   serial   functions that touch files; one at a time, without the lock
// The lock on the directory is let go by the destructor, which writes nothing.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/string_map.hpp>
#include <ottla/env/any_file_system.hpp>
#include <ottla/env/durability.hpp>
#include <ottla/log/directory_health.hpp>
#include <ottla/log/directory_name.hpp>
#include <ottla/log/file_sums.hpp>
#include <ottla/log/log.hpp>
#include <ottla/log/meta_properties.hpp>
#include <ottla/log/run_record.hpp>

namespace ottla::inline OTTLA_ABI {

struct LogDirectoryOptions {
  std::string path;
  /// What a new directory gets; an existing one keeps its own.
  MetaProperties properties = {};
  std::uint64_t process = 0;  ///< pid, for those who find the directory locked
  Uuid run = {};              ///< random, of this opening
};

/// What opening a log directory found.
struct DirectoryReport {
  LastStop last_stop = LastStop::clean;
  bool foreign = false;               ///< Kafka, or somebody else, was here since our last stop
  std::vector<std::string> findings;  ///< files that were malformed, directories that are not known
};

enum class CheckpointKind : std::uint8_t { recovery_point, log_start, high_watermark, cleaned };
inline constexpr std::array<std::string_view, 4> checkpoint_files = {
    "recovery-point-offset-checkpoint", "log-start-offset-checkpoint",
    "replication-offset-checkpoint", "cleaner-offset-checkpoint"};
inline constexpr std::array<CheckpointKind, checkpoint_files.size()> checkpoint_kinds = {
    CheckpointKind::recovery_point, CheckpointKind::log_start, CheckpointKind::high_watermark,
    CheckpointKind::cleaned};

template <FileSystem Fs>
class BasicLogDirectory {
 public:
  /// Makes the directory (one level) when it is missing. `locked`, naming the process, when
  /// somebody has it open; nothing was read or written then.
  static absl::StatusOr<BasicLogDirectory> open(Fs& files, const LogDirectoryOptions& options,
                                                DirectoryReport& report);
  BasicLogDirectory(BasicLogDirectory&&) noexcept = default;
  BasicLogDirectory& operator=(BasicLogDirectory&&) noexcept = default;
  ~BasicLogDirectory() { let_go(); }

  // ── anybody ───────────────────────────────────────────────────────────────────────────────────

  const std::string& path() const { return path_; }
  std::string path_of(const TopicPartition& partition) const;
  const MetaProperties& properties() const { return properties_; }
  const Ref<DirectoryHealth>& health() const { return health_; }
  Fs& files() const { return *files_; }
  /// A sync may have failed in it before it was opened (LogOpening::rewrite_tail).
  bool sync_failed() const { return run_.rewrite_tail; }
  /// Partitions found when it was opened, ascending by directory name.
  const std::vector<TopicPartition>& partitions() const { return partitions_; }

  // ── lock ──────────────────────────────────────────────────────────────────────────────────────

  /// For `BasicLog::open`, from which on the partition is in use.
  LogOpening take_opening(const TopicPartition& partition, Timestamp now);
  /// Its log was closed; the clean-stop marker will say so.
  void note_closed(const TopicPartition& partition, const CleanEnd& end);
  void note_created(const TopicPartition& partition, Durability durability);
  void note_deleted(const TopicPartition& partition);
  std::optional<Offset> offset(CheckpointKind kind, const TopicPartition& partition) const;
  void set_offset(CheckpointKind kind, const TopicPartition& partition, Offset offset);
  /// How often it was changed since the directory was opened.
  std::uint64_t changes(CheckpointKind kind) const;
  /// What the checkpoint file has to say, ascending by name.
  std::vector<PartitionOffset> offsets(CheckpointKind kind) const;
  /// What the clean-stop marker has to say.
  std::vector<CleanStop::Partition> clean_ends() const;

  // ── serial ────────────────────────────────────────────────────────────────────────────────────

  struct NewPartition {
    TopicPartition partition;
    TopicId topic_id;
    Uuid unique;  ///< random
  };
  /// All of them, or an error and what was made stays: those can be asked for again. At `durable`
  /// with one sync of this directory (W1). Before: `offsets` of earlier partitions of these names
  /// are gone from the checkpoint files.
  absl::Status create_partitions(std::span<const NewPartition> partitions, Durability durability);
  /// The id in its partition.metadata; `not_found` when there is none.
  absl::StatusOr<TopicId> topic_id(const TopicPartition& partition);
  /// From now on the partition is not there; its files go by and by. `unique`: random.
  absl::Status delete_partition(const TopicPartition& partition, const Uuid& unique,
                                Durability durability);
  /// Removes a few files of deleted partitions. Whether there are more.
  absl::StatusOr<bool> remove_deleted_partitions();
  absl::Status write_checkpoint(CheckpointKind kind, std::span<const PartitionOffset> offsets,
                                Durability durability);
  /// A little room on a full disk, until the next checkpoint.
  absl::Status give_back_reserve(IoReason why);
  /// The last act, after all logs are closed and all checkpoints written: the markers (W11).
  absl::Status close(std::vector<CleanStop::Partition> clean_ends);
  /// Lets go of the lock, as the destructor does. After: nothing touches files any more.
  void let_go() {
    if (health_) {
      health_->leave();
    }
    [[maybe_unused]] const auto gone = std::move(lock_);
  }

 private:
  class Opener;
  using Offsets = StringMap<Offset>;

  BasicLogDirectory(Fs& files, std::string path, typename Fs::Lock lock);
  std::string in(std::string_view name) const;
  absl::Status replace(std::string_view name, std::string_view text, Durability durability,
                       IoReason why);
  absl::Status make_reserve();
  absl::Status make_partition(const NewPartition& partition, Durability durability);
  absl::Status empty_directory(const std::string& directory);
  absl::StatusOr<bool> provably_empty(const std::string& directory);
  absl::StatusOr<bool> remove_some(const std::string& directory);

  Fs* files_;
  std::string path_;
  typename Fs::Lock lock_;
  Ref<DirectoryHealth> health_;
  MetaProperties properties_;
  RunRecord run_;
  LastStop last_stop_ = LastStop::clean;
  bool ours_ = false;     // the clean stop was
  bool foreign_ = false;  // others were here last
  std::vector<TopicPartition> partitions_;

  // The lock's.
  std::array<Offsets, checkpoint_files.size()> offsets_;
  std::array<std::uint64_t, checkpoint_files.size()> changes_{};
  StringMap<CleanEnd> clean_ends_;
  StringMap<Durability> created_;

  // Serial.
  FileSums sums_;
  std::array<std::optional<std::uint32_t>, checkpoint_files.size()> checkpoint_crcs_;
  std::vector<std::string> deleted_;  // names of directories
};

using LogDirectory = BasicLogDirectory<AnyFileSystem>;

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/log/impl/log_directory_impl.hpp>
#include <ottla/log/impl/log_directory_open_impl.hpp>
#ifdef OTTLA_COMPILED
namespace ottla::inline OTTLA_ABI {
extern template class BasicLogDirectory<AnyFileSystem>;
}
#endif
