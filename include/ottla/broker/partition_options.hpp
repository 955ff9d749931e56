// SPDX-License-Identifier: Apache-2.0
//
// What a partition is told when it is opened, and what it counts.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <ottla/base/ids.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/broker/clock_watch.hpp>
#include <ottla/broker/events.hpp>
#include <ottla/broker/topic_config.hpp>
#include <ottla/log/log.hpp>
#include <ottla/log/log_cleaning.hpp>

namespace ottla::inline OTTLA_ABI {

/// Bytes of hot tails of all partitions together. Thread-safe.
struct TailBudget final : Counted {
  explicit TailBudget(std::int64_t bytes) : limit(bytes) {}
  const std::int64_t limit;
  std::atomic<std::int64_t> used{0};
};

struct PartitionOptions {
  TopicPartition partition;
  TopicId topic_id;
  LeaderEpoch epoch{0};  ///< a new one after an unclean stop, unless the log is damaged
  /// Where an unclean stop left the end of a log that is not damaged: what was behind it is lost.
  std::optional<Offset> recovered_end = {};
  TopicConfig config = {};
  std::chrono::microseconds write_out_delay = std::chrono::milliseconds(1);
  std::chrono::milliseconds producer_id_expiration{86'400'000};
  std::size_t staged_bytes = std::size_t{8} << 20;  ///< beyond it a producer waits
  std::size_t tail_bytes = std::size_t{1} << 20;    ///< of this partition
  std::chrono::nanoseconds produce_timeout = std::chrono::seconds(30);  ///< of that, at most
  Ref<Events> events = {};                                              ///< may be empty
  TaskLane lane = no_lane;     ///< of tasks that call files: that of its log directory
  Ref<ClockWatch> clock = {};  ///< empty: the wall clock is always right

  /// As the clock's.
  std::optional<Timestamp> now_for(std::chrono::milliseconds retention, const World& world) const {
    return clock ? clock->now_for(retention) : world.wall_now();
  }
};

struct PartitionEnds {
  Offset start;
  Offset end;                            ///< of what is written
  Offset visible;                        ///< to consumers, of what is written
  Offset durable;                        ///< of the records that are on the device
  std::optional<Offset> recovery_point;  ///< none where the log is damaged: the noted one stays
};

namespace broker_impl {
template <FileSystem Fs>
struct CleaningCandidate {
  BasicLogView<Fs> view;
  CleaningLook look;
};
}  // namespace broker_impl

/// What a repair has made of a log.
template <FileSystem Fs>
struct ReopenedLog {
  BasicLog<Fs> log;
  LeaderEpoch epoch;                     ///< that begins at its end, unless it is damaged
  std::optional<SkippedRange> cut = {};  ///< records that are gone from its end
  absl::Status status = {};              ///< why it is not repaired
};

/// Since opening, but where a unit of its own is said.
struct PartitionMetrics {
  std::uint64_t batches = 0;   ///< written
  std::uint64_t bytes = 0;     ///< of them
  std::uint64_t refused = 0;   ///< batches that were not taken
  std::uint64_t repeated = 0;  ///< batches that were there already
  std::uint64_t write_outs = 0;
  std::uint64_t failed_write_outs = 0;
  std::uint64_t syncs = 0;
  std::uint64_t tail_fetches = 0;  ///< answered from memory
  std::uint64_t file_fetches = 0;
  std::uint64_t staged_bytes = 0;  ///< now
  std::uint64_t tail_bytes = 0;    ///< now
  std::uint64_t waiters = 0;       ///< now
};

}  // namespace ottla::inline OTTLA_ABI
