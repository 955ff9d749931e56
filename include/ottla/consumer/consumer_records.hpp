// SPDX-License-Identifier: Apache-2.0
//
// The records of one poll, typed and iterated as a range; views into the batches that it keeps.
//   for (const auto& record : *records) use(record.topic(), *record.key(), *record.value());
//   if (!records->status().ok()) ...  // a damaged record ended the walk, nothing was skipped
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include <absl/status/statusor.h>

#include <ottla/base/guard.hpp>
#include <ottla/consumer/record_batches.hpp>
#include <ottla/record/serde.hpp>

namespace ottla::inline OTTLA_ABI {

/// A key or value as a T. Null, and bytes that are no T, are different things; both read as an
/// empty T.
template <HasSerde T>
requires std::default_initializable<T>
class Decoded {
 public:
  explicit Decoded(std::optional<Bytes> bytes) : is_null_(!bytes.has_value()) {
    if (absl::StatusOr<T> value = guarded([&] { return deserialize<T>(bytes); }); value.ok())
        [[likely]] {
      value_ = *std::move(value);
    } else {
      status_ = std::move(value).status();
    }
  }

  bool is_null() const { return is_null_; }
  bool ok() const { return status_.ok(); }
  /// Why it is no T.
  const absl::Status& status() const { return status_; }
  const T& operator*() const& { return value_; }
  T operator*() && { return std::move(value_); }
  const T* operator->() const { return &value_; }

 private:
  bool is_null_;
  T value_{};
  absl::Status status_;
};

/// Valid until the iterator that it came from moves on; what it points to, as long as the
/// ConsumerRecords. Decodes what is asked for, each time it is asked.
template <HasSerde K, HasSerde V>
class ConsumerRecord {
 public:
  ConsumerRecord(const PolledBatch& batch, const RecordView& record)
      : batch_(&batch), record_(&record) {}

  std::string_view topic() const { return batch_->source->partition.topic; }
  PartitionId partition() const { return batch_->source->partition.partition; }
  Offset offset() const { return record_->offset(); }
  Timestamp timestamp() const { return record_->timestamp(); }
  TimestampType timestamp_type() const { return batch_->header.timestamp_type(); }
  LeaderEpoch leader_epoch() const { return batch_->header.leader_epoch; }
  Decoded<K> key() const { return Decoded<K>(record_->key()); }
  Decoded<V> value() const { return Decoded<V>(record_->value()); }
  RecordHeaders headers() const { return record_->headers(); }
  /// Key and value as they are stored.
  std::optional<Bytes> raw_key() const { return record_->key(); }
  std::optional<Bytes> raw_value() const { return record_->value(); }

 private:
  const PolledBatch* batch_;
  const RecordView* record_;
};

/// Move-only. Partitions ascend, offsets ascend within each.
template <HasSerde K, HasSerde V>
class ConsumerRecords {
 public:
  class Iterator {
   public:
    using value_type = ConsumerRecord<K, V>;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    using pointer = void;
    using reference = value_type;

    Iterator() = default;
    explicit Iterator(const ConsumerRecords& of)
        : of_(&of),
          batch_(of.batches_.batches().data()),
          end_(batch_ + of.batches_.batches().size()) {
      enter();
    }

    value_type operator*() const { return {*batch_, cursor_.current()}; }
    Iterator& operator++() {
      step();
      return *this;
    }
    void operator++(int) { step(); }
    bool operator==(std::default_sentinel_t) const { return batch_ == end_; }

   private:
    void enter() {
      if (batch_ != end_) {
        cursor_ = batch_->cursor;
        left_ = batch_->records;  // at least one
        step();
      }
    }
    void step() {
      if (left_ == 0) {
        ++batch_;
        enter();
      } else if (advance()) [[likely]] {
        --left_;
      } else {
        of_->status_ = find_damage(*batch_);
        batch_ = end_;
      }
    }

    /// False also where there is no memory to say what is damaged: find_damage sees to that. Not
    /// `guarded`, which costs a call per record.
    bool advance() {
#if OTTLA_EXCEPTIONS
      try {
        return cursor_.next() != nullptr;
      } catch (const std::bad_alloc&) {
        return false;
      }
#else
      return cursor_.next() != nullptr;
#endif
    }

    const ConsumerRecords* of_ = nullptr;
    const PolledBatch* batch_ = nullptr;
    const PolledBatch* end_ = nullptr;
    RecordCursor cursor_;
    std::int32_t left_ = 0;
  };

  ConsumerRecords() = default;
  explicit ConsumerRecords(RecordBatches batches) : batches_(std::move(batches)) {}

  Iterator begin() const { return Iterator(*this); }
  std::default_sentinel_t end() const { return std::default_sentinel; }

  std::int64_t count() const { return batches_.records(); }
  bool empty() const { return count() == 0; }
  /// Ok until a walk met a damaged record; then which, and what to do.
  const absl::Status& status() const { return status_; }

 private:
  RecordBatches batches_;
  mutable absl::Status status_;
};

}  // namespace ottla::inline OTTLA_ABI
