// SPDX-License-Identifier: Apache-2.0
//
// A partition's log: segments in order, of which the last one is appended to. It has no lock and no
// thread. Its owner (a Partition) has a lock and a *write baton*, a flag under that lock; the
// functions come in three kinds, by what the caller must have:
//   lock      they look, or note what was done; no file is touched
//   baton     they change files, without the lock; what they change is invisible until `publish`
//   both      `publish`, with the lock, by who has the baton
// Readers work on a LogView, which they take under the lock and use without it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/ids.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/env/any_file_system.hpp>
#include <ottla/env/durability.hpp>
#include <ottla/log/directory_health.hpp>
#include <ottla/log/leader_epochs.hpp>
#include <ottla/log/log_config.hpp>
#include <ottla/log/log_flush.hpp>
#include <ottla/log/log_recovery.hpp>
#include <ottla/log/log_view.hpp>
#include <ottla/log/manifest.hpp>
#include <ottla/log/producer_state.hpp>
#include <ottla/log/retention.hpp>

namespace ottla::inline OTTLA_ABI {

struct LogOptions {
  LogConfig config = {};
  TopicId topic_id = {};
  PartitionId partition{0};
  std::uint64_t seed = 0;  ///< of the roll jitter
  std::chrono::milliseconds producer_id_expiration{86'400'000};
};

/// How far an append came: the first `batches` are in the log, whatever the status of the rest is.
struct Appended {
  std::size_t batches = 0;
  absl::Status status;
};

template <FileSystem Fs>
class BasicLog {
 public:
  using View = BasicLogView<Fs>;
  using Flush = BasicLogFlush<Fs>;

  /// Opens the log of `directory`, which exists, and recovers it as `opening` asks for. `files` is
  /// there as long as the log and its views. What was found goes to `report`. Sealed segments are
  /// opened at first use. An I/O error ends it with all record files as they were.
  static absl::StatusOr<BasicLog> open(Fs& files, std::string directory, const LogOptions& options,
                                       const LogOpening& opening, Ref<DirectoryHealth> health,
                                       RecoveryReport& report);
  BasicLog(BasicLog&&) noexcept = default;
  BasicLog& operator=(BasicLog&&) noexcept = default;

  // ── lock ──────────────────────────────────────────────────────────────────────────────────────

  View view() const { return shared_.view; }
  Offset start() const { return shared_.view.start_; }
  Offset end() const { return shared_.view.end_; }
  const LeaderEpochs& epochs() const { return shared_.epochs; }
  /// What recovery-point-offset-checkpoint may say: all below is on the device, indexes too.
  Offset recovery_point() const;
  /// All records below are on the device.
  Offset durable_end() const { return shared_.recovery_point; }
  /// Closed segments wait for a flush of scope `sealed`.
  bool has_unsealed() const {
    const auto& segments = shared_.view.list_->segments;
    return !segments.empty() && shared_.unsealed_from < segments.back()->base();
  }
  /// Where the log is damaged it takes no appends.
  const Damage* damage() const { return shared_.view.damage_.get(); }

  /// Where a read_committed consumer has to stop.
  Offset last_stable_offset(Offset high_watermark) const {
    return std::max(start(), std::min(shared_.unstable.last_stable_offset(high_watermark),
                                      shared_.producers_end));
  }

  Flush plan_flush(FlushScope scope) const;
  /// `flush.run()` answered ok.
  void flushed(const Flush& flush);

  // ── baton ─────────────────────────────────────────────────────────────────────────────────────

  /// Writes whole batches that have offsets, ascending from end() on, and leader epochs: one write
  /// a segment. Rolls where Kafka's rules say so, and saves new leader epochs before their batches.
  /// RECORD_LIST_TOO_LARGE where a batch is larger than a segment: then nothing is written.
  /// `no_space` and the like are `not_written`; the next append goes on behind what was written.
  Appended append(std::span<const Bytes> batches, std::span<const BatchFacts> facts, Timestamp now);
  /// Begins a new segment at end(), unless the last one is empty and begins there.
  absl::Status roll(Timestamp now);
  /// What is known of the producers of batches that were written.
  const ProducerState& producers() const { return producers_; }
  /// Forgets those that have been idle for producer.id.expiration.ms. Whether there were any.
  bool remove_expired_producers(Timestamp now) {
    wall_now_ = now;
    return producers_.remove_expired(now, producer_id_expiration_);
  }
  /// A new leader's epoch begins at end(); written no later than its first batch.
  void assign_epoch(LeaderEpoch epoch);

