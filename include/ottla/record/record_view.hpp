// SPDX-License-Identifier: Apache-2.0
//
// Records as they lie in a batch, looked at in place. A `RecordCursor` walks them and checks their
// structure on the way, without a pass of its own; a `RecordView` is valid until the cursor moves,
// what it points to as long as the payload.
//   RecordCursor records = batch.records();
//   while (const RecordView* record = records.next()) use(record->key(), record->value());
//   if (!records.ok()) return records.status();
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include <absl/status/status.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>
#include <ottla/record/batch_header.hpp>

namespace ottla::inline OTTLA_ABI {

/// One header of a record: `{.key = "id", .value = ottla::as_bytes(id)}`. Keys may be empty and may
/// repeat; a null value differs from an empty one.
struct RecordHeader {
  std::string_view key;
  std::optional<Bytes> value;
};

/// The headers of one record in their order, decoded one by one. Their structure was checked by the
/// cursor.
class RecordHeaders {
 public:
  class Iterator {
   public:
    using value_type = RecordHeader;
    using difference_type = std::ptrdiff_t;

    Iterator() = default;
    Iterator(const std::byte* at, const std::byte* end) : next_(at), end_(end) { ++*this; }
    const RecordHeader& operator*() const { return header_; }
    const RecordHeader* operator->() const { return &header_; }
    Iterator& operator++();
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    const std::byte* at_ = nullptr;
    const std::byte* next_ = nullptr;
    const std::byte* end_ = nullptr;
    RecordHeader header_;
  };

  RecordHeaders() = default;
  /// Before: `bytes` are `count` well-formed headers.
  RecordHeaders(Bytes bytes, std::size_t count) : bytes_(bytes), count_(count) {}

  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  Iterator begin() const { return Iterator(bytes_.data(), bytes_.data() + bytes_.size()); }
  Iterator end() const {
    return Iterator(bytes_.data() + bytes_.size(), bytes_.data() + bytes_.size());
  }
  /// The last one of that key, as Kafka's lastHeader.
  std::optional<RecordHeader> last(std::string_view key) const;
  /// As they are encoded, without their count.
  Bytes encoded() const { return bytes_; }

 private:
  Bytes bytes_;
  std::size_t count_ = 0;
};

/// One record. Nothing is decoded that is not asked for.
class RecordView {
 public:
  Offset offset() const { return Offset(wrapping_add(base_offset_, unzigzag(offset_delta_))); }
  /// The record's own, or the batch's where that has LogAppendTime.
  Timestamp timestamp() const {
    return Timestamp(wrapping_add(base_timestamp_, unzigzag(timestamp_delta_) & timestamp_mask_));
  }
  /// `no_sequence` where the batch has no base sequence.
  std::int32_t sequence() const { return sequence_after(base_sequence_, unzigzag(offset_delta_)); }
  /// Null differs from empty.
  std::optional<Bytes> key() const { return nullable(key_, key_size_); }
  std::optional<Bytes> value() const { return nullable(value_, value_size_); }
  RecordHeaders headers() const {
    return header_count_ == 0 ? RecordHeaders() : RecordHeaders(headers_, header_count_);
  }
  /// Of the record in the batch, its length field included.
  std::size_t encoded_size() const { return encoded_size_; }
  /// Sizes in bytes of key and value; null counts 0.
  std::size_t payload_size() const { return size_of(key_size_) + size_of(value_size_); }

 private:
  friend class RecordCursor;
  static bool is_null(std::uint32_t zigzagged) { return (zigzagged & 1) != 0; }
  static std::size_t size_of(std::uint32_t zigzagged) {
    return is_null(zigzagged) ? 0 : zigzagged >> 1;
  }
  static std::optional<Bytes> nullable(const std::byte* data, std::uint32_t zigzagged) {
    return is_null(zigzagged) ? std::nullopt : std::optional(Bytes(data, zigzagged >> 1));
  }
  static std::int64_t wrapping_add(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  }

  // Of the batch.
  std::int64_t base_offset_ = 0;
  std::int64_t base_timestamp_ = 0;   // the append time, where all records have that
  std::int64_t timestamp_mask_ = -1;  // 0 there
  std::int32_t base_sequence_ = no_sequence;
  // Of the record; deltas and sizes in zigzag form, as they are stored.
  std::uint32_t offset_delta_ = 0;
  std::uint64_t timestamp_delta_ = 0;
  const std::byte* key_ = nullptr;
  const std::byte* value_ = nullptr;
  std::uint32_t key_size_ = 1;
  std::uint32_t value_size_ = 1;
  std::uint32_t encoded_size_ = 0;
  std::uint32_t header_count_ = 0;
  Bytes headers_;  // of this record only where there are any
};

/// Walks the records of one batch. Not thread-safe. Verdicts are Kafka's: a malformed record, one
/// too few and bytes left over behind the last one are INVALID_RECORD; the records before it were
/// good.
class RecordCursor {
 public:
  RecordCursor() = default;
  /// `payload`: the records of the batch with that header, not compressed. `ending`: why the
  /// payload ends where it does, when it could not be decompressed completely.
  RecordCursor(const BatchHeader& header, Bytes payload, absl::Status ending = absl::OkStatus());

  /// The next record, valid until the next call; null at the end and at an error.
  const RecordView* next();
  /// The record that `next` answered last. Before: it answered one.
  const RecordView& current() const { return record_; }

  /// Not yet walked.
  std::int32_t remaining() const { return remaining_; }
  bool ok() const { return status_.ok(); }
  /// Ok until an error ended the walk.
  const absl::Status& status() const { return status_; }

 private:
  const RecordView* next_of_any_form();
  const RecordView* last();
  /// `count` in zigzag form.
  static bool headers_fit(const std::byte* at, const std::byte* end, std::uint32_t count);
  const RecordView* fail(std::string_view what);

  RecordView record_;
  const std::byte* at_ = nullptr;
  const std::byte* end_ = nullptr;
  std::int32_t remaining_ = 0;
  absl::Status ending_;
  absl::Status status_;
};

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/record/impl/record_walk.hpp>
#ifndef OTTLA_COMPILED
#include <ottla/record/impl/record_view.ipp>
#endif
