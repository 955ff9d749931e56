// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/consumer/record_batches.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE absl::Status damage(const TopicPartition& partition, Offset at, Offset next,
                                 absl::string_view why) {
  return error(ErrorCode::corrupt_message, Fault::corrupt,
               absl::StrCat(partition.to_string(), " at offset ", at.value(), ": ", why,
                            "; seek to ", next.value(), " to go on behind it"));
}

OTTLA_INLINE absl::Status find_damage(const PolledBatch& batch) {
  RecordCursor walk = batch.cursor;
  Offset at = batch.begin;
  for (std::int32_t left = batch.records; left > 0; --left) {
    const RecordView* record = nullptr;
    const absl::Status walked = guarded([&] { record = walk.next(); });
    if (record == nullptr) {  // or no memory to say why
      batch.source->damaged_at.store(at.value(), std::memory_order_release);
      return guarded([&] {
        return damage(batch.source->partition, at, batch.header.next_offset(),
                      (walked.ok() ? walk.status() : walked).message());
      });
    }
    at = record->offset() + 1;
  }
  return absl::OkStatus();
}

OTTLA_INLINE bool RecordBatches::grow() {
  return guarded([&] {
           if (!batches_) {
             batches_ = memory_->take();
           }
           if (batches_->size() == batches_->capacity()) {
             batches_->reserve(std::max<std::size_t>(4, 2 * batches_->size()));
           }
         })
      .ok();
}

}  // namespace ottla::inline OTTLA_ABI
