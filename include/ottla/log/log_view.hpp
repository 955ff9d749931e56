// SPDX-License-Identifier: Apache-2.0
//
// A log as it was when its owner was asked: what readers work with, without a lock, while batches are
// appended, segments rolled and deleted. Cheap to copy (one count). It keeps deleted segments
// known, not their bytes: reading those is answered like an offset below the log's start.
//   const LogView view = log.view();                      // the owner's lock
//   auto read = view.read({.offset = at, .limit = view.end(), .max_bytes = 1 << 20}, buffers);
#pragma once

#include <cstdint>
#include <optional>

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
  Offset limit;                   ///< batches that reach it, or lie above, are not answered
  std::size_t max_bytes = 1 << 20;
  bool at_least_one = true;       ///< the first batch is answered even if it is larger
};

/// Consecutive whole batches, whose checksums hold. The first one may begin below the offset.
struct LogRead {
  absl::InlinedVector<SharedBytes, 4> pieces;
  std::size_t bytes = 0;
};

/// Thread-safe.
template <FileSystem Fs>
class BasicLogView {
 public:
  Offset start() const { return start_; }
  Offset end() const { return end_; }

  /// Nothing where `offset` has no batch below the limit. OFFSET_OUT_OF_RANGE below start() or above
  /// end(). CORRUPT_MESSAGE with file and position where the log is damaged: a damaged batch is
  /// never passed over. Ends with a segment at the latest.
  absl::StatusOr<LogRead> read(const LogReadRequest& request, ReadBuffers& buffers) const;

  /// The first record at or after `target` with an offset of at least start() and below `limit`.
  absl::StatusOr<std::optional<TimestampOffset>> find_timestamp(Timestamp target, Offset limit,
                                                                Decompressor& decompressor) const;
  /// The first record that has the largest timestamp of all below `limit`, as far as whole segments
  /// tell: Kafka's OFFSET_MAX_TIMESTAMP. Nothing where there are no timestamps.
  absl::StatusOr<std::optional<TimestampOffset>> find_max_timestamp(
      Offset limit, Decompressor& decompressor) const;

  struct SegmentSize {
    Offset base;
    std::int64_t bytes = 0;
  };
  /// Opens all of them.
  absl::StatusOr<std::vector<SegmentSize>> segments() const;

 private:
  template <FileSystem>
  friend class BasicLog;
  using LogSegment = log_impl::LogSegment<Fs>;
  using SegmentList = log_impl::SegmentList<Fs>;

  absl::Status check_range(Offset offset) const;
  absl::Status gone(const LogSegment& segment, Offset offset) const;
  absl::Status read_segment(std::size_t index, const LogReadRequest& request, ReadBuffers& buffers,
                            LogRead& into) const;
  SharedBytes below_limit(SharedBytes piece, Offset limit) const;

  Ref<SegmentList> list_;
  Offset start_{0};
  Offset end_{0};
  std::int64_t end_position_ = 0;  // in the last segment: where end_ is
  std::shared_ptr<const Damage> damage_;  // at end_
};

using LogView = BasicLogView<AnyFileSystem>;

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/log/impl/log_view_impl.hpp>
