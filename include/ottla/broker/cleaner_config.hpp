// SPDX-License-Identifier: Apache-2.0
//
// How a broker compacts its topics: what it may take for it, and what topics get that say nothing
// else (spec configs.md, `log.cleaner.*`).
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

struct CleanerConfig {
  bool enable = true;
  /// Read and written, in bytes a second.
  double io_max_bytes_per_second = std::numeric_limits<double>::max();
  /// Memory for the keys of one round, 24 bytes each, while it runs; Kafka's default is 128 MiB.
  std::int64_t dedupe_buffer_bytes = std::int64_t{16} << 20;
  double load_factor = 0.9;                  ///< of that memory
  std::int32_t io_buffer_bytes = 512 << 10;  ///< read in one step
  std::chrono::milliseconds backoff{
      15'000};  ///< until it looks again, where nothing was to be done
  double min_cleanable_ratio = 0.5;
  std::chrono::milliseconds delete_retention{86'400'000};
  std::chrono::milliseconds min_compaction_lag{0};
};

}  // namespace ottla::inline OTTLA_ABI
