// SPDX-License-Identifier: Apache-2.0
//
// A batch on its way to the connection or with it, until its outcome is known or its time is up.
#pragma once

#include <atomic>
#include <utility>

#include <ottla/producer/producer_core.hpp>

namespace ottla::inline OTTLA_ABI {

class ProducerCore::InFlight final : public ProduceReply {
 public:
  /// Takes the batch over.
  InFlight(ProducerCore& core, ProducerLane& lane, ClosedBatch& batch)
      : core_(&core),
        lane_(lane),
        deadline_(after(batch.opened, core.config().delivery_timeout)),
        batch_(std::move(batch)) {
    lane_.in_flight.fetch_add(1);
  }

  /// In a block of the pool; null when memory cannot be had.
  static void* operator new(std::size_t, BufferPool& pool) noexcept {
    static_assert(alignof(InFlight) <= alignof(BufferBlock));
    BufferBlock* const block = pool.take().release();
    return block == nullptr ? nullptr : block->data();
  }
  static void operator delete(void* memory) noexcept {
    BufferBlock* const block = BufferBlock::of(memory);
    block->release(block);
  }
  static void operator delete(void* memory, BufferPool&) noexcept { operator delete(memory); }

  /// For who hands it over, once. Touches nothing that finishing it needs: another thread may.
  absl::StatusOr<SealedBatch> seal() { return core_->seal(lane_, batch_); }
  void done(absl::StatusOr<ProduceResponse> outcome, SealedBatch refused) noexcept override {
    if (claim()) {  // else it was given up before
      core_->settle(lane_, batch_, std::move(outcome), std::move(refused));
      lane_.settling.fetch_sub(1);
    }
  }
  /// Its outcome is `why`; what arrives later is dropped.
  void give_up(const absl::Status& why) noexcept {
    if (claim()) {
      core_->finish(lane_, batch_, why);
      lane_.settling.fetch_sub(1);
    }
  }

  bool finished() const { return finished_.load(std::memory_order_acquire); }
  SteadyTime deadline() const { return deadline_; }

 private:
  /// True once: for whoever decides what becomes of the batch.
  bool claim() {
    if (finished_.exchange(true, std::memory_order_acq_rel)) {
      return false;
    }
    lane_.settling.fetch_add(1);  // first: it is always in one of the two
    lane_.in_flight.fetch_sub(1);
    return true;
  }

  const Ref<ProducerCore> core_;
  ProducerLane& lane_;
  const SteadyTime deadline_;
  ClosedBatch batch_;
  std::atomic<bool> finished_{false};
};

}  // namespace ottla::inline OTTLA_ABI
