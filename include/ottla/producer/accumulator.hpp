// SPDX-License-Identifier: Apache-2.0
//
// Producer batching: records become batches, a queue for each partition with one open batch at its
// end. No I/O, no clock, no thread: the caller says what time it is and sends what is ready, in
// order, one batch at a time (the send baton). Alone it needs a MemoryBudget and a BatchOutcomes.
//   queue.append(record, tag, sticky, clock);  // Appended; limit_reached: no memory, send first
//   for (auto batch = queue.take(); batch; batch = queue.take_next()) send(*batch);
// Source: spec producer_txn.md section 2.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/buffer_pool.hpp>
#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/status.hpp>
#include <ottla/base/time.hpp>
#include <ottla/env/clock.hpp>
#include <ottla/producer/batch_estimate.hpp>
#include <ottla/producer/memory_budget.hpp>
#include <ottla/producer/partitioner.hpp>
#include <ottla/producer/receipts.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/sealed_batch.hpp>

namespace ottla::inline OTTLA_ABI {

struct BatchingOptions {
  std::int64_t batch_size = 16'384;  ///< bytes; 0: a batch per record
  BatchFields fields = {};           ///< codec and level
  bool keep_tags = false;            ///< remember each record's tag, for callbacks
  /// Blocks for batches that become full ones; null: each batch has its own memory.
  Ref<BufferPool> memory = nullptr;
};

/// What a record takes in a batch at most; exact sizes are only asked for near a limit. Before: it
/// has no headers.
inline std::size_t record_size_bound(const RecordFields& record) {
  constexpr std::size_t lengths_and_deltas = 5 + 1 + 10 + 5 + 5 + 5 + 1;
  return lengths_and_deltas + (record.key ? record.key->size() : 0) +
         (record.value ? record.value->size() : 0);
}

/// A batch that takes no more records.
struct ClosedBatch {
  std::uint64_t number = 0;  ///< as in receipts
  /// As receipts count: above 0 for the later pieces of a batch that was split.
  std::int32_t first_index = 0;
  std::int32_t records = 0;
  std::int32_t attempts = 0;  ///< how often it was sent
  /// Of its first record, once it was numbered; `epoch` says by which count.
  std::int32_t base_sequence = no_sequence;
  ProducerEpoch epoch = no_producer_epoch;
  bool out_of_order = false;  ///< the broker said so once
  /// Bytes of the budget, given back when the outcome is known. Of a compressed batch it pays for
  /// its records as they are before.
  std::int64_t charged = 0;
  SteadyTime opened{};
  BatchBuilder builder;  ///< its records until it is sealed
  SealedBatch sealed;    ///< a batch that is sent again
  std::vector<std::uint64_t> tags;

  /// In the order of the sends: pieces of one batch follow each other.
  std::pair<std::uint64_t, std::int32_t> place() const { return {number, first_index}; }
};

/// Beside the batch itself: while its last record is encoded, no bound of it is too large.
inline constexpr std::size_t batch_memory_slack = 64;

/// One partition's batches. Thread-safe.
class PartitionQueue {
 public:
  struct Appended {
    Receipt receipt;
    bool opened = false;   ///< this record began a batch: it may linger from now on
    bool closed = false;   ///< a batch is ready to be taken
    bool move_on = false;  ///< the partition has had its share of records without a key
  };

  /// Before: all of them outlive it.
  PartitionQueue(const BatchingOptions& options, MemoryBudget& budget, BatchOutcomes& outcomes)
      : options_(options), budget_(budget), outcomes_(outcomes) {}
  PartitionQueue(const PartitionQueue&) = delete;
  PartitionQueue& operator=(const PartitionQueue&) = delete;

  /// Appends to the open batch, or to a new one. `sticky`: the record named no partition and no
  /// key. The clock is read when a batch is opened: its time stands for the timestamps that the
  /// batch's records do not have. `limit_reached` when a new batch needs memory that is not there:
  /// send what is closed, `take` memory_needed(record) from the budget, and call again with that as
  /// `granted`, which is given back unless it is needed. `closed` after end(). Throws where opening
  /// a batch finds no memory. A failed call leaves no record and no empty batch behind.
  template <Clock C>
  absl::StatusOr<Appended> append(const RecordFields& record, std::uint64_t tag, bool sticky,
                                  const C& clock, std::int64_t granted = 0);

  /// What a batch begun by this record is charged with at first.
  std::int64_t memory_needed(const RecordFields& record) const;

  /// Closes the open batch: for flush, close, linger. False when there was none.
  bool close_open();
  /// Closes the open batch when it is `batch`: somebody waits for it.
  bool close_if_open(std::uint64_t batch);
  /// Closes it when it was opened at or before `time`. Nothing open: `never`; else when it was
  /// opened.
  SteadyTime close_opened_by(SteadyTime time);

  /// What may be sent: closed batches, or the open one too when no closed one is left.
  enum class Take : bool { closed, open_too };
  /// The next batch, and the send baton with it: nobody else gets one until `take_next` answered
  /// nothing. Nothing when there is none, or somebody has the baton (and will look again).
  std::optional<ClosedBatch> take(Take what = Take::closed);
  /// For the holder of the baton: the next batch, or nothing, and the baton is given back.
  std::optional<ClosedBatch> take_next(Take what = Take::closed);

  enum class PutBack : std::uint8_t { queued, held, ended };
  /// Puts batches that were not written, or the pieces of one, back at their place. `hold`: nothing
  /// is taken until there was a `release` for each such call, whichever comes first. `held`:
  /// nothing is taken now. `ended`: the queue takes none any more, the batches are the caller's.
  PutBack put_back(std::list<ClosedBatch>& batches, bool hold) noexcept;
  void release() noexcept;
  /// Whether `taken` comes before all that is here: another may have been put back meanwhile.
  bool comes_first(const ClosedBatch& taken);

