// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <ottla/consumer/aborted_batches.hpp>
#include <ottla/record/control_record.hpp>

namespace ottla::inline OTTLA_ABI {
namespace consumer_impl {

inline bool is_abort(const BatchView& batch) {
  RecordCursor records = batch.records();
  const RecordView* record = batch.header().is_control() ? records.next() : nullptr;
  if (record == nullptr) {
    return false;
  }
  const auto type = parse_control_type(record->key());
  return type.ok() && *type == ControlType::abort;
}

}  // namespace consumer_impl

OTTLA_INLINE void AbortedBatches::begin(std::span<const AbortedRange> aborted) {
  next_ = 0;
  hidden_.clear();
  transactions_.assign(aborted.begin(), aborted.end());
  std::sort(
      transactions_.begin(), transactions_.end(),
      [](const AbortedRange& a, const AbortedRange& b) { return a.first_offset < b.first_offset; });
}

OTTLA_INLINE bool AbortedBatches::hides(const BatchView& batch) {
  const BatchHeader& header = batch.header();
  for (; next_ < transactions_.size() && transactions_[next_].first_offset <= header.last_offset();
       ++next_) {
    hidden_.push_back(transactions_[next_].producer_id);
  }
  const auto its = std::find(hidden_.begin(), hidden_.end(), header.producer_id);
  if (its == hidden_.end()) {
    return false;
  }
  if (consumer_impl::is_abort(batch)) {
    hidden_.erase(its);
  }
  return header.is_transactional();
}

}  // namespace ottla::inline OTTLA_ABI
