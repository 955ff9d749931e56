// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "partition_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace partition_test;

namespace {

struct Sent {
  std::int32_t first = 0;
  std::int32_t records = 1;
  std::int16_t epoch = 0;
  std::int64_t producer = 7;
};

SealedBatch batch_of(const Sent& sent) {
  BatchBuilder builder({.producer_id = ProducerId(sent.producer),
                        .producer_epoch = ProducerEpoch(sent.epoch),
                        .base_sequence = sent.first});
  for (int i = 0; i < sent.records; ++i) {
    must(builder.append({.timestamp = Timestamp(1'600'000'000'000), .value = as_bytes("v")}));
  }
  return must(builder.seal());
}

struct Producers : Harness {
  int tag = 0;
  void send(const Sent& sent, Durability durability = Durability::written) {
    produce_batch(tag++, batch_of(sent), durability);
  }
  /// What was answered since the last call: base offsets, or Kafka's names of errors.
  std::vector<std::string> answers() {
    std::vector<std::string> all;
    for (const Told& each : *told) {
      all.push_back(each.outcome.ok() ? std::to_string(each.outcome->base_offset.value())
                                      : std::string(name(error_code(each.outcome.status()))));
    }
    told->clear();
    return all;
  }
};

using Answers = std::vector<std::string>;

}  // namespace

TEST_CASE("A batch that its producer repeats is answered with its offset and not appended") {
  Producers harness;
  harness.open_partition();
  harness.send({.first = 0, .records = 5});
  harness.send({.first = 5, .records = 5});
  harness.send({.first = 0, .records = 5});  // both are staged only
  CHECK(harness.answers().empty());
  must(harness.write_out());
  CHECK(harness.answers() == Answers{"0", "5", "0"});
  harness.send({.first = 5, .records = 5});  // written: told at once
  CHECK(harness.answers() == Answers{"5"});
  CHECK(harness.partition->ends().end == Offset(10));
  CHECK(harness.partition->metrics().repeated == 2);
  CHECK(harness.held == 0);
}

TEST_CASE("Sequences and epochs that do not follow get Kafka's answers, and their batch back") {
  Producers harness;
  harness.open_partition();
  harness.send({.first = 0, .records = 5});
  harness.send({.first = 3, .records = 2});
  harness.send({.first = 11});
  harness.send({.first = 3, .epoch = 1});
  harness.send({.first = 0, .epoch = 1});
  harness.send({.first = 5, .epoch = 0});
  for (const Told& told : *harness.told) {
    CHECK((told.outcome.ok() || !told.refused.empty()));
    CHECK((told.outcome.ok() || outcome(told.outcome.status()) == Outcome::not_written));
  }
  must(harness.write_out());
  CHECK(harness.answers() == Answers{"OUT_OF_ORDER_SEQUENCE_NUMBER", "OUT_OF_ORDER_SEQUENCE_NUMBER",
                                     "OUT_OF_ORDER_SEQUENCE_NUMBER", "INVALID_PRODUCER_EPOCH", "0",
                                     "5"});
  CHECK(harness.partition->ends().end == Offset(6));
}

TEST_CASE("What a failed write-out took with it may come again with its sequence") {
  Producers harness;
  harness.open_partition();
  harness.send({.first = 0});
  must(harness.write_out());
  harness.on_io = failing(IoOperation::write, IoReason::append, error(Fault::no_space, "full"));
  harness.send({.first = 1});
  harness.send({.first = 2});
  (void)harness.write_out();
  harness.on_io = {};
  harness.answers();
  harness.send({.first = 2});
  CHECK(harness.answers() == Answers{"OUT_OF_ORDER_SEQUENCE_NUMBER"});
  harness.send({.first = 1});
  harness.send({.first = 2});
  must(harness.write_out());
  CHECK(harness.answers() == Answers{"1", "2"});
}

TEST_CASE("A repeated batch waits for the device when its producer does") {
  Producers harness;
  harness.open_partition();
  harness.send({.first = 0});
  must(harness.write_out());
  harness.answers();
  harness.send({.first = 0}, Durability::durable);
  CHECK(harness.answers().empty());
  must(harness.write_out(Durability::durable));
  CHECK(harness.answers() == Answers{"0"});
}

TEST_CASE("A partition knows its producers again when it is opened, and forgets the idle ones") {
  Producers harness;
  harness.open_partition();
  harness.send({.first = 0, .records = 3});
  must(harness.write_out());
  harness.answers();
  const CleanEnd end = must(harness.partition->close(after(harness.world.steady_now(), 10s)));
  // Its timestamps are years old: kept only as long as nobody looks.
  harness.options.producer_id_expiration = std::chrono::milliseconds::max();
  harness.partition_options.producer_id_expiration = std::chrono::milliseconds::max();
  harness.open_partition({.last_stop = LastStop::clean, .clean_end = end});
  harness.send({.first = 0, .records = 3});
  CHECK(harness.answers() == Answers{"0"});
  harness.open_partition({.last_stop = LastStop::process_crash});
  harness.send({.first = 0, .records = 3});
  harness.send({.first = 4});
  CHECK(harness.answers() == Answers{"0", "OUT_OF_ORDER_SEQUENCE_NUMBER"});
  harness.options.producer_id_expiration = std::chrono::hours(24);
  harness.partition_options.producer_id_expiration = std::chrono::hours(24);
  harness.open_partition({.last_stop = LastStop::process_crash});
  must(harness.tick());
  harness.send({.first = 4});
  harness.send({.first = 0, .epoch = 1});
  must(harness.write_out());
  CHECK(harness.answers() == Answers{"UNKNOWN_PRODUCER_ID", "3"});
}

TEST_CASE("The first batch of a producer that fails is not overtaken by its second") {
  Producers harness;
  harness.open_partition();
  harness.on_io = failing(IoOperation::write, IoReason::append, error(Fault::io, "broken"));
  harness.send({.first = 0});
  (void)harness.write_out();
  harness.on_io = {};
  harness.answers();
  harness.send({.first = 1});
  harness.send({.first = 0});
  harness.send({.first = 1});
  must(harness.write_out());
  CHECK(harness.answers() == Answers{"UNKNOWN_PRODUCER_ID", "0", "1"});
}

TEST_CASE("A log that cannot read what it knows of producers takes their batches once it can") {
  Producers harness;
  harness.open_partition();
  harness.send({.first = 0, .records = 3});
  must(harness.write_out());
  must(harness.partition->close(after(harness.world.steady_now(), 10s)).status());
  harness.answers();
  harness.options.producer_id_expiration = std::chrono::milliseconds::max();
  bool broken = true;
  harness.on_io = [&](IoCall& call) {
    return broken && call.path.ends_with(producer_snapshot_suffix) &&
                   call.operation == IoOperation::open
               ? error(Fault::io, "input/output error")
               : absl::OkStatus();
  };
  harness.open_partition({.last_stop = LastStop::clean});
  harness.send({.first = 3});
  CHECK(fault(harness.told->back().outcome.status()) == Fault::io);
  harness.answers();
  broken = false;
  harness.send({.first = 0, .records = 3});
  harness.send({.first = 3});
  must(harness.write_out());
  CHECK(harness.answers() == Answers{"0", "3"});
}