  /// Every batch that was not taken. After: appends are refused.
  std::list<ClosedBatch> end();

  /// How large a batch turned out, compressed over not compressed.
  void observed_ratio(float ratio);
  /// The same of a batch that was too large: the estimate was too low.
  void observed_overflow(float ratio);

 private:
  bool has_room(const RecordFields& record, Timestamp timestamp) const OTTLA_REQUIRES(mutex_) {
    return (options_.fields.compression == CompressionType::none && record.headers.empty() &&
            open_->builder.size() + record_size_bound(record) <=
                static_cast<std::size_t>(open_limit_)) ||
           has_room_exactly(record, timestamp);
  }
  bool has_room_exactly(const RecordFields& record, Timestamp timestamp) const
      OTTLA_REQUIRES(mutex_);
  /// What is compressed is in memory before, however small it becomes.
  bool has_memory(const RecordFields& record, Timestamp timestamp) OTTLA_REQUIRES(mutex_) {
    return options_.fields.compression == CompressionType::none ||
           make_room(open_->builder.size_with(record, timestamp));
  }
  /// Whether the open batch may have `size` bytes: its memory is doubled, as long as the budget
  /// pays for that.
  bool make_room(std::size_t size) OTTLA_REQUIRES(mutex_);
  std::int64_t estimated_size() const OTTLA_REQUIRES(mutex_) {
    return options_.fields.compression == CompressionType::none
               ? static_cast<std::int64_t>(open_->builder.size())
               : estimated_compressed_size();
  }
  std::int64_t estimated_compressed_size() const OTTLA_REQUIRES(mutex_);
  Buffer first_memory(const RecordFields& record) const OTTLA_REQUIRES(mutex_);
  void close() noexcept OTTLA_REQUIRES(mutex_);
  bool keep_tag(std::uint64_t tag) OTTLA_REQUIRES(mutex_);
  std::optional<ClosedBatch> drop_empty() OTTLA_REQUIRES(mutex_);
  std::optional<ClosedBatch> take_front(Take what) OTTLA_REQUIRES(mutex_);
  absl::Status open(const RecordFields& record, SteadyTime now, GivenBack& granted)
      OTTLA_REQUIRES(mutex_);

  const BatchingOptions& options_;
  MemoryBudget& budget_;
  BatchOutcomes& outcomes_;

  Mutex mutex_;
  std::optional<ClosedBatch> open_ OTTLA_GUARDED_BY(mutex_);
  Timestamp open_timestamp_ OTTLA_GUARDED_BY(mutex_) = no_timestamp;
  std::int64_t open_limit_ OTTLA_GUARDED_BY(mutex_) = 0;
  std::size_t expected_size_ OTTLA_GUARDED_BY(mutex_) = BatchBuilder::initial_capacity;
  std::list<ClosedBatch> closed_ OTTLA_GUARDED_BY(mutex_);
  // Places of those that were taken, for the next: one is open before the last one was taken, so
  // that two go to and fro. There is one while a batch is open.
  std::list<ClosedBatch> spare_ OTTLA_GUARDED_BY(mutex_);
  bool sending_ OTTLA_GUARDED_BY(mutex_) = false;    // somebody has the baton
  std::int32_t holds_ OTTLA_GUARDED_BY(mutex_) = 0;  // nothing is taken while it is above 0
  bool ended_ OTTLA_GUARDED_BY(mutex_) = false;
  CompressionRatio ratio_ OTTLA_GUARDED_BY(mutex_);
  StickyShare share_ OTTLA_GUARDED_BY(mutex_);
};

template <Clock C>
absl::StatusOr<PartitionQueue::Appended> PartitionQueue::append(const RecordFields& record,
                                                                std::uint64_t tag, bool sticky,
                                                                const C& clock,
                                                                std::int64_t granted) {
  GivenBack rest(budget_, granted);  // after unlocking: somebody else may have opened the batch
  Lock lock(mutex_);
  Appended appended;
  const bool untimed = record.timestamp == no_timestamp;
  if (open_ && !(has_room(record, untimed ? open_timestamp_ : record.timestamp) &&
                 has_memory(record, untimed ? open_timestamp_ : record.timestamp))) {
    close();
    appended.closed = true;
  }
  if (!open_) {
    OTTLA_TRY(open(record, clock.steady_now(), rest));
    open_timestamp_ = clock.wall_now();
    appended.opened = true;
  }
  const std::size_t before = open_->builder.size();
  const Timestamp timestamp = untimed ? open_timestamp_ : record.timestamp;
  const bool kept = !options_.keep_tags || keep_tag(tag);
  if (absl::Status refused = kept ? open_->builder.append(record, timestamp) : out_of_memory();
      !refused.ok()) [[unlikely]] {
    open_->tags.resize(options_.keep_tags ? static_cast<std::size_t>(open_->builder.record_count())
                                          : 0);
    const std::optional<ClosedBatch> empty = drop_empty();
    lock.unlock();
    if (empty) {
      rest.bytes += empty->charged;
      outcomes_.complete(empty->number, {});
    }
    return refused;
  }
  appended.receipt = {.batch = open_->number, .index = open_->builder.record_count() - 1};
  const bool full = estimated_size() >= open_limit_;
  if (sticky) {
    const auto grown = static_cast<std::int64_t>(open_->builder.size() - before);
    appended.move_on = share_.add(grown, full || appended.closed, options_.batch_size);
  }
  if (full) {
    close();
    appended.closed = true;
  }
  return appended;
}

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/producer/impl/accumulator.ipp>
#endif
