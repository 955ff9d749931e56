// SPDX-License-Identifier: Apache-2.0
//
// What a partition does that knows no file system: where memory cannot be had, nothing breaks.
#pragma once

#include <ottla/base/guard.hpp>
#include <ottla/broker/impl/partition_memory.hpp>
#include <ottla/broker/partition.hpp>

namespace ottla::inline OTTLA_ABI {
namespace broker_impl {

OTTLA_INLINE absl::Status reserve_one(StagedBatches& staged, ReplyQueue& replies,
                                      Durability durability) {
  return guarded([&] {
    staged.reserve_one();
    replies.reserve_one(durability);
  });
}

OTTLA_INLINE absl::StatusOr<std::optional<BatchMetadata>> admit(ProducerState& producers,
                                                                BatchHeader& batch, Offset next) {
  return guarded([&]() -> absl::StatusOr<std::optional<BatchMetadata>> {
    if (batch.base_sequence > 0 && producers.find(batch.producer_id) == nullptr) {
      return error(ErrorCode::unknown_producer_id,
                   absl::StrCat("producer ", batch.producer_id.value(),
                                " is not known here: its first batch has sequence 0, not ",
                                batch.base_sequence));
    }
    OTTLA_ASSIGN(const auto repeated, producers.check(batch, AppendOrigin::client));
    if (!repeated) {
      batch.base_offset = next;
      producers.append(batch);
    }
    return repeated;
  });
}

OTTLA_INLINE absl::StatusOr<ActiveProducers> active_producers(const ProducerState& producers) {
  return guarded([&]() -> absl::StatusOr<ActiveProducers> {
    ActiveProducers active;
    for (const ProducerStateEntry& entry : producers.entries()) {
      LastRecord& last = active[entry.producer_id];
      last.epoch = entry.epoch;
      if (!entry.batches.empty()) {
        last.last_data = entry.batches.newest().last_offset;
      }
    }
    return active;
  });
}

OTTLA_INLINE bool copy_producers(const ProducerState& from, ProducerState& to) {
  return guarded([&] { to = from; }).ok();
}

OTTLA_INLINE void push_tail(HotTail& tail, const StagedRange& range, std::size_t batches,
                            std::size_t budget, HotTail::Dropped& dropped) {
  // A batch that finds no place here is read from the file; the next one begins the tail anew.
  guarded([&] {
    for (std::size_t i = 0; i < batches; ++i) {
      tail.push(range.batches[i], range.facts[i].base_offset, range.facts[i].last_offset, dropped);
    }
    tail.trim(budget, dropped);
  }).IgnoreError();
}

OTTLA_INLINE void drop_staged(StagedBatches& staged, std::vector<SharedBytes>& dropped) {
  if (!guarded([&] { staged.drop(dropped); }).ok()) {
    staged.clear();
  }
}

OTTLA_INLINE void unstamp_again(SealedBatch& batch) {
  if (!guarded([&] { unstamp(batch); }).ok()) {
    batch = {};
  }
}

OTTLA_INLINE void refuse(ProduceRequest& request, bool checked, absl::Status why) {
  if (checked) {
    unstamp_again(request.batch);
  }
  if (request.reply) {
    request.reply->done(std::move(why), std::move(request.batch));
  }
}

OTTLA_INLINE SealedBatch batch_again(const SharedBytes& frozen) {
  SealedBatch batch;
  guarded([&] {
    if (!frozen.empty()) {
      batch = SealedBatch::copy_of(frozen.bytes());
    }
  }).IgnoreError();
  if (!batch.empty()) {
    unstamp_again(batch);
  }
  return batch;
}

OTTLA_INLINE absl::Status named(const absl::Status& status, const TopicPartition& partition) {
  absl::Status longer = guarded([&] { return annotate(status, partition.to_string()); });
  return longer.message().empty() ? status : longer;
}

OTTLA_INLINE absl::StatusOr<bool> await(World& world, Doorbell& bell, SteadyTime deadline) {
  return guarded([&]() -> absl::StatusOr<bool> { return world.await(bell, deadline); });
}

}  // namespace broker_impl

#ifdef OTTLA_COMPILED_SOURCE
template class BasicPartition<AnyFileSystem>;
#endif

}  // namespace ottla::inline OTTLA_ABI
