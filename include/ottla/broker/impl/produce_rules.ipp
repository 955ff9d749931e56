// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/broker/impl/recompress.hpp>
#include <ottla/broker/produce_rules.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/record/compression.hpp>

namespace ottla::inline OTTLA_ABI {
namespace broker_impl {

inline absl::Status invalid_record(std::string_view why) {
  return error(ErrorCode::invalid_record, Fault::invalid_argument, why);
}

/// How far `a` lies ahead of `b`; any two timestamps are fine.
inline std::int64_t ahead(Timestamp a, Timestamp b) {
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(a.value(), b.value(), &difference)) {
    return a > b ? INT64_MAX : INT64_MIN;
  }
  return difference;
}

inline absl::Status check_size(std::size_t size, const TopicConfig& config) {
  if (static_cast<std::int64_t>(size) > config.max_message_bytes) {
    return error(ErrorCode::message_too_large,
                 absl::StrCat("a batch of ", size, " bytes is larger than max.message.bytes (",
                              config.max_message_bytes, "); raise that, or lower batch.size"));
  }
  if (static_cast<std::int64_t>(size) > config.log.segment_bytes) {
    return error(ErrorCode::record_list_too_large,
                 absl::StrCat("a batch of ", size, " bytes is larger than segment.bytes (",
                              config.log.segment_bytes, "); raise that, or lower batch.size"));
  }
  return absl::OkStatus();
}

inline absl::Status check_attributes(const BatchHeader& header) {
  namespace bit = batch_attribute;
  if (header.is_control()) {
    return invalid_record("control batches are the broker's own");
  }
  constexpr std::int16_t known = bit::codec_mask | bit::log_append_time | bit::transactional;
  if ((header.attributes & ~known) != 0) {
    return invalid_record("the batch has attributes that producers do not set");
  }
  if (!is_known(header.compression())) {
    return error(ErrorCode::unsupported_compression_type, "the batch names no codec of Kafka's");
  }
  if (header.timestamp_type() == TimestampType::log_append_time) {
    return error(ErrorCode::invalid_timestamp, "LogAppendTime is the broker's to set");
  }
  if (header.is_transactional()) {
    return error(ErrorCode::invalid_txn_state, Fault::unsupported,
                 "transactions are not there yet: send without a transactional id");
  }
  return absl::OkStatus();
}

inline absl::Status check_numbers(const BatchHeader& header) {
  if (header.base_offset != Offset(0)) {
    return invalid_record("a batch to be appended begins at offset 0");
  }
  if (header.record_count <= 0 ||
      std::int64_t{header.last_offset_delta} + 1 != header.record_count) {
    return invalid_record("the batch's offsets do not fit the number of its records");
  }
  if (header.producer_id < no_producer_id ||
      (header.has_producer_id() && header.base_sequence < 0)) {
    return invalid_record("a batch of a producer with an id has a sequence number");
  }
  return absl::OkStatus();
}

/// What a walk found. Timestamps come first: with one wrong, that is the answer.
struct WalkedRecords {
  Timestamp largest = no_timestamp;
  std::int64_t count = 0;
  std::int64_t without_key = 0;
  std::int64_t wrong_time = 0;
  std::int64_t first_without_key = 0;
  std::int64_t first_wrong_time = 0;
  Timestamp wrong;  // of that one
  bool dense = true;
};

inline bool is_wrong(Timestamp time, const TopicConfig& config, Timestamp now) {
  return config.timestamp_type == TimestampType::create_time && time != no_timestamp &&
         (ahead(now, time) > config.timestamp_before_max.count() ||
          ahead(time, now) > config.timestamp_after_max.count());
}

inline absl::StatusOr<WalkedRecords> walk(const BatchView& batch, const TopicConfig& config,
                                          Timestamp now, Decompressor& decompressor) {
  WalkedRecords found;
  RecordCursor records = batch.records(decompressor);
  while (const RecordView* record = records.next()) {
    const Timestamp time = record->timestamp();
    found.largest = std::max(found.largest, time);
    if (is_wrong(time, config, now) && found.wrong_time++ == 0) {
      found.first_wrong_time = found.count;
      found.wrong = time;
    }
    if (config.log.compact && !record->key() && found.without_key++ == 0) {
      found.first_without_key = found.count;
    }
    found.dense = found.dense && record->offset().value() == found.count;
    ++found.count;
  }
  OTTLA_TRY(records.status());
  return found;
}

inline absl::Status judge(const WalkedRecords& found, Timestamp now) {
  if (found.wrong_time > 0) {
    return error(ErrorCode::invalid_timestamp, Fault::invalid_argument,
                 absl::StrCat("record ", found.first_wrong_time, " of the batch has timestamp ",
                              found.wrong.value(), ", and the broker's clock says ", now.value(),
                              " (", found.wrong_time,
                              " such records): see message.timestamp.before.max.ms and "
                              "message.timestamp.after.max.ms"));
  }
  if (found.without_key > 0) {
    return invalid_record(absl::StrCat("record ", found.first_without_key,
                                       " of the batch has no key (", found.without_key,
                                       " such records), and the topic is compacted: give it one"));
  }
  return absl::OkStatus();
}

/// Whether the topic says anything that the header cannot answer.
inline bool asks_about_records(const TopicConfig& config, const BatchHeader& header,
                               Timestamp now) {
  return config.log.compact ||
         (config.timestamp_type == TimestampType::create_time &&
          (config.timestamp_before_max != std::chrono::milliseconds::max() ||
           ahead(header.max_timestamp, now) > config.timestamp_after_max.count()));
}

/// Of a batch that somebody else built: everything in it.
inline absl::StatusOr<WalkedRecords> check_foreign(const BatchView& batch,
                                                   const TopicConfig& config, Timestamp now) {
  OTTLA_TRY(batch.verify());
  OTTLA_TRY(check_codec(batch.header().compression()));
  Decompressor decompressor(wire_decompression_limits);
  OTTLA_ASSIGN(const WalkedRecords found, walk(batch, config, now, decompressor));
  if (!found.dense) {
    return invalid_record("the offsets of the batch's records are not 0, 1, 2 and so on");
  }
  return found;
}

}  // namespace broker_impl

