// SPDX-License-Identifier: Apache-2.0
//
// Which part of a log is to be compacted, how urgent that is, and which segments become one: pure
// functions (spec storage.md sections 20.1 and 20.3).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>

namespace ottla::inline OTTLA_ABI {

struct CleanableSegment {
  Offset base;
  std::int64_t size = 0;                 ///< bytes of its log
  Timestamp largest = no_timestamp;      ///< as in SegmentFacts
  Timestamp first_batch = no_timestamp;  ///< largest timestamp of its first batch
  std::int64_t offset_index_size = 0;    ///< bytes
  std::int64_t time_index_size = 0;      ///< bytes
};

struct CleaningBounds {
  Offset start;
  Offset last_stable;
  /// Only what is on the device makes older records superfluous: Kafka leaves that to its replicas.
  Offset durable;
  Offset end;
};

struct CleaningConfig {
  std::chrono::milliseconds min_lag{0};                                  ///< min.compaction.lag.ms
  std::chrono::milliseconds max_lag = std::chrono::milliseconds::max();  ///< max.compaction.lag.ms
  double min_dirty_ratio = 0.5;                            ///< min.cleanable.dirty.ratio
  std::chrono::milliseconds delete_retention{86'400'000};  ///< delete.retention.ms
};

struct CleanableRange {
  Offset first_dirty;
  Offset first_uncleanable;
  Offset end;  ///< what is cleaned ends there: the base of the segment with `first_uncleanable`
  std::int64_t clean_bytes = 0;
  std::int64_t cleanable_bytes = 0;
  bool overdue = false;  ///< some record has waited longer than max.compaction.lag.ms

  double ratio() const {
    const auto all = static_cast<double>(clean_bytes + cleanable_bytes);
    return all == 0 ? 0 : static_cast<double>(cleanable_bytes) / all;
  }
  /// Whether there is something to do now.
  bool is_due(const CleaningConfig& config) const {
    return cleanable_bytes > 0 && (overdue || ratio() > config.min_dirty_ratio);
  }
};

/// `segments`: all of a log in their order, the last one active. `checkpoint`: where cleaning
/// ended the last time, nothing where that is not known.
CleanableRange cleanable_range(std::span<const CleanableSegment> segments,
                               const CleaningBounds& bounds, std::optional<Offset> checkpoint,
                               const CleaningConfig& config, Timestamp now);

/// What the segments of a group may have together.
struct GroupLimits {
  std::int64_t bytes = 1 << 30;         ///< segment.bytes
  std::int64_t index_bytes = 10 << 20;  ///< segment.index.bytes
};

/// Consecutive segments that become one: the number of segments of each group, in their order.
/// `end`: of the last segment's offsets.
std::vector<std::size_t> group_segments(std::span<const CleanableSegment> segments, Offset end,
                                        const GroupLimits& limits);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/cleanable.ipp>
#endif
