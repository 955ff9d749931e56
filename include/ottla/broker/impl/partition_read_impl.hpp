// SPDX-License-Identifier: Apache-2.0
//
// Fetching, waiting, looking up; retention.
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/broker/partition.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
Offset BasicPartition<Fs>::visible() const {
  return always_durable() ? std::min(log_.durable_end(), log_.end()) : log_.end();
}

template <FileSystem Fs>
void BasicPartition<Fs>::account_tail(std::size_t before) {
  tails_->used.fetch_add(
      static_cast<std::int64_t>(tail_.bytes()) - static_cast<std::int64_t>(before),
      std::memory_order_relaxed);
}

template <FileSystem Fs>
void BasicPartition<Fs>::push_tail(SharedBytes batch, const BatchFacts& facts, After& after) {
  const std::size_t before = tail_.bytes();
  tail_.push(std::move(batch), facts.base_offset, facts.last_offset, after.dropped);
  const bool crowded = tails_->used.load(std::memory_order_relaxed) > tails_->limit;
  tail_.trim(crowded ? options_.tail_bytes / 16 : options_.tail_bytes, after.dropped);
  account_tail(before);
}

template <FileSystem Fs>
void BasicPartition<Fs>::wake_waiters(std::int64_t bytes, bool all, After& after) {
  std::erase_if(waiters_, [&](Waiter& waiter) {
    waiter.bytes -= bytes;
    if (!all && waiter.bytes > 0) {
      return false;
    }
    after.wakeups.add(std::move(waiter.wakeable));
    return true;
  });
}

template <FileSystem Fs>
bool BasicPartition<Fs>::add_waiter(const Ref<Wakeable>& waiter, Offset offset,
                                    std::int64_t min_bytes) {
  After done;
  Lock lock(mutex_);
  if (state_ != State::open || visible() > offset || offset > log_.end()) {
    return false;
  }
  std::erase_if(waiters_, [&](const Waiter& each) { return each.wakeable.get() == waiter.get(); });
  if (waiters_.size() == most_waiters) {
    done.wakeups.add(std::move(waiters_.front().wakeable));  // it asks again, and waits at the end
    waiters_.erase(waiters_.begin());
  }
  waiters_.push_back({waiter, offset, std::max<std::int64_t>(min_bytes, 1)});
  lock.unlock();
  done.wakeups.run();
  return true;
}

