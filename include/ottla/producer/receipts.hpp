// SPDX-License-Identifier: Apache-2.0
//
// What became of batches. A receipt is a batch's number and a place in it, and owns nothing: the
// producer remembers the outcome of every batch under way, and of the newest ones that are done.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/mutex.hpp>
#include <ottla/base/time.hpp>

namespace ottla::inline OTTLA_ABI {

/// Of one record. Valid for the producer that gave it.
struct Receipt {
  std::uint64_t batch = 0;
  std::int32_t index = 0;  ///< in the batch
  bool operator==(const Receipt&) const = default;
};

struct BatchOutcome {
  absl::Status status;
  PartitionId partition{-1};
  Offset base_offset{-1};  ///< -1 with acks=0
  Timestamp log_append_time = no_timestamp;
};

/// Thread-safe; its lock is a leaf.
class BatchOutcomes {
 public:
  /// How many outcomes of finished batches are remembered.
  static constexpr std::size_t remembered = 8192;

  /// A new batch is under way; its number, above every one before.
  std::uint64_t open();
  /// It is done. Rings whoever waits for it.
  void complete(std::uint64_t batch, BatchOutcome outcome);

  enum class State : std::uint8_t { pending, done, forgotten };
  /// `done`: the outcome is in `into`. `pending` with a bell: it is rung when the batch is done.
  State look(std::uint64_t batch, BatchOutcome& into, const Ref<Doorbell>& bell);

  /// The number that the next batch will have.
  std::uint64_t next() const;
  /// Whether every batch below `number` is done; with a bell: rung when that may have become so.
  bool done_below(std::uint64_t number, const Ref<Doorbell>& bell);
  std::size_t pending() const;

 private:
  struct Slot {
    bool done = false;
    BatchOutcome outcome;
    std::vector<Ref<Doorbell>> waiting;
  };

  mutable Mutex mutex_{Mutex::Kind::leaf};
  std::uint64_t next_ OTTLA_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<std::uint64_t, Slot> slots_ OTTLA_GUARDED_BY(mutex_);
  absl::btree_set<std::uint64_t> pending_ OTTLA_GUARDED_BY(mutex_);
  std::deque<std::uint64_t> done_ OTTLA_GUARDED_BY(mutex_);  // oldest first
  std::vector<Ref<Doorbell>> flushing_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/producer/impl/receipts.ipp>
#endif
