// SPDX-License-Identifier: Apache-2.0
//
// What a producer knows of one topic: its id, its partitions and their queues. Looking is
// lock-free: a snapshot that is replaced whole when the topic changed; queues stay where they are
// for the producer's life.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/producer/accumulator.hpp>
#include <ottla/protocol/metadata.hpp>

namespace ottla::inline OTTLA_ABI {

class ProducerTopic;

/// One partition on its way out.
class ProducerLane final : public PartitionQueue {
 public:
  ProducerLane(ProducerTopic& of, PartitionId id, const BatchingOptions& options,
               MemoryBudget& budget, BatchOutcomes& outcomes)
      : PartitionQueue(options, budget, outcomes), topic(of), partition(id) {}

  ProducerTopic& topic;
  const PartitionId partition;
  std::atomic<std::int32_t> in_flight{0};  ///< batches handed to the connection, not done
  std::atomic<std::int32_t> settling{0};   ///< those done, until finished or back in the queue
  std::atomic<bool> lingering{false};      ///< listed for the linger timer
  /// A number may be missing in the log: the next batch begins a new epoch, at 0.
  std::atomic<bool> renumber{false};
  /// After its last epoch the lane needs an id of its own: it was asked for; given, and not taken.
  std::atomic<bool> asking{false};
  std::atomic<ProducerId> given{no_producer_id};
  // The send baton's: what the next batch is numbered with.
  ProducerId producer_id = no_producer_id;  // the producer's, until it has its own
  ProducerEpoch epoch{0};
  std::int32_t next_sequence = 0;
  TopicId numbered_for{};  // the topic that knows the numbers
};

class ProducerTopic final : public Counted {
 public:
  struct Snapshot {
    TopicId id;
    std::int32_t partitions = 0;
    std::vector<ProducerLane*> lanes;  ///< by partition; more where the topic once had more
    /// Where records without a key go, ascending: available partitions, or all where none is.
    std::vector<ProducerLane*> drawn;
    bool operator==(const Snapshot&) const = default;
  };

  /// `producer`: whose it is.
  ProducerTopic(std::uint64_t producer, std::string name)
      : producer_(producer), name_(std::move(name)) {}

  std::uint64_t producer() const { return producer_; }
  const std::string& name() const { return name_; }
  /// Any thread. Valid for the topic's life. Before: it was updated once.
  const Snapshot& snapshot() const { return *current_.load(std::memory_order_acquire); }
  /// Of the metadata that the topic was last looked up in.
  std::uint64_t metadata_version() const { return version_.load(std::memory_order_acquire); }
  void set_metadata_version(std::uint64_t version) {
    version_.store(version, std::memory_order_release);
  }
  /// Its numbers are places in `drawn`.
  StickyPartition& sticky() { return sticky_; }
  /// `from` has had its share of records without a key.
  void move_on(const ProducerLane& from, std::uint64_t random) {
    const std::vector<ProducerLane*>& drawn = snapshot().drawn;
    const auto place = std::lower_bound(
        drawn.begin(), drawn.end(), from.partition,
        [](const ProducerLane* lane, PartitionId id) { return lane->partition < id; });
    sticky_.move_on(PartitionId(static_cast<std::int32_t>(place - drawn.begin())),
                    static_cast<std::int32_t>(drawn.size()), random);
  }
  /// False for whoever comes while somebody looks already.
  bool begin_looking() { return !looking_.exchange(true, std::memory_order_acq_rel); }
  void end_looking() { looking_.store(false, std::memory_order_release); }

  /// The topic has this id and these partitions now. Before: there is one.
  void update(const TopicId& id, const std::vector<MetadataResponse::Partition>& partitions,
              const BatchingOptions& options, MemoryBudget& budget, BatchOutcomes& outcomes) {
    Lock lock(mutex_);
    auto next = std::make_unique<Snapshot>();
    next->id = id;
    next->partitions = static_cast<std::int32_t>(partitions.size());
    while (lanes_.size() < partitions.size()) {
      lanes_.emplace_back(*this, PartitionId(static_cast<std::int32_t>(lanes_.size())), options,
                          budget, outcomes);
    }
    for (ProducerLane& lane : lanes_) {
      next->lanes.push_back(&lane);
    }
    for (std::size_t i = 0; i < partitions.size(); ++i) {
      if (partitions[i].error == ErrorCode::none) {
        next->drawn.push_back(&lanes_[i]);
      }
    }
    if (next->drawn.empty()) {
      next->drawn.assign(next->lanes.begin(), next->lanes.begin() + next->partitions);
    }
    const Snapshot* const last = current_.load(std::memory_order_relaxed);
    if (last != nullptr && *last == *next) {
      return;
    }
    snapshots_.push_back(std::move(next));
    current_.store(snapshots_.back().get(), std::memory_order_release);
  }

 private:
  const std::uint64_t producer_;
  const std::string name_;
  StickyPartition sticky_;
  std::atomic<const Snapshot*> current_{nullptr};
  std::atomic<std::uint64_t> version_{0};
  std::atomic<bool> looking_{false};
  Mutex mutex_{Mutex::Kind::leaf};
  std::deque<ProducerLane> lanes_ OTTLA_GUARDED_BY(mutex_);
  // Somebody may still look at an old one; there is one per change of the topic.
  std::vector<std::unique_ptr<Snapshot>> snapshots_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace ottla::inline OTTLA_ABI
