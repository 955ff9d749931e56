// SPDX-License-Identifier: Apache-2.0
//
// The steps of a partition that allocate, each whole or not at all: none throws.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/broker/reply_queue.hpp>
#include <ottla/env/world.hpp>
#include <ottla/log/batch_cleaner.hpp>
#include <ottla/log/hot_tail.hpp>
#include <ottla/log/producer_state.hpp>
#include <ottla/log/staged_batches.hpp>
#include <ottla/protocol/produce.hpp>
#include <ottla/record/sealed_batch.hpp>

namespace ottla::inline OTTLA_ABI::broker_impl {

/// Room for one more batch.
absl::Status reserve_one(StagedBatches& staged, ReplyQueue& replies, Durability durability);
/// Whether the producer of `batch` may append it at `next`, or what it repeats; noted where it may.
/// Stricter than Kafka: one that is not known begins at 0, or what came before that, and failed,
/// would come behind it. UNKNOWN_PRODUCER_ID: Kafka's clients begin a new epoch then.
absl::StatusOr<std::optional<BatchMetadata>> admit(ProducerState& producers, BatchHeader& batch,
                                                   Offset next);
/// False where there is no memory; then `to` is as it was.
bool copy_producers(const ProducerState& from, ProducerState& to);
/// Where each producer stopped.
absl::StatusOr<ActiveProducers> active_producers(const ProducerState& producers);
/// The first `batches` of `range`, then trims to `budget`.
void push_tail(HotTail& tail, const StagedRange& range, std::size_t batches, std::size_t budget,
               HotTail::Dropped& dropped);
/// Everything that is staged goes, to `dropped` where there is memory for it.
void drop_staged(StagedBatches& staged, std::vector<SharedBytes>& dropped);
/// A batch that was checked, and is not taken: as its producer sealed it. Empty where there is no
/// memory.
void unstamp_again(SealedBatch& batch);
/// Tells so, and hands it back. `checked`: it may be stamped.
void refuse(ProduceRequest& request, bool checked, absl::Status why);
/// A refused batch as its producer sealed it; empty where there was none, or there is no memory.
SealedBatch batch_again(const SharedBytes& frozen);
/// Of `partition`; as it is where there is no memory to say so.
absl::Status named(const absl::Status& status, const TopicPartition& partition);
/// Waits for `bell`, which is in `world`'s hands meanwhile: whether it was rung, or why not.
absl::StatusOr<bool> await(World& world, Doorbell& bell, SteadyTime deadline);

}  // namespace ottla::inline OTTLA_ABI::broker_impl
