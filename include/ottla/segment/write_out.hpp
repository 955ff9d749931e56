// SPDX-License-Identifier: Apache-2.0
//
// What the owner of a segment hands to it with the bytes: a few facts of each batch, and when to
// roll.
#pragma once

#include <chrono>
#include <cstdint>

#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>
#include <ottla/record/batch_header.hpp>

namespace ottla::inline OTTLA_ABI {

struct BatchFacts {
  Offset base_offset;
  Offset last_offset;
  Timestamp max_timestamp = no_timestamp;
  std::int32_t size = 0;  ///< bytes of the whole batch

  static BatchFacts of(const BatchHeader& header) {
    return {header.base_offset, header.last_offset(), header.max_timestamp,
            static_cast<std::int32_t>(header.size())};
  }
};

struct RollLimits {
  std::int64_t segment_bytes = 1 << 30;  ///< segment.bytes
  /// segment.ms less the segment's jitter, between the timestamps of its first batch and of the
  /// incoming one; where the first has none, between `created` and `now`.
  std::chrono::milliseconds max_age = std::chrono::hours(168);
  Timestamp now = no_timestamp;  ///< the wall clock
};

}  // namespace ottla::inline OTTLA_ABI