OTTLA_INLINE absl::Status check_replicas(Acks acks, const TopicConfig& config) {
  return acks != Acks::all || config.min_insync_replicas <= 1
             ? absl::OkStatus()
             : error(ErrorCode::not_enough_replicas,
                     absl::StrCat("min.insync.replicas is ", config.min_insync_replicas,
                                  ", and a partition has one replica; lower it, or use acks=1"));
}

OTTLA_INLINE absl::StatusOr<ProducedBatch> check_produced(SealedBatch& batch,
                                                          const TopicConfig& config, Timestamp now,
                                                          BatchOrigin origin) {
  const Bytes bytes = batch.bytes();
  const ScannedBatch scanned = scan_batch(bytes, bytes.size());
  if (scanned.verdict != BatchVerdict::whole) {
    return batch_error(scanned.verdict, "a produced batch", 0);
  }
  const BatchView view(bytes);
  BatchHeader header = view.header();
  if (header.size() != bytes.size()) {
    return broker_impl::invalid_record("a produce request carries exactly one batch");
  }
  OTTLA_TRY(broker_impl::check_size(bytes.size(), config));
  OTTLA_TRY(broker_impl::check_numbers(header));
  OTTLA_TRY(broker_impl::check_attributes(header));
  Timestamp largest = header.max_timestamp;
  if (origin == BatchOrigin::elsewhere) {
    OTTLA_ASSIGN(const auto found, broker_impl::check_foreign(view, config, now));
    OTTLA_TRY(broker_impl::judge(found, now));
    largest = found.largest;
  } else if (broker_impl::asks_about_records(config, header, now)) {
    Decompressor decompressor;
    OTTLA_ASSIGN(const auto found, broker_impl::walk(view, config, now, decompressor));
    OTTLA_TRY(broker_impl::judge(found, now));
  }
  if (broker_impl::is_recompressed(config, header)) {
    OTTLA_ASSIGN(SealedBatch anew, broker_impl::recompress(view, config));
    OTTLA_TRY(broker_impl::check_size(anew.size(), config));
    header = BatchHeader::parse(anew.bytes());
    batch = std::move(anew);
  }
  if (config.timestamp_type == TimestampType::log_append_time) {
    stamp_max_timestamp(batch.mutable_bytes(), TimestampType::log_append_time, now);
    return ProducedBatch{header.last_offset_delta, now, now};
  }
  if (largest != header.max_timestamp) {
    stamp_max_timestamp(batch.mutable_bytes(), TimestampType::create_time, largest);
  }
  return ProducedBatch{header.last_offset_delta, largest};
}

OTTLA_INLINE void unstamp(SealedBatch& batch) {
  batch.stamp(Offset(0), no_leader_epoch);
  const MutableBytes bytes = batch.mutable_bytes();
  const auto attributes = load_big_endian<std::int16_t>(bytes.data() + batch_position::attributes);
  if ((attributes & batch_attribute::log_append_time) == 0) {
    return;
  }
  // The records still have their own times, and can be read again once the bit is gone.
  stamp_max_timestamp(bytes, TimestampType::create_time, no_timestamp);
  Decompressor decompressor;
  Timestamp largest = no_timestamp;
  RecordCursor records = BatchView(bytes).records(decompressor);
  while (const RecordView* record = records.next()) {
    largest = std::max(largest, record->timestamp());
  }
  stamp_max_timestamp(bytes, TimestampType::create_time, largest);
}

}  // namespace ottla::inline OTTLA_ABI
