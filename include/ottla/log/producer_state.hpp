// SPDX-License-Identifier: Apache-2.0
//
// What a partition knows of its producers: Kafka's ProducerStateManager without its files (spec
// storage.md sections 13 to 15). A rule machine: `check` decides and changes nothing, `append` is
// what was decided, in live traffic and in recovery.
//   auto duplicate = producers.check(header, AppendOrigin::client);   // or why not
//   if (duplicate.ok() && !*duplicate) producers.append(stamped_header);
// No clock, no file, no thread; not thread-safe. What allocates does it before it changes anything.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>
#include <ottla/record/batch_header.hpp>
#include <ottla/record/control_record.hpp>

namespace ottla::inline OTTLA_ABI {

/// Who appends, and so how much is asked.
enum class AppendOrigin : std::uint8_t {
  client,       ///< a produce request: epochs and sequences
  coordinator,  ///< of groups or transactions: epochs only
  replication,  ///< what a leader accepted, or recovery finds: nothing
};

/// A batch that was appended, as long as it is remembered.
struct BatchMetadata {
  Offset last_offset{-1};
  Timestamp timestamp = no_timestamp;  ///< the batch's largest
  std::int32_t last_sequence = no_sequence;
  std::int32_t offset_delta = 0;  ///< records in it, less one

  Offset first_offset() const { return last_offset - offset_delta; }
  std::int32_t first_sequence() const { return decrement_sequence(last_sequence, offset_delta); }
  bool operator==(const BatchMetadata&) const = default;
};

/// Of one producer and epoch, the newest ones: as many as may be in flight.
class RecentBatches {
 public:
  static constexpr std::size_t capacity = 5;

  bool empty() const { return size_ == 0; }
  /// Oldest first.
  std::span<const BatchMetadata> all() const { return {batches_.data(), size_}; }
  /// What is not there, where there is none.
  BatchMetadata newest() const { return empty() ? BatchMetadata() : batches_[size_ - 1]; }
  /// The oldest one goes when it is full.
  void add(const BatchMetadata& batch);
  void clear() { size_ = 0; }

 private:
  std::array<BatchMetadata, capacity> batches_;
  std::uint8_t size_ = 0;
};

struct ProducerStateEntry {
  ProducerId producer_id = no_producer_id;
  ProducerEpoch epoch = no_producer_epoch;
  std::int32_t coordinator_epoch = -1;
  Timestamp last_timestamp = no_timestamp;
  std::optional<Offset> transaction_start = {};  ///< of the open one
  RecentBatches batches = {};

  /// Another epoch forgets the batches.
  void set_epoch(ProducerEpoch its) {
    if (its != epoch) {
      batches.clear();
      epoch = its;
    }
  }
};

/// A transaction and the marker that ends it, in this partition.
struct CompletedTransaction {
  ProducerId producer_id;
  Offset first_offset;
  Offset last_offset;  ///< of the marker
  bool aborted = false;
  bool operator==(const CompletedTransaction&) const = default;
};

/// The offsets that keep a read_committed consumer waiting: of one moment, cheap to copy.
struct UnstableOffsets {
  struct Ended {
    Offset first_offset;
    Offset last_offset;  ///< of the marker
    bool operator==(const Ended&) const = default;
  };
  std::optional<Offset> undecided = {};  ///< of the oldest open transaction
  std::vector<Ended> unreplicated = {};  ///< whose markers the high watermark has not passed

  /// The smallest of them.
  std::optional<Offset> first(Offset high_watermark) const;
  /// Where such a consumer has to stop.
  Offset last_stable_offset(Offset high_watermark) const {
    return std::min(first(high_watermark).value_or(high_watermark), high_watermark);
  }
  bool operator==(const UnstableOffsets&) const = default;
};

class ProducerState {
 public:
  /// One more, and the tenth of them goes whose batches are the oldest: what such a producer sends
  /// next is taken, but no longer for what it repeats. An open transaction keeps its producer.
  /// Kafka: no limit.
  static constexpr std::size_t most = 10'000;

  ProducerState() = default;
  ProducerState(const ProducerState& other);
  ProducerState(ProducerState&&) noexcept = default;
  ProducerState& operator=(const ProducerState& other) { return *this = ProducerState(other); }
  ProducerState& operator=(ProducerState&&) noexcept = default;

  // ── decide ────────────────────────────────────────────────────────────────────────────────────

  /// Whether a batch of records may be appended, offsets aside. What it answers is the batch that
  /// it repeats: nothing is appended then, and its producer is told where it is.
  /// OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE. Before: the batch has
  /// a producer id.
  absl::StatusOr<std::optional<BatchMetadata>> check(const BatchHeader& batch,
                                                     AppendOrigin origin) const;
  /// The same of a marker. `transaction_version`: of the coordinator's request; from 2 on the
  /// marker's epoch is above that of the transaction. INVALID_PRODUCER_EPOCH,
  /// TRANSACTION_COORDINATOR_FENCED.
  absl::Status check_marker(const BatchHeader& batch, const EndTransactionMarker& marker,
                            int transaction_version) const;

  // ── apply ─────────────────────────────────────────────────────────────────────────────────────

  /// A batch of records with its offsets. Before: it has a producer id.
  void append(const BatchHeader& batch);
  /// A marker. The transaction that it ends stays unstable until the high watermark has passed it.
  void append(const BatchHeader& batch, const EndTransactionMarker& marker);
  /// What `append` would end. Nothing where no transaction is open.
  std::optional<CompletedTransaction> completed_by(const BatchHeader& batch,
                                                   const EndTransactionMarker& marker) const;
  /// Everything below is in.
  void set_end(Offset end) { end_ = end; }
  void on_high_watermark(Offset high_watermark);
  /// The log begins there now.
  void on_log_start(Offset start);
  /// Producers without an open transaction whose last batch is `expiration` old or older. Whether
  /// there were any.
  bool remove_expired(Timestamp now, std::chrono::milliseconds expiration);
  /// As a snapshot has it; those expired at `now` are left out.
  void load(std::span<const ProducerStateEntry> entries, Offset end, Timestamp now,
            std::chrono::milliseconds expiration);
  void clear_and_start_at(Offset offset);

  // ── look ──────────────────────────────────────────────────────────────────────────────────────

  std::size_t size() const { return known_ ? known_->producers.size() : 0; }
  /// No producer, and no offset that is unstable.
  bool empty() const { return size() == 0 && unstable() == UnstableOffsets(); }
  /// The offset up to which batches are in.
  Offset end() const { return end_; }
  const ProducerStateEntry* find(ProducerId producer) const;
  /// `no_producer_id` where there is none.
  ProducerId largest_id() const;
  /// By producer id.
  std::vector<ProducerStateEntry> entries() const;

  const UnstableOffsets& unstable() const;
  /// What the transaction index says of a transaction that is about to be completed: the high
  /// watermark is left out there.
  Offset last_stable_offset_after(const CompletedTransaction& completed) const;

 private:
  ProducerStateEntry& entry_of(ProducerId producer);
  void make_room();
  absl::Status check_epoch(const BatchHeader& batch, const ProducerStateEntry& entry) const;
  absl::Status check_sequence(const BatchHeader& batch, const ProducerStateEntry& entry) const;

  // Most partitions never have any of it.
  struct Known {
    std::unordered_map<ProducerId, ProducerStateEntry> producers;
    std::map<Offset, ProducerId> ongoing;  // by first offset
    UnstableOffsets unstable;
  };

  Known& known();

  std::unique_ptr<Known> known_;
  Offset end_{0};
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/producer_state.ipp>
#endif
