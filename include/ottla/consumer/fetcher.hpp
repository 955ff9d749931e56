// SPDX-License-Identifier: Apache-2.0
//
// Positions, and what was fetched ahead of them: one request for all partitions of the leader,
// answered batch by batch. Checks checksums where nobody did, decompresses a batch once, skips
// control batches, aborted ones with read_committed, and what lies below the position. Who polls
// takes at most so many records; the rest waits for the next poll. Not thread-safe; it never waits.
// Source: spec groups.md section 8.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/ref.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/consumer/aborted_batches.hpp>
#include <ottla/consumer/consumer_config.hpp>
#include <ottla/consumer/record_batches.hpp>
#include <ottla/protocol/connection.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/record/compression.hpp>

namespace ottla::inline OTTLA_ABI {

class Fetcher {
 public:
  /// Before: `config` and `connection` outlive it. `bell`: of `is_full`.
  Fetcher(const ConsumerConfig& config, Connection& connection, Ref<Wakeable> bell)
      : config_(config),
        connection_(connection),
        pinned_(make_ref<PolledMemory>(config.max_pinned_bytes, std::move(bell))) {}

  /// What is read from now on, with ids; positions of partitions that stay are kept, the rest is
  /// forgotten.
  struct Assigned {
    TopicPartition partition;
    TopicId topic_id;
  };
  void assign(const std::vector<Assigned>& partitions);
  bool assigned(const TopicPartition& partition) const { return states_.contains(partition); }
  bool empty() const { return states_.empty(); }
  /// Ascending.
  std::vector<TopicPartition> assignment() const;
  /// The topic was deleted (zero: nothing is asked for), or created again: its position is unknown.
  void set_topic_id(const TopicPartition& partition, const TopicId& id);
  TopicId topic_id(const TopicPartition& partition) const { return states_.at(partition).topic_id; }

  /// The next record to be returned; nothing until it is known. Before: assigned.
  std::optional<Offset> position(const TopicPartition& partition) const;
  /// The position of everything that `take` returned so far, for commits: like `position`, but
  /// never behind a damaged record.
  std::optional<Offset> consumed(const TopicPartition& partition) const;
  /// The epoch of the last record returned, or of the commit that was sought, for commits.
  LeaderEpoch consumed_epoch(const TopicPartition& partition) const;
  /// Drops what was fetched; the next record is the one at `offset`. `epoch`: of the last one
  /// before it, where a commit knows that.
  void seek(const TopicPartition& partition, Offset offset, LeaderEpoch epoch = no_leader_epoch);
  /// The position must be found anew: by a commit, or by the reset policy.
  void forget_position(const TopicPartition& partition);
  /// Of topics that are there.
  std::vector<TopicPartition> without_position() const;
  void pause(const TopicPartition& partition, bool paused);
  std::vector<TopicPartition> paused() const;
  /// The visible end minus the position, as of the last fetch.
  std::optional<std::int64_t> lag(const TopicPartition& partition) const;

  /// Something that `take` has not returned yet.
  bool has_data() const;
  /// Asks the broker once; `waiter` is woken when asking again may bring more. Nothing is asked for
  /// partitions that have data, are paused, or have no position. True when it changed something, so
  /// that it is worth to take, and to ask again at once where that brings nothing. Less than
  /// fetch.min.bytes is left where it is until fetch.max.wait is over.
  absl::StatusOr<bool> fetch(const Ref<Wakeable>& waiter, SteadyTime now);
  /// When to ask again though nobody woke the waiter.
  SteadyTime next_fetch() const {
    return little_since_ == never ? never : after(little_since_, config_.fetch_max_wait);
  }
  /// At most `max_records`, ascending by partition. An error that concerns a partition's next
  /// record comes out here when nothing was taken before it. A damaged record that a walk found
  /// stays an error until somebody seeks; what a fetch could not bring is tried again.
  absl::StatusOr<RecordBatches> take(std::int64_t max_records);
  /// Partitions whose position is not in their log any more, with the error; cleared by seek and
  /// forget_position.
  std::vector<std::pair<TopicPartition, absl::Status>> out_of_range() const;
  /// UNKNOWN_TOPIC_ID and the like were answered since the last call: ids have to be asked for
  /// anew.
  bool take_metadata_is_old() { return std::exchange(metadata_is_old_, false); }
  bool metadata_is_old() const { return metadata_is_old_; }

  /// Of what `take` returned, by whoever holds it.
  std::int64_t pinned_bytes() const { return pinned_->held(); }
  /// They are more than max_pinned_bytes; the bell is woken when that is over.
  bool is_full() { return pinned_->is_full(); }

 private:
  struct State {
    TopicId topic_id;
    Ref<FetchSource> source;
    std::optional<Offset> position;
    Offset fetch_from{0};  // behind everything that is buffered
    LeaderEpoch epoch = no_leader_epoch;
    Offset end{-1};  // visible, as of the last fetch
    bool paused = false;
    std::vector<PolledBatch> buffered;  // from `next` on; used again once it is empty
    std::size_t next = 0;
    absl::Status problem;  // behind what is buffered
    bool out_of_range = false;

    bool has_batches() const { return next < buffered.size(); }
    void drop_batches() {
      buffered.clear();
      next = 0;
    }
  };

  bool fetchable(const State& state) const;
  /// fetch.min.bytes, where there is time to wait for them.
  std::int32_t least() const {
    return config_.fetch_max_wait.count() > 0 ? config_.fetch_min_bytes : 1;
  }
  void collect_wanted();
  bool too_little(SteadyTime now);
  /// Compressed batches that come behind are left for a later fetch.
  bool unpacked_enough() const { return unpacked_ > config_.fetch_max_bytes; }
  bool take_answer(State& state, const FetchedPartition& answer);
  /// False where nothing behind it may be taken.
  bool take_slice(State& state, const Slice& slice);
  absl::Status take_batch(State& state, const BatchView& batch, const SharedBytes& memory,
                          std::size_t position);
  absl::Status damage_of(State& state);
  std::int64_t take_from(State& state, std::int64_t max_records, bool may_split,
                         RecordBatches& into);

  const ConsumerConfig& config_;
  Connection& connection_;
  Ref<PolledMemory> pinned_;
  Decompressor decompressor_;
  std::map<TopicPartition, State> states_;
  std::vector<FetchPartition> wanted_;  // reused
  std::vector<State*> wanted_states_;   // likewise
  FetchResponse response_;              // likewise
  AbortedBatches aborted_;              // likewise
  std::int64_t unpacked_ = 0;           // bytes, by the fetch under way
  std::size_t rotation_ = 0;            // which partition is asked first
  SteadyTime little_since_ = never;     // since when fetch.min.bytes are waited for
  bool metadata_is_old_ = false;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/consumer/impl/fetcher.ipp>
#endif
