// SPDX-License-Identifier: Apache-2.0
//
// A commit-log segment: a data file that is Kafka's batches one behind the other and nothing else,
// and its indexes.
//   auto segment = create_segment(files, "orders-0", Offset(0));  // segment_files.hpp
//   segment->write_out(pieces, batches);                          // one write
//   auto place = segment->find(Offset(42));
//   auto bytes = segment->read_batches((*place)->position, 256 << 10);
//
// Threads: one writer; readers beside it without a lock, below `end()`, where bytes never change.
// Functions marked "alone" exclude both. A Segment may be moved while nobody else uses it. Its
// destructor writes nothing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/shared_bytes.hpp>
#include <ottla/base/status.hpp>
#include <ottla/base/time.hpp>
#include <ottla/env/any_file_system.hpp>
#include <ottla/index/offset_index.hpp>
#include <ottla/index/time_index.hpp>
#include <ottla/record/batch_header.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/segment/impl/batch_scan.hpp>
#include <ottla/segment/impl/published.hpp>
#include <ottla/segment/recovery.hpp>
#include <ottla/segment/write_out.hpp>

namespace ottla::inline OTTLA_ABI {

namespace segment_impl {
struct RecoveredEntries;
}

struct SegmentOptions {
  std::int32_t index_interval_bytes = 4096;        ///< index.interval.bytes
  std::int64_t index_bytes = default_index_bytes;  ///< segment.index.bytes
  std::int64_t reserve_bytes = 0;  ///< room when a segment is created, not part of its size
};

/// What only its owner knows of a segment.
struct SegmentTimes {
  Timestamp created = no_timestamp;   ///< the wall clock when it was created or opened
  Timestamp modified = no_timestamp;  ///< of the data file when it was opened, or written since
};

template <File FileT>
struct SegmentFiles {
  FileT log;
  FileT offset_index;
  FileT time_index;
};

/// Where a segment ends, and its largest timestamp so far with the last offset of the first batch
/// that has it.
struct SegmentEnd {
  std::int64_t size = 0;  ///< bytes
  Offset next_offset;
  TimestampOffset largest;
  bool operator==(const SegmentEnd&) const = default;
};

/// What is known of the offsets of batches that are read piece by piece, and that no checksum
/// covers.
struct OffsetRange {
  Offset above{
      -1};  ///< the last one before the piece; -1: not known. Afterwards the last one in it
  Offset below{INT64_MAX};  ///< where the next segment begins
};

template <File FileT>
class BasicSegment {
 public:
  using Visit = SegmentVisit;

  /// Takes over files that may be empty. Reads sizes and last index entries only; where the segment
  /// ends is known after `find_end` or `recover`, and until then as far as `size`. `corrupt` where
  /// the log is larger than a segment can be.
  static absl::StatusOr<BasicSegment> open(SegmentFiles<FileT> files, Offset base_offset,
                                           const SegmentOptions& options = {},
                                           SegmentTimes times = {},
                                           IndexLoad indexes = IndexLoad::strict,
                                           std::optional<IndexLoad> time_index = {});
  BasicSegment(BasicSegment&& other) noexcept;
  BasicSegment& operator=(BasicSegment&& other) noexcept;

  Offset base_offset() const { return base_offset_; }
  /// E.g. "00000000000000000042.log".
  std::string name() const { return offset_file_name(base_offset_, log_suffix); }
  SegmentEnd end() const { return end_.load(); }
  std::int64_t size() const { return end().size; }
  /// What time retention and look-ups by time go by: the largest timestamp, or the modification
  /// time without one (`set_modified`).
  Timestamp largest_timestamp() const {
    const Timestamp largest = end().largest.timestamp;
    return largest == no_timestamp ? modified_.load(std::memory_order_relaxed) : largest;
  }
  /// Bytes of the entries of each index.
  std::int64_t offset_index_size() const {
    return static_cast<std::int64_t>(offset_index_.entries() * OffsetIndexFormat::entry_size);
  }
  std::int64_t time_index_size() const {
    return static_cast<std::int64_t>(time_index_.entries() * TimeIndexFormat::entry_size);
  }
  /// An index was found damaged or missing: reads scan more of the log until `recover` has made
  /// both anew.
  bool indexes_damaged() const { return indexes_damaged_.load(std::memory_order_relaxed); }
  /// Reading one has failed since: reads went on without it. What it holds may be sound.
  bool indexes_unread() const { return indexes_unread_.load(std::memory_order_relaxed); }
  /// From now on they count as damaged: one of the files was missing.
  void distrust_indexes() { damage_index(); }

  // ── the writer ────────────────────────────────────────────────────────────────────────────────

