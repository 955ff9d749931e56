// SPDX-License-Identifier: Apache-2.0
//
// A finished batch on its way to the log, with one owner: checksum done, base offset 0, leader
// epoch -1. The leader stamps those two, which lie outside the checksum, and freezes it; frozen
// bytes are never stamped again.
#pragma once

#include <cstddef>
#include <cstring>
#include <utility>

#include <ottla/base/ids.hpp>
#include <ottla/base/shared_bytes.hpp>
#include <ottla/record/batch_header.hpp>

namespace ottla::inline OTTLA_ABI {

/// Not thread-safe; move-only.
class SealedBatch {
 public:
  SealedBatch() = default;
  /// Before: the first `size` bytes of `buffer` are one whole batch of magic 2.
  SealedBatch(Buffer buffer, std::size_t size) : buffer_(std::move(buffer)), size_(size) {}

  /// A copy of a frozen batch, to be sent once more; empty of none, and when memory cannot be had.
  static SealedBatch copy_of(Bytes batch) {
    Buffer buffer = Buffer::allocate(batch.size());
    if (!buffer || batch.empty()) {
      return {};
    }
    std::memcpy(buffer.data(), batch.data(), batch.size());
    return {std::move(buffer), batch.size()};
  }

  bool empty() const { return !buffer_; }
  std::size_t size() const { return size_; }
  Bytes bytes() const { return buffer_ ? Bytes(buffer_.data(), size_) : Bytes(); }
  MutableBytes mutable_bytes() { return {buffer_.data(), size_}; }

  /// Bytes 0 to 7 and 12 to 15. Before: not empty.
  void stamp(Offset base_offset, LeaderEpoch leader_epoch) {
    stamp_offset_and_epoch(mutable_bytes(), base_offset, leader_epoch);
  }

  /// Nobody changes it from now on. After: this is empty.
  SharedBytes freeze() && { return std::move(buffer_).share(std::exchange(size_, 0)); }

 private:
  Buffer buffer_;
  std::size_t size_ = 0;
};

}  // namespace ottla::inline OTTLA_ABI
