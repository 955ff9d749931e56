// SPDX-License-Identifier: Apache-2.0
//
// What a producer knows of one topic: its id, its partitions and their queues. Looking is
// lock-free: a snapshot that is replaced whole when the topic changed; queues stay where they are
// for the producer's life.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/producer/accumulator.hpp>

namespace ottla::inline OTTLA_ABI {

/// One partition on its way out.
struct ProducerLane {
  ProducerLane(PartitionId id, const BatchingOptions& options, MemoryBudget& budget,
               BatchOutcomes& outcomes)
      : partition(id), queue(options, budget, outcomes) {}

  const PartitionId partition;
  PartitionQueue queue;
  std::atomic<std::int32_t> in_flight{0};  ///< batches handed to the connection, not done
};

class ProducerTopic final : public Counted {
 public:
  struct Snapshot {
    TopicId id;
    std::uint64_t metadata_version = 0;
    std::vector<ProducerLane*> lanes;  ///< by partition
  };

  explicit ProducerTopic(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  /// Any thread. Valid for the topic's life.
  const Snapshot& snapshot() const { return *current_.load(std::memory_order_acquire); }
  bool known() const { return current_.load(std::memory_order_acquire) != nullptr; }
  StickyPartition& sticky() { return sticky_; }

  /// The topic has this id and so many partitions now; never fewer than before.
  void update(const TopicId& id, std::int32_t partitions, std::uint64_t metadata_version,
              const BatchingOptions& options, MemoryBudget& budget, BatchOutcomes& outcomes) {
    Lock lock(mutex_);
    while (lanes_.size() < static_cast<std::size_t>(partitions)) {
      lanes_.emplace_back(PartitionId(static_cast<std::int32_t>(lanes_.size())), options, budget,
                          outcomes);
    }
    auto next = std::make_unique<Snapshot>();
    next->id = id;
    next->metadata_version = metadata_version;
    for (ProducerLane& lane : lanes_) {
      next->lanes.push_back(&lane);
    }
    next->lanes.resize(static_cast<std::size_t>(partitions));
    current_.store(next.get(), std::memory_order_release);
    snapshots_.push_back(std::move(next));
  }

 private:
  const std::string name_;
  StickyPartition sticky_;
  std::atomic<const Snapshot*> current_{nullptr};
  Mutex mutex_{Mutex::Kind::leaf};
  std::deque<ProducerLane> lanes_ OTTLA_GUARDED_BY(mutex_);
  // Somebody may still look at an old one; there is one per change of the topic.
  std::vector<std::unique_ptr<Snapshot>> snapshots_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace ottla::inline OTTLA_ABI
