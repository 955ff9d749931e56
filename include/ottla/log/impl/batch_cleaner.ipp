// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <utility>

#include <ottla/base/status.hpp>
#include <ottla/log/batch_cleaner.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE absl::StatusOr<std::optional<ControlType>> control_type_of(
    const BatchView& batch, Decompressor& decompressor) {
  RecordCursor records = batch.records(decompressor);
  const RecordView* record = records.next();
  if (record == nullptr) {
    OTTLA_TRY(records.status());
    return std::nullopt;
  }
  OTTLA_ASSIGN(const ControlType type, parse_control_type(record->key()));
  return std::optional(type);
}

OTTLA_INLINE absl::StatusOr<bool> map_batch(const BatchView& batch, Offset from, OffsetMap& map,
                                            CleanedTransactions& transactions,
                                            Decompressor& decompressor) {
  const BatchHeader& header = batch.header();
  if (header.is_control()) {
    OTTLA_ASSIGN(const auto type, control_type_of(batch, decompressor));
    transactions.on_control_batch(header, type);
  } else if (!transactions.on_batch(header)) {
    RecordCursor records = batch.records(decompressor);
    while (const RecordView* record = records.next()) {
      const auto key = record->key();
      if (!key || record->offset() < from) {
        continue;
      }
      if (map.full()) {
        return false;
      }
      map.put(*key, record->offset());
    }
    OTTLA_TRY(records.status());
  }
  if (header.last_offset() >= from) {
    map.advance(header.last_offset());
  }
  return true;
}

OTTLA_INLINE bool BatchCleaner::is_last_of_producer(const BatchHeader& header) const {
  if (!header.has_producer_id()) {
    return false;
  }
  const auto found = rules_.producers.find(header.producer_id);
  if (found == rules_.producers.end()) {
    return false;
  }
  const LastRecord& last = found->second;
  return last.last_data ? header.last_offset() == *last.last_data
                        : header.is_control() && header.producer_epoch == last.epoch;
}

/// Of a batch whose records are not all discarded.
OTTLA_INLINE bool BatchCleaner::is_kept(const BatchHeader& header, const RecordView& record) const {
  if (header.is_control() || record.offset() > rules_.map.latest()) {
    return true;
  }
  const auto key = record.key();
  if (!key) {
    return false;
  }
  const auto latest = rules_.map.find(*key);
  if (latest && record.offset() < *latest) {
    return false;
  }
  const auto horizon = header.delete_horizon();
  return record.value().has_value() || !horizon || rules_.now < *horizon;
}

OTTLA_INLINE auto BatchCleaner::choose(const BatchHeader& header, RecordCursor records)
    -> absl::StatusOr<Choice> {
  Choice choice;
  keep_.clear();
  while (const RecordView* record = records.next()) {
    const bool kept = is_kept(header, *record);
    keep_.push_back(kept);
    ++choice.records;
    choice.kept += std::size_t{kept};
    choice.tombstones = choice.tombstones || (kept && !record->value());
  }
  OTTLA_TRY(records.status());
  return choice;
}

OTTLA_INLINE absl::StatusOr<CleanedBatch> BatchCleaner::clean(const BatchView& batch) {
  const BatchHeader& header = batch.header();
  CleanedBatch left;
  bool discard = false;  // all of its records
  bool ends_empty_transaction = false;
  if (header.is_control()) {
    OTTLA_ASSIGN(const auto type, control_type_of(batch, decompressor_));
    const auto marker = transactions_.on_control_batch(header, type);
    left.aborted = marker.aborted;
    ends_empty_transaction = marker.discardable;
    const auto horizon = header.delete_horizon();
    discard = marker.discardable && horizon && *horizon <= rules_.now;
  } else {
    discard = transactions_.on_batch(header);
  }
  const bool stays = is_last_of_producer(header) || header.next_offset() == rules_.round_end;
  if (discard && !stays) {
    return left;
  }
  Choice choice;
  RecordCursor records;
  if (!discard) {
    records = batch.records(decompressor_);
    OTTLA_ASSIGN(choice, choose(header, records));
  }
  left.kept = choice.kept;
  if (choice.kept > 0) {
    const bool sets_horizon =
        (choice.tombstones || ends_empty_transaction) && !header.delete_horizon();
    if (choice.kept == choice.records && !sets_horizon) {
      left.bytes = batch.bytes();
      return left;
    }
    std::optional<Timestamp> horizon = header.delete_horizon();
    if (sets_horizon) {
      horizon = Timestamp(checked_add(rules_.now.value(), rules_.delete_retention.count())
                              .value_or(std::numeric_limits<std::int64_t>::max()));
    }
    OTTLA_ASSIGN(left.owned, rebuild(header, records, horizon));
  } else if (stays) {
    left.owned = emptied_batch(header).freeze();
    if (left.owned.empty()) {
      return error(Fault::no_memory, "no memory for an emptied batch");
    }
  }
  left.bytes = left.owned.bytes();
  return left;
}

OTTLA_INLINE absl::StatusOr<SharedBytes> BatchCleaner::rebuild(const BatchHeader& header,
                                                               RecordCursor records,
                                                               std::optional<Timestamp> horizon) {
  BatchBuilder builder({.base_offset = header.base_offset,
                        .leader_epoch = header.leader_epoch,
                        .compression = header.compression(),
                        .log_append_time = header.timestamp_type() == TimestampType::log_append_time
                                               ? std::optional(header.max_timestamp)
                                               : std::nullopt,
                        .delete_horizon = horizon,
                        .is_transactional = header.is_transactional(),
                        .is_control = header.is_control(),
                        .producer_id = header.producer_id,
                        .producer_epoch = header.producer_epoch,
                        .base_sequence = header.base_sequence});
  for (std::size_t i = 0; const RecordView* record = records.next(); ++i) {
    if (!keep_[i]) {
      continue;
    }
    headers_.clear();
    for (const RecordHeader& its : record->headers()) {
      headers_.push_back(its);
    }
    OTTLA_TRY(builder.append_at(record->offset(), {.timestamp = record->timestamp(),
                                                   .key = record->key(),
                                                   .value = record->value(),
                                                   .headers = headers_}));
  }
  OTTLA_TRY(builder.set_last_offset(header.last_offset()));
  OTTLA_ASSIGN(SealedBatch sealed, builder.seal(compressor_));
  return std::move(sealed).freeze();
}

}  // namespace ottla::inline OTTLA_ABI
