// SPDX-License-Identifier: Apache-2.0
//
// The producer on bytes, no template: what `Producer<K, V>` is a typed shell over. The caller's
// thread does the work: it encodes, closes full batches, and hands them to the connection; the
// world's executor closes batches that lingered.
//   send ─ lane's queue ─(full, lingered, flush)─ take ─ seal ─ Connection::produce ─ done ─
//   callbacks, receipts, memory
// Thread-safe. Kept alive by its shell and by every batch under way.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/ref.hpp>
#include <ottla/base/string_map.hpp>
#include <ottla/producer/producer_config.hpp>
#include <ottla/producer/producer_topic.hpp>
#include <ottla/protocol/connection.hpp>
#include <ottla/record/compression.hpp>

namespace ottla::inline OTTLA_ABI {

struct RecordMetadata {
  PartitionId partition{-1};
  Offset offset{-1};                   ///< -1 with acks=0
  Timestamp timestamp = no_timestamp;  ///< the broker's with LogAppendTime, else none
};

class ProducerCore final : public Counted {
 public:
  static absl::StatusOr<Ref<ProducerCore>> open(Ref<Connection> connection, ProducerConfig config);

  /// The topic, asked for where it is not known yet (up to max.block.ms).
  absl::StatusOr<Ref<ProducerTopic>> topic(std::string_view name);

  absl::StatusOr<Receipt> send(ProducerTopic& topic, std::optional<PartitionId> partition,
                               const RecordFields& record, std::uint64_t tag);
  absl::StatusOr<RecordMetadata> wait(Receipt receipt, SteadyTime deadline);
  /// Ok when every record sent before was acknowledged; else the first failure since the last
  /// flush.
  absl::Status flush(SteadyTime deadline);
  absl::Status close(SteadyTime deadline);
  /// Callbacks that threw.
  std::uint64_t callback_failures() const {
    return callback_failures_.load(std::memory_order_relaxed);
  }

  const ProducerConfig& config() const { return config_; }
  World& world() { return connection_->world(); }

 private:
  template <class T, class... Args>
  friend Ref<T> make_ref(Args&&... args);
  class InFlight;
  struct Lingering {
    Ref<ProducerTopic> topic;
    ProducerLane* lane;
    SteadyTime opened;
  };

  enum Timer : std::uint8_t { linger_timer, expiry_timer };

  ProducerCore(Ref<Connection> connection, ProducerConfig config);

  absl::Status usable() const;
  absl::Status refresh(ProducerTopic& topic);
  absl::StatusOr<ProducerLane*> choose_lane(ProducerTopic& topic,
                                            std::optional<PartitionId> partition,
                                            const RecordFields& record, bool& sticky);
  absl::Status check_size(const RecordFields& record) const;
  absl::StatusOr<PartitionQueue::Appended> append_when_there_is_memory(ProducerTopic& topic,
                                                                       ProducerLane& lane,
                                                                       const RecordFields& record,
                                                                       std::uint64_t tag,
                                                                       bool sticky);

  /// Sends what is closed, in order, unless another thread does.
  void drain(ProducerTopic& topic, ProducerLane& lane);
  void hand_over(ProducerTopic& topic, ProducerLane& lane, ClosedBatch batch);
  absl::StatusOr<SealedBatch> seal(ProducerLane& lane, ClosedBatch& batch);
  /// Brings what was handed over for the lane as far as this producer asked for.
  absl::Status write_out(const ProducerTopic& topic, ProducerLane& lane, SteadyTime deadline);

  void linger(ProducerTopic& topic, ProducerLane& lane);
  void close_lingered();
  void watch(const Ref<InFlight>& batch);
  void expire_overdue();
  /// Has the timer's work done at `when`, unless that is `never`.
  void arm(Timer timer, SteadyTime when);
  void fail_unsent(const absl::Status& why);
  std::vector<Ref<ProducerTopic>> topics() const;

  void finish(InFlight& batch, absl::StatusOr<ProduceResponse> outcome);
  void report(InFlight& batch, const absl::StatusOr<ProduceResponse>& outcome);

  const Ref<Connection> connection_;
  const ProducerConfig config_;
  const BatchingOptions batching_;
  const std::uint64_t process_generation_;
  MemoryBudget budget_;
  BatchOutcomes outcomes_;
  std::atomic<bool> closed_{false};
  std::atomic<bool> muted_{false};  // no callback begins any more
  std::atomic<std::int32_t> callbacks_running_{0};
  std::atomic<std::uint64_t> callback_failures_{0};

  mutable Mutex mutex_{Mutex::Kind::leaf};
  StringMap<Ref<ProducerTopic>> topics_ OTTLA_GUARDED_BY(mutex_);
  std::deque<Lingering> lingering_ OTTLA_GUARDED_BY(mutex_);  // in the order of opening
  bool linger_armed_ OTTLA_GUARDED_BY(mutex_) = false;
  std::deque<Ref<InFlight>> watched_ OTTLA_GUARDED_BY(mutex_);  // in the order of their deadlines
  bool expiry_armed_ OTTLA_GUARDED_BY(mutex_) = false;
  TimerId timers_[2] OTTLA_GUARDED_BY(mutex_) = {no_timer, no_timer};
  std::vector<std::unique_ptr<Compressor>> compressors_ OTTLA_GUARDED_BY(mutex_);
  absl::Status first_failure_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/producer/impl/producer_core.ipp>
#include <ottla/producer/impl/sender.ipp>
#endif
