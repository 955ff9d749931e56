// SPDX-License-Identifier: Apache-2.0
//
// The bytes of one file in memory, in chunks: the first two of 512 bytes, then each as large as all
// before it, up to 256 KiB. So a small file is small, nothing is copied when one grows, and a
// position is found by arithmetic. No chunk (null) is zeros.
//
// Readers take the chunks they need under the lock, a count each, and copy after it. A byte that a
// reader may see is never written again: an append goes behind the size; what would change or cut a
// visible byte puts a new chunk in the place of the old one.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <absl/container/inlined_vector.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/time.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

/// What all files of one file system share.
struct MemoryVolume final : Counted {
  std::int64_t max_bytes = 0;
  std::function<Timestamp()> wall_now;
  std::atomic<std::int64_t> bytes{0};

  Timestamp now() const { return wall_now ? wall_now() : no_timestamp; }
};

struct MemoryChunk final : Counted {
  MemoryChunk(Ref<MemoryVolume> its_volume, std::size_t its_size)
      : volume(std::move(its_volume)), size(its_size) {
    volume->bytes.fetch_add(static_cast<std::int64_t>(size), std::memory_order_relaxed);
  }
  ~MemoryChunk() override {
    volume->bytes.fetch_sub(static_cast<std::int64_t>(size), std::memory_order_relaxed);
  }
  const Ref<MemoryVolume> volume;
  const std::size_t size;
  std::unique_ptr<std::byte[]> data;
};

class ChunkLayout {
 public:
  static constexpr std::size_t smallest = 512;
  static constexpr std::size_t largest = 256 << 10;
  static constexpr std::int64_t doubled = 2 * largest;  // from here all chunks are the largest

  /// Of the chunk that holds `position`.
  static constexpr std::size_t index(std::int64_t position) {
    const auto at = static_cast<std::uint64_t>(position);
    return position < doubled
               ? static_cast<std::size_t>(std::bit_width(at / smallest))
               : doubling + static_cast<std::size_t>((position - doubled) / std::int64_t{largest});
  }
  static constexpr std::int64_t begin(std::size_t index) {
    return index == 0         ? 0
           : index < doubling ? static_cast<std::int64_t>(smallest << (index - 1))
                              : doubled + static_cast<std::int64_t>((index - doubling) * largest);
  }
  static constexpr std::size_t size(std::size_t index) {
    return index == 0 ? smallest : index < doubling ? smallest << (index - 1) : largest;
  }
  /// Chunks that `size` bytes take.
  static constexpr std::size_t count(std::int64_t size) {
    return size == 0 ? 0 : index(size - 1) + 1;
  }

 private:
  static constexpr std::size_t doubling = std::bit_width(std::uint64_t{doubled} / smallest);
};
static_assert(ChunkLayout::index(511) == 0 && ChunkLayout::index(512) == 1);
static_assert(ChunkLayout::begin(ChunkLayout::index(ChunkLayout::doubled)) == ChunkLayout::doubled);

class MemoryContent final : public Counted {
 public:
  explicit MemoryContent(Ref<MemoryVolume> volume)
      : volume_(std::move(volume)), modified_(volume_->now()) {}

  std::size_t read(std::int64_t position, MutableBytes into) const;
  /// These two answer 0, or the number that the system would give the error.
  int write(std::int64_t position, std::span<const Bytes> pieces);
  int truncate(std::int64_t size);

  std::int64_t size() const;
  Timestamp modified() const { return modified_.load(std::memory_order_relaxed); }
  void set_modified(Timestamp time) { modified_.store(time, std::memory_order_relaxed); }
  bool try_lock() { return !locked_.exchange(true, std::memory_order_acquire); }
  void unlock() { locked_.store(false, std::memory_order_release); }

 private:
  static constexpr std::int64_t largest_size = std::int64_t{1} << 40;

  using Chunk = Ref<MemoryChunk>;
  using Chunks = absl::InlinedVector<Chunk, 4>;
  class Turn;

  enum class Room : bool { must_be_there, is_given_back };
  int make_chunk(std::size_t index, Room room, Chunk& chunk) const;
  int chunk_for_write(const Turn& turn, std::size_t index, std::int64_t from, Chunk& chunk) const;
  Chunk chunk_at(std::size_t index) const;

  const Ref<MemoryVolume> volume_;
  std::atomic<Timestamp> modified_;
  std::atomic<bool> locked_{false};

  mutable Mutex mutex_{Mutex::Kind::leaf};
  Condition turn_ended_;
  bool writing_ OTTLA_GUARDED_BY(mutex_) = false;  // one at a time; only it changes the next two
  std::int64_t size_ OTTLA_GUARDED_BY(mutex_) = 0;
  std::vector<Chunk> chunks_ OTTLA_GUARDED_BY(mutex_);  // as many as the size takes
};

}  // namespace env_impl
}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/env/impl/memory_content.ipp>
#endif
