// SPDX-License-Identifier: Apache-2.0
//
// Where one consumer stands in each of its partitions, and what of it may be committed. Pure state:
// it asks nobody and has no clock, so it is useful to whatever reads partitions.
//   OffsetTracker tracker;
//   tracker.assign({{"orders", PartitionId(0)}});
//   tracker.find({"orders", PartitionId(0)})->seek({Offset(7)});
//   ... after records up to offset 9 were handed out: find(...)->advance({Offset(10)}, turn);
//   for (auto& [partition, position] : tracker.to_commit()) ...
// Source: spec groups.md section 8.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>
#include <ottla/base/topic_partition.hpp>

namespace ottla::inline OTTLA_ABI {

/// The next record to read. The leader epoch is that of the last one read; -1: not known.
struct ConsumerPosition {
  Offset offset{-1};
  LeaderEpoch leader_epoch = no_leader_epoch;

  bool operator==(const ConsumerPosition&) const = default;
};

/// Not thread-safe.
class TrackedPartition {
 public:
  explicit TrackedPartition(std::uint64_t first_turn = 0) : turn_(first_turn) {}

  /// Nothing until it was told: what was committed, else where to reset to, has to be found out.
  const std::optional<ConsumerPosition>& position() const { return position_; }
  /// Where it wants to be, asked for as of a time (see latest_timestamp, earliest_timestamp); then
  /// there is no position.
  const std::optional<Timestamp>& wanted() const { return wanted_; }
  /// Has a position, and is not paused.
  bool is_fetchable() const { return position_.has_value() && !paused_; }

  /// Changes with every seek and reset, and is another when the partition was unassigned meanwhile:
  /// what was fetched for an earlier one is dropped.
  std::uint64_t turn() const { return turn_; }

  void seek(ConsumerPosition position) {
    position_ = position;
    wanted_.reset();
    ++turn_;
  }
  /// Also when a position turned out to lie outside the log.
  void reset(Timestamp wanted) {
    position_.reset();
    wanted_ = wanted;
    ++turn_;
  }
  /// Records before `next` were handed out. False, and nothing changes, when `turn` is over.
  bool advance(ConsumerPosition next, std::uint64_t turn) {
    if (turn != turn_ || !position_ || next.offset < position_->offset) {
      return false;
    }
    position_ = next;
    return true;
  }

  void pause(bool paused) { paused_ = paused; }
  bool is_paused() const { return paused_; }

  /// The group has this offset now.
  void committed(ConsumerPosition position) { committed_ = position; }
  const std::optional<ConsumerPosition>& committed() const { return committed_; }
  bool has_something_to_commit() const {
    return position_ && (!committed_ || committed_->offset != position_->offset);
  }

  /// The visible end of the partition, as the last fetch told it.
  void set_end(Offset end) { end_ = end; }
  /// Records between the position and the visible end; nothing while either is not known.
  std::optional<std::int64_t> lag() const {
    if (!position_ || !end_) {
      return std::nullopt;
    }
    return *end_ > position_->offset ? *end_ - position_->offset : 0;
  }

 private:
  std::optional<ConsumerPosition> position_;
  std::optional<Timestamp> wanted_;
  std::optional<ConsumerPosition> committed_;
  std::optional<Offset> end_;
  std::uint64_t turn_;
  bool paused_ = false;
};

/// Not thread-safe.
class OffsetTracker {
 public:
  using Partitions = std::map<TopicPartition, TrackedPartition>;

  /// Those that were tracked already keep their state, others begin without a position.
  void assign(const std::vector<TopicPartition>& partitions) {
    Partitions assigned;
    ++assignments_;
    for (const TopicPartition& partition : partitions) {
      auto known = partitions_.extract(partition);
      if (known.empty()) {
        assigned.try_emplace(partition, assignments_ << 32U);
      } else {
        assigned.insert(std::move(known));
      }
    }
    partitions_ = std::move(assigned);
  }

  /// Ascending.
  const Partitions& partitions() const { return partitions_; }
  Partitions& partitions() { return partitions_; }
  /// Null where it is not assigned. Valid as long as it is.
  TrackedPartition* find(const TopicPartition& partition) {
    const auto found = partitions_.find(partition);
    return found == partitions_.end() ? nullptr : &found->second;
  }

  /// The positions that the group does not have yet, ascending.
  std::vector<std::pair<TopicPartition, ConsumerPosition>> to_commit() const {
    std::vector<std::pair<TopicPartition, ConsumerPosition>> positions;
    for (const auto& [partition, tracked] : partitions_) {
      if (tracked.has_something_to_commit()) {
        positions.emplace_back(partition, *tracked.position());
      }
    }
    return positions;
  }

 private:
  Partitions partitions_;
  std::uint64_t assignments_ = 0;
};

}  // namespace ottla::inline OTTLA_ABI
