// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/consumer/fetcher.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE void Fetcher::assign(const std::vector<Assigned>& partitions) {
  std::map<TopicPartition, State> next;
  for (const Assigned& assigned : partitions) {
    State& state = next[assigned.partition];
    if (const auto old = states_.find(assigned.partition);
        old != states_.end() && old->second.topic_id == assigned.topic_id) {
      state = std::move(old->second);
    } else {
      state.topic_id = assigned.topic_id;
      state.source = make_ref<FetchSource>(assigned.partition);
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
    state.topic_id = id;
    forget_position(partition);
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

OTTLA_INLINE void Fetcher::seek(const TopicPartition& partition, Offset offset) {
  State& state = states_.at(partition);
  state.buffered.clear();
  state.problem = absl::OkStatus();
  state.out_of_range = false;
  state.position = offset;
  state.fetch_from = offset;
  // What an old walk still finds concerns nobody any more.
  state.source = make_ref<FetchSource>(partition);
}

OTTLA_INLINE void Fetcher::forget_position(const TopicPartition& partition) {
  seek(partition, Offset(0));
  states_.at(partition).position.reset();
}

OTTLA_INLINE std::vector<TopicPartition> Fetcher::without_position() const {
  std::vector<TopicPartition> all;
  for (const auto& [partition, state] : states_) {
    if (!state.position) {
      all.push_back(partition);
    }
  }
  return all;
}

OTTLA_INLINE void Fetcher::pause(const TopicPartition& partition, bool paused) {
  states_.at(partition).paused = paused;
}

OTTLA_INLINE bool Fetcher::paused(const TopicPartition& partition) const {
  return states_.at(partition).paused;
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
    return !state.paused && (!state.buffered.empty() || !state.problem.ok() ||
                             state.source->damaged_at.load(std::memory_order_relaxed) >= 0);
  });
}

OTTLA_INLINE bool Fetcher::fetchable(const State& state) const {
  return state.position && !state.paused && state.buffered.empty() && state.problem.ok() &&
         !state.out_of_range;
}

OTTLA_INLINE absl::Status Fetcher::fetch(const Ref<Wakeable>& waiter) {
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
  if (wanted_.empty()) {
    return absl::OkStatus();
  }
  // A partition that always has data must not keep the others from their share of the answer.
  const auto first = static_cast<std::ptrdiff_t>(rotation_++ % wanted_.size());
  std::rotate(wanted_.begin(), wanted_.begin() + first, wanted_.end());
  std::rotate(wanted_states_.begin(), wanted_states_.begin() + first, wanted_states_.end());
  OTTLA_TRY(connection_.fetch({.partitions = wanted_,
                               .isolation = config_.isolation,
                               .min_bytes = config_.fetch_min_bytes,
                               .max_bytes = config_.fetch_max_bytes},
                              response_, waiter));
  const std::size_t answered = std::min(response_.partitions.size(), wanted_states_.size());
  for (std::size_t i = 0; i < answered; ++i) {
    take_answer(*wanted_states_[i], response_.partitions[i]);
  }
  response_.partitions.clear();
  return absl::OkStatus();
}

OTTLA_INLINE void Fetcher::take_answer(State& state, const FetchedPartition& answer) {
  if (!answer.status.ok()) {
    switch (error_code(answer.status)) {
      case ErrorCode::offset_out_of_range:
        state.out_of_range = true;
        state.problem = answer.status;
        break;
      case ErrorCode::unknown_topic_id:
      case ErrorCode::unknown_topic_or_partition:
      case ErrorCode::inconsistent_topic_id:
      case ErrorCode::not_leader_or_follower:
        metadata_is_old_ = true;
        break;
      default:
        state.problem = annotate(answer.status, state.source->partition.to_string());
    }
    return;
  }
  state.end = config_.isolation == IsolationLevel::read_committed ? answer.last_stable_offset
                                                                  : answer.high_watermark;
  for (const Slice& slice : answer.slices) {
    take_slice(state, slice);
    if (!state.problem.ok()) {
      return;
    }
  }
}

OTTLA_INLINE void Fetcher::take_slice(State& state, const Slice& slice) {
  const CheckCrc check = config_.check_crcs && !slice.verified ? CheckCrc::verify : CheckCrc::skip;
  BatchCursor batches(slice.bytes.bytes(), "a fetched batch", check);
  std::size_t position = 0;
  while (const BatchView* batch = batches.next()) {
    if (absl::Status taken = take_batch(state, *batch, slice.bytes, position); !taken.ok()) {
      state.problem = annotate(taken, absl::StrCat(state.source->partition.to_string(),
                                                   " at offset ", state.fetch_from.value()));
      return;
    }
    position = batches.position();
  }
  if (!batches.ok()) {
    state.problem = annotate(
        batches.status(),
        absl::StrCat(state.source->partition.to_string(), " at offset ", state.fetch_from.value()));
  }
}

