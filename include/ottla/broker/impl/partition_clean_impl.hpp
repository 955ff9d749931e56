// SPDX-License-Identifier: Apache-2.0
//
// Compaction of a partition's log, a step at a time.
#pragma once

#include <utility>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/impl/partition_memory.hpp>
#include <ottla/broker/partition.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
auto BasicPartition<Fs>::find_cleaning(std::optional<Offset> checkpoint)
    -> absl::StatusOr<std::optional<CleaningCandidate>> {
  const TopicConfig& topic = options_.config;
  if (!options_.config.log.compact) {
    return std::nullopt;
  }
  const CleaningConfig config{.min_lag = topic.min_compaction_lag,
                              .max_lag = topic.log.max_compaction_lag,
                              .min_dirty_ratio = topic.min_cleanable_dirty_ratio,
                              .delete_retention = topic.delete_retention};
  for (bool flushed = false;; flushed = true) {
    std::optional<CleaningCandidate> candidate;
    CleaningBounds bounds;
    {
      Lock lock(mutex_);
      if (state_ != State::open || log_.damage() != nullptr) {
        return std::nullopt;
      }
      candidate.emplace(CleaningCandidate{log_.view(), {}});
      bounds = {log_.start(), visible_to(IsolationLevel::read_committed), log_.durable_end(),
                log_.end()};
    }
    OTTLA_ASSIGN(candidate->look,
                 Cleaning::look(candidate->view, bounds, checkpoint, config, world_.wall_now()));
    const auto& segments = candidate->look.segments;
    if (segments.size() < 2) {
      return std::nullopt;
    }
    if (!flushed && bounds.durable < segments.back().base) {
      OTTLA_TRY(flush(FlushScope::sealed, after(world_.steady_now(), std::chrono::seconds(1))));
      continue;
    }
    return candidate->look.range.is_due(config) ? std::move(candidate) : std::nullopt;
  }
}

/// Durable before they count: where a producer's newest batch is lost yet, the one before it would
/// have to tell of it.
template <FileSystem Fs>
absl::StatusOr<CleaningProducers> BasicPartition<Fs>::cleaning_producers(
    const BasicLogView<Fs>& view) {
  CleaningProducers producers;
  const SteadyTime deadline = after(world_.steady_now(), std::chrono::seconds(1));
  {
    Lock lock(mutex_);
    if (!producers_known_) {
      OTTLA_TRY(learn_producers(deadline));
    }
    OTTLA_ASSIGN(producers.active, broker_impl::active_producers(producers_));
    const Offset end = next_offset_;
    lock.unlock();
    OTTLA_TRY(producers.active.empty() ? absl::OkStatus()
                                       : write_out(Durability::durable, deadline));
    lock.lock();
    if (!producers.active.empty() && log_.durable_end() < end) {
      return error(ErrorCode::not_enough_replicas, "the log could not be written; try again");
    }
  }
  OTTLA_ASSIGN(producers.aborted, view.aborted_transactions(Offset(0), Offset(INT64_MAX)));
  return producers;
}

template <FileSystem Fs>
auto BasicPartition<Fs>::begin_cleaning(CleaningCandidate candidate, LogCleaningOptions options)
    -> absl::StatusOr<Ref<Cleaning>> {
  const auto now = options_.now_for(options_.config.delete_retention, world_);
  if (!now) {
    return error(ErrorCode::offset_not_available, "the wall clock stepped; later");
  }
  OTTLA_ASSIGN(options.producers, cleaning_producers(candidate.view));
  const LogConfig& config = options_.config.log;
  options.limits = {config.segment_bytes, config.segment_index_bytes};
  options.delete_retention = options_.config.delete_retention;
  options.now = *now;
  return make_ref<Cleaning>(std::move(candidate.view), std::move(candidate.look),
                            std::move(options));
}

template <FileSystem Fs>
absl::StatusOr<std::int64_t> BasicPartition<Fs>::clean_some(Cleaning& round) {
  {
    Lock lock(mutex_);
    OTTLA_TRY(refusal());
  }
  if (round.turn() == CleaningTurn::step) {
    return guarded([&] { return round.step(); });
  }
  const SteadyTime now = world_.steady_now();
  const absl::Status done = with_files(after(now, std::chrono::milliseconds(20)),
                                       [&] { return round.step_with(log_, now); });
  if (fault(done) == Fault::timed_out) {
    return 0;
  }
  OTTLA_TRY(done);
  remove_files_at(after(now, options_.config.log.file_delete_delay));
  return 0;
}

template <FileSystem Fs>
void BasicPartition<Fs>::give_up_cleaning() {
  // Where it cannot be done now, the next round or the next opening does it.
  with_files(after(world_.steady_now(), std::chrono::milliseconds(20)), [&] {
    return log_.remove_cleaned();
  }).IgnoreError();
}

}  // namespace ottla::inline OTTLA_ABI