  /// Raises start(), never lowers it. Before: the caller has written its checkpoint (W7).
  /// OFFSET_OUT_OF_RANGE above `high_watermark`.
  absl::Status raise_start(Offset start, Offset high_watermark);
  /// What start() should become by the retention rules. Where every segment may go, a new one is
  /// rolled first. `by_age` false: by size only.
  absl::StatusOr<Offset> retention_start(Offset high_watermark, Timestamp now, bool by_age = true);
  /// Takes the segments that end at or below `checkpointed_start` out of the log, oldest first,
  /// under names that end in ".deleted". How many. Before: start() was raised to it.
  absl::StatusOr<int> delete_segments(Offset checkpointed_start, SteadyTime now);
  /// Removes files whose delay (file.delete.delay.ms) has passed, in steps. When to call again.
  absl::StatusOr<std::optional<SteadyTime>> remove_deleted(SteadyTime now);

  /// Cuts the log back: `end` becomes its end. False where nothing lies above.
  /// `offset_not_available` while somebody reads what has to go: try again.
  absl::StatusOr<bool> truncate_to(Offset end, SteadyTime now);
  /// Deletes everything; the log begins and ends at `offset`, without leader epochs.
  absl::Status truncate_fully_and_start_at(Offset offset, Timestamp wall_now, SteadyTime now);

  /// Puts a compacted segment, whose files are complete and on the device, into the place of
  /// `replaced`, which it was made of (W10). Those who read the old ones go on until their files
  /// are removed. OFFSET_NOT_AVAILABLE, and all as before, where the log has changed there.
  absl::Status replace_segments(const SealedSegment& cleaned, bool has_transactions,
                                std::span<const Ref<log_impl::LogSegment<Fs>>> replaced,
                                Timestamp modified, SteadyTime now);
  /// Removes the files of compacted segments that did not take their place.
  absl::Status remove_cleaned();

  /// Makes the indexes anew of segments that are known to have damaged or unread ones. How many.
  absl::StatusOr<int> repair_indexes();
  /// From the next roll on.
  void set_config(const LogConfig& config) { config_ = config; }
  const LogConfig& config() const { return config_; }
  const Ref<DirectoryHealth>& health() const { return health_; }

  /// Writes what is in memory only and syncs everything; only views may be used afterwards. Answers
  /// what the clean-stop marker says of this log; `corrupt` where damaged, and later openings know.
  absl::StatusOr<CleanEnd> close();

  // ── both ──────────────────────────────────────────────────────────────────────────────────────

  /// Makes visible what was done since the last time. `high_watermark`: the end, where none is
  /// given; transactions whose markers it has passed are stable.
  void publish(std::optional<Offset> high_watermark = {});

 private:
  using Place = log_impl::LogPlace<Fs>;
  using LogSegment = log_impl::LogSegment<Fs>;
  using SegmentList = log_impl::SegmentList<Fs>;
  using Segment = typename LogSegment::Segment;
  class Opener;

  struct Deleted {
    Ref<LogSegment> segment;
    SteadyTime due;
    typename LogSegment::Gone why;
  };

  /// What the lock guards.
  struct Shared {
    View view;
    LeaderEpochs epochs;
    Offset recovery_point{0};
    Offset unsealed_from{0};            // segments below are closed, and synced with their indexes
    std::vector<SealedSegment> sealed;  // news for the manifest
    std::optional<Offset> synced;       // likewise
    std::uint64_t changes = 0;          // of the directory
    std::uint64_t changes_synced = 0;
    std::uint64_t epoch_changes = 0;
    std::uint64_t epoch_changes_synced = 0;
    std::uint64_t cuts = 0;
    std::uint64_t replacements = 0;  // of segments by compacted ones
    bool entry_synced = false;
    UnstableOffsets unstable;
    Offset producers_end{0};
  };