OTTLA_INLINE absl::Status Fetcher::take_batch(State& state, const BatchView& batch,
                                              const SharedBytes& memory, std::size_t position) {
  const BatchHeader& header = batch.header();
  if (header.next_offset() <= state.fetch_from) {
    return absl::OkStatus();  // the fetch began inside a larger piece
  }
  const Offset wanted = state.fetch_from;
  if (header.is_control() || header.record_count <= 0) {
    state.fetch_from = header.next_offset();
    return absl::OkStatus();
  }
  PolledBatch polled{.source = state.source, .memory = {}, .header = header, .cursor = {}};
  if (batch.is_compressed()) {
    polled.cursor = batch.records(decompressor_, polled.memory);
  } else {
    polled.memory = memory.slice(position, batch.size());
    polled.cursor = batch.records();
  }
  polled.records = header.record_count;
  OTTLA_TRY(polled.cursor.status());
  if (header.base_offset < wanted) {
    OTTLA_TRY(skip_below(polled, wanted));
  }
  state.fetch_from = header.next_offset();
  if (polled.records > 0) {
    state.buffered.push_back(std::move(polled));
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status Fetcher::skip_below(PolledBatch& batch, Offset position) {
  RecordCursor ahead = batch.cursor;
  while (const RecordView* record = ahead.next()) {
    if (record->offset() >= position) {
      return absl::OkStatus();
    }
    batch.cursor = ahead;
    --batch.records;
  }
  return ahead.status();
}

OTTLA_INLINE absl::Status Fetcher::damage_of(State& state) {
  const std::int64_t damaged = state.source->damaged_at.load(std::memory_order_acquire);
  if (damaged < 0) {
    return absl::OkStatus();
  }
  state.position = Offset(damaged);
  return error(ErrorCode::corrupt_message, Fault::corrupt,
               absl::StrCat(state.source->partition.to_string(), " at offset ", damaged,
                            ": the record is damaged; seek behind it to go on"));
}

OTTLA_INLINE std::optional<PolledBatch> Fetcher::split(PolledBatch& batch, std::int64_t records,
                                                       Offset& next) {
  PolledBatch head = batch;
  head.records = static_cast<std::int32_t>(records);
  for (std::int64_t i = 0; i < records; ++i) {
    const RecordView* record = batch.cursor.next();
    if (record == nullptr) {
      return std::nullopt;  // damaged: whoever walks it will find that
    }
    next = record->offset() + 1;
    --batch.records;
  }
  return head;
}

OTTLA_INLINE std::int64_t Fetcher::take_from(State& state, std::int64_t max_records, bool may_split,
                                             RecordBatches& into) {
  std::int64_t taken = 0;
  while (!state.buffered.empty()) {
    PolledBatch& batch = state.buffered.front();
    state.epoch = batch.header.leader_epoch;
    if (taken + batch.records > max_records) {
      if (taken > 0 || !may_split) {
        break;
      }
      Offset next = batch.header.next_offset();
      if (std::optional<PolledBatch> head = split(batch, max_records, next)) {
        taken += head->records;
        state.position = next;
        into.push(*std::move(head));
        break;
      }
    }
    taken += batch.records;
    state.position = batch.header.next_offset();
    into.push(std::move(batch));
    state.buffered.pop_front();
  }
  if (state.buffered.empty()) {
    state.position = state.fetch_from;
  }
  return taken;
}

OTTLA_INLINE absl::StatusOr<RecordBatches> Fetcher::take(std::int64_t max_records) {
  RecordBatches records(pinned_);
  std::int64_t taken = 0;
  for (auto& [partition, state] : states_) {
    if (state.paused || !state.position || taken >= max_records) {
      continue;
    }
    if (absl::Status damaged = damage_of(state); !damaged.ok()) {
      if (taken == 0) {
        return damaged;
      }
      continue;
    }
    taken += take_from(state, max_records - taken, taken == 0, records);
    if (taken == 0 && !state.problem.ok() && !state.out_of_range && state.buffered.empty()) {
      return state.problem;
    }
  }
  return records;
}

OTTLA_INLINE std::vector<std::pair<TopicPartition, absl::Status>> Fetcher::out_of_range() const {
  std::vector<std::pair<TopicPartition, absl::Status>> all;
  for (const auto& [partition, state] : states_) {
    if (state.out_of_range && state.buffered.empty()) {
      all.emplace_back(partition, state.problem);
    }
  }
  return all;
}

}  // namespace ottla::inline OTTLA_ABI
