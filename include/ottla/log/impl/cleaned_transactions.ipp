// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <ottla/log/cleaned_transactions.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE CleanedTransactions::CleanedTransactions(
    const std::vector<AbortedTransaction>& aborted, Offset from) {
  for (const AbortedTransaction& transaction : aborted) {
    if (transaction.last_offset >= from) {
      aborted_.push_back(transaction);
    }
  }
  std::sort(aborted_.begin(), aborted_.end(),
            [](const auto& a, const auto& b) { return a.first_offset < b.first_offset; });
}

OTTLA_INLINE void CleanedTransactions::begin_up_to(Offset offset) {
  while (begun_ < aborted_.size() && aborted_[begun_].first_offset <= offset) {
    const AbortedTransaction& transaction = aborted_[begun_++];
    ongoing_.emplace(transaction.producer_id, Ongoing{transaction});
  }
}

OTTLA_INLINE bool CleanedTransactions::on_batch(const BatchHeader& header) {
  begin_up_to(header.last_offset());
  if (!header.is_transactional()) {
    return false;
  }
  if (const auto found = ongoing_.find(header.producer_id); found != ongoing_.end()) {
    found->second.seen = true;
    return true;
  }
  committed_.insert(header.producer_id);
  return false;
}

OTTLA_INLINE CleanedTransactions::Marker CleanedTransactions::on_control_batch(
    const BatchHeader& header, std::optional<ControlType> type) {
  begin_up_to(header.last_offset());
  if (!type) {
    return {.discardable = true};
  }
  if (*type == ControlType::commit) {
    return {.discardable = committed_.erase(header.producer_id) == 0};
  }
  if (*type != ControlType::abort) {
    return {};
  }
  const auto ended = ongoing_.extract(header.producer_id);
  if (ended && ended.mapped().seen) {
    return {.discardable = false, .aborted = ended.mapped().transaction};
  }
  return {.discardable = true};
}

}  // namespace ottla::inline OTTLA_ABI
