// SPDX-License-Identifier: Apache-2.0
//
// Memory for reading files, used again.
#pragma once

#include <cstddef>

#include <ottla/base/buffer_pool.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe; its lock is a leaf.
class ReadBuffers final : public BufferPool {
 public:
  static constexpr std::size_t block_size = std::size_t{256} << 10;

  /// Keeps at most `max_bytes` for the next reader.
  explicit ReadBuffers(std::size_t max_bytes = std::size_t{8} << 20)
      : BufferPool(block_size, max_bytes) {}
};

}  // namespace ottla::inline OTTLA_ABI
