// SPDX-License-Identifier: Apache-2.0
//
// The newest batches of a partition, still in the memory that the producer built them in, so that a
// consumer who keeps up gets views of them without a system call or a copy. In memory only. Not
// thread-safe: the partition's lock guards it. What leaves goes to a `Dropped`, to be let go
// without the lock.
#pragma once

#include <cstddef>
#include <vector>

#include <absl/container/inlined_vector.h>

#include <ottla/base/ids.hpp>
#include <ottla/base/shared_bytes.hpp>

namespace ottla::inline OTTLA_ABI {

class HotTail {
 public:
  using Dropped = absl::InlinedVector<SharedBytes, 8>;

  /// Memory that the batches hold, in bytes.
  std::size_t bytes() const { return bytes_; }
  bool empty() const { return first_ == entries_.size(); }
  /// Offsets from here on are held. Before: not empty.
  Offset start() const { return entries_[first_].base; }
  /// The next offset behind them. Before: not empty.
  Offset end() const { return entries_.back().last + 1; }

  /// The next batch. What does not end where `base` begins is dropped first: a gap may not hide.
  void push(SharedBytes batch, Offset base, Offset last, Dropped& dropped);
  /// Drops the oldest batches until `budget` bytes are left at most.
  void trim(std::size_t budget, Dropped& dropped);
  /// Drops the batches that have offsets of `end` or above.
  void truncate(Offset end, Dropped& dropped);
  void clear(Dropped& dropped) { trim(0, dropped); }

  /// Bytes taken, and the offset to go on from.
  struct Taken {
    std::size_t bytes = 0;
    Offset next;
  };
  /// Appends to `into` (anything with push_back of SharedBytes) the batches from the one with
  /// `offset` on that lie below `limit` as a whole, of `max_bytes` together; the first one in any
  /// case where `at_least_one`. Before: start() <= offset < end().
  template <class Into>
  Taken take(Offset offset, Offset limit, std::size_t max_bytes, bool at_least_one,
             Into& into) const {
    Taken taken{0, offset};
    for (std::size_t i = find(offset); i < entries_.size() && entries_[i].last < limit; ++i) {
      const Entry& entry = entries_[i];
      if (taken.bytes + entry.bytes.size() > max_bytes && !(taken.bytes == 0 && at_least_one)) {
        break;
      }
      taken.bytes += entry.bytes.size();
      taken.next = entry.last + 1;
      into.push_back(entry.bytes);
    }
    return taken;
  }

 private:
  struct Entry {
    SharedBytes bytes;
    Offset base;
    Offset last;
  };

  static std::size_t held(const SharedBytes& batch);
  std::size_t find(Offset offset) const;
  void drop_first(Dropped& dropped);
  void compact();

  // The oldest entries leave by moving first_ on; they are erased when they are half of all.
  std::vector<Entry> entries_;
  std::size_t first_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/hot_tail.ipp>
#endif
