// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include <ottla/base/shared_bytes.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE Buffer Buffer::allocate(std::size_t capacity) {
  if (capacity > PTRDIFF_MAX - sizeof(BufferBlock)) {  // no object is larger
    return Buffer();
  }
  void* memory = ::operator new(sizeof(BufferBlock) + capacity, std::nothrow);
  if (memory == nullptr) {
    return Buffer();
  }
  auto* block = new (memory) BufferBlock;
  block->capacity = capacity;
  block->release = [](BufferBlock* last) noexcept {
    last->~BufferBlock();
    ::operator delete(static_cast<void*>(last));
  };
  return Buffer(block);
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
