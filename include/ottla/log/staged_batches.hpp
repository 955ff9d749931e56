// SPDX-License-Identifier: Apache-2.0
//
// Batches that have their offsets and are not written yet: pushed under the partition's lock, taken
// by whoever holds the write baton, written without the lock, and dropped under it again. In memory
// only. Not thread-safe: the partition's lock guards it, but what `take` answered may be read
// without it until `written` or `drop`.
//   staged.push(frozen, facts);                              // lock
//   StagedRange range = staged.take();                       // lock, baton
//   absl::Status status = log.append(range.pieces, range.facts, now);        // baton
//   status.ok() ? staged.written() : staged.drop(dropped);   // lock, baton
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <ottla/base/bytes.hpp>
#include <ottla/base/invariant.hpp>
#include <ottla/base/shared_bytes.hpp>
#include <ottla/segment/write_out.hpp>

namespace ottla::inline OTTLA_ABI {

/// Consecutive batches: their bytes, where those lie, and their facts, one entry each.
struct StagedRange {
  std::span<const SharedBytes> batches;
  std::span<const Bytes> pieces;
  std::span<const BatchFacts> facts;

  bool empty() const { return facts.empty(); }
};

class StagedBatches {
 public:
  /// All batches, taken or not, in bytes.
  std::size_t bytes() const { return waiting_.size + taken_.size; }
  /// Those that nobody has taken yet, or that are to be taken once more.
  std::size_t waiting_bytes() const { return waiting_.size + (kept_ ? taken_.size : 0); }
  bool empty() const { return waiting_.facts.empty() && taken_.facts.empty(); }

  /// Room for one more, so that the next `push` allocates nothing.
  void reserve_one() {
    grow(waiting_.pieces);
    grow(waiting_.facts);
    grow(waiting_.batches);
  }
  void push(SharedBytes batch, const BatchFacts& facts) {
    waiting_.pieces.push_back(batch.bytes());
    waiting_.facts.push_back(facts);
    waiting_.size += batch.size();
    waiting_.batches.push_back(std::move(batch));
  }

  /// Everything that waits, but where something was kept: that. Before: nothing is taken.
  StagedRange take() {
    if (!invariant(kept_ || taken_.facts.empty())) {
      return {};
    }
    if (!std::exchange(kept_, false)) {
      std::swap(taken_, waiting_);
    }
    return {taken_.batches, taken_.pieces, taken_.facts};
  }

  /// The range taken last is written; it is kept by whoever copied its SharedBytes.
  void written() { taken_.clear(); }

  /// The first `written` batches of the range taken last are; the others wait, to be taken again.
  void keep(std::size_t written) {
    taken_.remove_first(written);
    kept_ = !taken_.facts.empty();
  }

  /// The range taken last could not be written, so nothing that follows it can: all of it moves to
  /// `dropped`, for the caller to let go without the lock. Nothing changes where there is no memory
  /// for that.
  void drop(std::vector<SharedBytes>& dropped) {
    dropped.reserve(dropped.size() + taken_.batches.size() + waiting_.batches.size());
    for (Batches* batches : {&taken_, &waiting_}) {
      for (SharedBytes& batch : batches->batches) {
        dropped.push_back(std::move(batch));
      }
      batches->clear();
    }
    kept_ = false;
  }

  /// The same where nobody wants the bytes.
  void clear() {
    taken_.clear();
    waiting_.clear();
    kept_ = false;
  }
  /// Appends to `into` (anything with push_back of SharedBytes) the batches from the one with
  /// `offset` on, of `max_bytes` together, the first one in any case where `at_least_one`; how many
  /// bytes.
  template <class Into>
  std::size_t read(Offset offset, std::size_t max_bytes, bool at_least_one, Into& into) const {
    std::size_t bytes = 0;
    for (const Batches* batches : {&taken_, &waiting_}) {
      for (std::size_t i = batches->find(offset); i < batches->facts.size(); ++i) {
        const SharedBytes& batch = batches->batches[i];
        if (bytes + batch.size() > max_bytes && !(bytes == 0 && at_least_one)) {
          return bytes;
        }
        bytes += batch.size();
        into.push_back(batch);
      }
    }
    return bytes;
  }
  /// Gives back memory that an idle partition does not need. Before: empty.
  void release_memory() {
    waiting_ = {};
    taken_ = {};
  }

 private:
  struct Batches {
    std::vector<SharedBytes> batches;
    std::vector<Bytes> pieces;
    std::vector<BatchFacts> facts;
    std::size_t size = 0;

    void clear() {
      batches.clear();
      pieces.clear();
      facts.clear();
      size = 0;
    }
    void remove_first(std::size_t count) {
      const auto n = static_cast<std::ptrdiff_t>(count);
      for (std::size_t i = 0; i < count; ++i) {
        size -= pieces[i].size();
      }
      batches.erase(batches.begin(), batches.begin() + n);
      pieces.erase(pieces.begin(), pieces.begin() + n);
      facts.erase(facts.begin(), facts.begin() + n);
    }
    /// The first batch that ends at `offset` or behind it.
    std::size_t find(Offset offset) const {
      const auto before = [&](const BatchFacts& batch) { return batch.last_offset < offset; };
      return static_cast<std::size_t>(std::partition_point(facts.begin(), facts.end(), before) -
                                      facts.begin());
    }
  };

  template <class T>
  static void grow(std::vector<T>& entries) {
    if (entries.size() == entries.capacity()) {
      entries.reserve(entries.empty() ? 8 : 2 * entries.size());
    }
  }

  Batches waiting_;
  Batches taken_;
  bool kept_ = false;  // what was taken waits again, before waiting_
};

}  // namespace ottla::inline OTTLA_ABI
