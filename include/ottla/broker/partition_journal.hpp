// SPDX-License-Identifier: Apache-2.0
//
// A journal that is a partition of one of the broker's own topics: a coordinator's records.
#pragma once

#include <chrono>
#include <utility>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/coordinator_log.hpp>
#include <ottla/broker/journal.hpp>
#include <ottla/broker/partition.hpp>
#include <ottla/record/batch_builder.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
class PartitionJournal final : public Journal {
 public:
  /// Before: the env of `world` outlives it.
  PartitionJournal(World& world, Ref<BasicPartition<Fs>> partition)
      : world_(world), partition_(std::move(partition)) {}

  void append(std::span<const MachineRecord> records, Done done) noexcept override {
    ProduceRequest request{.topic_id = partition_->topic_id(),
                           .partition = partition_->partition().partition};
    absl::Status built = guarded([&]() -> absl::Status {
      OTTLA_ASSIGN(request.batch, build(records));
      request.reply = make_ref<Written>(std::move(done));  // moved from when there is memory for it
      return absl::OkStatus();
    });
    if (!built.ok()) {
      done(std::move(built));
      return;
    }
    partition_->produce(std::move(request), BatchOrigin::here);
    if (BriefScope::active()) {
      partition_->write_soon();
      return;
    }
    // Its own reply tells what became of it, also later than this thread waits.
    const SteadyTime deadline = after(world_.steady_now(), longest_wait);
    guarded([&] { return partition_->write_out(Durability::written, deadline); }).IgnoreError();
  }

  absl::Status load(absl::FunctionRef<absl::Status(const WrittenRecord&)> take) override {
    Offset next = partition_->ends().start;
    return load_records(*partition_, next, take);  // at the end a damaged log tells that it is
  }

 private:
  static constexpr std::chrono::seconds longest_wait{60};

  class Written final : public ProduceReply {
   public:
    explicit Written(Done done) : done_(std::move(done)) {}
    void done(absl::StatusOr<ProduceResponse> outcome, SealedBatch) noexcept override {
      if (outcome.ok()) {
        done_(outcome->base_offset);
      } else {
        done_(std::move(outcome).status());
      }
    }

   private:
    Done done_;
  };

  absl::StatusOr<SealedBatch> build(std::span<const MachineRecord> records) const {
    BatchBuilder builder;
    const Timestamp now = world_.wall_now();
    for (const MachineRecord& record : records) {
      RecordFields fields{.timestamp = now};
      if (record.key) {
        fields.key = Bytes(*record.key);
      }
      if (record.value) {
        fields.value = Bytes(*record.value);
      }
      OTTLA_TRY(builder.append(fields));
    }
    return builder.seal();
  }

  World world_;
  const Ref<BasicPartition<Fs>> partition_;
};

}  // namespace ottla::inline OTTLA_ABI
