// SPDX-License-Identifier: Apache-2.0
//
// A partition that this broker leads: the one lock of the data path, and two batons, flags under
// that lock (README.md).
//   produce ─[lock: stamp, stage]─ ... ─[write baton: Log::append]─[lock: publish]─ replies, wakes
//   fetch ─[lock: slices of the hot tail]─  or  [lock: a view]─ LogView::read
// When staged batches are written README.md says; fetches of a topic that is visible at once are
// answered with them, too. The sync baton is group commit: whoever has it syncs for all whose
// batches were written before. No file is touched, no reply or wake-up made under the lock.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>

#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/wakeups.hpp>
#include <ottla/broker/fetch_waiters.hpp>
#include <ottla/broker/impl/after_lock.hpp>
#include <ottla/broker/partition_options.hpp>
#include <ottla/broker/produce_rules.hpp>
#include <ottla/broker/reply_queue.hpp>
#include <ottla/env/world.hpp>
#include <ottla/log/hot_tail.hpp>
#include <ottla/log/log.hpp>
#include <ottla/log/log_cleaning.hpp>
#include <ottla/log/producer_state.hpp>
#include <ottla/log/staged_batches.hpp>
#include <ottla/protocol/fetch.hpp>
#include <ottla/protocol/list_offsets.hpp>
#include <ottla/protocol/produce.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe. Callers hold a count while they call. Where memory cannot be had nothing that was
/// accepted needs any to be written, synced and told; a call that needs some is refused, and leaves
/// no baton taken. `add_waiter`, `list_offsets` and `epochs` throw std::bad_alloc, all as before.
template <FileSystem Fs>
class BasicPartition final : public Counted {
 public:
  /// Notes a log start in its checkpoint, before segments below it go (W8). Called without the
  /// lock, with the write baton.
  using Checkpoint = absl::FunctionRef<absl::Status(Offset)>;

  /// Before: `world` outlives it; nobody else uses the log. After: the leader epoch of `options` is
  /// that at its end, written no later than the first batch of it (R13). Not where the log is
  /// damaged: whose the records behind its end are is not known.
  BasicPartition(World& world, BasicLog<Fs> log, PartitionOptions options, Ref<TailBudget> tails,
                 Ref<ReadBuffers> buffers);
  ~BasicPartition() override;

  const TopicPartition& partition() const { return options_.partition; }
  const TopicId& topic_id() const { return options_.topic_id; }
  LeaderEpoch epoch() const;
  /// Where an unclean stop, or a repair, left the end; nothing after a clean one, or where the log
  /// is damaged: what was behind it is not given up then.
  std::optional<Offset> recovered_end() const;

  /// The outcome goes to `request.reply`. Batches of one caller keep their order. Waits, until its
  /// deadline and `produce_timeout` at most, only while `staged_bytes` are staged already;
  /// REQUEST_TIMED_OUT then. What its producer repeats is only answered with where it is.
  void produce(ProduceRequest request, BatchOrigin origin);
  /// Brings what was produced so far to `durability`, in this thread or waiting for another's work
  /// until `deadline`. What becomes of single batches their replies tell; here `timed_out`,
  /// `closed`, or a failed sync.
  absl::Status write_out(Durability durability, SteadyTime deadline);
  /// Has what is staged written by a task that may hang with the disk.
  void write_soon();

  /// Appends to `into` up to `max_bytes` of batches from `request.offset` on; how many bytes.
  std::size_t fetch(const FetchPartition& request, std::size_t max_bytes, bool at_least_one,
                    FetchedPartition& into,
                    IsolationLevel isolation = IsolationLevel::read_uncommitted);
  /// Keeps `waiter` until `min_bytes` more are visible than when `high_watermark` was answered (and
  /// `last_stable`, to a read_committed fetch), or something else happens that a new fetch would
  /// see. False where that is so already: then it is not kept.
  bool add_waiter(const Ref<Wakeable>& waiter, Offset high_watermark, std::int64_t min_bytes,
                  std::optional<Offset> last_stable = {});
  ListOffsetsResponse::Partition list_offsets(const ListOffsetsRequest::Partition& request,
                                              IsolationLevel isolation);

  using Ends = PartitionEnds;  ///< after closing: what they were then
  Ends ends() const;
  std::vector<EpochStart> epochs() const;
  PartitionMetrics metrics() const;

