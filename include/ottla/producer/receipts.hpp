// SPDX-License-Identifier: Apache-2.0
//
// What became of batches. A receipt is a batch's number and a place in it, and owns nothing: the
// producer remembers the outcome of every batch under way, and of the newest ones in a ring.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/mutex.hpp>
#include <ottla/base/time.hpp>

namespace ottla::inline OTTLA_ABI {

class PartitionQueue;

/// Of one record. Valid for the producer that gave it.
struct Receipt {
  std::uint64_t batch = 0;
  std::int32_t index = 0;  ///< in the batch
  bool operator==(const Receipt&) const = default;
};

struct BatchOutcome {
  absl::Status status;
  PartitionId partition{-1};
  Offset offset{-1};  ///< of the first record; as answered, of the receipt's. -1 with acks=0
  Timestamp log_append_time = no_timestamp;
};

/// Somebody who waits for one record's batch.
struct OutcomeWaiter final : Counted {
  Ref<Doorbell> bell = make_ref<Doorbell>();
  Receipt receipt;
  BatchOutcome outcome;  ///< once `bell` is rung
};

/// Thread-safe; its lock is a leaf. Where nothing is late it allocates nothing, but to grow; what
/// finds no memory throws and leaves everything as it was, and `complete` needs none.
class BatchOutcomes {
 public:
  /// Whether done or not, so many newest batches are remembered; older ones until they are done.
  static constexpr std::size_t remembered = 8192;

  /// A new batch of `queue` is under way; its number, above every one before.
  std::uint64_t open(PartitionQueue* queue);
  /// It is done. Rings whoever waits for it.
  void complete(std::uint64_t batch, BatchOutcome outcome) noexcept {
    complete(batch, 0, std::move(outcome));
  }
  /// The batch, or a piece of it, went on as `pieces` pieces: it is done when all of them are.
  void split(std::uint64_t batch, std::int32_t pieces);
  /// Of a piece: the one that begins with the record at `first` in the batch.
  void complete(std::uint64_t batch, std::int32_t first, BatchOutcome outcome) noexcept;

  enum class State : std::uint8_t { pending, done, forgotten };
  /// `done`: the outcome is in `into`. `pending` with a waiter: it is told, and its bell rung, when
  /// the batch is done.
  State look(Receipt receipt, BatchOutcome& into, const Ref<OutcomeWaiter>& waiter);
  /// Where a pending batch is; else null.
  PartitionQueue* queue_of(std::uint64_t batch);

  /// The number that the next batch will have.
  std::uint64_t next() const;
  /// Whether every batch below `number` is done; else `bell`, if there is one, is rung when they
  /// are.
  bool done_below(std::uint64_t number, const Ref<Doorbell>& bell);
  /// Who gives up waiting is not told any more.
  void leave(const OutcomeWaiter& waiter) noexcept;
  void leave(const Doorbell& bell) noexcept;
  std::size_t pending() const;
  std::size_t waiters() const;

 private:
  struct Slot {
    BatchOutcome outcome;
    PartitionQueue* queue = nullptr;
    bool done = false;
  };
  using Waiters = std::list<Ref<OutcomeWaiter>>;
  using Flushing = std::list<std::pair<std::uint64_t, Ref<Doorbell>>>;
  struct Pieces {
    std::int32_t left = 1;
    // By their first index; there is room for those that are left.
    std::vector<std::pair<std::int32_t, BatchOutcome>> done;
  };

  Slot& in_ring(std::uint64_t batch) OTTLA_REQUIRES(mutex_) {
    return ring_[static_cast<std::size_t>(batch) & (ring_.size() - 1)];
  }
  std::uint64_t ring_begin() const OTTLA_REQUIRES(mutex_) {
    return next_ > ring_.size() ? next_ - ring_.size() : 1;
  }
  Slot* find(std::uint64_t batch) OTTLA_REQUIRES(mutex_);
  void make_room() OTTLA_REQUIRES(mutex_);
  std::uint64_t oldest_pending() OTTLA_REQUIRES(mutex_);
  BatchOutcome outcome_of(Receipt receipt, const Slot& slot) const OTTLA_REQUIRES(mutex_);
  /// Who waits for the batch, told.
  Waiters tell(std::uint64_t batch, const Slot& slot) noexcept OTTLA_REQUIRES(mutex_);
  Flushing flushed() noexcept OTTLA_REQUIRES(mutex_);

  mutable Mutex mutex_{Mutex::Kind::leaf};
  std::uint64_t next_ OTTLA_GUARDED_BY(mutex_) = 1;
  std::size_t pending_ OTTLA_GUARDED_BY(mutex_) = 0;
  std::uint64_t oldest_ OTTLA_GUARDED_BY(mutex_) = 1;  // in the ring, all below it are done
  std::vector<Slot> ring_ OTTLA_GUARDED_BY(mutex_);    // by number; its size a power of two
  // Pending, though a whole ring of others came after them.
  std::map<std::uint64_t, Slot> late_ OTTLA_GUARDED_BY(mutex_);
  std::map<std::uint64_t, Pieces> pieces_ OTTLA_GUARDED_BY(mutex_);
  Waiters waiting_ OTTLA_GUARDED_BY(mutex_);
  Flushing flushing_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/producer/impl/receipts.ipp>
#endif
