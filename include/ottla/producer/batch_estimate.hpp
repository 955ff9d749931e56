// SPDX-License-Identifier: Apache-2.0
//
// How large an open batch will be once compressed: sizes are known, the ratio is learnt per topic
// and codec from the batches before, quick to rise and slow to fall. Source: spec producer_txn.md
// section 2; arithmetic in 32-bit floats, as Kafka's, so that batches are cut at the same record.
#pragma once

#include <algorithm>
#include <cstddef>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

/// Not thread-safe.
class CompressionRatio {
 public:
  /// Compressed size over size, as it will be.
  float estimate() const { return estimate_; }

  /// A batch turned out at `observed`.
  void update(float observed) {
    constexpr float rise = 0.05F;
    constexpr float fall = 0.005F;
    if (observed > estimate_) {
      estimate_ = std::max(estimate_ + rise, observed);
    } else if (observed < estimate_) {
      estimate_ = std::max(estimate_ - fall, observed);
    }
  }

  /// The estimate was too low by far.
  void restart_at(float estimate) { estimate_ = estimate; }

  /// Of `bytes` of records not compressed yet, with 5 % to spare.
  std::size_t estimated_size(std::size_t bytes) const {
    constexpr float spare = 1.05F;
    return static_cast<std::size_t>(static_cast<float>(bytes) * estimate_ * spare);
  }

 private:
  float estimate_ = 1.0F;
};

}  // namespace ottla::inline OTTLA_ABI
