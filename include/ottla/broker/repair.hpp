// SPDX-License-Identifier: Apache-2.0
//
// What a repair of a partition has come to (`Broker::repair`).
#pragma once

#include <vector>

#include <ottla/base/ids.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/log/log_repair.hpp>

namespace ottla::inline OTTLA_ABI {

struct RepairReport {
  TopicPartition partition;
  /// What was taken out, ascending: which offsets are gone by it, and which file has the bytes.
  /// Empty where the owner had mended the files already.
  std::vector<Repaired> gone = {};
  Offset end = {};  ///< where new records begin
};

}  // namespace ottla::inline OTTLA_ABI
