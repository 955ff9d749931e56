// SPDX-License-Identifier: Apache-2.0
//
// A log as it was when its owner was asked: what readers work with, without a lock, while batches
// are appended, segments rolled and deleted. Cheap to copy (one count). It keeps deleted segments
// known, not their bytes: reading those is answered like an offset below the log's start.
//   const LogView view = log.view();                      // the owner's lock
//   auto read = view.read({.offset = at, .limit = view.end(), .max_bytes = 1 << 20}, buffers);
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <absl/container/inlined_vector.h>
#include <absl/status/statusor.h>

#include <ottla/base/ids.hpp>
#include <ottla/base/shared_bytes.hpp>
#include <ottla/env/any_file_system.hpp>
#include <ottla/log/impl/log_segment.hpp>
#include <ottla/log/log_recovery.hpp>
#include <ottla/log/read_buffers.hpp>

namespace ottla::inline OTTLA_ABI {

struct LogReadRequest {
  Offset offset;
  Offset limit;  ///< batches that reach it, or lie above, are not answered
  std::size_t max_bytes = 1 << 20;
  bool at_least_one = true;  ///< the first batch is answered even if it is larger
};

/// Consecutive whole batches, whose checksums hold. The first one may begin below the offset.
struct LogRead {
  absl::InlinedVector<SharedBytes, 4> pieces;
  std::size_t bytes = 0;
};

/// What a look-up by time finds: a record, and the leader epoch of its batch.
struct FoundOffset {
  Timestamp timestamp;
  Offset offset;
  LeaderEpoch leader_epoch = no_leader_epoch;
  bool operator==(const FoundOffset&) const = default;
};

/// Thread-safe.
template <FileSystem Fs>
class BasicLogView {
 public:
  Offset start() const { return start_; }
  Offset end() const { return end_; }

  /// Whether records from `offset` on may come; else why not.
  absl::Status check_range(Offset offset) const;
  /// Nothing where `offset` has no batch below the limit. OFFSET_OUT_OF_RANGE below start() or
  /// above end(). CORRUPT_MESSAGE with file and position where the log is damaged: a damaged batch
  /// is never passed over, and with a `skipped_range` where a repair took out what comes next.
  /// Ends with a segment at the latest.
  absl::StatusOr<LogRead> read(const LogReadRequest& request, ReadBuffers& buffers) const;

  /// The first record at or after `target` with an offset of at least start() and below `limit`.
  absl::StatusOr<std::optional<FoundOffset>> find_timestamp(Timestamp target, Offset limit,
                                                            Decompressor& decompressor) const;
  /// The first record that has the largest timestamp of all; as in Kafka also one below start(), as
  /// long as its segment is there, and none where it lies at `limit` or above. Nothing where there
  /// are no timestamps.
  absl::StatusOr<std::optional<FoundOffset>> find_max_timestamp(Offset limit,
                                                                Decompressor& decompressor) const;

  /// The aborted transactions that have records in [`from`, `before`), by marker, and perhaps some
  /// more: what a read_committed consumer has to leave out.
  absl::StatusOr<std::vector<AbortedTransaction>> aborted_transactions(Offset from,
                                                                       Offset before) const;

  struct SegmentSize {
    Offset base;
    std::int64_t bytes = 0;
  };
  /// Opens all of them.
  absl::StatusOr<std::vector<SegmentSize>> segments() const;
  /// Nobody is expected for a while: descriptors are let go, but of what somebody uses, or will ask
  /// to be durable and is not yet (`File::rest`).
  void rest() const;

 private:
  template <FileSystem>
  friend class BasicLog;
  template <FileSystem>
  friend class BasicLogCleaning;
  template <FileSystem>
  friend class BasicReadOnlyLog;
  template <FileSystem>
  friend class BasicLogVerification;
  using LogSegment = log_impl::LogSegment<Fs>;
  using Segment = typename LogSegment::Segment;
  using SegmentList = log_impl::SegmentList<Fs>;
  /// Bytes left of `max_bytes` for which the file is not asked again.
  static constexpr std::size_t least_piece = ReadBuffers::block_size / 8;

  absl::Status gone(const LogSegment& segment, Offset offset) const;
  absl::StatusOr<const Segment*> open(const log_impl::Pin<Fs>& pin, LogSegment& entry,
                                      Offset offset) const;
  absl::StatusOr<LogRead> read_on(const LogReadRequest& request, ReadBuffers& buffers) const;
  absl::StatusOr<LogRead> read_beside(const SkippedRange& range, const LogReadRequest& request,
                                      ReadBuffers& buffers) const;
  absl::StatusOr<std::optional<Offset>> next_batch(Offset offset) const;
  absl::StatusOr<bool> read_segment(const Segment& segment, std::size_t index,
                                    const LogReadRequest& request, ReadBuffers& buffers,
                                    LogRead& into) const;
  absl::StatusOr<std::optional<FoundOffset>> find_in(const Segment& segment, Timestamp target,
                                                     Offset from, Offset limit,
                                                     Decompressor& decompressor) const;
  absl::StatusOr<TimestampOffset> largest_below(const Segment& segment, Offset limit) const;
  SharedBytes below_limit(const SharedBytes& piece, Offset limit) const;

  Ref<SegmentList> list_;
  Offset start_{0};
  Offset end_{0};
  std::int64_t end_position_ = 0;         // in the last segment: where end_ is
  std::shared_ptr<const Damage> damage_;  // at end_
  std::shared_ptr<const std::vector<SkippedRange>> skipped_;
};

using LogView = BasicLogView<AnyFileSystem>;

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/log/impl/log_view_impl.hpp>
