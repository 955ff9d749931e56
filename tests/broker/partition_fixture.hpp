// SPDX-License-Identifier: Apache-2.0
//
// A partition in a world that is stepped, over files in memory behind a hook that sees every call,
// and that no lock is held then.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ottla/base/guard.hpp>
#include <ottla/broker/partition.hpp>
#include <ottla/env/memory/memory_env.hpp>
#include <ottla/record/batch_builder.hpp>

#include "tests/log/log_fixture.hpp"

namespace partition_test {

using namespace ottla;
using namespace std::chrono_literals;
using log_test::must;

/// What became of one batch.
struct Told {
  int tag = 0;
  absl::StatusOr<ProduceResponse> outcome{ProduceResponse{}};
  SealedBatch refused;
};
using AllTold = std::vector<Told>;

class Recorder final : public ProduceReply {
 public:
  Recorder(std::shared_ptr<AllTold> told, int tag, std::function<void()> also)
      : told_(std::move(told)), tag_(tag), also_(std::move(also)) {}
  void done(absl::StatusOr<ProduceResponse> outcome, SealedBatch refused) noexcept override {
    Mutex::expect_none_held();
    told_->push_back({tag_, std::move(outcome), std::move(refused)});
    if (also_) also_();
  }

 private:
  std::shared_ptr<AllTold> told_;
  int tag_;
  std::function<void()> also_;
};

struct Bell final : Wakeable {
  int rung = 0;
  void wake() noexcept override {
    Mutex::expect_none_held();
    ++rung;
  }
};

struct Shape {
  int records = 1;
  std::size_t value_size = 10;
  std::int64_t timestamp = 1'600'000'000'000;
  CompressionType compression = CompressionType::none;
  bool with_keys = false;
};

/// As a producer seals it. Values begin with `tag`.
inline SealedBatch make_batch(int tag, const Shape& shape = {}) {
  BatchBuilder builder({.compression = shape.compression});
  for (int i = 0; i < shape.records; ++i) {
    std::string value(shape.value_size, '.');
    const std::string number = std::to_string(tag);
    value.replace(0, std::min(number.size(), value.size()), number);
    RecordFields record{.timestamp = Timestamp(shape.timestamp + i), .value = as_bytes(value)};
    if (shape.with_keys) record.key = as_bytes(number);
    must(builder.append(record));
  }
  Compressor compressor;
  return must(builder.seal(compressor));
}

struct Harness : log_test::Disk {
  std::function<absl::Status(IoCall&)> on_io;  // beside the checks
  std::array<std::array<int, io_reasons>, 20> calls = {};
  int held = 0;  // calls under a lock
  MemoryEnv env;
  WorldOf<MemoryEnv> world{env};
  PartitionOptions partition_options;
  Ref<TailBudget> tails = make_ref<TailBudget>(std::int64_t{64} << 20);
  Ref<ReadBuffers> buffers = make_ref<ReadBuffers>();
  std::shared_ptr<AllTold> told = std::make_shared<AllTold>();
  std::vector<Offset> checkpoints;
  Ref<Partition> partition;

  Harness() {
    partition_options.partition = {"t", PartitionId(0)};
    partition_options.topic_id = options.topic_id;
    hook = [this](IoCall& call) {
      const HeldLocks& locks = Mutex::held();
      held += locks.ordinary + locks.leaf;
      if (!call.done) ++calls_of(call.operation, call.reason);
      return on_io ? on_io(call) : absl::OkStatus();
    };
  }
  ~Harness() { partition = {}; }

  Partition& open_partition(const LogOpening& opening = {.last_stop = LastStop::clean}) {
    partition = {};
    options.config = partition_options.config.log;
    partition = make_ref<Partition>(world, open(opening), partition_options, tails, buffers);
    return *partition;
  }

  void produce(int tag, const Shape& shape = {}, Durability durability = Durability::written) {
    produce_batch(tag, make_batch(tag, shape), durability);
  }
  void produce_batch(int tag, SealedBatch batch, Durability durability = Durability::written,
                     BatchOrigin origin = BatchOrigin::here, std::function<void()> also = {}) {
    partition->produce({.durability = durability,
                        .batch = std::move(batch),
                        .reply = make_ref<Recorder>(told, tag, std::move(also))},
                       origin);
  }
  absl::Status write_out(Durability durability = Durability::written) {
    return partition->write_out(durability, after(world.steady_now(), 10s));
  }
  /// Appends and waits.
  void append(int first, int count, const Shape& shape = {}) {
    for (int i = first; i < first + count; ++i) produce(i, shape);
    must(write_out());
  }

  FetchedPartition fetch(std::int64_t offset, std::size_t max_bytes = 1 << 20,
                         bool at_least_one = true) {
    FetchedPartition into;
    partition->fetch({.offset = Offset(offset)}, max_bytes, at_least_one, into);
    return into;
  }
  /// Values of all records, from an offset to the visible end.
  std::vector<std::string> values(std::int64_t from = 0, std::size_t max_bytes = 1 << 20) {
    std::vector<std::string> all;
    Decompressor decompressor;
    for (;;) {
      const FetchedPartition fetched = fetch(from, max_bytes);
      must(fetched.status);
      if (fetched.slices.empty()) return all;
      for (const Slice& slice : fetched.slices) {
        BatchCursor batches(slice.bytes.bytes());
        while (const BatchView* batch = batches.next()) {
          RecordCursor records = batch->records(decompressor);
          while (const RecordView* record = records.next()) {
            if (record->offset().value() < from) continue;
            const std::string_view value = as_string_view(record->value().value_or(Bytes()));
            all.emplace_back(value.substr(0, value.find('.')));
            from = record->offset().value() + 1;
          }
        }
        must(batches.status());
      }
    }
  }
  absl::StatusOr<bool> tick() {
    return partition->tick([this](Offset start) {
      checkpoints.push_back(start);
      return absl::OkStatus();
    });
  }
  int& calls_of(IoOperation operation, IoReason reason) {
    return calls[static_cast<std::size_t>(operation)][static_cast<std::size_t>(reason)];
  }
  int count(IoOperation operation, IoReason reason) { return calls_of(operation, reason); }
  int write_outs() { return count(IoOperation::write, IoReason::append); }
  /// Offsets that were acknowledged, in the order of the replies; -1 for a failure.
  std::vector<std::int64_t> offsets() const {
    std::vector<std::int64_t> all;
    for (const Told& each : *told) {
      all.push_back(each.outcome.ok() ? each.outcome->base_offset.value() : -1);
    }
    return all;
  }
};

inline std::vector<std::string> numbers(int from, int to) {
  std::vector<std::string> all;
  for (; from < to; ++from) all.push_back(std::to_string(from));
  return all;
}

inline std::function<absl::Status(IoCall&)> failing(IoOperation operation, IoReason reason,
                                                    absl::Status status) {
  return [=](IoCall& call) {
    return !call.done && call.operation == operation && call.reason == reason ? status
                                                                              : absl::OkStatus();
  };
}

}  // namespace partition_test
