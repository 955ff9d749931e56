// SPDX-License-Identifier: Apache-2.0
//
// Records of one decision that only tidies up. They are written as one batch, which may be no
// larger than the log takes: what does not go into it comes with the next one.
//   if (!portion.add(tombstone)) ...  // full; nothing was added, now or from here on
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <ottla/protocol/decision.hpp>

namespace ottla::inline OTTLA_ABI {

/// Not thread-safe.
class RecordPortion {
 public:
  /// Adds to `records`, which outlives it: at most `most_records`, in a batch of at most
  /// `most_bytes` with those that are there; the first one always.
  explicit RecordPortion(std::vector<MachineRecord>& records, std::size_t most_bytes = SIZE_MAX,
                         std::size_t most_records = SIZE_MAX)
      : records_(records), most_bytes_(most_bytes), most_records_(most_records) {
    for (const MachineRecord& record : records_) {
      bytes_ += size(record);
    }
  }

  bool add(MachineRecord record) {
    const std::size_t more = size(record);
    const bool fits = records_.size() < most_records_ && bytes_ + more <= most_bytes_;
    full_ = full_ || (!fits && !records_.empty());
    if (!full_) {
      records_.push_back(std::move(record));
      bytes_ += more;
    }
    return !full_;
  }
  /// Something was not added.
  bool full() const { return full_; }

 private:
  static constexpr std::size_t batch_header = 61;
  static constexpr std::size_t around_record = 21;  // its varints at their longest, attributes

  static std::size_t size(const MachineRecord& record) {
    return around_record + (record.key ? record.key->size() : 0) +
           (record.value ? record.value->size() : 0);
  }

  std::vector<MachineRecord>& records_;
  const std::size_t most_bytes_;
  const std::size_t most_records_;
  std::size_t bytes_ = batch_header;
  bool full_ = false;
};

}  // namespace ottla::inline OTTLA_ABI
