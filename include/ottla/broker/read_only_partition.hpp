// SPDX-License-Identifier: Apache-2.0
//
// A partition that another process writes, or nobody: it is fetched from, and nothing else. What
// was written since the last look is taken in by the fetch that would else come back empty, and
// while somebody waits, by `poll`. Files are touched by who has the baton, without the lock.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/mutex.hpp>
#include <ottla/base/status.hpp>
#include <ottla/base/wakeups.hpp>
#include <ottla/broker/baton.hpp>
#include <ottla/broker/events.hpp>
#include <ottla/broker/fetch_waiters.hpp>
#include <ottla/log/read_only_log.hpp>
#include <ottla/protocol/fetch.hpp>
#include <ottla/protocol/list_offsets.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe.
template <FileSystem Fs>
class BasicReadOnlyPartition final : public Counted {
 public:
  using View = BasicLogView<Fs>;
  struct Options {
    TopicPartition partition;
    TopicId topic_id;
    std::string directory;
    LogOpening opening;
  };

  /// Its log is opened at first use. Before: `files` and the env of `world` outlive it.
  BasicReadOnlyPartition(World& world, Fs& files, Options options, Ref<ReadBuffers> buffers,
                         Ref<Events> events)
      : world_(world),
        files_(files),
        options_(std::move(options)),
        buffers_(std::move(buffers)),
        events_(std::move(events)),
        log_start_(options_.opening.log_start) {}

  const TopicPartition& partition() const { return options_.partition; }
  const TopicId& topic_id() const { return options_.topic_id; }
  const std::string& directory() const { return options_.directory; }
  /// Grows where the log was cut back.
  LeaderEpoch epoch() const {
    Lock lock(mutex_);
    return epoch_;
  }
  /// By its checkpoint.
  void set_log_start(Offset start) { log_start_.store(start); }

  // As of a Partition. Isolation read_committed is `unsupported`.
  std::size_t fetch(const FetchPartition& request, std::size_t max_bytes, bool at_least_one,
                    FetchedPartition& into,
                    IsolationLevel isolation = IsolationLevel::read_uncommitted);
  bool add_waiter(const Ref<Wakeable>& waiter, Offset high_watermark, std::int64_t min_bytes,
                  std::optional<Offset> last_stable = {});
  ListOffsetsResponse::Partition list_offsets(const ListOffsetsRequest::Partition& request,
                                              IsolationLevel isolation);

  /// Looks, and wakes those for whom something has come. Whether somebody still waits.
  bool poll();
  bool has_waiters() const {
    Lock lock(mutex_);
    return !waiters_.empty();
  }
  /// The log as it is now; a log without a batch where the partition was not made completely yet.
  absl::StatusOr<View> look();
  /// Everybody is answered `closed` from now on. The files are let go, unless somebody is at them
  /// until `deadline`.
  void close(SteadyTime deadline);

 private:
  SteadyTime file_deadline() const { return after(world_.steady_now(), std::chrono::seconds(60)); }
  absl::Status look(bool anew);
  absl::Status look_at_files(bool anew);
  absl::Status check_owner();
  absl::StatusOr<View> view(LeaderEpoch known = no_leader_epoch) const;
  absl::StatusOr<std::size_t> read(const FetchPartition& request, std::size_t max_bytes,
                                   bool at_least_one, FetchedPartition& into);
  absl::StatusOr<std::optional<FoundOffset>> find(Timestamp target);
  void wake(std::uint64_t to) OTTLA_EXCLUDES(mutex_);
  static absl::Status check_isolation(IsolationLevel isolation);
  /// Polls until all who wait are woken: those who still do come again.
  static constexpr int most_polls = 100;

  World world_;
  Fs& files_;
  const Options options_;
  const Ref<ReadBuffers> buffers_;
  const Ref<Events> events_;
  std::atomic<Offset> log_start_;
  Baton work_;
  std::optional<BasicReadOnlyLog<Fs>> log_;  // by who has it
  absl::Status gone_;                        // likewise: for good

  mutable Mutex mutex_;
  std::optional<View> view_ OTTLA_GUARDED_BY(mutex_);
  FetchWaiters waiters_ OTTLA_GUARDED_BY(mutex_);  // counted in offsets
  int polls_ OTTLA_GUARDED_BY(mutex_) = 0;
  LeaderEpoch epoch_ OTTLA_GUARDED_BY(mutex_){0};
  bool closed_ OTTLA_GUARDED_BY(mutex_) = false;
};

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/broker/impl/read_only_partition_impl.hpp>
