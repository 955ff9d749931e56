// SPDX-License-Identifier: Apache-2.0
//
// Which of a log's oldest segments may go: Kafka's three rules, as a pure function (spec storage.md
// section 19).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>
#include <ottla/log/log_config.hpp>

namespace ottla::inline OTTLA_ABI {

struct SegmentFacts {
  Offset base;
  std::int64_t size = 0;             ///< bytes
  Timestamp largest = no_timestamp;  ///< or the modification time of a segment without timestamps
};

struct LogBounds {
  Offset start;
  Offset high_watermark;
  Offset end;
};

/// How many of `segments`, all of a log in their order. May be all of them: then a new one is
/// rolled first. An empty last one never goes. Without `now` none goes by its age.
std::size_t expired_segments(std::span<const SegmentFacts> segments, const LogBounds& bounds,
                             const LogConfig& config, std::optional<Timestamp> now);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/retention.ipp>
#endif
