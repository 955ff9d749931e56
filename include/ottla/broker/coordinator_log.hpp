// SPDX-License-Identifier: Apache-2.0
//
// The records of a coordinator, as its partition has them.
#pragma once

#include <algorithm>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

#include <ottla/base/skipped_range.hpp>
#include <ottla/base/status.hpp>
#include <ottla/protocol/decision.hpp>
#include <ottla/protocol/fetch.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/record/control_record.hpp>

namespace ottla::inline OTTLA_ABI {

namespace broker_impl {

/// A transaction's records say whose they are, and so does its marker, which has nothing else to
/// say.
inline absl::Status load_record(const BatchHeader& header, const RecordView& record,
                                absl::FunctionRef<absl::Status(const WrittenRecord&)> take) {
  WrittenRecord written{.offset = record.offset()};
  if (header.is_transactional()) {
    written.producer = header.producer_id;
  }
  if (!header.is_control()) {
    written.key = record.key();
    written.value = record.value();
    return take(written);
  }
  OTTLA_ASSIGN(const ControlType type, parse_control_type(record.key()));
  if (type != ControlType::commit && type != ControlType::abort) {
    return absl::OkStatus();
  }
  written.marker =
      type == ControlType::commit ? TransactionMarker::commit : TransactionMarker::abort;
  return take(written);
}

inline absl::Status load_slice(const Slice& slice, Decompressor& decompressor, Offset& next,
                               absl::FunctionRef<absl::Status(const WrittenRecord&)> take) {
  BatchCursor batches(slice.bytes.bytes(), "a coordinator's log", CheckCrc::skip);
  while (const BatchView* batch = batches.next()) {
    RecordCursor records = batch->records(decompressor);
    while (const RecordView* record = records.next()) {
      if (record->offset() >= next) {
        OTTLA_TRY(load_record(batch->header(), *record, take));
      }
    }
    OTTLA_TRY(records.status());
    next = std::max(next, batch->header().next_offset());
  }
  return batches.status();
}

}  // namespace broker_impl

/// Calls `take` for each record from `next` on; `next` is behind the last one then. Ends with the
/// first error.
template <class Partition>
absl::Status load_records(Partition& partition, Offset& next,
                          absl::FunctionRef<absl::Status(const WrittenRecord&)> take) {
  Decompressor decompressor;
  for (;;) {
    FetchedPartition fetched;
    partition.fetch({.topic_id = partition.topic_id(),
                     .partition = partition.partition().partition,
                     .offset = next},
                    std::size_t{1} << 20, true, fetched);
    if (const auto goes_on = reading_goes_on(fetched.status)) {
      next = *goes_on;  // its owner was told when that was taken out
      continue;
    }
    OTTLA_TRY(fetched.status);
    const Offset before = next;
    for (const Slice& slice : fetched.slices) {
      OTTLA_TRY(broker_impl::load_slice(slice, decompressor, next, take));
    }
    if (next == before) {
      return absl::OkStatus();
    }
  }
}

}  // namespace ottla::inline OTTLA_ABI
