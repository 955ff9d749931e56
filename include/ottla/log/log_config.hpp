// SPDX-License-Identifier: Apache-2.0
//
// What a partition's log asks of its topic's configuration, with Kafka's defaults (spec storage.md
// section 27). Kafka's key stands beside each member.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

struct LogConfig {
  std::int32_t segment_bytes = 1 << 30;                ///< segment.bytes
  std::chrono::milliseconds segment_age{604'800'000};  ///< segment.ms
  std::chrono::milliseconds segment_jitter{0};         ///< segment.jitter.ms
  std::int32_t segment_index_bytes = 10 << 20;         ///< segment.index.bytes
  std::int32_t index_interval_bytes = 4096;            ///< index.interval.bytes
  bool preallocate = false;                            ///< preallocate
  std::optional<std::chrono::milliseconds> retention{  ///< retention.ms; nothing: no limit (-1)
                                                     std::chrono::milliseconds(604'800'000)};
  std::optional<std::int64_t> retention_bytes = {};  ///< retention.bytes; likewise
  bool delete_old = true;                            ///< cleanup.policy contains "delete"
  bool compact = false;                              ///< cleanup.policy contains "compact"
  std::chrono::milliseconds max_compaction_lag =     ///< max.compaction.lag.ms
      std::chrono::milliseconds::max();
  std::chrono::milliseconds file_delete_delay{60'000};  ///< file.delete.delay.ms

  /// How old a segment grows before an append rolls it: a compacted topic's may not outgrow
  /// max.compaction.lag.ms.
  std::chrono::milliseconds max_segment_age() const {
    return compact && max_compaction_lag.count() > 0 && max_compaction_lag < segment_age
               ? max_compaction_lag
               : segment_age;
  }
};

}  // namespace ottla::inline OTTLA_ABI