  BasicLog(Ref<Place> place, const LogOptions& options, Ref<DirectoryHealth> health);
  absl::Status check_writable() const;
  SegmentOptions segment_options() const;
  LogSegment* active() const;
  absl::Status seal(Segment& segment);
  absl::Status remove_indexes(Offset base);
  absl::StatusOr<Segment> make_indexes(Offset base, bool closed, Offset durable,
                                       SegmentRecovery& found);
  absl::Status roll_to(Offset base, Timestamp now);
  absl::Status add_segment(Offset base, Timestamp now);
  std::chrono::milliseconds draw_jitter();
  void replace_list(std::vector<Ref<LogSegment>> segments);
  absl::StatusOr<std::size_t> append_to_active(std::span<const Bytes> batches,
                                               std::span<const BatchFacts> facts, Timestamp now);
  absl::Status undo_failed_write();
  absl::Status undo_failed_roll();
  absl::Status make_ready(Segment& segment);
  absl::Status sync_undone(Segment& segment);
  absl::Status note_epochs(std::span<const Bytes> batches, std::span<const BatchFacts> facts);
  absl::Status note_gaps(std::span<const BatchFacts> facts);
  absl::Status save_epochs();
  absl::Status write_manifest(const std::string& lines, Durability durability);
  absl::Status write_notes(Timestamp now);
  absl::Status delete_files(const Ref<LogSegment>& segment, typename LogSegment::Gone why,
                            SteadyTime now);
  void forget_deleted(Offset base);
  absl::Status delete_above(std::size_t kept, SteadyTime now);
  absl::Status note_cut(Offset end);
  absl::Status sync_cut();
  absl::Status cut_back(Offset end, std::size_t index, Segment& segment, SteadyTime now);
  absl::StatusOr<std::size_t> find_replaced(std::span<const Ref<LogSegment>> replaced) const;
  absl::Status swap_files(Offset base, std::span<const std::string_view> suffixes,
                          std::span<const Ref<log_impl::LogSegment<Fs>>> replaced);
  absl::Status sync_directory(IoReason why);
  absl::Status note_damage();
  absl::Status note_producers(std::span<const Bytes> batches, std::span<const BatchFacts> facts);
  absl::Status note_marker(LogSegment& entry, const BatchHeader& header, Bytes batch);
  absl::Status replay_producers();
  absl::Status replay_batch(LogSegment& entry, const Segment& segment, const BatchHeader& header,
                            std::int64_t position);
  absl::Status reload_producers(int* malformed = nullptr);
  absl::Status settle_producers();
  absl::Status take_snapshot(Offset offset, Durability durability);
  absl::Status write_snapshot(Offset offset, Durability durability);
  void snapshot_sometimes(std::int64_t written);
  void drop_snapshots_between_segments();
  absl::Status drop_snapshot(Offset offset);
  absl::Status drop_snapshots_above(Offset end);
  absl::StatusOr<CleanEnd> clean_end() const;

  Ref<Place> place_;
  Ref<DirectoryHealth> health_;
  LogConfig config_;
  Shared shared_;

  // The baton's.
  Ref<SegmentList> list_;
  Ref<SegmentList> replaced_list_;  // let go without the lock
  Offset start_{0};
  Offset end_{0};
  LeaderEpochs epochs_;
  Offset rolling_to_{-1};        // of a segment that is not in the list, but may have files; or -1
  bool appended_ = false;        // since it was opened
  bool epochs_saved_ = true;     // leader-epoch-checkpoint says the same
  bool manifest_named_ = false;  // the manifest's name is on the device
  bool epochs_published_ = false;
  bool deletions_synced_ = true;             // those of truncations
  bool damage_noted_ = false;                // damage_file is there, and on the device
  std::optional<std::uint32_t> epochs_crc_;  // of that file
  ProducerState producers_;
  std::chrono::milliseconds producer_id_expiration_;
  std::vector<Offset> snapshots_;         // files that are there, ascending
  Offset believed_snapshots_{INT64_MAX};  // those above may be of what was lost
  bool producers_loaded_ = false;
  std::int64_t since_snapshot_ = 0;  // bytes appended
  Manifest manifest_;
  std::vector<SealedSegment> sealed_;  // to be noted there
  std::optional<Offset> synced_;       // likewise
  bool era_noted_ = true;              // likewise
  std::optional<Timestamp> noted_;     // when that was done
  std::int64_t manifest_limit_ = 0;    // written anew beyond it
  std::int64_t manifest_end_ = -1;     // of its file; -1: to be written as a whole
  std::vector<Deleted> deleted_;
  std::uint64_t changes_ = 0;
  std::uint64_t epoch_changes_ = 0;
  std::uint64_t cuts_ = 0;
  std::uint64_t replacements_ = 0;
  std::uint64_t random_;
  std::chrono::milliseconds jitter_{0};  // of the active segment
  Timestamp opened_ = no_timestamp;
  Timestamp wall_now_ = no_timestamp;  // as last told
};

using Log = BasicLog<AnyFileSystem>;

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/log/impl/log_append_impl.hpp>
#include <ottla/log/impl/log_delete_impl.hpp>
#include <ottla/log/impl/log_flush_impl.hpp>
#include <ottla/log/impl/log_open_impl.hpp>
#include <ottla/log/impl/log_producers_impl.hpp>
#include <ottla/log/impl/log_replace_impl.hpp>
#ifdef OTTLA_COMPILED
namespace ottla::inline OTTLA_ABI {
extern template class BasicLogView<AnyFileSystem>;
extern template class BasicLog<AnyFileSystem>;
}  // namespace ottla::inline OTTLA_ABI
#endif