  /// Retention: what is too old or too much goes. True where others were at the files: soon again.
  absl::StatusOr<bool> tick(Checkpoint checkpoint);
  /// Gives back the memory of a partition that was not used since the last call.
  void rest();
  /// The log begins at `before` from now on, or at the high watermark where that is -1; where it
  /// begins. POLICY_VIOLATION where the topic deletes nothing, OFFSET_OUT_OF_RANGE.
  absl::StatusOr<Offset> delete_records(Offset before, Checkpoint checkpoint, SteadyTime deadline);
  using Cleaning = BasicLogCleaning<Fs>;
  using CleaningCandidate = broker_impl::CleaningCandidate<Fs>;
  const TopicConfig& config() const { return options_.config; }
  /// What there is to compact, where that is due; makes it durable first. `checkpoint`: how far it
  /// was compacted before.
  absl::StatusOr<std::optional<CleaningCandidate>> find_cleaning(std::optional<Offset> checkpoint);
  /// `options.producers` is filled in.
  absl::StatusOr<Ref<Cleaning>> begin_cleaning(CleaningCandidate candidate,
                                               LogCleaningOptions options);
  /// One step of it, by one thread at a time; bytes read and written, none where others are at the
  /// files: then later. What it replaced is removed after file.delete.delay.ms.
  absl::StatusOr<std::int64_t> clean_some(Cleaning& round);
  /// Takes away what a round that failed has left.
  void give_up_cleaning();
  /// Syncs what is written; `sealed` also moves the recovery point over closed segments.
  absl::Status flush(FlushScope scope, SteadyTime deadline);

  /// `reopen` mends the files, without the lock, and answers the log as it is then; that takes the
  /// place of this one. Then `afterwards`. Until that is done appends are refused; where `reopen`
  /// fails with anything but `invalid_argument`, all are, until a repair succeeds.
  absl::Status repair(absl::FunctionRef<absl::StatusOr<ReopenedLog<Fs>>()> reopen,
                      absl::FunctionRef<absl::Status()> afterwards, SteadyTime deadline);

  /// Writes and syncs everything, refuses what comes later with `closed`. Where the disk does not
  /// answer in time all who wait are told `unknown`, and the log is left to the next recovery.
  /// Where it is full `make_room` is called, and the log's closing tried once more.
  absl::StatusOr<CleanEnd> close(
      SteadyTime deadline, absl::FunctionRef<void()> make_room = [] {});
  /// For whoever does not wait any longer for `close`: what is not known by now is told as unknown,
  /// and everybody who waits here goes; `close` still does what it can. No file is touched.
  void abandon();
  /// For those who read all of it. Else why not.
  absl::StatusOr<BasicLogView<Fs>> view() const;
  /// Some thread works on its files, so that `close` would have to wait.
  bool is_busy() const;
  bool is_closed() const;
  /// Waits until no thread works on its files any more; false when one still does at `deadline`, or
  /// the world ends before.
  bool wait_until_idle(SteadyTime deadline);
  /// The topic is deleted: nothing is written any more, everybody is told UNKNOWN_TOPIC_ID. `ok`
  /// when nobody works on the files any more.
  absl::Status remove(SteadyTime deadline);

 private:
  enum class State : std::uint8_t { open, closing, closed, removed };
  static constexpr std::size_t write_out_bytes = std::size_t{256} << 10;
  using AfterLock = broker_impl::AfterLock;

  // ── write, sync ───────────────────────────────────────────────────────────────────────────────

