// SPDX-License-Identifier: Apache-2.0
//
// Which leader epoch begins at which offset: Kafka's leader-epoch cache (spec storage.md section
// 21). Epochs and starts strictly increase. No file is touched: whoever changes it writes
// leader-epoch-checkpoint. Not thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <ottla/base/ids.hpp>
#include <ottla/log/checkpoint_file.hpp>

namespace ottla::inline OTTLA_ABI {

class LeaderEpochs {
 public:
  LeaderEpochs() = default;
  /// Before: both fields of `entries` strictly increase.
  explicit LeaderEpochs(std::vector<EpochStart> entries) : entries_(std::move(entries)) {}

  std::span<const EpochStart> entries() const { return entries_; }
  bool empty() const { return entries_.empty(); }
  /// Of the newest entry.
  std::optional<LeaderEpoch> latest() const;

  /// `epoch` begins at `start`. Nothing happens when it is the latest one, from before `start`.
  /// What disagrees (later epochs, later starts) is removed. Whether anything changed.
  bool assign(LeaderEpoch epoch, Offset start);
  /// Removes the epochs that begin at or above `end`. Whether anything changed.
  bool truncate_from_end(Offset end);
  /// The log begins at `start` now: of the epochs up to there the last one stays, from there on.
  bool truncate_from_start(Offset start);
  bool clear();

  struct EpochEnd {
    LeaderEpoch epoch = no_leader_epoch;
    Offset end{-1};
    bool operator==(const EpochEnd&) const = default;
  };
  /// Where `epoch` ended, and which epoch that was really: the greatest one up to `epoch`. (-1, -1)
  /// where nothing is known of `epoch`.
  EpochEnd end_offset_for(LeaderEpoch epoch, Offset log_end) const;

  /// Whose record `offset` is, or would be.
  std::optional<LeaderEpoch> epoch_for_offset(Offset offset) const;
  std::optional<LeaderEpoch> previous(LeaderEpoch epoch) const;  ///< the greatest one below
  std::optional<LeaderEpoch> next(LeaderEpoch epoch) const;      ///< the smallest one above
  /// The entries of the offsets [start, end), the first one beginning no earlier than `start`.
  std::vector<EpochStart> entries_in_range(Offset start, Offset end) const;

 private:
  std::vector<EpochStart> entries_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/leader_epochs.ipp>
#endif
