// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <new>
#include <utility>

#include <ottla/log/read_buffers.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE ReadBuffers::ReadBuffers(std::size_t max_bytes) : max_kept_(max_bytes / block_size) {
  kept_.reserve(max_kept_);
}

OTTLA_INLINE ReadBuffers::~ReadBuffers() {
  for (BufferBlock* block : kept_) {
    free_block(block);
  }
}

OTTLA_INLINE Buffer ReadBuffers::take() {
  BufferBlock* block = nullptr;
  {
    Lock lock(mutex_);
    if (!kept_.empty()) {
      block = kept_.back();
      kept_.pop_back();
    }
  }
  if (block == nullptr) {
    constexpr std::size_t size = sizeof(BufferBlock) + block_size + sizeof(Ref<ReadBuffers>);
    void* memory = ::operator new(size, std::nothrow);
    if (memory == nullptr) {
      return Buffer();
    }
    block = new (memory) BufferBlock;
    block->capacity = block_size;
    block->release = &ReadBuffers::give_back;
    new (block->data() + block_size) Ref<ReadBuffers>();
  }
  block->count.store(1, std::memory_order_relaxed);
  pool_of(block) = Ref<ReadBuffers>(this);
  return Buffer(block);
}

/// Behind the bytes of a block: a block that is out keeps its pool alive, one that is kept does
/// not.
OTTLA_INLINE Ref<ReadBuffers>& ReadBuffers::pool_of(BufferBlock* block) {
  return *std::launder(reinterpret_cast<Ref<ReadBuffers>*>(block->data() + block_size));
}

OTTLA_INLINE std::size_t ReadBuffers::kept_bytes() const {
  Lock lock(mutex_);
  return kept_.size() * block_size;
}

OTTLA_INLINE void ReadBuffers::give_back(BufferBlock* block) noexcept {
  const Ref<ReadBuffers> pool = std::move(pool_of(block));
  {
    Lock lock(pool->mutex_);
    if (pool->kept_.size() < pool->max_kept_) {
      pool->kept_.push_back(block);
      return;
    }
  }
  free_block(block);
}

OTTLA_INLINE void ReadBuffers::free_block(BufferBlock* block) noexcept {
  std::destroy_at(&pool_of(block));
  block->~BufferBlock();
  ::operator delete(static_cast<void*>(block));
}

}  // namespace ottla::inline OTTLA_ABI
