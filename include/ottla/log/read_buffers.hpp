// SPDX-License-Identifier: Apache-2.0
//
// Memory for reading files, used again: blocks of one size that come back when the last SharedBytes
// of them is dropped, up to a limit. Blocks may outlive everything but the process.
#pragma once

#include <cstddef>
#include <vector>

#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/shared_bytes.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe; its lock is a leaf.
class ReadBuffers final : public Counted {
 public:
  static constexpr std::size_t block_size = std::size_t{256} << 10;

  /// Keeps at most `max_bytes` for the next reader.
  explicit ReadBuffers(std::size_t max_bytes = std::size_t{8} << 20);
  ~ReadBuffers() override;

  /// A block of block_size bytes; one that is false when memory cannot be had.
  Buffer take();
  /// Bytes kept now.
  std::size_t kept_bytes() const;

 private:
  static Ref<ReadBuffers>& pool_of(BufferBlock* block);
  static void give_back(BufferBlock* block) noexcept;
  static void free_block(BufferBlock* block) noexcept;

  mutable Mutex mutex_{Mutex::Kind::leaf};
  std::vector<BufferBlock*> kept_ OTTLA_GUARDED_BY(mutex_);  // never grows: reserved at the start
  const std::size_t max_kept_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/read_buffers.ipp>
#endif
