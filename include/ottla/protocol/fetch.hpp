// SPDX-License-Identifier: Apache-2.0
//
// Fetch: the bytes of batches from an offset on, of several partitions. A fetch answers at once
// with what is there; with a waiter, and less than `min_bytes`, the partitions keep the waiter and
// wake it once when asking again may bring more. No thread blocks inside. Spec groups.md section 8,
// storage.md section 16.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <absl/container/inlined_vector.h>
#include <absl/status/status.h>

#include <ottla/base/ids.hpp>
#include <ottla/base/shared_bytes.hpp>
#include <ottla/base/topic_partition.hpp>

namespace ottla::inline OTTLA_ABI {

enum class IsolationLevel : std::int8_t { read_uncommitted = 0, read_committed = 1 };

struct FetchPartition {
  TopicId topic_id = {};
  PartitionId partition = {};
  Offset offset = {};                                  ///< the next record wanted
  LeaderEpoch current_leader_epoch = no_leader_epoch;  ///< as the client knows it; -1 = not checked
  std::int32_t max_bytes = 1 << 20;
};

struct FetchRequest {
  std::span<const FetchPartition> partitions = {};  ///< read in this order
  IsolationLevel isolation = IsolationLevel::read_uncommitted;
  std::int32_t min_bytes = 1;
  /// Of the whole answer. The first batch of the first partition that has data comes whole, however
  /// large.
  std::int32_t max_bytes = 50 << 20;
};

/// Consecutive whole batches, the last perhaps cut short.
struct Slice {
  SharedBytes bytes = {};
  bool verified = false;  ///< the checksums were checked, or the batches built, in this process
};

/// Records of this producer from there on, up to its abort marker, are not to be shown.
struct AbortedRange {
  ProducerId producer_id = no_producer_id;
  Offset first_offset{-1};
  bool operator==(const AbortedRange&) const = default;
};

struct FetchedPartition {
  TopicId topic_id = {};
  PartitionId partition = {};
  absl::Status status = {};  ///< OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC_ID, a damaged range, ...
  Offset high_watermark{-1};
  Offset last_stable_offset{-1};
  Offset log_start_offset{-1};
  std::vector<AbortedRange> aborted = {};  ///< with read_committed; some may lie outside the slices
  absl::InlinedVector<Slice, 4> slices = {};
};

/// One entry for each partition of the request, in its order. Reused from call to call.
struct FetchResponse {
  std::vector<FetchedPartition> partitions = {};
};

}  // namespace ottla::inline OTTLA_ABI
