// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <ottla/log/cleanable.hpp>

namespace ottla::inline OTTLA_ABI {

namespace log_impl {

/// `now` less `lag`, where that can be counted: else the smallest time.
inline Timestamp before(Timestamp now, std::chrono::milliseconds lag) {
  std::int64_t then = 0;
  return Timestamp(__builtin_sub_overflow(now.value(), lag.count(), &then) ? INT64_MIN : then);
}

/// The index of the segment that has `offset`: the last one whose base is not above it.
inline std::size_t segment_with(std::span<const CleanableSegment> segments, Offset offset) {
  const auto above = std::upper_bound(
      segments.begin(), segments.end(), offset,
      [](Offset wanted, const CleanableSegment& segment) { return wanted < segment.base; });
  return above == segments.begin() ? 0 : static_cast<std::size_t>(above - segments.begin()) - 1;
}

}  // namespace log_impl

OTTLA_INLINE CleanableRange cleanable_range(std::span<const CleanableSegment> segments,
                                            const CleaningBounds& bounds,
                                            std::optional<Offset> checkpoint,
                                            const CleaningConfig& config, Timestamp now) {
  CleanableRange range;
  range.first_dirty = checkpoint.value_or(bounds.start);
  if (range.first_dirty < bounds.start || range.first_dirty > bounds.end) {
    range.first_dirty = bounds.start;
  }
  range.first_uncleanable = range.end = range.first_dirty;
  if (segments.empty()) {
    return range;
  }
  const std::size_t active = segments.size() - 1;
  const std::size_t dirty = log_impl::segment_with(segments, range.first_dirty);
  Offset limit = std::min({bounds.last_stable, bounds.durable, segments[active].base});
  const Timestamp overdue = log_impl::before(now, config.max_lag);
  const Timestamp too_new = log_impl::before(now, config.min_lag);
  for (std::size_t i = dirty; i < active; ++i) {
    const CleanableSegment& segment = segments[i];
    if (config.min_lag.count() > 0 && segment.largest > too_new) {
      limit = std::min(limit, segment.base);
    }
    range.overdue =
        range.overdue || (segment.first_batch > Timestamp(0) && segment.first_batch < overdue);
  }
  range.first_uncleanable = std::max(range.first_dirty, limit);
  const std::size_t end = log_impl::segment_with(segments, range.first_uncleanable);
  range.end = segments[end].base;
  for (std::size_t i = 0; i < active && segments[i].base < range.first_dirty; ++i) {
    range.clean_bytes += segments[i].size;
  }
  for (std::size_t i = dirty; i < end; ++i) {
    range.cleanable_bytes += segments[i].size;
  }
  return range;
}

OTTLA_INLINE std::vector<std::size_t> group_segments(std::span<const CleanableSegment> segments,
                                                     Offset end, const GroupLimits& limits) {
  std::vector<std::size_t> groups;
  for (std::size_t first = 0; first < segments.size();) {
    std::int64_t bytes = 0;
    std::int64_t offset_index = 0;
    std::int64_t time_index = 0;
    std::size_t next = first;
    for (; next < segments.size(); ++next) {
      const CleanableSegment& segment = segments[next];
      bytes += segment.size;
      offset_index += segment.offset_index_size;
      time_index += segment.time_index_size;
      const Offset last = (next + 1 < segments.size() ? segments[next + 1].base : end) - 1;
      const bool fits = bytes <= limits.bytes && offset_index <= limits.index_bytes &&
                        time_index <= limits.index_bytes &&
                        (segment.size == 0 || last - segments[first].base <= INT32_MAX);
      if (!fits && next > first) {
        break;
      }
    }
    groups.push_back(next - first);
    first = next;
  }
  return groups;
}

}  // namespace ottla::inline OTTLA_ABI
