// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/log/producer_state.hpp>

namespace ottla::inline OTTLA_ABI {
namespace log_impl {

/// An open transaction keeps its producer. Any two timestamps are fine.
inline bool is_expired(const ProducerStateEntry& entry, Timestamp now,
                       std::chrono::milliseconds expiration) {
  std::int64_t age = 0;
  if (__builtin_sub_overflow(now.value(), entry.last_timestamp.value(), &age)) {
    age = now > entry.last_timestamp ? INT64_MAX : INT64_MIN;
  }
  return !entry.transaction_start && age >= expiration.count();
}

inline absl::Status old_epoch(const BatchHeader& batch, ProducerEpoch current) {
  return error(ErrorCode::invalid_producer_epoch,
               absl::StrCat("producer ", batch.producer_id.value(), " has epoch ", current.value(),
                            " by now; a batch of epoch ", batch.producer_epoch.value(),
                            " is from before another of its instances began"));
}

}  // namespace log_impl

OTTLA_INLINE void RecentBatches::add(const BatchMetadata& batch) {
  if (size_ == capacity) {
    std::move(batches_.begin() + 1, batches_.end(), batches_.begin());
    --size_;
  }
  batches_[size_++] = batch;
}

// ── decide ────────────────────────────────────────────────────────────────────────────────────

OTTLA_INLINE absl::Status ProducerState::check_epoch(const BatchHeader& batch,
                                                     const ProducerStateEntry& entry) const {
  return batch.producer_epoch < entry.epoch ? log_impl::old_epoch(batch, entry.epoch)
                                            : absl::OkStatus();
}

OTTLA_INLINE absl::Status ProducerState::check_sequence(const BatchHeader& batch,
                                                        const ProducerStateEntry& entry) const {
  const std::int32_t first = batch.base_sequence;
  const std::int32_t last = entry.batches.newest().last_sequence;
  const bool new_epoch = batch.producer_epoch != entry.epoch;
  const bool follows =
      new_epoch ? first == 0 : first == std::int64_t{last} + 1 || (first == 0 && last == INT32_MAX);
  if (follows || entry.epoch == no_producer_epoch) {
    return absl::OkStatus();
  }
  return error(
      ErrorCode::out_of_order_sequence_number,
      absl::StrCat("producer ", batch.producer_id.value(), ", epoch ", batch.producer_epoch.value(),
                   ": a batch with sequence ", first,
                   new_epoch ? absl::StrCat(", the first one after epoch ", entry.epoch.value())
                             : absl::StrCat(" behind ", last)));
}

OTTLA_INLINE absl::StatusOr<std::optional<BatchMetadata>> ProducerState::check(
    const BatchHeader& batch, AppendOrigin origin) const {
  const ProducerStateEntry* entry = find(batch.producer_id);
  if (entry == nullptr || origin == AppendOrigin::replication) {
    return std::nullopt;
  }
  if (origin == AppendOrigin::client) {
    if (batch.producer_epoch == entry->epoch) {
      for (const BatchMetadata& known : entry->batches.all()) {
        if (known.last_sequence == batch.last_sequence() &&
            known.first_sequence() == batch.base_sequence) {
          return known;
        }
      }
    }
    OTTLA_TRY(check_epoch(batch, *entry));
    OTTLA_TRY(check_sequence(batch, *entry));
  } else {
    OTTLA_TRY(check_epoch(batch, *entry));
  }
  if (entry->transaction_start && !batch.is_transactional()) {
    return error(
        ErrorCode::invalid_txn_state,
        absl::StrCat("producer ", batch.producer_id.value(), " has a transaction open from offset ",
                     entry->transaction_start->value(),
                     ", and sent a batch that is not of it: end it first"));
  }
  return std::nullopt;
}

OTTLA_INLINE absl::Status ProducerState::check_marker(const BatchHeader& batch,
                                                      const EndTransactionMarker& marker,
                                                      int transaction_version) const {
  const ProducerStateEntry* entry = find(batch.producer_id);
  if (entry == nullptr) {
    return absl::OkStatus();
  }
  if (transaction_version >= 2) {
    // The same epoch once more: a marker whose answer was lost.
    const bool repeated = batch.producer_epoch == entry->epoch && !entry->transaction_start;
    if (batch.producer_epoch <= entry->epoch && !repeated) {
      return log_impl::old_epoch(batch, entry->epoch);
    }
  } else {
    OTTLA_TRY(check_epoch(batch, *entry));
  }
  if (marker.coordinator_epoch < entry->coordinator_epoch) {
    return error(
        ErrorCode::transaction_coordinator_fenced,
        absl::StrCat("a marker of producer ", batch.producer_id.value(), " from coordinator epoch ",
                     marker.coordinator_epoch, ", which is ", entry->coordinator_epoch, " by now"));
  }
  return absl::OkStatus();
}

// ── apply ─────────────────────────────────────────────────────────────────────────────────────

OTTLA_INLINE void ProducerState::make_room() {
  std::vector<Offset> newest;  // of those that may go
  newest.reserve(size());
  for (const auto& [id, entry] : known_->producers) {
    if (!entry.transaction_start) {
      newest.push_back(entry.batches.newest().last_offset);
    }
  }
  const std::size_t too_many = std::min(size() - most * 9 / 10, newest.size());
  if (too_many == 0) {
    return;
  }
  const auto last = newest.begin() + static_cast<std::ptrdiff_t>(too_many - 1);
  std::nth_element(newest.begin(), last, newest.end());
  std::erase_if(known_->producers, [oldest = *last](const auto& producer) {
    const ProducerStateEntry& entry = producer.second;
    return !entry.transaction_start && entry.batches.newest().last_offset <= oldest;
  });
}

OTTLA_INLINE ProducerStateEntry& ProducerState::entry_of(ProducerId producer) {
  if (size() >= most && find(producer) == nullptr) {
    make_room();
  }
  ProducerStateEntry& entry = known().producers[producer];
  entry.producer_id = producer;
  return entry;
}

OTTLA_INLINE void ProducerState::append(const BatchHeader& batch) {
  ProducerStateEntry& entry = entry_of(batch.producer_id);
  if (batch.is_transactional() && !entry.transaction_start) {
    known_->ongoing.emplace(batch.base_offset, batch.producer_id);
    known_->unstable.undecided = known_->ongoing.begin()->first;
    entry.transaction_start = batch.base_offset;
  }
  entry.set_epoch(batch.producer_epoch);
  entry.batches.add(
      {batch.last_offset(), batch.max_timestamp, batch.last_sequence(), batch.last_offset_delta});
  entry.last_timestamp = batch.max_timestamp;
}

OTTLA_INLINE std::optional<CompletedTransaction> ProducerState::completed_by(
    const BatchHeader& batch, const EndTransactionMarker& marker) const {
  const ProducerStateEntry* entry = find(batch.producer_id);
  if (entry == nullptr || !entry->transaction_start) {
    return std::nullopt;
  }
  return CompletedTransaction{batch.producer_id, *entry->transaction_start, batch.base_offset,
                              marker.type == ControlType::abort};
}

OTTLA_INLINE void ProducerState::append(const BatchHeader& batch,
                                        const EndTransactionMarker& marker) {
  ProducerStateEntry& entry = entry_of(batch.producer_id);
  if (entry.transaction_start) {
    auto& [producers, ongoing, unstable] = *known_;
    unstable.unreplicated.push_back({*entry.transaction_start, batch.base_offset});
    const auto started = ongoing.find(*entry.transaction_start);
    if (started != ongoing.end() && started->second == batch.producer_id) {
      ongoing.erase(started);
    }
    unstable.undecided = ongoing.empty() ? std::nullopt : std::optional(ongoing.begin()->first);
    entry.transaction_start.reset();
  }
  entry.set_epoch(batch.producer_epoch);
  entry.coordinator_epoch = marker.coordinator_epoch;
  entry.last_timestamp = batch.max_timestamp;
}

OTTLA_INLINE void ProducerState::on_high_watermark(Offset high_watermark) {
  if (known_ && !known_->unstable.unreplicated.empty()) {
    std::erase_if(known_->unstable.unreplicated, [&](const UnstableOffsets::Ended& ended) {
      return ended.last_offset < high_watermark;
    });
  }
}

OTTLA_INLINE void ProducerState::on_log_start(Offset start) {
  on_high_watermark(start);
  end_ = std::max(end_, start);
}

OTTLA_INLINE bool ProducerState::remove_expired(Timestamp now,
                                                std::chrono::milliseconds expiration) {
  if (!known_) {
    return false;
  }
  const std::size_t expired = std::erase_if(known_->producers, [&](const auto& producer) {
    return log_impl::is_expired(producer.second, now, expiration);
  });
  if (empty()) {
    known_.reset();
  }
  return expired > 0;
}

OTTLA_INLINE void ProducerState::load(std::span<const ProducerStateEntry> entries, Offset end,
                                      Timestamp now, std::chrono::milliseconds expiration) {
  clear_and_start_at(end);
  for (const ProducerStateEntry& entry : entries) {
    if (log_impl::is_expired(entry, now, expiration)) {
      continue;
    }
    known().producers.emplace(entry.producer_id, entry);
    if (entry.transaction_start) {
      known_->ongoing.emplace(*entry.transaction_start, entry.producer_id);
      known_->unstable.undecided = known_->ongoing.begin()->first;
    }
  }
}

OTTLA_INLINE void ProducerState::clear_and_start_at(Offset offset) {
  known_.reset();
  end_ = offset;
}

// ── look ──────────────────────────────────────────────────────────────────────────────────────

OTTLA_INLINE ProducerState::ProducerState(const ProducerState& other)
    : known_(other.known_ ? std::make_unique<Known>(*other.known_) : nullptr), end_(other.end_) {}

OTTLA_INLINE ProducerState::Known& ProducerState::known() {
  if (!known_) {
    known_ = std::make_unique<Known>();
  }
  return *known_;
}

OTTLA_INLINE const UnstableOffsets& ProducerState::unstable() const {
  static const UnstableOffsets none;
  return known_ ? known_->unstable : none;
}

OTTLA_INLINE const ProducerStateEntry* ProducerState::find(ProducerId producer) const {
  if (!known_) {
    return nullptr;
  }
  const auto found = known_->producers.find(producer);
  return found == known_->producers.end() ? nullptr : &found->second;
}

OTTLA_INLINE ProducerId ProducerState::largest_id() const {
  ProducerId largest = no_producer_id;
  if (known_) {
    for (const auto& [id, entry] : known_->producers) {
      largest = std::max(largest, id);
    }
  }
  return largest;
}

OTTLA_INLINE std::vector<ProducerStateEntry> ProducerState::entries() const {
  std::vector<ProducerStateEntry> all;
  all.reserve(size());
  if (known_) {
    for (const auto& producer : known_->producers) {
      all.push_back(producer.second);
    }
  }
  std::sort(all.begin(), all.end(), [](const ProducerStateEntry& a, const ProducerStateEntry& b) {
    return a.producer_id < b.producer_id;
  });
  return all;
}

OTTLA_INLINE std::optional<Offset> UnstableOffsets::first(Offset high_watermark) const {
  std::optional<Offset> first = undecided;
  for (const Ended& ended : unreplicated) {
    if (ended.last_offset >= high_watermark) {
      first = std::min(first.value_or(ended.first_offset), ended.first_offset);
    }
  }
  return first;
}

OTTLA_INLINE Offset
ProducerState::last_stable_offset_after(const CompletedTransaction& completed) const {
  if (known_) {
    for (const auto& [first, producer] : known_->ongoing) {
      if (producer != completed.producer_id) {
        return first;
      }
    }
  }
  return completed.last_offset + 1;
}

}  // namespace ottla::inline OTTLA_ABI
