// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ottla/log/retention.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::size_t expired_segments(std::span<const SegmentFacts> segments,
                                          const LogBounds& bounds, const LogConfig& config,
                                          std::optional<Timestamp> now) {
  const auto end_of = [&](std::size_t i) {
    return i + 1 < segments.size() ? segments[i + 1].base : bounds.end;
  };
  const auto deletable = [&](std::size_t i) {
    return bounds.high_watermark >= end_of(i) && (i + 1 < segments.size() || segments[i].size > 0);
  };
  std::size_t n = 0;
  while (n < segments.size() && deletable(n) && end_of(n) <= bounds.start) {
    ++n;
  }
  if (!config.delete_old) {
    return n;
  }
  if (config.retention_bytes) {
    std::int64_t excess = -*config.retention_bytes;
    for (std::size_t i = n; i < segments.size(); ++i) {
      excess += segments[i].size;
    }
    while (n < segments.size() && deletable(n) && excess - segments[n].size >= 0) {
      excess -= segments[n++].size;
    }
  }
  if (config.retention && now) {
    const auto expired = [&](Timestamp largest) {
      std::int64_t age = 0;  // overflows for timestamps that are no times: not expired
      return !__builtin_sub_overflow(now->value(), largest.value(), &age) &&
             age > config.retention->count();
    };
    while (n < segments.size() && deletable(n) && expired(segments[n].largest)) {
      ++n;
    }
  }
  return n;
}

}  // namespace ottla::inline OTTLA_ABI
