// SPDX-License-Identifier: Apache-2.0
//
// What a leader asks of a batch before it takes it, and what it stamps besides offsets (spec
// storage.md section 7). Whole batches are judged by their header; records are walked only where
// the topic says something about them.
#pragma once

#include <absl/status/status.h>

#include <ottla/base/time.hpp>
#include <ottla/broker/topic_config.hpp>
#include <ottla/record/sealed_batch.hpp>

namespace ottla::inline OTTLA_ABI {

/// Ok, and the batch stamped with `now` where the topic has LogAppendTime; else Kafka's answer:
/// CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, INVALID_RECORD, INVALID_TIMESTAMP,
/// UNSUPPORTED_COMPRESSION_TYPE. `trusted`: the bytes were built in this process, so the checksum
/// is not computed again.
absl::Status check_produced(SealedBatch& batch, const TopicConfig& config, Timestamp now,
                            bool trusted);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/broker/impl/produce_rules.ipp>
#endif
