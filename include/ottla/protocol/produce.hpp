// SPDX-License-Identifier: Apache-2.0
//
// Produce: one sealed batch for one partition. Flat, since it is the hot request: nested vectors
// would cost more than the rest of the call. Spec storage.md section 7, producer_txn.md section 3.
#pragma once

#include <cstdint>

#include <absl/status/statusor.h>

#include <ottla/base/ids.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/time.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/env/durability.hpp>
#include <ottla/record/sealed_batch.hpp>

namespace ottla::inline OTTLA_ABI {

/// Whose promise an acknowledgement is. `leader` and `all` mean *written* (or durable: see
/// Durability).
enum class Acks : std::int8_t {
  none = 0,    ///< nobody's: the outcome is not reported
  leader = 1,  ///< the partition's leader
  all = -1,    ///< `min.insync.replicas` log directories
};

struct ProduceResponse {
  Offset base_offset{-1};
  Timestamp log_append_time = no_timestamp;  ///< with LogAppendTime, else none
  Offset log_start_offset{-1};
};

/// Where the outcome goes, once. Called from any thread, without a lock held; it returns soon.
class ProduceReply : public Counted {
 public:
  /// `refused`: the batch again where it was not written and may be sent once more; else empty.
  virtual void done(absl::StatusOr<ProduceResponse> outcome, SealedBatch refused) noexcept = 0;
};

struct ProduceRequest {
  TopicId topic_id = {};
  PartitionId partition = {};
  Acks acks = Acks::all;
  Durability durability = Durability::written;
  SteadyTime deadline = never;  ///< of waiting for room there; who answers may wait less
  SealedBatch batch = {};
  Ref<ProduceReply> reply = {};  ///< none with Acks::none
};

}  // namespace ottla::inline OTTLA_ABI
