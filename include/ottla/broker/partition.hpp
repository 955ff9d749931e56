// SPDX-License-Identifier: Apache-2.0
//
// A partition that this broker leads: the one lock of the data path, and three batons, flags under
// that lock.
//   produce ─[lock: stamp, stage]─ ... ─[write baton: Log::append, no lock]─[lock: publish]─
//   replies, wake-ups fetch   ─[lock: slices of the hot tail]─  or  [lock: a view]─ LogView::read,
//   no lock
// Staged batches are written when 256 KiB of them wait, when somebody waits for them (write_out, or
// a fetch that would come back empty), and by a timer `write_out_delay` after the first. The sync
// baton is group commit: whoever has it syncs for all whose batches were written before. The reply
// baton keeps replies in the order of their batches. No system call, reply or wake-up is made under
// the lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/wakeups.hpp>
#include <ottla/broker/events.hpp>
#include <ottla/broker/produce_rules.hpp>
#include <ottla/broker/topic_config.hpp>
#include <ottla/env/world.hpp>
#include <ottla/log/hot_tail.hpp>
#include <ottla/log/log.hpp>
#include <ottla/log/staged_batches.hpp>
#include <ottla/protocol/fetch.hpp>
#include <ottla/protocol/list_offsets.hpp>
#include <ottla/protocol/produce.hpp>

namespace ottla::inline OTTLA_ABI {

/// Bytes of hot tails of all partitions together.
struct TailBudget final : Counted {
  explicit TailBudget(std::int64_t bytes) : limit(bytes) {}
  const std::int64_t limit;
  std::atomic<std::int64_t> used{0};
};

struct PartitionOptions {
  TopicPartition partition;
  TopicId topic_id;
  LeaderEpoch epoch{0};
  TopicConfig config = {};
  std::chrono::nanoseconds write_out_delay = std::chrono::milliseconds(1);
  std::size_t staged_bytes = std::size_t{8} << 20;  ///< beyond it a producer waits
  std::size_t tail_bytes = std::size_t{1} << 20;    ///< of this partition
  std::chrono::nanoseconds produce_timeout = std::chrono::seconds(30);  ///< of that waiting
};

/// Thread-safe.
template <FileSystem Fs>
class BasicPartition final : public Counted {
 public:
  /// Before: `world` outlives it.
  BasicPartition(World& world, BasicLog<Fs> log, PartitionOptions options, Ref<TailBudget> tails,
                 Ref<ReadBuffers> buffers);
  ~BasicPartition() override;

  const TopicPartition& partition() const { return options_.partition; }
  const TopicId& topic_id() const { return options_.topic_id; }
  LeaderEpoch epoch() const { return options_.epoch; }

  /// The outcome goes to `request.reply`. `trusted`: see check_produced.
  void produce(ProduceRequest request, bool trusted);
  /// Brings what was produced so far to `durability`, in this thread or waiting for another's work
  /// until `deadline`. What becomes of single batches their replies tell; here `timed_out`,
  /// `closed`, or a failed sync.
  absl::Status write_out(Durability durability, SteadyTime deadline);

  /// Appends to `into` up to `max_bytes` of batches from `request.offset` on; how many bytes.
  std::size_t fetch(const FetchPartition& request, std::size_t max_bytes, bool at_least_one,
                    FetchedPartition& into);
  /// Keeps `waiter` until `min_bytes` more than what lies below `offset` are visible, or something
  /// else happens that a new fetch would see; false when that is so already, and it was not kept.
  bool add_waiter(const Ref<Wakeable>& waiter, Offset offset, std::int64_t min_bytes);

  ListOffsetsResponse::Partition list_offsets(Timestamp timestamp, IsolationLevel isolation);

  struct Ends {
    Offset start;
    Offset end;      ///< of what is written
    Offset visible;  ///< to consumers
    Offset recovery_point;
  };
  Ends ends() const;
  const std::vector<EpochStart> epochs() const;

  /// Background work: retention, files whose time has come, idle memory. `checkpoint` makes a new
  /// log start durable enough before segments go (W8).
  absl::Status tick(absl::FunctionRef<absl::Status(Offset)> checkpoint);
  /// Syncs, so that the recovery point moves on.
  absl::Status flush(FlushScope scope, SteadyTime deadline);

  /// Writes and syncs everything, refuses what comes later with `closed`.
  absl::StatusOr<CleanEnd> close(SteadyTime deadline);
  /// The topic is deleted: nothing is written any more, everybody is told UNKNOWN_TOPIC_ID.
  void remove(SteadyTime deadline);

