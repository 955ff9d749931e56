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
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/functional/any_invocable.h>
#include <absl/status/statusor.h>

#include <ottla/base/ref.hpp>
#include <ottla/base/string_map.hpp>
#include <ottla/env/posix/process.hpp>
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

  /// The topic, asked for where it is not known yet (up to max.block.ms). Valid for this core's
  /// life.
  absl::StatusOr<ProducerTopic*> topic(std::string_view name);
  absl::StatusOr<std::vector<MetadataResponse::Partition>> partitions_for(std::string_view name);

  absl::StatusOr<Receipt> send(ProducerTopic& topic, std::optional<PartitionId> partition,
                               const RecordFields& record, std::uint64_t tag);
  absl::StatusOr<RecordMetadata> wait(Receipt receipt, SteadyTime deadline);
  /// Ok when every record sent before was acknowledged; else the first failure since the last
  /// flush, which is told once.
  absl::Status flush(SteadyTime deadline);
  /// While another thread closes this, it waits for that, until `deadline` (`timed_out`).
  absl::Status close(SteadyTime deadline);
  /// For destructors: as close, but in a callback it drops what is left without waiting.
  void abandon(SteadyTime deadline) noexcept;

  /// Callbacks that threw.
  std::uint64_t callback_failures() const {
    return callback_failures_.load(std::memory_order_relaxed);
  }
  const ProducerConfig& config() const { return config_; }
  World& world() { return world_; }

 private:
  template <class T, class... Args>
  friend Ref<T> make_ref(Args&&... args);
  class InFlight;
  struct Lingering {
    ProducerLane* lane;
    SteadyTime opened;
  };

  enum Timer : std::uint8_t { linger_timer, expiry_timer };

  ProducerCore(Ref<Connection> connection, ProducerConfig config);

  /// Asks for the id that batches are numbered under.
  absl::Status begin_sequences();
  bool is_usable() const { return process_.here() && !closed_.load(std::memory_order_relaxed); }
  absl::Status usable() const { return is_usable() ? absl::OkStatus() : unusable(); }
  absl::Status unusable() const;
  absl::Status learn(ProducerTopic& topic, std::uint64_t version,
                     const absl::StatusOr<MetadataResponse>& answer);
  absl::Status look_up(ProducerTopic& topic);
  /// The same without waiting; `then`, which does not throw, is called once it is done, with or
  /// without success. False when it could not be asked: `then` is not called.
  bool look_up_later(ProducerTopic& topic, absl::AnyInvocable<void()> then) noexcept;
  absl::StatusOr<ProducerLane*> choose_lane(ProducerTopic& topic,
                                            std::optional<PartitionId> partition,
                                            const RecordFields& record, bool& sticky);
  bool is_small(const RecordFields& record) const {
    return record.headers.empty() &&
           record_size_bound(record) + batch_header_size <= largest_record_;
  }
  absl::Status check_size(const RecordFields& record) const;
  /// What a record needs to be taken at all.
  absl::Status acceptable(const ProducerTopic& topic, const RecordFields& record) const;
  absl::StatusOr<Receipt> append(ProducerTopic& topic, std::optional<PartitionId> partition,
                                 const RecordFields& record, std::uint64_t tag);
  absl::StatusOr<PartitionQueue::Appended> append_when_there_is_memory(ProducerLane& lane,
                                                                       const RecordFields& record,
                                                                       std::uint64_t tag,
                                                                       bool sticky);
  void batch_opened(ProducerLane& lane) noexcept;

  /// Sends what may be sent, in order, unless another thread does. Where the connection has no room
  /// it waits until `deadline`, and for max.block.ms from a batch's opening, at most.
  void drain(ProducerLane& lane, SteadyTime deadline = never) noexcept;
  void hand_over(ProducerLane& lane, ClosedBatch& batch, SteadyTime deadline);
  /// After: its builder holds no memory.
  absl::StatusOr<SealedBatch> seal(ProducerLane& lane, ClosedBatch& batch);
  /// With the send baton. False while batches with older numbers are under way, or come first.
  bool number(ProducerLane& lane, ClosedBatch& batch, const TopicId& topic);
  /// False where that needs another producer id, and none was given yet.
  bool begin_epoch(ProducerLane& lane);
  void ask_for_id(ProducerLane& lane);
  ProducerId id_of(const ProducerLane& lane) const {
    return lane.producer_id == no_producer_id ? producer_id_ : lane.producer_id;
  }
  bool is_out_of_order(const absl::Status& status, const ProducerLane& lane,
                       const ClosedBatch& batch) const;
  /// Closes and sends every batch there is.
  void send_everything(SteadyTime deadline = never);
  void write_out_everything(SteadyTime deadline);
  /// Sends a batch and has it written out, unless it is done.
  void bring(std::uint64_t batch, SteadyTime deadline);
  /// Brings what was handed over for the lane as far as this producer asked for.
  void write_out(ProducerLane& lane, SteadyTime deadline);
  /// Ok when everything sent before is done, whatever became of it.
  absl::Status flush_everything(SteadyTime deadline);
  absl::Status take_first_failure();

  /// What becomes of a batch that was answered.
  void settle(ProducerLane& lane, ClosedBatch& batch, absl::StatusOr<ProduceResponse> outcome,
              SealedBatch refused) noexcept;
  bool may_retry(const absl::Status& status, const ProducerLane& lane,
                 const ClosedBatch& batch) const;
  /// Ok when the batch goes on by itself; else, or where they throw, it is the caller's still, to
  /// be finished with that.
  absl::Status retry(ProducerLane& lane, ClosedBatch& batch, const absl::Status& why,
                     SealedBatch& refused);
  absl::Status split(ProducerLane& lane, ClosedBatch& batch, const SealedBatch& refused);
  /// Puts it back at its place; the lane is held until then. Throws only while it is the caller's.
  void send_again_at(SteadyTime when, ProducerLane& lane, ClosedBatch& batch);
  void resume(ProducerLane& lane) noexcept;
  /// Once a batch, by whoever has it.
  void finish(ProducerLane& lane, ClosedBatch& batch,
              const absl::StatusOr<ProduceResponse>& outcome) noexcept;
  void report(ProducerLane& lane, const ClosedBatch& batch,
              const absl::StatusOr<ProduceResponse>& outcome);

  /// Where it cannot be remembered until then, the lane's open batch is sent now.
  void linger(ProducerLane& lane, SteadyTime opened) noexcept;
  void close_lingered() noexcept;
  /// Of the batches that linger: closes and sends those opened by `latest`.
  void send_lingered(SteadyTime latest) noexcept;
  absl::Status watch(const Ref<InFlight>& batch);
  void expire_overdue() noexcept;
  /// Those under way whose time is up at `latest`.
  void give_up_watched(SteadyTime latest, const absl::Status& why) noexcept;
  /// `when`, to be armed with, where the timer goes off later or not at all; else `never`.
  SteadyTime advance(Timer timer, SteadyTime when) OTTLA_REQUIRES(mutex_);
  /// Has the timer's work done at `when`, in the place of any other time, unless that is `never`,
  /// or the timer is due at another time meanwhile. False where there is no memory for that: it is
  /// not armed.
  bool arm(Timer timer, SteadyTime when) noexcept;
  void end(SteadyTime deadline, bool in_callback) noexcept;
  /// This thread has closed it, and `how` that went: those who wait for that go on.
  void tell_closed(const absl::Status& how) noexcept;
  absl::Status await_closed(SteadyTime deadline);
  /// That closing ended before all was acknowledged.
  absl::Status left_behind() const;
  void fail_unsent() noexcept;
  /// Without memory: topics stay where they are, and their snapshots too.
  template <class Body>
  void for_each_lane(Body body) const {
    for (std::size_t i = 0;; ++i) {
      const ProducerTopic* topic = nullptr;
      {
        Lock lock(mutex_);
        if (i == topics_.size()) {
          return;
        }
        topic = topics_[i].get();
      }
      for (ProducerLane* lane : topic->snapshot().lanes) {
        body(*lane);
      }
    }
  }

  const Ref<Connection> connection_;
  World world_;
  const ProducerConfig config_;
  const BatchingOptions batching_;
  const Ref<BufferPool> in_flight_memory_;
  const PartitionQueue::Take sendable_;
  const std::size_t largest_record_;  // bytes of its batch
  const std::uint64_t id_;
  const ProcessMark process_;
  ProducerId producer_id_ = no_producer_id;  // set before anybody else has this
  MemoryBudget budget_;
  BatchOutcomes outcomes_;
  std::atomic<ProducerTopic*> last_topic_{nullptr};
  std::atomic<bool> closed_{false};
  std::atomic<bool> muted_{false};  // no callback begins any more
  std::atomic<std::uint64_t> callback_failures_{0};

  mutable Mutex mutex_{Mutex::Kind::leaf};
  std::vector<Ref<ProducerTopic>> topics_ OTTLA_GUARDED_BY(mutex_);  // none is ever taken out
  StringMap<ProducerTopic*> topic_by_name_ OTTLA_GUARDED_BY(mutex_);
  std::deque<Lingering> lingering_ OTTLA_GUARDED_BY(mutex_);    // in the order of opening
  std::deque<Ref<InFlight>> watched_ OTTLA_GUARDED_BY(mutex_);  // in the order of their deadlines
  std::size_t sweep_at_ OTTLA_GUARDED_BY(mutex_) = 64;
  bool ended_ OTTLA_GUARDED_BY(mutex_) = false;
  bool close_done_ OTTLA_GUARDED_BY(mutex_) = false;
  absl::Status close_status_ OTTLA_GUARDED_BY(mutex_);           // of the one that closed it
  std::list<Ref<Doorbell>> closers_ OTTLA_GUARDED_BY(mutex_);    // rung once it is
  SteadyTime due_[2] OTTLA_GUARDED_BY(mutex_) = {never, never};  // when each timer is to go off
  TimerId timers_[2] OTTLA_GUARDED_BY(mutex_) = {no_timer, no_timer};
  std::vector<std::unique_ptr<Compressor>> compressors_ OTTLA_GUARDED_BY(mutex_);
  absl::Status first_failure_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/producer/impl/producer_core.ipp>
#include <ottla/producer/impl/producer_end.ipp>
#include <ottla/producer/impl/sender.ipp>
#endif