  absl::Status refusal() const OTTLA_REQUIRES(mutex_);
  void take_log(ReopenedLog<Fs>& reopened, AfterLock& todo) OTTLA_REQUIRES(mutex_);
  absl::Status writable() const OTTLA_REQUIRES(mutex_);
  absl::Status make_room(std::size_t bytes, SteadyTime asked) OTTLA_REQUIRES(mutex_);
  void stage(ProduceRequest& request, const ProducedBatch& batch) OTTLA_REQUIRES(mutex_);
  /// Whether the producer of `batch` may append it, or what it repeats; noted where it may.
  absl::StatusOr<std::optional<BatchMetadata>> admit(BatchHeader& batch) OTTLA_REQUIRES(mutex_);
  void stage_repeated(ProduceRequest& request, const ProducedBatch& batch,
                      const BatchMetadata& known, AfterLock& todo) OTTLA_REQUIRES(mutex_);
  /// Before: no batch of a producer with an id is staged. Lets go of the lock meanwhile.
  absl::Status learn_producers(SteadyTime deadline) OTTLA_REQUIRES(mutex_);
  void copy_producers() OTTLA_REQUIRES(mutex_);
  absl::StatusOr<CleaningProducers> cleaning_producers(const BasicLogView<Fs>& view);
  std::optional<Offset> replicated_end() const OTTLA_REQUIRES(mutex_);
  /// Somebody wants it, or it is a good piece.
  bool wants_write() const OTTLA_REQUIRES(mutex_);
  /// Before: the write baton is nobody's. Lets go of the lock meanwhile.
  void write_staged() OTTLA_REQUIRES(mutex_);
  /// Before: it is this thread's. After: still.
  void write_once(AfterLock& todo) OTTLA_REQUIRES(mutex_);
  absl::Status write_all() OTTLA_REQUIRES(mutex_);
  void publish_written(const StagedRange& range, const Appended& appended, AfterLock& todo)
      OTTLA_REQUIRES(mutex_);
  void fail_staged(Offset range_end, const absl::Status& why, AfterLock& todo)
      OTTLA_REQUIRES(mutex_);
  void keep_staged(const Appended& appended, AfterLock& todo) OTTLA_REQUIRES(mutex_);
  std::chrono::nanoseconds write_out_delay() const OTTLA_REQUIRES(mutex_);
  void push_tail(const StagedRange& range, std::size_t batches, AfterLock& todo)
      OTTLA_REQUIRES(mutex_);
  bool may_write() const OTTLA_REQUIRES(mutex_);
  absl::Status wait_to_write(SteadyTime deadline, std::string_view late) OTTLA_REQUIRES(mutex_);
  absl::Status take_write_baton(SteadyTime deadline) OTTLA_REQUIRES(mutex_);
  void give_write_baton(AfterLock& todo) OTTLA_REQUIRES(mutex_);
  absl::Status wait_for(std::vector<Ref<Doorbell>>& bells, SteadyTime deadline,
                        std::string_view late) OTTLA_REQUIRES(mutex_);
  void timer_due();
  absl::Status too_slow(std::string_view what) const;
  absl::Status closed_late() const;
  absl::Status sync_to(Offset target, SteadyTime deadline) OTTLA_REQUIRES(mutex_);
  /// Before: the sync baton is nobody's. Lets go of the lock meanwhile.
  void sync_once(FlushScope scope) OTTLA_REQUIRES(mutex_);
  bool device_due() const OTTLA_REQUIRES(mutex_);
  void seal_later(AfterLock& todo) OTTLA_REQUIRES(mutex_);
  void seal();

  // ── after the lock ────────────────────────────────────────────────────────────────────────────

  void settle(AfterLock& todo) OTTLA_REQUIRES(mutex_);
  void carry_out(AfterLock& todo) OTTLA_EXCLUDES(mutex_);
  void wake_due() OTTLA_REQUIRES(mutex_);
  void deliver() OTTLA_EXCLUDES(mutex_);
  /// Before: `timer_armed_` was set by this thread. Without memory for the task this thread does
  /// what the timer would.
  void arm_timer(SteadyTime due) OTTLA_EXCLUDES(mutex_);
  bool work_off() OTTLA_EXCLUDES(mutex_);

  // ── read, upkeep ──────────────────────────────────────────────────────────────────────────────

  bool always_durable() const { return options_.config.flush_messages == 1; }
  bool at_once() const { return options_.config.visibility == Visibility::at_once; }
  /// The high watermark.
  Offset visible() const OTTLA_REQUIRES(mutex_);
  Offset show_visible() OTTLA_REQUIRES(mutex_);
  std::uint64_t due_bytes() const OTTLA_REQUIRES(mutex_);
  std::size_t read(const FetchPartition& request, std::size_t max_bytes, bool at_least_one,
                   FetchedPartition& into, IsolationLevel isolation);
  absl::Status tell_aborted(const BasicLogView<Fs>& view, Offset from, std::size_t first,
                            FetchedPartition& into) const;
  Offset visible_to(IsolationLevel isolation) const OTTLA_REQUIRES(mutex_);
  absl::Status check_fetch(const FetchPartition& request) const OTTLA_REQUIRES(mutex_);
  absl::Status check_epoch(LeaderEpoch known) const OTTLA_REQUIRES(mutex_);
  Ends current_ends() const OTTLA_REQUIRES(mutex_);
  void drop_tail(AfterLock& todo) OTTLA_REQUIRES(mutex_);
  void account_tail(std::size_t before) OTTLA_REQUIRES(mutex_);
  /// `work` on the log's files, with the write baton and without the lock; what it did is
  /// published.
  absl::Status with_files(SteadyTime deadline, absl::FunctionRef<absl::Status()> work);
  absl::Status take_files_away(Checkpoint checkpoint, Offset start);
  void remove_files_at(SteadyTime when);
  void remove_files();
  absl::Status remove_some(SteadyTime now);
  bool wait_until_alone(SteadyTime deadline) OTTLA_REQUIRES(mutex_);

  World world_;
  const PartitionOptions options_;
  const Ref<TailBudget> tails_;
  const Ref<ReadBuffers> buffers_;

