// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <new>

#include <errno.h>

#include <ottla/env/impl/memory_content.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

/// The one change of a file that is under way.
class MemoryContent::Turn {
 public:
  explicit Turn(MemoryContent& content) : content_(content) {
    Mutex::expect_none_held();  // files may be slow
    Lock lock(content.mutex_);
    while (content.writing_) {
      content.turn_ended_.wait(lock);
    }
    content.writing_ = true;
    size_ = content.size_;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    {
      Lock lock(content_.mutex_);
      content_.writing_ = false;
    }
    content_.turn_ended_.notify_one();
  }

  std::int64_t size() const { return size_; }

  /// Bytes behind the end that are about to be seen without having been written.
  void zero_behind(std::int64_t new_size) const {
    const std::size_t index = ChunkLayout::index(size_);
    const Chunk chunk = content_.chunk_at(index);
    if (chunk) {
      const std::int64_t begin = ChunkLayout::begin(index);
      const std::int64_t end = std::min(new_size, begin + static_cast<std::int64_t>(chunk->size));
      std::memset(chunk->data.get() + (size_ - begin), 0, static_cast<std::size_t>(end - size_));
    }
  }

  /// Readers see `size` bytes from now on, with `chunks` in their places from `first`.
  void publish(std::size_t first, Chunks& chunks, std::int64_t size) const {
    const Timestamp now = content_.volume_->now();
    std::vector<Chunk> dropped;  // freed after the lock
    Lock lock(content_.mutex_);
    std::vector<Chunk>& all = content_.chunks_;
    const std::size_t count = ChunkLayout::count(size);
    if (count < all.size()) {
      dropped.assign(std::move_iterator(all.begin() + static_cast<std::ptrdiff_t>(count)),
                     std::move_iterator(all.end()));
    }
    all.resize(count);
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      std::swap(all[first + i], chunks[i]);
    }
    content_.size_ = size;
    content_.set_modified(now);
    lock.unlock();
  }

 private:
  MemoryContent& content_;
  std::int64_t size_;
};

OTTLA_INLINE MemoryContent::Chunk MemoryContent::chunk_at(std::size_t index) const {
  Lock lock(mutex_);
  return index < chunks_.size() ? chunks_[index] : nullptr;
}

OTTLA_INLINE int MemoryContent::make_chunk(std::size_t index, Room room, Chunk& chunk) const {
  const std::size_t size = ChunkLayout::size(index);
  chunk = make_ref<MemoryChunk>(volume_, size);
  if (room == Room::must_be_there && volume_->max_bytes > 0 &&
      volume_->bytes.load(std::memory_order_relaxed) > volume_->max_bytes) {
    return ENOSPC;
  }
  chunk->data.reset(new (std::nothrow) std::byte[size]);
  return chunk->data == nullptr ? ENOMEM : 0;
}

// The old chunk where nothing of it from `from` on was seen by anybody; else a new one with what
// was seen.
OTTLA_INLINE int MemoryContent::chunk_for_write(const Turn& turn, std::size_t index,
                                                std::int64_t from, Chunk& chunk) const {
  const std::int64_t begin = ChunkLayout::begin(index);
  chunk = chunk_at(index);
  if (chunk && from >= turn.size()) {
    return 0;
  }
  const Chunk old = std::move(chunk);
  const int failure = make_chunk(index, old ? Room::is_given_back : Room::must_be_there, chunk);
  if (failure != 0) {
    return failure;
  }
  if (old) {
    const auto size = static_cast<std::int64_t>(old->size);
    std::memcpy(chunk->data.get(), old->data.get(),
                static_cast<std::size_t>(std::min(turn.size() - begin, size)));
  } else {
    const bool hole = begin < turn.size();
    std::memset(chunk->data.get(), 0, hole ? chunk->size : static_cast<std::size_t>(from - begin));
  }
  return 0;
}

