// SPDX-License-Identifier: Apache-2.0
//
// Who is to be told what became of a partition's batches, each producer in the order of its
// batches: pushed when a batch is staged, settled when it is written, durable or failed, taken once
// the lock is released. In memory only; not thread-safe, the partition's lock guards it.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <absl/container/inlined_vector.h>
#include <absl/status/status.h>

#include <ottla/base/ids.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/shared_bytes.hpp>
#include <ottla/base/time.hpp>
#include <ottla/env/durability.hpp>
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

  bool empty() const { return lines_[0].empty() && lines_[1].empty(); }
  /// Some are settled and wait to be taken.
  bool ready() const { return lines_[0].ready() || lines_[1].ready(); }
  /// Somebody next in line waits for the device only: its batch lies below `written`.
  bool waits_for_device(Offset written) const {
    return lines_[0].waits_for_device(written) || lines_[1].waits_for_device(written);
  }

  /// Room for one more that asks for `durability`, so that the next `push` allocates nothing.
  void reserve_one(Durability durability) { line(durability).reserve_one(); }
  /// `durability`: what the producer asked for. Those who ask for the same are told in order; who
  /// waits for the device holds up nobody who does not.
  void push(Durability durability, Entry entry) {
    line(durability).entries.push_back(std::move(entry));
  }

  /// All below `written` is written, below `durable` on the device.
  void settle(Offset written, Offset durable);
  /// Batches at or above `from` failed, those that failed before left as they are. `batches`: their
  /// bytes, ascending, taken where they are to be handed back.
  void fail(Offset from, const absl::Status& why, std::span<SharedBytes> batches = {});
  /// The device failed: those that are written and wait for it will not know.
  void fail_durable(Offset written, const absl::Status& why);
  void fail_all(const absl::Status& why) { fail(Offset(0), why); }

  static constexpr std::size_t most_taken = 8;
  using Taken = absl::InlinedVector<Entry, most_taken>;
  /// Settled ones, oldest first of those who ask for the same.
  Taken take();
  /// Before: empty.
  void release_memory() { *this = {}; }

 private:
  struct Line {
    bool empty() const { return first == entries.size(); }
    bool ready() const { return first < settled; }
    bool waits_for_device(Offset written) const {
      return settled < entries.size() && entries[settled].last < written;
    }
    void reserve_one();
    void compact();
    void settle(Offset written, Offset durable);
    void fail(Offset from, const absl::Status& why, std::span<SharedBytes> batches);
    void take(Taken& taken, std::size_t most);

    // [first, settled) are settled, [settled, size) wait. The ones before first are gone.
    std::vector<Entry> entries;
    std::size_t first = 0;
    std::size_t settled = 0;
  };
  Line& line(Durability durability) { return lines_[durability == Durability::durable ? 1 : 0]; }

  std::array<Line, 2> lines_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/broker/impl/reply_queue.ipp>
#endif
