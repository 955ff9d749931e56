// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include <ottla/base/buffer_pool.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE BufferPool::BufferPool(std::size_t block_size, std::size_t max_bytes)
    : block_size_(block_size), max_kept_(max_bytes / block_size) {
  kept_.reserve(max_kept_);
}

OTTLA_INLINE BufferPool::~BufferPool() {
  for (BufferBlock* block : kept_) {
    base_impl::free_block(block);
  }
}

/// A block that is out keeps its pool alive, one that is kept does not.
OTTLA_INLINE Buffer BufferPool::take() {
  BufferBlock* block = nullptr;
  {
    Lock lock(mutex_);
    if (!kept_.empty()) {
      block = kept_.back();
      kept_.pop_back();
    }
  }
  if (block == nullptr) {
    block = base_impl::new_block(block_size_, &BufferPool::give_back);
    if (block == nullptr) {
      return Buffer();
    }
  }
  block->count.store(1, std::memory_order_relaxed);
  block->owner = Ref<BufferPool>(this);
  return Buffer(block);
}

OTTLA_INLINE std::size_t BufferPool::kept_bytes() const {
  Lock lock(mutex_);
  return kept_.size() * block_size_;
}

OTTLA_INLINE void BufferPool::give_back(BufferBlock* block) noexcept {
  const Ref<Counted> owner = std::move(block->owner);
  auto& pool = static_cast<BufferPool&>(*owner);
  {
    Lock lock(pool.mutex_);
    if (pool.kept_.size() < pool.max_kept_) {
      pool.kept_.push_back(block);
      return;
    }
  }
  base_impl::free_block(block);
}

}  // namespace ottla::inline OTTLA_ABI
