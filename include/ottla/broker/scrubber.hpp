// SPDX-License-Identifier: Apache-2.0
//
// Reading everything again, to find what the disk has lost before somebody needs it: when the host
// asks (`Broker::verify`), and from time to time in the background.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <ottla/base/status.hpp>
#include <ottla/base/topic_partition.hpp>

namespace ottla::inline OTTLA_ABI {

struct ScrubberConfig {
  /// From the end of one round over all partitions, or from opening, to the next. 0: never.
  std::chrono::milliseconds interval = std::chrono::hours(7 * 24);
  double max_bytes_per_second = 8 << 20;
};

struct VerifyReport {
  struct Damage {
    TopicPartition partition;
    std::string file;           ///< may be empty: the partition could not be opened
    std::int64_t position = 0;  ///< byte from which on it cannot be read
    std::string why;
    /// `corrupt`, also of a file that is gone; else it could not be read, and may be as written.
    Fault fault = Fault::corrupt;
  };
  bool complete = false;
  std::int64_t partitions = 0;  ///< that were begun
  std::int64_t bytes = 0;       ///< of batches that are as they were written
  std::vector<Damage> damage = {};
};

/// Told after every MiB in the thread that verifies; false: it ends there.
using VerifyProgress = std::function<bool(const VerifyReport& so_far)>;

}  // namespace ottla::inline OTTLA_ABI
