// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/skipped_range.hpp>
#include <ottla/base/status.hpp>
#include <ottla/consumer/fetcher.hpp>

namespace ottla::inline OTTLA_ABI {
namespace consumer_impl {

/// Moves on to the first record at or behind `position`; after an error nothing has moved.
inline absl::Status skip_below(PolledBatch& batch, Offset position) {
  RecordCursor ahead = batch.cursor;
  std::int32_t below = 0;
  while (below < batch.records) {
    const RecordView* record = ahead.next();
    if (record == nullptr) {
      return ahead.status();
    }
    if (record->offset() >= position) {
      break;
    }
    ++below;
  }
  for (std::int32_t i = 0; i < below; ++i) {
    batch.cursor.next();
  }
  batch.records -= below;
  return absl::OkStatus();
}

/// The first `records` of `batch`, which begins behind them then. Nothing, and nothing moved, where
/// one of them is damaged: whoever walks the batch finds that. Before: it has more.
inline std::optional<PolledBatch> split(PolledBatch& batch, std::int32_t records) {
  RecordCursor rest = batch.cursor;
  Offset next = batch.begin;
  for (std::int32_t i = 0; i < records; ++i) {
    const RecordView* record = rest.next();
    if (record == nullptr) {
      return std::nullopt;
    }
    next = record->offset() + 1;
  }
  PolledBatch head = batch;
  head.records = records;
  batch.begin = next;
  batch.cursor = rest;
  batch.records -= records;
  return head;
}

/// `status`, which names the partition.
inline absl::Status named(const absl::Status& status, const TopicPartition& partition) {
  const std::string name = partition.to_string();
  return sv(status.message()).starts_with(name) ? status : annotate(status, name);
}

}  // namespace consumer_impl

OTTLA_INLINE void Fetcher::assign(const std::vector<Assigned>& partitions) {
  std::map<TopicPartition, State> next;
  for (const Assigned& assigned : partitions) {
    State& state = next[assigned.partition];
    state.topic_id = assigned.topic_id;
    state.source = make_ref<FetchSource>(assigned.partition);
  }
  for (auto& [partition, state] : next) {  // from here on nothing can fail
    const auto old = states_.find(partition);
    if (old != states_.end() && old->second.topic_id == state.topic_id) {
      state = std::move(old->second);
    }
  }
  states_ = std::move(next);
}

OTTLA_INLINE std::vector<TopicPartition> Fetcher::assignment() const {
  std::vector<TopicPartition> all;
  for (const auto& [partition, state] : states_) {
    all.push_back(partition);
  }
  return all;
}

OTTLA_INLINE void Fetcher::set_topic_id(const TopicPartition& partition, const TopicId& id) {
  State& state = states_.at(partition);
  if (state.topic_id != id) {
    forget_position(partition);
    state.topic_id = id;
  }
}

OTTLA_INLINE std::optional<Offset> Fetcher::position(const TopicPartition& partition) const {
  return states_.at(partition).position;
}

OTTLA_INLINE std::optional<Offset> Fetcher::consumed(const TopicPartition& partition) const {
  const State& state = states_.at(partition);
  const std::int64_t damaged = state.source->damaged_at.load(std::memory_order_acquire);
  if (damaged >= 0 && state.position && Offset(damaged) < *state.position) {
    return Offset(damaged);
  }
  return state.position;
}

OTTLA_INLINE LeaderEpoch Fetcher::consumed_epoch(const TopicPartition& partition) const {
  return states_.at(partition).epoch;
}

OTTLA_INLINE void Fetcher::seek(const TopicPartition& partition, Offset offset, LeaderEpoch epoch) {
  State& state = states_.at(partition);
  // What an old walk still finds concerns nobody any more.
  state.source = make_ref<FetchSource>(partition);
  state.drop_batches();
  state.problem = absl::OkStatus();
  state.out_of_range = false;
  state.position = offset;
  state.fetch_from = offset;
  state.epoch = epoch;
}

OTTLA_INLINE void Fetcher::forget_position(const TopicPartition& partition) {
  seek(partition, Offset(0));
  states_.at(partition).position.reset();
}

OTTLA_INLINE std::vector<TopicPartition> Fetcher::without_position() const {
  std::vector<TopicPartition> all;
  for (const auto& [partition, state] : states_) {
    if (!state.position && !state.topic_id.is_zero()) {
      all.push_back(partition);
    }
  }
  return all;
}

OTTLA_INLINE void Fetcher::pause(const TopicPartition& partition, bool paused) {
  states_.at(partition).paused = paused;
}

OTTLA_INLINE std::vector<TopicPartition> Fetcher::paused() const {
  std::vector<TopicPartition> all;
  for (const auto& [partition, state] : states_) {
    if (state.paused) {
      all.push_back(partition);
    }
  }
  return all;
}

OTTLA_INLINE std::optional<std::int64_t> Fetcher::lag(const TopicPartition& partition) const {
  const State& state = states_.at(partition);
  if (!state.position || state.end < Offset(0)) {
    return std::nullopt;
  }
  return std::max<std::int64_t>(0, state.end - *state.position);
}

OTTLA_INLINE bool Fetcher::has_data() const {
  return std::any_of(states_.begin(), states_.end(), [](const auto& each) {
    const State& state = each.second;
    return !state.paused && (state.has_batches() || (!state.problem.ok() && !state.out_of_range) ||
                             state.source->damaged_at.load(std::memory_order_relaxed) >= 0);
  });
}

OTTLA_INLINE bool Fetcher::fetchable(const State& state) const {
  return state.position && !state.paused && !state.has_batches() && state.problem.ok() &&
         !state.topic_id.is_zero();
}

OTTLA_INLINE void Fetcher::collect_wanted() {
  wanted_.clear();
  wanted_states_.clear();
  for (auto& [partition, state] : states_) {
    if (fetchable(state)) {
      wanted_.push_back({.topic_id = state.topic_id,
                         .partition = partition.partition,
                         .offset = state.fetch_from,
                         .max_bytes = config_.max_partition_fetch_bytes});
      wanted_states_.push_back(&state);
    }
  }
  if (wanted_.size() > 1) {
    // A partition that always has data must not keep the others from their share of the answer.
    const auto first = static_cast<std::ptrdiff_t>(rotation_++ % wanted_.size());
    std::rotate(wanted_.begin(), wanted_.begin() + first, wanted_.end());
    std::rotate(wanted_states_.begin(), wanted_states_.begin() + first, wanted_states_.end());
  }
}

OTTLA_INLINE bool Fetcher::too_little(SteadyTime now) {
  std::size_t bytes = 0;
  bool failed = false;
  for (const FetchedPartition& answer : response_.partitions) {
    failed = failed || !answer.status.ok();
    for (const Slice& slice : answer.slices) {
      bytes += slice.bytes.size();
    }
  }
  if (failed || least() <= 1 || bytes >= static_cast<std::size_t>(least())) {
    little_since_ = never;
    return false;
  }
  if (next_fetch() <= now) {
    little_since_ = bytes == 0 ? now : never;
    return false;
  }
  if (little_since_ == never) {
    little_since_ = now;
  }
  return bytes > 0;
}

OTTLA_INLINE absl::StatusOr<bool> Fetcher::fetch(const Ref<Wakeable>& waiter, SteadyTime now) {
  collect_wanted();
  if (states_.empty()) {
    // A member without partitions learns by it that the broker was closed.
    OTTLA_TRY(connection_.fetch(FetchRequest{}, response_, Ref<Wakeable>()));
  }
  if (wanted_.empty()) {
    little_since_ = never;
    return false;
  }
  const bool waited_enough = little_since_ != never && next_fetch() <= now;
  OTTLA_TRY(connection_.fetch({.partitions = wanted_,
                               .isolation = config_.isolation,
                               .min_bytes = waited_enough ? 1 : least(),
                               .max_bytes = config_.fetch_max_bytes},
                              response_, waiter));
  bool changed = false;
  unpacked_ = 0;
  if (!too_little(now)) {
    const std::size_t answered = std::min(response_.partitions.size(), wanted_states_.size());
    for (std::size_t i = 0; i < answered; ++i) {
      changed = take_answer(*wanted_states_[i], response_.partitions[i]) || changed;
    }
  }
  for (FetchedPartition& answer : response_.partitions) {
    answer.slices.clear();  // keeps no batch alive
  }
  return changed;
}

OTTLA_INLINE bool Fetcher::take_answer(State& state, const FetchedPartition& answer) {
  if (!answer.status.ok()) {
    switch (error_code(answer.status)) {
      case ErrorCode::unknown_topic_id:
      case ErrorCode::unknown_topic_or_partition:
      case ErrorCode::inconsistent_topic_id:
      case ErrorCode::not_leader_or_follower:
        metadata_is_old_ = true;
        return false;
      default:
        state.problem = consumer_impl::named(answer.status, state.source->partition);
        state.out_of_range = error_code(answer.status) == ErrorCode::offset_out_of_range;
        return true;
    }
  }
  state.end = config_.isolation == IsolationLevel::read_committed ? answer.last_stable_offset
                                                                  : answer.high_watermark;
  const Offset from = state.fetch_from;
  bool came = false;
  aborted_.begin(answer.aborted);
  for (const Slice& slice : answer.slices) {
    came = came || !slice.bytes.empty();
    if (!take_slice(state, slice)) {
      return !state.problem.ok() || state.fetch_from != from;
    }
  }
  if (came && state.fetch_from == from) {
    state.problem = damage(state.source->partition, from, from + 1,
                           "what was fetched there holds no whole batch with this offset");
  }
  return came;
}

OTTLA_INLINE bool Fetcher::take_slice(State& state, const Slice& slice) {
  const CheckCrc check = config_.check_crcs && !slice.verified ? CheckCrc::verify : CheckCrc::skip;
  const Bytes bytes = slice.bytes.bytes();
  BatchCursor batches(bytes, "a fetched piece", check);
  std::size_t position = 0;
  const auto damaged_there = [&](const absl::Status& why) {
    Offset next = state.fetch_from + 1;
    if (bytes.size() - position >= batch_header_size) {
      next = std::max(next, BatchHeader::parse(bytes.subspan(position)).next_offset());
    }
    state.problem = fault(why) == Fault::no_memory || fault(why) == Fault::unsupported
                        ? consumer_impl::named(why, state.source->partition)
                        : damage(state.source->partition, state.fetch_from, next, why.message());
  };
  while (const BatchView* batch = batches.next()) {
    if (batch->is_compressed() && unpacked_enough()) {
      return false;
    }
    if (absl::Status taken = take_batch(state, *batch, slice.bytes, position); !taken.ok()) {
      damaged_there(taken);
      return false;
    }
    position = batches.position();
  }
  if (!batches.ok()) {
    damaged_there(batches.status());
  }
  return state.problem.ok();
}

OTTLA_INLINE absl::Status Fetcher::take_batch(State& state, const BatchView& batch,
                                              const SharedBytes& memory, std::size_t position) {
  const BatchHeader& header = batch.header();
  const Offset wanted = state.fetch_from;
  const bool hidden = aborted_.hides(batch);
  if (header.next_offset() <= wanted) {
    return absl::OkStatus();  // the fetch began inside a larger piece
  }
  if (header.is_control() || header.record_count == 0 || hidden) {
    state.fetch_from = header.next_offset();
    return absl::OkStatus();
  }
  PolledBatch polled{.source = state.source,
                     .memory = {},
                     .header = header,
                     .begin = std::max(wanted, header.base_offset),
                     .cursor = {},
                     .records = header.record_count};
  if (batch.is_compressed()) {
    polled.cursor = batch.records(decompressor_, polled.memory);
    unpacked_ += static_cast<std::int64_t>(polled.memory.size());
  } else {
    polled.memory = memory.slice(position, batch.size());
    polled.cursor = batch.records();
  }
  OTTLA_TRY(polled.cursor.status());
  if (header.base_offset < wanted) {
    OTTLA_TRY(consumer_impl::skip_below(polled, wanted));
  }
  if (polled.records > 0) {
    state.buffered.push_back(std::move(polled));
  }
  state.fetch_from = header.next_offset();
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status Fetcher::damage_of(State& state) {
  const std::int64_t damaged = state.source->damaged_at.load(std::memory_order_acquire);
  if (damaged < 0) {
    return absl::OkStatus();
  }
  state.position = Offset(damaged);
  return error(ErrorCode::corrupt_message, Fault::corrupt,
               absl::StrCat(state.source->partition.to_string(), " at offset ", damaged,
                            ": the record is damaged; seek behind its batch to go on (the polled "
                            "records' status tells where)"));
}

OTTLA_INLINE std::int64_t Fetcher::take_from(State& state, std::int64_t max_records, bool may_split,
                                             RecordBatches& into) {
  std::int64_t taken = 0;
  while (state.has_batches() && into.make_room()) {
    PolledBatch& batch = state.buffered[state.next];
    if (taken + batch.records > max_records) {
      if (taken > 0 || !may_split) {
        break;
      }
      if (auto head = consumer_impl::split(batch, static_cast<std::int32_t>(max_records))) {
        taken += head->records;
        state.position = batch.begin;
        state.epoch = batch.header.leader_epoch;
        into.push(*std::move(head));
        break;
      }
    }
    taken += batch.records;
    state.position = batch.header.next_offset();
    state.epoch = batch.header.leader_epoch;
    into.push(std::move(batch));
    ++state.next;
  }
  if (!state.has_batches()) {
    state.drop_batches();
    state.position = state.fetch_from;  // also behind batches that bring no record
  }
  return taken;
}

OTTLA_INLINE absl::StatusOr<RecordBatches> Fetcher::take(std::int64_t max_records) {
  RecordBatches records(pinned_);
  std::int64_t taken = 0;
  for (auto& each : states_) {
    State& state = each.second;
    if (state.paused || !state.position || taken >= max_records) {
      continue;
    }
    if (absl::Status damaged = guarded([&] { return damage_of(state); }); !damaged.ok()) {
      if (taken == 0) {
        return damaged;
      }
      continue;
    }
    if (state.has_batches() && !records.make_room()) {
      if (taken == 0) {
        return out_of_memory();
      }
      break;
    }
    taken += take_from(state, max_records - taken, taken == 0, records);
    if (taken == 0 && !state.problem.ok() && !state.out_of_range && !state.has_batches()) {
      const absl::Status problem = std::exchange(state.problem, absl::OkStatus());
      if (const auto goes_on = reading_goes_on(problem)) {
        state.position = state.fetch_from = *goes_on;  // once it is told
      }
      return problem;
    }
  }
  return records;
}

OTTLA_INLINE std::vector<std::pair<TopicPartition, absl::Status>> Fetcher::out_of_range() const {
  std::vector<std::pair<TopicPartition, absl::Status>> all;
  for (const auto& [partition, state] : states_) {
    if (state.out_of_range && !state.has_batches()) {
      all.emplace_back(partition, state.problem);
    }
  }
  return all;
}

}  // namespace ottla::inline OTTLA_ABI
