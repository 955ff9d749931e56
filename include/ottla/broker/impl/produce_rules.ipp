// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/broker/produce_rules.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/record/compression.hpp>

namespace ottla::inline OTTLA_ABI {
namespace broker_impl {

inline absl::Status check_header(const BatchHeader& header, std::size_t size,
                                 const TopicConfig& config) {
  const auto refuse = [](std::string_view why) {
    return error(ErrorCode::invalid_record, Fault::invalid_argument, why);
  };
  if (header.size() != size) {
    return refuse("a produce request carries exactly one batch");
  }
  if (static_cast<std::int64_t>(size) > config.max_message_bytes) {
    return error(ErrorCode::message_too_large,
                 absl::StrCat("a batch of ", size, " bytes is larger than max.message.bytes (",
                              config.max_message_bytes, "); raise that, or lower batch.size"));
  }
  if (header.base_offset != Offset(0)) {
    return refuse("a batch to be appended begins at offset 0");
  }
  if (header.is_control()) {
    return refuse("control batches are the broker's own");
  }
  if (header.record_count <= 0 ||
      std::int64_t{header.last_offset_delta} + 1 != header.record_count) {
    return refuse("the batch's offsets do not fit the number of its records");
  }
  if (header.has_producer_id() && header.base_sequence < 0) {
    return refuse("a batch of a producer with an id has a sequence number");
  }
  if (!is_known(header.compression())) {
    return error(ErrorCode::unsupported_compression_type, "the batch names no codec of Kafka's");
  }
  if (header.timestamp_type() == TimestampType::log_append_time) {
    return error(ErrorCode::invalid_timestamp, "LogAppendTime is the broker's to set");
  }
  return absl::OkStatus();
}

inline bool asks_about_records(const TopicConfig& config, const BatchHeader& header,
                               Timestamp now) {
  if (config.log.compact) {
    return true;
  }
  if (config.timestamp_type == TimestampType::log_append_time) {
    return false;
  }
  // The largest timestamp and the first one tell when no record can be out of bounds.
  const bool may_be_old = config.timestamp_before_max != std::chrono::milliseconds::max();
  return may_be_old || header.max_timestamp - now > config.timestamp_after_max.count();
}

inline absl::Status check_records(const BatchView& batch, const TopicConfig& config,
                                  Timestamp now) {
  Decompressor decompressor;
  RecordCursor records = batch.records(decompressor);
  int index = 0;
  while (const RecordView* record = records.next()) {
    if (config.log.compact && !record->key()) {
      return error(ErrorCode::invalid_record, Fault::invalid_argument,
                   absl::StrCat("record ", index,
                                " has no key, and the topic is compacted: "
                                "give it one"));
    }
    const bool timed =
        config.timestamp_type == TimestampType::create_time && record->timestamp() != no_timestamp;
    const bool too_old = timed && config.timestamp_before_max != std::chrono::milliseconds::max() &&
                         now - record->timestamp() > config.timestamp_before_max.count();
    if (too_old || (timed && record->timestamp() - now > config.timestamp_after_max.count())) {
      return error(ErrorCode::invalid_timestamp, Fault::invalid_argument,
                   absl::StrCat("record ", index, " has timestamp ", record->timestamp().value(),
                                ", and the broker's clock says ", now.value(),
                                ": see message.timestamp.before.max.ms and .after.max.ms"));
    }
    ++index;
  }
  return records.status();
}

}  // namespace broker_impl

OTTLA_INLINE absl::Status check_produced(SealedBatch& batch, const TopicConfig& config,
                                         Timestamp now, bool trusted) {
  const Bytes bytes = batch.bytes();
  const ScannedBatch scanned = scan_batch(bytes, bytes.size());
  if (scanned.verdict != BatchVerdict::whole) {
    return batch_error(scanned.verdict, "a produced batch", 0);
  }
  const BatchView view(bytes);
  OTTLA_TRY(broker_impl::check_header(view.header(), bytes.size(), config));
  if (!trusted) {
    OTTLA_TRY(view.verify());
  }
  if (broker_impl::asks_about_records(config, view.header(), now)) {
    OTTLA_TRY(broker_impl::check_records(view, config, now));
  }
  if (config.timestamp_type == TimestampType::log_append_time) {
    stamp_max_timestamp(batch.mutable_bytes(), TimestampType::log_append_time, now);
  }
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
