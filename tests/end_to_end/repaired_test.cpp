// SPDX-License-Identifier: Apache-2.0
//
// A partition is repaired under its producers and consumers: each is told once, nothing is passed
// over in silence, and they go on.
#include <string>
#include <vector>

#include <ottla/env/small_file.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

/// "orders-0" of ten batches, the fourth of which is bad, and "orders-1" of three.
MemoryBroker damaged_broker(MemoryEnv& env) {
  const MemoryBroker broker = open_with_topic(env, 2);
  for (int i = 0; i < 10; ++i) produce_numbers(broker, i, 1, 0);
  for (int i = 0; i < 3; ++i) produce_numbers(broker, i, 1, 1);
  const std::string log = "data/orders-0/00000000000000000000.log";
  const std::string text = must(read_small_file(env.file_system(), log, 100'000));
  auto file = must(env.file_system().open(log, OpenMode::read_write, IoReason::other));
  const auto at = static_cast<std::int64_t>(text.size() / 10 * 3 + 63);
  const std::byte bad[1] = {static_cast<std::byte>(text[static_cast<std::size_t>(at)]) ^
                            std::byte{1}};
  const Bytes piece(bad);
  must(file.write(at, {&piece, 1}, IoReason::other));
  return broker;
}

ConsumerConfig billing() {
  return {.group = "billing",
          .topics = {"orders"},
          .offset_reset = OffsetReset::earliest,
          .auto_commit = false};
}

struct Polled {
  std::vector<std::string> texts;
  std::vector<absl::Status> told;
};
Polled poll_all(TextConsumer& consumer) {
  Polled all;
  for (int i = 0; i < 30; ++i) {
    const auto records = consumer.poll(10ms);
    if (!records.ok()) {
      all.told.push_back(records.status());
      continue;
    }
    for (std::string& text : texts(*records)) all.texts.push_back(std::move(text));
  }
  return all;
}

std::int64_t committed(TextConsumer& consumer, int number) {
  return must(consumer.committed({partition(number)})).at(partition(number)).offset.value();
}

}  // namespace

TEST_CASE("a group is told once of what a repair took out, and commits behind it from then on") {
  MemoryEnv env;
  const MemoryBroker broker = damaged_broker(env);
  must(broker.repair(partition(0), Repair::skip_range));
  {
    TextConsumer consumer = must(TextConsumer::open(broker, billing()));
    const Polled all = poll_all(consumer);
    CHECK(all.texts.size() == 9 + 3);
    REQUIRE(all.told.size() == 1);
    CHECK(skipped_range(all.told[0]) == SkippedRange{Offset(3), Offset(4)});
    CHECK(reading_goes_on(all.told[0]) == Offset(4));
    CHECK(fault(all.told[0]) == Fault::corrupt);
    CHECK(all.told[0].message().find("orders-0") != absl::string_view::npos);
    must(consumer.commit());
    CHECK(committed(consumer, 0) == 10);
  }
  TextConsumer consumer = must(TextConsumer::open(broker, billing()));
  const Polled again = poll_all(consumer);
  CHECK(again.texts.empty());
  CHECK(again.told.empty());
}

TEST_CASE("what is committed before a consumer was told lies before the range") {
  MemoryEnv env;
  const MemoryBroker broker = damaged_broker(env);
  must(broker.repair(partition(0), Repair::skip_range));
  ConsumerConfig config = billing();
  config.max_poll_records = 3;
  TextConsumer consumer = must(TextConsumer::open(broker, config));
  std::vector<std::string> got;
  while (got.size() < 3) {
    for (std::string& text : texts(must(consumer.poll(10ms)))) got.push_back(std::move(text));
  }
  must(consumer.commit());
  const auto all = must(consumer.committed({partition(0)}));
  CHECK((all.empty() || all.begin()->second.offset <= Offset(3)));
  CHECK(must(consumer.position(partition(0))) <= Offset(3));
}

TEST_CASE("a consumer that came to the damage before it was repaired goes on behind it") {
  MemoryEnv env;
  { damaged_broker(env); }  // which had all of it in memory
  const MemoryBroker broker = open(env);
  ConsumerConfig config = billing();
  TextConsumer consumer = must(TextConsumer::open(broker, config));
  const Polled before = poll_all(consumer);
  CHECK(before.texts.size() == 3 + 3);
  REQUIRE_FALSE(before.told.empty());
  CHECK_FALSE(skipped_range(before.told.back()));
  must(broker.repair(partition(0), Repair::skip_range));
  const Polled after = poll_all(consumer);
  CHECK(after.texts.size() == 6);
  REQUIRE(after.told.size() == 1);
  CHECK(skipped_range(after.told[0]) == SkippedRange{Offset(3), Offset(4)});
}

TEST_CASE("a producer goes on over a repair, and numbers its batches on") {
  const Repair how = GENERATE(Repair::skip_range, Repair::truncate);
  MemoryEnv env;
  const MemoryBroker broker = damaged_broker(env);
  TextProducer producer = must(TextProducer::open(broker));
  const auto send = [&](const std::string& value) {
    const auto sent =
        producer.send({.topic = "orders", .partition = PartitionId(1), .value = value});
    return must(producer.wait(must(sent))).offset;
  };
  CHECK(send("before") == Offset(3));
  must(broker.repair(partition(0), how));
  CHECK(send("after") == Offset(4));
  const auto sent =
      producer.send({.topic = "orders", .partition = PartitionId(0), .value = "there"});
  CHECK(must(producer.wait(must(sent))).offset == Offset(how == Repair::skip_range ? 10 : 3));
}
