// SPDX-License-Identifier: Apache-2.0
//
// Counted memory. A `Buffer` is one block, written by its only owner; `std::move(buffer).share(n)`
// freezes its first n bytes into `SharedBytes`, an owner and a slice, which any thread may copy,
// slice and keep. Bytes behind a SharedBytes never change. One allocation a block; a block made by
// a pool goes back to it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <ottla/base/bytes.hpp>
#include <ottla/base/ref.hpp>

namespace ottla::inline OTTLA_ABI {

/// The head of a block; its bytes follow. `release` is called once, by whoever drops the last
/// count.
struct alignas(16) BufferBlock {
  std::atomic<std::uint32_t> count{1};
  std::size_t capacity = 0;
  void (*release)(BufferBlock*) noexcept = nullptr;
  Ref<Counted> owner = nullptr;  ///< the pool that it goes back to

  std::byte* data() { return reinterpret_cast<std::byte*>(this + 1); }
  static BufferBlock* of(void* data) { return static_cast<BufferBlock*>(data) - 1; }
};

namespace base_impl {
BufferBlock* new_block(std::size_t capacity, void (*release)(BufferBlock*) noexcept);
void free_block(BufferBlock* block) noexcept;
}  // namespace base_impl

class SharedBytes;

/// Not thread-safe.
class Buffer {
 public:
  Buffer() = default;
  /// Takes over the only count of `block`.
  explicit Buffer(BufferBlock* block) : block_(block) {}
  Buffer(Buffer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    const Buffer old(std::exchange(block_, std::exchange(other.block_, nullptr)));
    return *this;
  }
  ~Buffer() {
    if (block_ != nullptr) {
      block_->release(block_);
    }
  }

  /// A block of at least `capacity` bytes, not initialized; one that is false when memory cannot be
  /// had.
  static Buffer allocate(std::size_t capacity);

  explicit operator bool() const { return block_ != nullptr; }
  std::byte* data() { return block_ == nullptr ? nullptr : block_->data(); }
  const std::byte* data() const { return block_ == nullptr ? nullptr : block_->data(); }
  std::size_t capacity() const { return block_ == nullptr ? 0 : block_->capacity; }
  MutableBytes bytes() { return {data(), capacity()}; }
  /// The block and its only count. After: this is empty.
  BufferBlock* release() { return std::exchange(block_, nullptr); }

  /// Freezes the first `size` bytes. Before: `size` <= capacity(). After: this is empty.
  SharedBytes share(std::size_t size) &&;

 private:
  BufferBlock* block_ = nullptr;
};

/// Thread-safe as `shared_ptr` is: threads may copy and drop what they share, not assign one
/// object.
class SharedBytes {
 public:
  SharedBytes() = default;
  /// Takes over one count of `block`. Before: `bytes` lie inside it.
  SharedBytes(BufferBlock* block, Bytes bytes) : block_(block), bytes_(bytes) {}
  SharedBytes(const SharedBytes& other) noexcept : block_(other.block_), bytes_(other.bytes_) {
    if (block_ != nullptr) {
      block_->count.fetch_add(1, std::memory_order_relaxed);
    }
  }
  SharedBytes(SharedBytes&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)), bytes_(std::exchange(other.bytes_, {})) {}
  SharedBytes& operator=(const SharedBytes& other) noexcept { return *this = SharedBytes(other); }
  SharedBytes& operator=(SharedBytes&& other) noexcept {
    const Bytes bytes = std::exchange(other.bytes_, {});
    const SharedBytes old(std::exchange(block_, std::exchange(other.block_, nullptr)), bytes_);
    bytes_ = bytes;
    return *this;
  }
  ~SharedBytes() {
    if (block_ != nullptr && block_->count.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      block_->release(block_);
    }
  }

  /// A copy of `bytes` in a block of its own; empty when memory cannot be had.
  static SharedBytes copy_of(Bytes bytes);

  Bytes bytes() const { return bytes_; }
  const std::byte* data() const { return bytes_.data(); }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  /// The same owner, `size` bytes from `position`. Before: they lie inside.
  SharedBytes slice(std::size_t position, std::size_t size) const {
    SharedBytes part(*this);
    part.bytes_ = bytes_.subspan(position, size);
    return part;
  }
  /// How many hold the block; a hint when others may drop theirs meanwhile.
  std::uint32_t owners() const {
    return block_ == nullptr ? 0 : block_->count.load(std::memory_order_acquire);
  }
  std::size_t block_capacity() const { return block_ == nullptr ? 0 : block_->capacity; }

 private:
  BufferBlock* block_ = nullptr;
  Bytes bytes_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/base/impl/shared_bytes.ipp>
#endif