template <FileSystem Fs>
std::size_t BasicPartition<Fs>::fetch(const FetchPartition& request, std::size_t max_bytes,
                                      bool at_least_one, FetchedPartition& into) {
  const Ref<BasicPartition> alive(this);
  HotTail::Dropped unused;
  Lock lock(mutex_);
  used_ = true;
  if (request.offset == visible() && staged_.waiting_bytes() > 0 && !writing_ &&
      state_ == State::open) {
    writing_ = true;
    write_staged();
    lock.unlock();
    reply_all();
    lock.lock();
  }
  if (state_ != State::open) {
    into.status = refusal();
    return 0;
  }
  if (request.current_leader_epoch != no_leader_epoch &&
      request.current_leader_epoch != options_.epoch) {
    const bool old = request.current_leader_epoch < options_.epoch;
    into.status = error(
        old ? ErrorCode::fenced_leader_epoch : ErrorCode::unknown_leader_epoch,
        absl::StrCat(options_.partition.to_string(), " has leader epoch ", options_.epoch.value()));
    return 0;
  }
  const Offset end = visible();
  into.high_watermark = end;
  into.last_stable_offset = end;
  into.log_start_offset = log_.start();
  const std::size_t budget =
      std::min(max_bytes, static_cast<std::size_t>(std::max(request.max_bytes, 0)));
  if (request.offset < log_.start() || request.offset > log_.end()) {
    into.status =
        error(ErrorCode::offset_out_of_range,
              absl::StrCat(options_.partition.to_string(), " has offsets ", log_.start().value(),
                           " to ", log_.end().value(), ", not ", request.offset.value()));
    return 0;
  }
  if (request.offset >= end) {
    return 0;
  }
  if (!tail_.empty() && tail_.start() <= request.offset && request.offset < tail_.end()) {
    struct Slices {
      FetchedPartition& into;
      void push_back(SharedBytes bytes) { into.slices.push_back({std::move(bytes), true}); }
    } slices{into};
    return tail_.take(request.offset, end, budget, at_least_one, slices).bytes;
  }
  const auto view = log_.view();
  lock.unlock();
  std::size_t bytes = 0;
  into.status = read_from(view, request, end, budget, at_least_one, into, bytes);
  return bytes;
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::read_from(const BasicLogView<Fs>& view,
                                           const FetchPartition& request, Offset limit,
                                           std::size_t max_bytes, bool at_least_one,
                                           FetchedPartition& into, std::size_t& bytes) const {
  auto read = view.read({.offset = request.offset,
                         .limit = limit,
                         .max_bytes = max_bytes,
                         .at_least_one = at_least_one},
                        *buffers_);
  if (!read.ok()) {
    return std::move(read).status();
  }
  bytes = read->bytes;
  for (SharedBytes& piece : read->pieces) {
    into.slices.push_back({std::move(piece), true});
  }
  return absl::OkStatus();
}

template <FileSystem Fs>
ListOffsetsResponse::Partition BasicPartition<Fs>::list_offsets(Timestamp timestamp,
                                                                IsolationLevel) {
  ListOffsetsResponse::Partition answer{.partition = options_.partition};
  Lock lock(mutex_);
  if (state_ != State::open) {
    answer.error = error_code(refusal());
    return answer;
  }
  const auto view = log_.view();
  const Offset end = visible();
  const auto epoch_of = [&](Offset offset) {
    return log_.epochs().epoch_for_offset(offset).value_or(no_leader_epoch);
  };
  if (timestamp == at_latest || timestamp == at_earliest) {
    answer.offset = timestamp == at_latest ? end : log_.start();
    answer.leader_epoch = epoch_of(answer.offset);
    return answer;
  }
  lock.unlock();
  if (timestamp < Timestamp(0) && timestamp != at_max_timestamp) {
    answer.error = ErrorCode::unsupported_version;
    return answer;
  }
  Decompressor decompressor;
  const auto found = timestamp == at_max_timestamp
                         ? view.find_max_timestamp(end, decompressor)
                         : view.find_timestamp(timestamp, end, decompressor);
  if (!found.ok()) {
    answer.error = error_code(found.status()) == ErrorCode::none ? ErrorCode::kafka_storage_error
                                                                 : error_code(found.status());
    return answer;
  }
  if (*found) {
    answer.offset = (*found)->offset;
    answer.timestamp = (*found)->timestamp;
    lock.lock();
    answer.leader_epoch = epoch_of(answer.offset);
  }
  return answer;
}

template <FileSystem Fs>
typename BasicPartition<Fs>::Ends BasicPartition<Fs>::ends() const {
  Lock lock(mutex_);
  return {log_.start(), log_.end(), visible(), log_.recovery_point()};
}

template <FileSystem Fs>
const std::vector<EpochStart> BasicPartition<Fs>::epochs() const {
  Lock lock(mutex_);
  const auto entries = log_.epochs().entries();
  return {entries.begin(), entries.end()};
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::tick(absl::FunctionRef<absl::Status(Offset)> checkpoint) {
  const Ref<BasicPartition> alive(this);
  After done;
  Lock lock(mutex_);
  if (state_ != State::open || writing_) {
    return absl::OkStatus();  // somebody works here: next time
  }
  if (!std::exchange(used_, false) && staged_.empty()) {
    staged_.release_memory();
    const std::size_t before = tail_.bytes();
    tail_.clear(done.dropped);
    account_tail(before);
  }
  writing_ = true;
  const Offset high_watermark = visible();
  lock.unlock();
  const auto work = [&]() -> absl::Status {
    const Timestamp wall = world_.wall_now();
    OTTLA_ASSIGN(const Offset start, log_.retention_start(high_watermark, wall));
    OTTLA_TRY(log_.raise_start(start, high_watermark));
    OTTLA_TRY(checkpoint(start));
    OTTLA_TRY(log_.delete_segments(start, world_.steady_now()).status());
    return log_.remove_deleted(world_.steady_now()).status();
  };
  const absl::Status worked = work();
  lock.lock();
  log_.publish();
  give_write_baton(done);
  const bool staged = staged_.waiting_bytes() > 0;
  lock.unlock();
  done.wakeups.run();
  if (staged) {
    write_out(Durability::written, never).IgnoreError();  // each reply tells
  }
  return worked;
}

}  // namespace ottla::inline OTTLA_ABI
