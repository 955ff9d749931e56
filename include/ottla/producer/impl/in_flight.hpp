// SPDX-License-Identifier: Apache-2.0
//
// A batch that was handed to the connection, until its outcome is known or its time is up.
#pragma once

#include <atomic>
#include <utility>
#include <vector>

#include <ottla/producer/producer_core.hpp>

namespace ottla::inline OTTLA_ABI {

class ProducerCore::InFlight final : public ProduceReply {
 public:
  InFlight(Ref<ProducerCore> core, Ref<ProducerTopic> topic, ProducerLane& lane, ClosedBatch& batch)
      : core_(std::move(core)),
        topic_(std::move(topic)),
        lane_(lane),
        number_(batch.number),
        records_(batch.builder.record_count()),
        charged_(batch.charged),
        deadline_(after(batch.opened, core_->config().delivery_timeout)),
        tags_(std::move(batch.tags)) {}

  void done(absl::StatusOr<ProduceResponse> outcome, SealedBatch refused) noexcept override;
  /// The time for delivery is up; what arrives later is dropped.
  void expire();
  /// Hands `batch` to the connection, for the first time or again.
  void send(SealedBatch batch);

  bool finished() const { return finished_.load(std::memory_order_acquire); }
  SteadyTime deadline() const { return deadline_; }

 private:
  friend class ProducerCore;
  bool may_retry(const absl::Status& status) const;
  void retry(SealedBatch batch);
  void finish(absl::StatusOr<ProduceResponse> outcome);

  const Ref<ProducerCore> core_;
  const Ref<ProducerTopic> topic_;
  ProducerLane& lane_;
  const std::uint64_t number_;
  const std::int32_t records_;
  const std::int64_t charged_;
  const SteadyTime deadline_;
  std::vector<std::uint64_t> tags_;
  std::int32_t attempts_ = 0;
  std::atomic<bool> finished_{false};
};

}  // namespace ottla::inline OTTLA_ABI