 private:
  enum class State : std::uint8_t { open, closing, closed, removed };
  static constexpr std::size_t write_out_bytes = std::size_t{256} << 10;
  static constexpr std::size_t most_waiters = 10'000;

  struct Pending {
    Ref<ProduceReply> reply;
    Offset base;
    Offset last;
    Timestamp append_time = no_timestamp;
    bool durable = false;
  };
  struct Finished {
    Ref<ProduceReply> reply;
    absl::StatusOr<ProduceResponse> outcome;
  };
  struct Waiter {
    Ref<Wakeable> wakeable;
    Offset offset;
    std::int64_t bytes = 0;  // still to come
  };
  /// What is to be done once the lock is released.
  struct After {
    Wakeups wakeups;
    HotTail::Dropped dropped;
    std::vector<SharedBytes> failed;
    std::int64_t bytes = 0;  // written by the last append
  };

  absl::Status refusal() const OTTLA_REQUIRES(mutex_);
  absl::Status wait_for_room(std::size_t bytes);
  /// Before: the write baton is this thread's. After: it is not.
  void write_staged() OTTLA_REQUIRES(mutex_);
  void publish_written(const StagedRange& range, const Appended& appended, After& after)
      OTTLA_REQUIRES(mutex_);
  void fail_staged(const absl::Status& why, After& after) OTTLA_REQUIRES(mutex_);
  void finish_up_to(Offset written, Offset durable) OTTLA_REQUIRES(mutex_);
  void wake_waiters(std::int64_t bytes, bool all, After& after) OTTLA_REQUIRES(mutex_);
  bool take_write_baton(SteadyTime deadline) OTTLA_REQUIRES(mutex_);
  void give_write_baton(After& after) OTTLA_REQUIRES(mutex_);
  absl::Status sync_to(Offset target, FlushScope scope, SteadyTime deadline) OTTLA_REQUIRES(mutex_);
  /// Gives replies, unless another thread does. Before and after: no lock.
  void reply_all();
  void arm_timer() OTTLA_REQUIRES(mutex_);
  void timer_due();
  Offset visible() const OTTLA_REQUIRES(mutex_);
  bool always_durable() const { return options_.config.flush_messages == 1; }
  void push_tail(SharedBytes batch, const BatchFacts& facts, After& after) OTTLA_REQUIRES(mutex_);
  void account_tail(std::size_t before) OTTLA_REQUIRES(mutex_);
  absl::Status read_from(const BasicLogView<Fs>& view, const FetchPartition& request, Offset limit,
                         std::size_t max_bytes, bool at_least_one, FetchedPartition& into,
                         std::size_t& bytes) const;

  World& world_;
  const PartitionOptions options_;
  const Ref<TailBudget> tails_;
  const Ref<ReadBuffers> buffers_;

  mutable Mutex mutex_;
  State state_ OTTLA_GUARDED_BY(mutex_) = State::open;
  BasicLog<Fs> log_;  // by the rules of log.hpp: the lock, the baton, or both
  StagedBatches staged_ OTTLA_GUARDED_BY(mutex_);
  HotTail tail_ OTTLA_GUARDED_BY(mutex_);
  std::deque<Pending> pending_ OTTLA_GUARDED_BY(mutex_);  // in the order of offsets
  Offset next_offset_ OTTLA_GUARDED_BY(mutex_);           // behind everything staged
  bool writing_ OTTLA_GUARDED_BY(mutex_) = false;         // the write baton is somebody's
  std::deque<Ref<Doorbell>> write_queue_ OTTLA_GUARDED_BY(mutex_);
  bool syncing_ OTTLA_GUARDED_BY(mutex_) = false;
  std::vector<Ref<Doorbell>> sync_queue_ OTTLA_GUARDED_BY(mutex_);
  absl::Status sync_failed_ OTTLA_GUARDED_BY(mutex_);
  std::deque<Finished> finished_ OTTLA_GUARDED_BY(mutex_);
  bool replying_ OTTLA_GUARDED_BY(mutex_) = false;
  std::vector<Waiter> waiters_ OTTLA_GUARDED_BY(mutex_);
  bool timer_armed_ OTTLA_GUARDED_BY(mutex_) = false;
  bool used_ OTTLA_GUARDED_BY(mutex_) = false;  // since the last tick
};

using Partition = BasicPartition<AnyFileSystem>;

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/broker/impl/partition_read_impl.hpp>
#include <ottla/broker/impl/partition_write_impl.hpp>
