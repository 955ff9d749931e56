// SPDX-License-Identifier: Apache-2.0
//
// Which batches of a fetch's answer belong to aborted transactions: those of a producer from where
// one of its transactions began up to the marker that aborted it. Not thread-safe. Source: spec
// storage.md section 16, groups.md section 8.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <ottla/base/ids.hpp>
#include <ottla/protocol/fetch.hpp>
#include <ottla/record/batch_view.hpp>

namespace ottla::inline OTTLA_ABI {

class AbortedBatches {
 public:
  /// A new answer, with these transactions in any order.
  void begin(std::span<const AbortedRange> aborted);
  /// Whether the records of `batch` are not to be shown. Before: each batch of the answer that
  /// comes before it was asked about, in the order of the log.
  bool hides(const BatchView& batch);

 private:
  std::vector<AbortedRange> transactions_;  // by first offset
  std::size_t next_ = 0;                    // of those that have not begun
  std::vector<ProducerId> hidden_;          // with one that has begun, and not ended
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/consumer/impl/aborted_batches.ipp>
#endif
