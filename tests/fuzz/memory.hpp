// SPDX-License-Identifier: Apache-2.0
//
// How much memory a step takes at most: the fuzz targets' own count of what is allocated. Under
// AddressSanitizer libraries' memory counts too, else what `operator new` gives. Nothing is counted
// under ThreadSanitizer.
#pragma once

#include <cstddef>

namespace fuzz {

/// While it lives no more than `bytes` may be allocated beyond what was at its start. One at a
/// time.
class MemoryBound {
 public:
  explicit MemoryBound(std::size_t bytes);
  ~MemoryBound();
  MemoryBound(const MemoryBound&) = delete;

 private:
  std::size_t bytes_;
  std::size_t start_;
};

}  // namespace fuzz
