// SPDX-License-Identifier: Apache-2.0
//
// Producers with an id: their batches are checked against what is written and staged. The partition
// has a copy of the log's state for that; where a write-out failed it is the log's again.
#pragma once

#include <optional>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/impl/partition_memory.hpp>
#include <ottla/broker/partition.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
absl::StatusOr<std::optional<BatchMetadata>> BasicPartition<Fs>::admit(BatchHeader& batch) {
  if (!producers_known_) {
    // A failed write-out left them unknown again while the lock was let go.
    return error(ErrorCode::not_enough_replicas, "the log could not be written; try again");
  }
  auto admitted = broker_impl::admit(producers_, batch, next_offset_);
  return admitted.ok() ? admitted : broker_impl::named(admitted.status(), options_.partition);
}

template <FileSystem Fs>
void BasicPartition<Fs>::stage_repeated(ProduceRequest& request, const ProducedBatch& batch,
                                        const BatchMetadata& known, AfterLock& todo) {
  used_ = true;
  ++metrics_.repeated;
  if (request.reply) {
    const bool stamped = batch.append_time != no_timestamp;
    replies_.push(request.durability,
                  {.reply = std::move(request.reply),
                   .base = known.first_offset(),
                   .last = known.last_offset,
                   .append_time = stamped ? known.timestamp : no_timestamp,
                   .durable = always_durable() || request.durability == Durability::durable});
  }
  settle(todo);
}

template <FileSystem Fs>
void BasicPartition<Fs>::copy_producers() {
  const ProducerState& written = log_.producers();
  producers_known_ =
      written.end() == log_.end() && broker_impl::copy_producers(written, producers_);
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::learn_producers(SteadyTime deadline) {
  while (!producers_known_) {
    OTTLA_TRY(writable());
    OTTLA_TRY(take_write_baton(deadline));
    absl::Status settled = writable();  // it may have been closed meanwhile
    if (settled.ok()) {
      mutex_.unlock();
      // An append of nothing sees to what the log could not read, or write, before.
      settled = guarded([&] { return log_.append({}, {}, world_.wall_now()).status; });
      mutex_.lock();
    }
    if (settled.ok()) {
      copy_producers();
    }
    AfterLock todo;
    give_write_baton(todo);
    mutex_.unlock();
    carry_out(todo);
    mutex_.lock();
    OTTLA_TRY(settled);
    if (!producers_known_) {
      return out_of_memory();
    }
  }
  return absl::OkStatus();
}

/// The high watermark of a topic that is always durable lags behind the end.
template <FileSystem Fs>
std::optional<Offset> BasicPartition<Fs>::replicated_end() const {
  return always_durable() ? std::optional(log_.durable_end()) : std::nullopt;
}

}  // namespace ottla::inline OTTLA_ABI