  /// Writes `batches`, whose bytes are all `pieces` one behind the other, with one write at the
  /// end, then publishes them. After an error nothing of them is readable, and what it left in the
  /// file was cut off again; where that failed too, outcome() is `unknown`, and the next call cuts
  /// first or fails. Index entries are placed per batch; failing to write those is no error of this
  /// call (`index_status`).
  absl::Status write_out(std::span<const Bytes> pieces, std::span<const BatchFacts> batches,
                         IoReason why = IoReason::append);
  /// After a write, at `now` by the wall clock.
  void set_modified(Timestamp now) { modified_.store(now, std::memory_order_relaxed); }
  /// Cuts off what a failed write left; `write_out` and `become_inactive` begin with it. An error
  /// where that fails, or where it is not known yet where the segment ends.
  absl::Status ready_to_write();
  /// Whether a failed write was cut off since the last time this was asked. Until the next `sync` a
  /// power cut may bring back what it left: `note_undone` where that was not tried.
  bool take_undone() { return std::exchange(undone_, false); }
  void note_undone() { undone_ = true; }
  /// How many of `batches` go in before the segment has to roll: 0 when it has to now. Reads the
  /// first batch's header, once.
  absl::StatusOr<std::size_t> fitting(std::span<const BatchFacts> batches,
                                      const RollLimits& limits);
  /// What writing index entries last failed with; they are kept or left out, and look-ups scan more
  /// of the log.
  const absl::Status& index_status() const { return index_status_; }
  /// The last act of a segment that rolls, or of a clean stop: the final entry of the time index,
  /// and every index entry written. The files end where their data ends.
  absl::Status become_inactive(IoReason why = IoReason::seal);
  /// The data is on the device when this answers ok. A failure is final: do not try again and
  /// believe it. Also beside the writer, where FileT allows it.
  absl::Status sync(IoReason why = IoReason::flush) { return log_.sync(why); }
  absl::Status sync_indexes(IoReason why = IoReason::flush);
  /// Lets go of descriptors until they are used again (`File::rest`). Thread-safe.
  void rest() {
    log_.rest();
    offset_index_.rest();
    time_index_.rest();
  }
  /// Closes the files. Alone. Before: `become_inactive`, or what is in memory only is lost.
  absl::Status close();

  /// Scans headers from the last index entry to the end. `corrupt` where the file does not end in a
  /// whole batch. `largest`: what its largest timestamp is known to be, where it is; indexes that
  /// say otherwise count as damaged. Alone.
  absl::Status find_end(Timestamp largest = no_timestamp);
  /// Makes sure of what is there after an unclean stop, and makes the indexes anew where they are
  /// not trusted. Touches no byte of the log: what it found decides whether the owner cuts. `visit`
  /// sees each good batch and may refuse it with `corrupt`. After any error, the file's above all,
  /// nothing was changed. Alone.
  absl::StatusOr<SegmentRecovery> recover(const RecoveryOptions& options = {},
                                          const Visit& visit = {});
  /// Takes in what another process has appended since `at`, in one thread, without believing what
  /// it checked before. False where what was taken in is not there any more. The first time: alone.
  absl::StatusOr<bool> follow(FollowedEnd& at, MutableBytes window, const RecoveryOptions& options,
                              const Visit& visit = {});
  /// Cuts off what recovery found behind the end. Alone.
  absl::Status cut_tail(IoReason why = IoReason::recover_cut);
  /// Cuts off from the first batch whose last offset is `target` or above; the bytes cut. Alone.
  absl::StatusOr<std::int64_t> truncate_to(Offset target, IoReason why = IoReason::truncate);

  // ── readers ───────────────────────────────────────────────────────────────────────────────────

  /// The first batch whose last offset is `target` or above, nothing where all lie below. `corrupt`
  /// where the log is damaged on the way.
  absl::StatusOr<std::optional<BatchPlace>> find(Offset target) const;
  /// Bytes as they lie there: `max_bytes`, less where the segment ends. `into` is used where it is
  /// large enough.
  absl::StatusOr<SharedBytes> read(std::int64_t position, std::size_t max_bytes,
                                   Buffer into = {}) const;
  /// Whole batches from `position` on, where one begins: what fits into `max_bytes`, the first one
  /// in any case. Their checksums are computed unless this process built or checked them before,
  /// their offsets are looked at each time. `corrupt` where the first one is damaged, or does not
  /// lie `within`; another such one ends what is answered.
  absl::StatusOr<SharedBytes> read_batches(std::int64_t position, std::size_t max_bytes,
                                           Buffer into = {}, OffsetRange* within = nullptr) const;
  /// Likewise, and whatever was checked before is checked again.
  absl::StatusOr<SharedBytes> check_again(std::int64_t position, std::size_t max_bytes,
                                          Buffer into = {}, OffsetRange* within = nullptr) const;
  /// What is said of a batch that lies where it cannot be.
  absl::Status misplaced(std::int64_t position, const BatchHeader& header) const;
  absl::Status unreadable(std::int64_t position, Bytes bytes, const absl::Status& why) const;
  /// The first record whose timestamp is `target` or above and whose offset is `from` or above.
  absl::StatusOr<std::optional<TimestampOffset>> find_timestamp(Timestamp target, Offset from,
                                                                Decompressor& decompressor) const;
  /// An offset above all of `size` bytes from `position`, where the index reaches that far.
  absl::StatusOr<std::optional<Offset>> upper_bound(std::int64_t position, std::int64_t size) const;
  /// Calls `visit` for each batch from that with `from` on, by its header; its first error ends it.
  absl::Status each_batch(Offset from, const Visit& visit) const;

