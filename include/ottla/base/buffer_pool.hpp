// SPDX-License-Identifier: Apache-2.0
//
// Blocks of one size that are used again: each comes back when its `Buffer`, or the last
// SharedBytes of it, is dropped. Blocks may outlive everything but the process, and keep their pool
// meanwhile.
#pragma once

#include <cstddef>
#include <vector>

#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/shared_bytes.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe; its lock is a leaf.
class BufferPool : public Counted {
 public:
  /// Keeps at most `max_bytes`, in blocks of `block_size`, for who comes next.
  BufferPool(std::size_t block_size, std::size_t max_bytes);
  ~BufferPool() override;

  /// A block of `block_size` bytes, not initialized; one that is false when memory cannot be had.
  Buffer take();
  std::size_t block_size() const { return block_size_; }
  /// Bytes kept now.
  std::size_t kept_bytes() const;

 private:
  static void give_back(BufferBlock* block) noexcept;

  const std::size_t block_size_;
  const std::size_t max_kept_;
  mutable Mutex mutex_{Mutex::Kind::leaf};
  std::vector<BufferBlock*> kept_ OTTLA_GUARDED_BY(mutex_);  // never grows: reserved at the start
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/base/impl/buffer_pool.ipp>
#endif
