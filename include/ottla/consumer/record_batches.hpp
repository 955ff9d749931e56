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
/// that is free to be used again. Thread-safe.
class PolledMemory final : public Counted {
 public:
  using List = std::vector<PolledBatch>;

  PolledMemory() = default;
  ~PolledMemory() override { delete spare_.load(std::memory_order_acquire); }

  void add(std::int64_t bytes) { bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  std::int64_t held() const { return bytes_.load(std::memory_order_relaxed); }

  std::unique_ptr<List> take() {
    std::unique_ptr<List> list(spare_.exchange(nullptr, std::memory_order_acquire));
    return list ? std::move(list) : std::make_unique<List>();
  }
  void give_back(std::unique_ptr<List> list) {
    list->clear();
    delete spare_.exchange(list.release(), std::memory_order_acq_rel);
  }

 private:
  std::atomic<std::int64_t> bytes_{0};
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
      memory_->add(-bytes_);
      memory_->give_back(std::move(batches_));
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
