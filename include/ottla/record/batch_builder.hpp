// SPDX-License-Identifier: Apache-2.0
//
// Writes one record batch: records are encoded straight into the batch's memory as they are
// appended, and `seal` fills in the header, compresses where asked, and computes the checksum.
//   BatchBuilder builder({.compression = CompressionType::lz4});
//   OTTLA_TRY(builder.append({.timestamp = now, .key = key, .value = value}));
//   OTTLA_ASSIGN(SealedBatch batch, builder.seal(compressor));
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/shared_bytes.hpp>
#include <ottla/base/status.hpp>
#include <ottla/base/time.hpp>
#include <ottla/record/batch_header.hpp>
#include <ottla/record/compression.hpp>
#include <ottla/record/record_view.hpp>
#include <ottla/record/sealed_batch.hpp>

namespace ottla::inline OTTLA_ABI {

/// What a record consists of, before it is encoded. Null differs from empty.
struct RecordFields {
  Timestamp timestamp = no_timestamp;
  std::optional<Bytes> key = std::nullopt;
  std::optional<Bytes> value = std::nullopt;
  std::span<const RecordHeader> headers = {};
};

/// Bytes of one encoded record, its length field included.
std::size_t record_size(std::int32_t offset_delta, std::int64_t timestamp_delta,
                        const RecordFields& record);
/// Kafka's bound for a batch of this one record, whatever its offset and timestamp: what a new
/// batch must have room for.
std::size_t batch_size_upper_bound(const RecordFields& record);

/// What a batch is, apart from its records. The defaults are a producer's.
struct BatchFields {
  Offset base_offset{0};
  LeaderEpoch leader_epoch = no_leader_epoch;
  CompressionType compression = CompressionType::none;
  std::optional<int> compression_level = std::nullopt;
  /// Every record then reads as appended at that time, whatever its own timestamp.
  std::optional<Timestamp> log_append_time = std::nullopt;
  std::optional<Timestamp> delete_horizon = std::nullopt;
  bool is_transactional = false;
  bool is_control = false;
  ProducerId producer_id = no_producer_id;
  ProducerEpoch producer_epoch = no_producer_epoch;
  std::int32_t base_sequence = no_sequence;
};

/// Not thread-safe; movable. A failed call leaves everything as it was.
class BatchBuilder {
 public:
  static constexpr std::size_t initial_capacity = 4096;

  /// Makes its buffer at the first append, of initial_capacity, and larger ones as it fills.
  explicit BatchBuilder(const BatchFields& fields = {}) : fields_(fields) {}
  /// Begins in `buffer`, for callers with a pool.
  BatchBuilder(const BatchFields& fields, Buffer buffer) : fields_(fields) {
    take(std::move(buffer));
  }

  /// At the next offset. INVALID_TIMESTAMP below -1, MESSAGE_TOO_LARGE beyond 2 GiB, no_memory.
  absl::Status append(const RecordFields& record) { return append(record, record.timestamp); }
  /// The same with `timestamp` in the place of the record's own.
  absl::Status append(const RecordFields& record, Timestamp timestamp) {
    if (timestamp < no_timestamp) [[unlikely]] {
      return bad_timestamp(timestamp);
    }
    return append_delta(next_delta_, record, timestamp);
  }
  /// At `offset`, which is above the last one by any number: for records taken from another batch,
  /// so their timestamps are not judged. INVALID_RECORD when it does not ascend.
  absl::Status append_at(Offset offset, const RecordFields& record) {
    return append_delta(difference(offset.value(), fields_.base_offset.value()), record,
                        record.timestamp);
  }

  /// The batch covers the offsets up to here, though its last record lies below (compaction).
  /// INVALID_RECORD when it is below that one. Before: at least one record.
  absl::Status set_last_offset(Offset offset);
  /// Known only when the batch is about to be sent.
  void set_producer(ProducerId id, ProducerEpoch epoch, std::int32_t base_sequence) {
    fields_.producer_id = id;
    fields_.producer_epoch = epoch;
    fields_.base_sequence = base_sequence;
  }

  bool empty() const { return count_ == 0; }
  std::int32_t record_count() const { return count_; }
  /// Of the batch when not compressed, in bytes.
  std::size_t size() const { return used_; }
  /// `size` after one more record at the next offset.
  std::size_t size_with(const RecordFields& record) const {
    return size_with(record, record.timestamp);
  }
  std::size_t size_with(const RecordFields& record, Timestamp timestamp) const {
    return size() +
           record_size(static_cast<std::int32_t>(next_delta_), timestamp_delta(timestamp), record);
  }
  std::size_t capacity() const { return buffer_.capacity(); }
  Timestamp max_timestamp() const { return max_timestamp_; }
  const BatchFields& fields() const { return fields_; }

  /// Goes on in `larger`, for callers with a pool, and gives back the buffer used so far. Before:
  /// it holds `size()` bytes.
  Buffer move_to(Buffer larger);

  /// The finished batch; after: this is empty, with the same fields. INVALID_RECORD when there is
  /// no record, or the producer fields do not fit together. Of an uncompressed batch the buffer
  /// goes along, no byte is copied.
  absl::StatusOr<SealedBatch> seal();
  /// Of any batch; a compressed one gets memory of its exact size, and the buffer stays here for
  /// the next.
  absl::StatusOr<SealedBatch> seal(Compressor& compressor);

 private:
  /// Wraps around, as it does when it is read again.
  static std::int64_t difference(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
  }
  Timestamp base_timestamp() const { return fields_.delete_horizon.value_or(first_timestamp_); }
  std::int64_t timestamp_delta(Timestamp timestamp) const {
    const bool is_base = count_ == 0 && !fields_.delete_horizon.has_value();
    return is_base ? 0 : difference(timestamp.value(), base_timestamp().value());
  }
  absl::Status append_delta(std::int64_t delta, const RecordFields& record, Timestamp timestamp);
  void take(Buffer buffer);
  absl::Status make_room(std::size_t record_size);
  static absl::Status bad_timestamp(Timestamp timestamp);
  absl::Status bad_offset(std::int64_t delta) const;
  absl::Status check_fields() const;
  void write_header(std::byte* to, std::size_t payload_size) const;
  void clear();

  BatchFields fields_;
  Buffer buffer_;
  std::size_t room_ = batch_header_size;  // bytes of the buffer that may be used
  std::size_t used_ = batch_header_size;
  std::int64_t next_delta_ = 0;
  Timestamp first_timestamp_ = no_timestamp;
  Timestamp max_timestamp_ = no_timestamp;
  std::int32_t count_ = 0;
};

/// What compaction leaves of a batch whose records are all gone, to keep its offsets and its
/// producer's sequence: a header alone. Empty when memory cannot be had.
SealedBatch emptied_batch(const BatchHeader& of);

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/record/impl/record_encode.hpp>
#ifndef OTTLA_COMPILED
#include <ottla/record/impl/batch_builder.ipp>
#endif
