// SPDX-License-Identifier: Apache-2.0
//
// What a leader asks of a batch before it takes it, and what it stamps besides offsets (spec
// storage.md section 7). Batches that this process built are judged by their header, and walked
// only where the topic says something about single records; others are verified and walked
// completely.
#pragma once

#include <cstdint>

#include <absl/status/statusor.h>

#include <ottla/base/time.hpp>
#include <ottla/broker/topic_config.hpp>
#include <ottla/protocol/produce.hpp>
#include <ottla/record/sealed_batch.hpp>

namespace ottla::inline OTTLA_ABI {

/// Who built the bytes of a batch: the connection knows, that it came by.
enum class BatchOrigin : std::uint8_t {
  here,       ///< our BatchBuilder, in this process: checksum and structure are not checked again
  elsewhere,  ///< anybody; not even its lengths are believed
};

/// What the leader has to know of a batch that it takes.
struct ProducedBatch {
  std::int32_t last_offset_delta = 0;
  Timestamp max_timestamp = no_timestamp;
  Timestamp append_time = no_timestamp;  ///< that it was stamped with, where the topic says so
};

/// The batch may be appended, and has the codec and the timestamps that the topic asks for; or
/// Kafka's answer, and it was not changed: CORRUPT_MESSAGE, MESSAGE_TOO_LARGE,
/// RECORD_LIST_TOO_LARGE, INVALID_RECORD, INVALID_TIMESTAMP, UNSUPPORTED_COMPRESSION_TYPE,
/// INVALID_TXN_STATE.
absl::StatusOr<ProducedBatch> check_produced(SealedBatch& batch, const TopicConfig& config,
                                             Timestamp now, BatchOrigin origin);

/// NOT_ENOUGH_REPLICAS where `acks` asks for more than the one that there is.
absl::Status check_replicas(Acks acks, const TopicConfig& config);

/// Takes back what a leader stamped, so that the batch may be sent again. Before: a copy of a batch
/// that `check_produced` let pass.
void unstamp(SealedBatch& batch);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/broker/impl/produce_rules.ipp>
#endif
