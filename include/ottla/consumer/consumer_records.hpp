// SPDX-License-Identifier: Apache-2.0
//
// The records of one poll, typed and iterated as a range; views into the batches that it keeps.
//   for (const auto& record : *records) use(record.topic(), *record.key(), *record.value());
//   if (!records->status().ok()) ...        // a damaged record ended the walk: nothing behind it
//   was skipped
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <ottla/consumer/record_batches.hpp>
#include <ottla/record/serde.hpp>

namespace ottla::inline OTTLA_ABI {

/// A key or value as a T. Null, and bytes that are no T, are different things.
template <HasSerde T>
class Decoded {
 public:
  explicit Decoded(std::optional<Bytes> bytes)
      : is_null_(!bytes.has_value()), value_(deserialize<T>(bytes)) {}

  bool is_null() const { return is_null_; }
  bool ok() const { return value_.ok(); }
  /// Why it is no T.
  const absl::Status& status() const { return value_.status(); }
  /// Before: ok().
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  const T* operator->() const { return &*value_; }

 private:
  bool is_null_;
  absl::StatusOr<T> value_;
};

/// Valid as long as the ConsumerRecords that it came from. Decodes what is asked for, each time it
/// is asked.
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
    explicit Iterator(const ConsumerRecords& of) : of_(&of) { enter(0); }

    value_type operator*() const { return {of_->batches_.batches()[batch_], *record_}; }
    Iterator& operator++() {
      step();
      return *this;
    }
    void operator++(int) { step(); }
    bool operator==(std::default_sentinel_t) const { return record_ == nullptr; }

   private:
    void enter(std::size_t batch) {
      const auto& batches = of_->batches_.batches();
      batch_ = batch;
      record_at_ = Offset(-1);
      if (batch_ < batches.size()) {
        cursor_ = batches[batch_].cursor;
        left_ = batches[batch_].records;
        step();
      } else {
        record_ = nullptr;
      }
    }
    void step() {
      if (left_ == 0) {
        enter(batch_ + 1);
        return;
      }
      const Offset after_last = record_at_;
      record_ = cursor_.next();
      if (record_ == nullptr) [[unlikely]] {
        of_->damaged(of_->batches_.batches()[batch_], after_last, cursor_.status());
        return;
      }
      record_at_ = record_->offset() + 1;
      --left_;
    }

    const ConsumerRecords* of_ = nullptr;
    std::size_t batch_ = 0;
    RecordCursor cursor_;
    const RecordView* record_ = nullptr;
    std::int32_t left_ = 0;
    Offset record_at_{-1};
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
  void damaged(const PolledBatch& batch, Offset at, const absl::Status& why) const {
    const Offset offset = std::max(at, batch.header.base_offset);
    batch.source->damaged_at.store(offset.value(), std::memory_order_release);
    status_ = error(ErrorCode::corrupt_message, Fault::corrupt,
                    absl::StrCat(batch.source->partition.to_string(), " at offset ", offset.value(),
                                 ": ", why.message(), "; seek behind it to go on"));
  }

  RecordBatches batches_;
  mutable absl::Status status_;
};

}  // namespace ottla::inline OTTLA_ABI