OTTLA_INLINE std::size_t MemoryContent::read(std::int64_t position, MutableBytes into) const {
  Mutex::expect_none_held();  // files may be slow
  Chunks chunks;
  Lock lock(mutex_);
  if (position >= size_ || into.empty()) {
    return 0;
  }
  const auto wanted =
      static_cast<std::int64_t>(std::min(into.size(), static_cast<std::size_t>(size_ - position)));
  const std::size_t first = ChunkLayout::index(position);
  const std::size_t last = ChunkLayout::index(position + wanted - 1);
  for (std::size_t index = first; index <= last; ++index) {
    chunks.push_back(chunks_[index]);
  }
  lock.unlock();
  std::byte* to = into.data();
  std::int64_t at = position;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const auto offset = static_cast<std::size_t>(at - ChunkLayout::begin(first + i));
    const std::size_t size = std::min(ChunkLayout::size(first + i) - offset,
                                      static_cast<std::size_t>(position + wanted - at));
    if (chunks[i]) {
      std::memcpy(to, chunks[i]->data.get() + offset, size);
    } else {
      std::memset(to, 0, size);
    }
    to += size;
    at += static_cast<std::int64_t>(size);
  }
  return static_cast<std::size_t>(wanted);
}

OTTLA_INLINE int MemoryContent::write(std::int64_t position, std::span<const Bytes> pieces) {
  std::int64_t total = 0;
  for (const Bytes piece : pieces) {
    total += static_cast<std::int64_t>(piece.size());
  }
  if (total == 0) {
    return 0;
  }
  if (position > largest_size - total) {
    return EFBIG;
  }
  const std::int64_t end = position + total;
  Turn turn(*this);
  const std::size_t first = ChunkLayout::index(position);
  const std::size_t last = ChunkLayout::index(end - 1);
  Chunks chunks;
  for (std::size_t index = first; index <= last; ++index) {
    const std::int64_t from = std::max(position, ChunkLayout::begin(index));
    chunks.emplace_back();
    if (const int failure = chunk_for_write(turn, index, from, chunks.back()); failure != 0) {
      return failure;
    }
  }
  if (position > turn.size()) {
    turn.zero_behind(position);
  }
  std::size_t at = first;
  auto offset = static_cast<std::size_t>(position - ChunkLayout::begin(first));
  for (Bytes piece : pieces) {
    while (!piece.empty()) {
      if (offset == ChunkLayout::size(at)) {
        ++at;
        offset = 0;
      }
      const std::size_t size = std::min(piece.size(), ChunkLayout::size(at) - offset);
      std::memcpy(chunks[at - first]->data.get() + offset, piece.data(), size);
      piece = piece.subspan(size);
      offset += size;
    }
  }
  turn.publish(first, chunks, std::max(turn.size(), end));
  return 0;
}

OTTLA_INLINE int MemoryContent::truncate(std::int64_t size) {
  if (size > largest_size) {
    return EFBIG;
  }
  Turn turn(*this);
  Chunks chunks;
  std::size_t boundary = 0;
  if (size > turn.size()) {
    turn.zero_behind(size);
  } else if (size > 0 && size < turn.size()) {
    // What is cut off may be under a reader's eyes, and will be written again.
    boundary = ChunkLayout::index(size - 1);
    const auto kept = static_cast<std::size_t>(size - ChunkLayout::begin(boundary));
    const Chunk old = chunk_at(boundary);
    if (old && kept < old->size) {
      chunks.emplace_back();
      if (const int failure = make_chunk(boundary, Room::is_given_back, chunks.back());
          failure != 0) {
        return failure;
      }
      std::memcpy(chunks.back()->data.get(), old->data.get(), kept);
    }
  }
  turn.publish(boundary, chunks, size);
  return 0;
}

OTTLA_INLINE std::int64_t MemoryContent::size() const {
  Lock lock(mutex_);
  return size_;
}

}  // namespace env_impl
}  // namespace ottla::inline OTTLA_ABI