 private:
  using Scan = segment_impl::BatchScan<FileT>;
  enum class Tail : std::uint8_t {
    clean,      // the file ends where its data ends
    unknown,    // not looked at yet
    garbage,    // what a failed write left
    undecided,  // what recovery found: its owner decides
  };

  BasicSegment(FileT log, BasicOffsetIndex<FileT> offset_index, BasicTimeIndex<FileT> time_index,
               Offset base_offset, const SegmentOptions& options, SegmentTimes times);

  absl::Status damaged(std::int64_t position, std::string_view what) const;
  absl::Status damaged(const Scan& scan) const;
  absl::Status find_end(TimestampOffset largest, bool with_timestamps, bool from_entry);
  absl::Status undo(const absl::Status& problem);
  void add_index_entries(std::span<const BatchFacts> batches, SegmentEnd at, IoReason why);
  absl::Status add_index_entry(Offset offset, std::int64_t position, const TimestampOffset& largest,
                               IoReason why);
  absl::Status flush_indexes(IoReason why);
  bool plausible(const BatchHeader& header, Offset before) const;
  absl::Status do_without(absl::Status looked_up) const;
  void damage_index() const { indexes_damaged_.store(true, std::memory_order_relaxed); }
  Offset offset_limit() const;
  absl::StatusOr<Scan> scan_to(Offset target, MutableBytes window,
                               std::optional<std::int64_t>& before) const;
  absl::Status skip_below(Offset target, Scan& scan, std::optional<std::int64_t>& before) const;
  absl::StatusOr<SharedBytes> read_whole(std::int64_t position, std::size_t max_bytes,
                                         Buffer into) const;
  absl::StatusOr<std::size_t> check_batches(std::int64_t position, Bytes bytes, OffsetRange& within,
                                            CheckCrc check) const;
  absl::StatusOr<std::optional<Offset>> offset_at(std::int64_t position, Bytes bytes,
                                                  std::size_t good) const;
  absl::StatusOr<bool> offset_entry_holds(const OffsetPosition& entry, MutableBytes window) const;
  absl::StatusOr<bool> time_entry_holds(const TimestampOffset& entry) const;
  absl::StatusOr<std::optional<TimestampOffset>> first_record(const BatchPlace& place,
                                                              Timestamp target, Offset from,
                                                              Decompressor& decompressor) const;
  bool verified(std::int64_t position, std::int64_t size) const;
  void mark_verified(std::int64_t position, std::int64_t end) const;
  absl::StatusOr<std::optional<OffsetPosition>> trusted_start(MutableBytes window) const;
  absl::StatusOr<SegmentRecovery> recover_guarded(const RecoveryOptions& options,
                                                  const Visit& visit);
  absl::Status scan_all(const RecoveryOptions& options, const Visit& visit, MutableBytes window,
                        SegmentRecovery& report, segment_impl::RecoveredEntries& entries) const;
  absl::Status follow_scan(Scan& scan, const RecoveryOptions& options, const Visit& visit,
                           FollowedEnd& next, SegmentEnd& end) const;
  absl::StatusOr<std::string> judge(Scan& scan, Offset before, LeaderEpoch epoch,
                                    std::optional<Offset> durable_end,
                                    segment_impl::RecoveredEntries& entries) const;
  absl::Status replace_entries(const std::optional<OffsetPosition>& trusted,
                               const segment_impl::RecoveredEntries& entries);

  FileT log_;
  BasicOffsetIndex<FileT> offset_index_;
  BasicTimeIndex<FileT> time_index_;
  Offset base_offset_;
  std::int32_t index_interval_bytes_;
  bool reserved_;
  Tail tail_ = Tail::unknown;
  bool undone_ = false;
  bool followed_ = false;  // others write the file
  Timestamp created_;
  std::atomic<Timestamp> modified_;
  std::optional<Timestamp> first_batch_timestamp_;
  std::int64_t since_last_entry_ = 0;  // bytes; the writer's
  segment_impl::Published<SegmentEnd> end_;
  absl::Status index_status_;
  // From built_from_ on, and below verified_to_, bytes were built or checked by this process.
  std::int64_t built_from_ = 0;
  mutable std::atomic<std::int64_t> verified_to_{0};
  mutable std::atomic<bool> indexes_damaged_{false};
  mutable std::atomic<bool> indexes_unread_{false};
};

using Segment = BasicSegment<AnyFile>;

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/segment/impl/segment_read_impl.hpp>
#include <ottla/segment/impl/segment_recover_impl.hpp>
#include <ottla/segment/impl/segment_write_impl.hpp>
#ifdef OTTLA_COMPILED
namespace ottla::inline OTTLA_ABI {
extern template class BasicSegment<AnyFile>;
}
#endif
