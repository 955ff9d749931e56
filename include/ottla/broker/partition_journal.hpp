// SPDX-License-Identifier: Apache-2.0
//
// A journal that is a partition of one of the broker's own topics: a coordinator's records.
#pragma once

#include <chrono>
#include <utility>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/journal.hpp>
#include <ottla/broker/partition.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/record/control_record.hpp>

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
    Decompressor decompressor;
    for (Offset next = partition_->ends().start;;) {  // at the end a damaged log tells that it is
      FetchedPartition fetched;
      partition_->fetch({.topic_id = partition_->topic_id(),
                         .partition = partition_->partition().partition,
                         .offset = next},
                        std::size_t{1} << 20, true, fetched);
      if (const auto goes_on = reading_goes_on(fetched.status)) {
        next = *goes_on;  // its owner was told when that was taken out
        continue;
      }
      OTTLA_TRY(fetched.status);
      const Offset before = next;
      for (const Slice& slice : fetched.slices) {
        OTTLA_TRY(load_slice(slice, decompressor, next, take));
      }
      if (next == before) {
        break;
      }
    }
    return absl::OkStatus();
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

  static absl::Status load_slice(const Slice& slice, Decompressor& decompressor, Offset& next,
                                 absl::FunctionRef<absl::Status(const WrittenRecord&)> take) {
    BatchCursor batches(slice.bytes.bytes(), "a coordinator's log", CheckCrc::skip);
    while (const BatchView* batch = batches.next()) {
      RecordCursor records = batch->records(decompressor);
      while (const RecordView* record = records.next()) {
        if (record->offset() >= next) {
          OTTLA_TRY(load_record(batch->header(), *record, take));
        }
      }
      OTTLA_TRY(records.status());
      next = std::max(next, batch->header().next_offset());
    }
    return batches.status();
  }

  /// A transaction's records say whose they are, and so does its marker, which has nothing else to
  /// say.
  static absl::Status load_record(const BatchHeader& header, const RecordView& record,
                                  absl::FunctionRef<absl::Status(const WrittenRecord&)> take) {
    WrittenRecord written{.offset = record.offset()};
    if (header.is_transactional()) {
      written.producer = header.producer_id;
    }
    if (!header.is_control()) {
      written.key = record.key();
      written.value = record.value();
      return take(written);
    }
    OTTLA_ASSIGN(const ControlType type, parse_control_type(record.key()));
    if (type != ControlType::commit && type != ControlType::abort) {
      return absl::OkStatus();
    }
    written.marker =
        type == ControlType::commit ? TransactionMarker::commit : TransactionMarker::abort;
    return take(written);
  }

  World world_;
  const Ref<BasicPartition<Fs>> partition_;
};

}  // namespace ottla::inline OTTLA_ABI