  mutable Mutex mutex_;
  BasicLog<Fs> log_;  // by the rules of log.hpp: the lock, the baton, or both
  LeaderEpoch epoch_ OTTLA_GUARDED_BY(mutex_);
  std::optional<Offset> recovered_end_ OTTLA_GUARDED_BY(mutex_);
  std::optional<SkippedRange> cut_ OTTLA_GUARDED_BY(mutex_);  // by a repair
  StagedBatches staged_ OTTLA_GUARDED_BY(mutex_);
  ProducerState producers_ OTTLA_GUARDED_BY(mutex_);  // staged batches included
  bool producers_known_ OTTLA_GUARDED_BY(mutex_) = false;
  HotTail tail_ OTTLA_GUARDED_BY(mutex_);
  ReplyQueue replies_ OTTLA_GUARDED_BY(mutex_);
  FetchWaiters waiters_ OTTLA_GUARDED_BY(mutex_);
  std::vector<Ref<Doorbell>> write_bells_ OTTLA_GUARDED_BY(mutex_);
  std::vector<Ref<Doorbell>> sync_bells_ OTTLA_GUARDED_BY(mutex_);
  Offset next_offset_ OTTLA_GUARDED_BY(mutex_);               // behind everything staged
  std::uint64_t written_bytes_ OTTLA_GUARDED_BY(mutex_) = 0;  // since opening
  std::uint64_t durable_bytes_ OTTLA_GUARDED_BY(mutex_) = 0;  // of those
  std::uint64_t failures_ OTTLA_GUARDED_BY(mutex_) = 0;       // of write-outs
  SteadyTime staged_since_ OTTLA_GUARDED_BY(mutex_);     // nothing that waits was staged before
  Offset shown_ OTTLA_GUARDED_BY(mutex_);                // at_once: a high watermark that was told
  absl::Status kept_for_ OTTLA_GUARDED_BY(mutex_);       // why what was shown is not written yet
  absl::Status sync_failed_ OTTLA_GUARDED_BY(mutex_);    // for good
  absl::Status sync_refused_ OTTLA_GUARDED_BY(mutex_);   // the last one not tried
  absl::Status repair_failed_ OTTLA_GUARDED_BY(mutex_);  // log_ is not what the files are
  std::uint64_t syncs_refused_ OTTLA_GUARDED_BY(mutex_) = 0;  // how many
  std::optional<Ends> last_ends_ OTTLA_GUARDED_BY(mutex_);    // set when log_ is not to be asked
  PartitionMetrics metrics_ OTTLA_GUARDED_BY(mutex_);
  State state_ OTTLA_GUARDED_BY(mutex_) = State::open;
  bool abandoned_ OTTLA_GUARDED_BY(mutex_) = false;
  bool repairing_ OTTLA_GUARDED_BY(mutex_) = false;
  bool writing_ OTTLA_GUARDED_BY(mutex_) = false;   // the write baton is somebody's
  int taking_ OTTLA_GUARDED_BY(mutex_) = 0;         // wait in take_write_baton
  SteadyTime left_until_ OTTLA_GUARDED_BY(mutex_);  // to them, when nobody has it
  bool syncing_ OTTLA_GUARDED_BY(mutex_) = false;   // the sync baton is
  bool replying_ OTTLA_GUARDED_BY(mutex_) = false;  // somebody gives replies
  bool timer_armed_ OTTLA_GUARDED_BY(mutex_) = false;
  bool write_posted_ OTTLA_GUARDED_BY(mutex_) = false;
  bool sealing_ OTTLA_GUARDED_BY(mutex_) = false;   // a task will sync closed segments
  bool removing_ OTTLA_GUARDED_BY(mutex_) = false;  // a task will remove deleted files
  bool used_ OTTLA_GUARDED_BY(mutex_) = false;      // since the last rest
};

using Partition = BasicPartition<AnyFileSystem>;

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/broker/impl/partition_after_impl.hpp>
#include <ottla/broker/impl/partition_clean_impl.hpp>
#include <ottla/broker/impl/partition_producers_impl.hpp>
#include <ottla/broker/impl/partition_read_impl.hpp>
#include <ottla/broker/impl/partition_repair_impl.hpp>
#include <ottla/broker/impl/partition_sync_impl.hpp>
#include <ottla/broker/impl/partition_timer_impl.hpp>
#include <ottla/broker/impl/partition_upkeep_impl.hpp>
#include <ottla/broker/impl/partition_write_impl.hpp>
#ifdef OTTLA_COMPILED
namespace ottla::inline OTTLA_ABI {
extern template class BasicPartition<AnyFileSystem>;
}
#else
#include <ottla/broker/impl/partition.ipp>
#endif
