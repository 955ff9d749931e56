// SPDX-License-Identifier: Apache-2.0
//
// Producer ids that were taken from the metadata log in blocks and are not given yet. What is left
// of a block when the broker ends is never given. Thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include <ottla/base/ids.hpp>
#include <ottla/base/mutex.hpp>

namespace ottla::inline OTTLA_ABI {

class ProducerIds {
 public:
  /// Some log knows this one: whoever gave it, it is not given again.
  void note(ProducerId seen) {
    if (seen.value() >= std::int64_t{1} << 62) {
      return;  // nobody counted that far
    }
    Lock lock(mutex_);
    floor_ = std::max(floor_, seen + 1);
    next_ = std::max(next_, floor_);
  }
  /// Nothing where a new block is needed, from `floor` on.
  std::optional<ProducerId> take() {
    Lock lock(mutex_);
    if (next_ >= end_) {
      return std::nullopt;
    }
    const ProducerId taken = next_;
    ++next_;
    return taken;
  }
  ProducerId floor() const {
    Lock lock(mutex_);
    return floor_;
  }
  /// A new block is there; its first one, which is taken.
  ProducerId begin_block(ProducerId first, std::int64_t count) {
    Lock lock(mutex_);
    if (first + count > end_) {
      next_ = first + 1;
      end_ = first + count;
    }
    return first;
  }

 private:
  mutable Mutex mutex_{Mutex::Kind::leaf};
  ProducerId floor_ OTTLA_GUARDED_BY(mutex_){0};
  ProducerId next_ OTTLA_GUARDED_BY(mutex_){0};
  ProducerId end_ OTTLA_GUARDED_BY(mutex_){0};
};

}  // namespace ottla::inline OTTLA_ABI
