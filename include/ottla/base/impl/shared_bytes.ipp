// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include <ottla/base/shared_bytes.hpp>

namespace ottla::inline OTTLA_ABI {

namespace base_impl {

/// Null when memory cannot be had.
OTTLA_INLINE BufferBlock* new_block(std::size_t capacity, void (*release)(BufferBlock*) noexcept) {
  if (capacity > PTRDIFF_MAX - sizeof(BufferBlock)) {  // no object is larger
    return nullptr;
  }
  void* memory = ::operator new(sizeof(BufferBlock) + capacity, std::nothrow);
  if (memory == nullptr) {
    return nullptr;
  }
  auto* block = new (memory) BufferBlock;
  block->capacity = capacity;
  block->release = release;
  return block;
}

OTTLA_INLINE void free_block(BufferBlock* block) noexcept {
  block->~BufferBlock();
  ::operator delete(static_cast<void*>(block));
}

}  // namespace base_impl

OTTLA_INLINE Buffer Buffer::allocate(std::size_t capacity) {
  return Buffer(base_impl::new_block(capacity, &base_impl::free_block));
}

OTTLA_INLINE SharedBytes Buffer::share(std::size_t size) && {
  BufferBlock* block = std::exchange(block_, nullptr);
  return block == nullptr ? SharedBytes() : SharedBytes(block, Bytes(block->data(), size));
}

OTTLA_INLINE SharedBytes SharedBytes::copy_of(Bytes bytes) {
  Buffer buffer = Buffer::allocate(bytes.size());
  if (!buffer) {
    return SharedBytes();
  }
  if (!bytes.empty()) {
    std::memcpy(buffer.data(), bytes.data(), bytes.size());
  }
  return std::move(buffer).share(bytes.size());
}

}  // namespace ottla::inline OTTLA_ABI
