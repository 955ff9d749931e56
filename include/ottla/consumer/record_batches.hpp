// SPDX-License-Identifier: Apache-2.0
//
// What a poll answered, on bytes: for each batch its memory, and where in it the walk begins.
// Nothing is stored per record; the walk decodes as far as the program looks. `ConsumerRecords<K,
// V>` is the typed view of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <ottla/base/ref.hpp>
#include <ottla/base/shared_bytes.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/base/wakeups.hpp>
#include <ottla/env/posix/process.hpp>
#include <ottla/record/batch_header.hpp>
#include <ottla/record/record_view.hpp>

namespace ottla::inline OTTLA_ABI {

/// What is the same for all batches of a partition.
struct FetchSource final : public Counted {
  explicit FetchSource(TopicPartition of) : partition(std::move(of)) {}

  const TopicPartition partition;
  /// The offset of a record that could not be walked, found by whoever iterated; -1 while there is
  /// none.
  std::atomic<std::int64_t> damaged_at{-1};
};

/// The typed error of bytes that are not what was written: where, and where reading can go on.
absl::Status damage(const TopicPartition& partition, Offset at, Offset next, absl::string_view why);

/// A batch, or a part of one.
struct PolledBatch {
  Ref<FetchSource> source;
  SharedBytes memory;  ///< owns what the cursor walks
  BatchHeader header;
  Offset begin{0};           ///< no record to be answered lies below
  RecordCursor cursor;       ///< before the first record to be answered
  std::int32_t records = 0;  ///< to be answered, from there on
};

/// Why the walk of `batch` ends early, or `no_memory`; its source knows from then on. Ok when it
/// does not. Throws nothing.
absl::Status find_damage(const PolledBatch& batch);

/// What a consumer's polls share: how many bytes of batches are still held by somebody, and a list
/// that is free to be used again. Thread-safe, but `is_full` is the polling thread's.
class PolledMemory final : public Counted {
 public:
  using List = std::vector<PolledBatch>;

  PolledMemory(std::int64_t limit, Ref<Wakeable> bell) : limit_(limit), bell_(std::move(bell)) {}
  ~PolledMemory() override { delete spare_.load(std::memory_order_acquire); }

  void add(std::int64_t bytes) { bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  void remove(std::int64_t bytes) noexcept {
    // First less, then whether somebody waits; is_full the other way round: one sees the other.
    const std::int64_t left = bytes_.fetch_sub(bytes) - bytes;
    if (left <= limit_ && is_full_.load() && is_full_.exchange(false) && process_.here()) {
      bell_->wake();
    }
  }
  std::int64_t held() const { return bytes_.load(std::memory_order_relaxed); }
  /// More than the limit is held; the bell is woken, once, when that is over.
  bool is_full() {
    if (held() <= limit_) {
      return false;
    }
    is_full_.store(true);
    if (bytes_.load() > limit_) {
      return true;
    }
    is_full_.store(false);
    return false;
  }

  std::unique_ptr<List> take() {
    std::unique_ptr<List> list(spare_.exchange(nullptr, std::memory_order_acquire));
    return list ? std::move(list) : std::make_unique<List>();
  }
  void give_back(std::unique_ptr<List> list) {
    list->clear();
    delete spare_.exchange(list.release(), std::memory_order_acq_rel);
  }

 private:
  const std::int64_t limit_;
  const Ref<Wakeable> bell_;
  const ProcessMark process_;  // a child of fork wakes nobody
  std::atomic<std::int64_t> bytes_{0};
  std::atomic<bool> is_full_{false};
  std::atomic<List*> spare_{nullptr};
};

/// Move-only; keeps its batches' memory until it is destroyed. Used by one thread at a time, any
/// thread.
class RecordBatches {
 public:
  RecordBatches() = default;
  explicit RecordBatches(Ref<PolledMemory> memory) : memory_(std::move(memory)) {}
  RecordBatches(RecordBatches&& other) noexcept
      : memory_(std::move(other.memory_)),
        batches_(std::move(other.batches_)),
        bytes_(std::exchange(other.bytes_, 0)),
        records_(std::exchange(other.records_, 0)) {}
  RecordBatches& operator=(RecordBatches&& other) noexcept {
    if (this != &other) {
      release();
      memory_ = std::move(other.memory_);
      batches_ = std::move(other.batches_);
      bytes_ = std::exchange(other.bytes_, 0);
      records_ = std::exchange(other.records_, 0);
    }
    return *this;
  }
  ~RecordBatches() { release(); }

  /// For one more; false where there is no memory. Before: made with a memory.
  bool make_room() { return (batches_ && batches_->size() < batches_->capacity()) || grow(); }
  /// Before: there is room.
  void push(PolledBatch batch) {
    const auto size = static_cast<std::int64_t>(batch.memory.size());
    bytes_ += size;
    memory_->add(size);
    records_ += batch.records;
    batches_->push_back(std::move(batch));
  }

  std::int64_t records() const { return records_; }
  std::span<const PolledBatch> batches() const {
    return batches_ ? std::span<const PolledBatch>(*batches_) : std::span<const PolledBatch>();
  }

 private:
  bool grow();
  void release() {
    if (batches_) {
      memory_->give_back(std::move(batches_));
      memory_->remove(bytes_);
    }
  }

  Ref<PolledMemory> memory_;
  std::unique_ptr<PolledMemory::List> batches_;  // none while it is empty
  std::int64_t bytes_ = 0;
  std::int64_t records_ = 0;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/consumer/impl/record_batches.ipp>
#endif
