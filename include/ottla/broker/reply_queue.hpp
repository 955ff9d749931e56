// SPDX-License-Identifier: Apache-2.0
//
// Who is to be told what became of a partition's batches, in the order of the batches: pushed when
// a batch is staged, settled when it is written, durable or failed, taken once the lock is
// released. In memory only; not thread-safe, the partition's lock guards it.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <absl/status/status.h>

#include <ottla/base/ids.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/shared_bytes.hpp>
#include <ottla/base/time.hpp>
#include <ottla/protocol/produce.hpp>

namespace ottla::inline OTTLA_ABI {

class ReplyQueue {
 public:
  struct Entry {
    Ref<ProduceReply> reply;
    Offset base;
    Offset last;
    Timestamp append_time = no_timestamp;
    bool durable = false;       ///< told when the batch is on the device
    absl::Status problem = {};  ///< why the batch failed
    SharedBytes refused = {};   ///< its bytes, where it failed and may be sent again
  };

  bool empty() const { return first_ == entries_.size(); }
  /// Some are settled and wait to be taken.
  bool ready() const { return first_ < settled_; }
  /// The next to be settled waits for the device only: its batch lies below `written`.
  bool waits_for_device(Offset written) const {
    return settled_ < entries_.size() && entries_[settled_].last < written;
  }

  /// Room for one more, so that the next `push` allocates nothing.
  void reserve_one();
  void push(Entry entry) { entries_.push_back(std::move(entry)); }

  /// All below `written` is written, below `durable` on the device. In order: who waits for the
  /// device holds up those behind.
  void settle(Offset written, Offset durable);
  /// Batches at or above `from` failed, those that failed before left as they are. `batches`: their
  /// bytes, ascending, taken where they are to be handed back.
  void fail(Offset from, const absl::Status& why, std::span<SharedBytes> batches = {});
  /// The device failed: those that are written and wait for it will not know.
  void fail_durable(Offset written, const absl::Status& why);
  void fail_all(const absl::Status& why) { fail(Offset(0), why); }

  /// Moves settled ones out, oldest first; how many.
  std::size_t take(std::span<Entry> into);
  /// Before: empty.
  void release_memory() { *this = {}; }

 private:
  void compact();

  // [first_, settled_) are settled, [settled_, size) wait. The ones before first_ are gone.
  std::vector<Entry> entries_;
  std::size_t first_ = 0;
  std::size_t settled_ = 0;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/broker/impl/reply_queue.ipp>
#endif
