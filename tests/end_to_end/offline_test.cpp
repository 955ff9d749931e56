// SPDX-License-Identifier: Apache-2.0
//
// What is not there holds up nobody else: a partition that could not be opened, a broker that was
// closed.
#include <optional>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

/// Of two partitions the second one cannot be opened.
MemoryBroker half_open(MemoryEnv& env) {
  {
    const MemoryBroker broker = open_with_topic(env, 2);
    produce_numbers(broker, 0, 3, 0);
    produce_numbers(broker, 3, 3, 1);
  }
  auto metadata = must(env.file_system().open("data/orders-1/partition.metadata",
                                              OpenMode::read_write, IoReason::other));
  must(metadata.truncate(3, IoReason::other));
  must(metadata.close());
  return open(env);
}

const std::vector<std::string> first = {"orders-0@0 null=n0", "orders-0@1 null=n1",
                                        "orders-0@2 null=n2"};

std::vector<std::string> some_polls(TextConsumer& consumer) {
  std::vector<std::string> all;
  for (int i = 0; i < 5; ++i) {
    for (std::string& text : texts(must(consumer.poll(100ms)))) all.push_back(std::move(text));
  }
  return all;
}

}  // namespace

TEST_CASE("a partition that is offline holds up no other one of its consumers") {
  MemoryEnv env;
  const MemoryBroker broker = half_open(env);
  SECTION("of a group") {
    TextConsumer consumer = must(TextConsumer::open(
        broker, {.group = "billing", .topics = {"orders"}, .offset_reset = OffsetReset::earliest}));
    CHECK(some_polls(consumer) == first);
  }
  SECTION("alone") {
    TextConsumer consumer =
        must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
    must(consumer.assign({partition(0), partition(1)}));
    CHECK(some_polls(consumer) == first);
    const absl::Status refused = consumer.end_offsets({partition(1)}).status();
    CHECK(error_code(refused) == ErrorCode::kafka_storage_error);
    CHECK(refused.message().find("events say why") != std::string::npos);
  }
}

TEST_CASE("records without a key go to the partition that is there") {
  MemoryEnv env;
  const MemoryBroker broker = half_open(env);
  TextProducer producer = must(TextProducer::open(broker, {.batch_size = 1000}));
  const std::string value(400, 'v');
  for (int i = 0; i < 50; ++i) {
    const auto sent = must(producer.wait(must(producer.send({.topic = "orders", .value = value}))));
    CHECK(sent.partition == PartitionId(0));
  }
}

TEST_CASE("a member without a partition is told soon that its broker was closed") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  const auto join = [&] {
    return must(TextConsumer::open(broker, {.group = "billing", .topics = {"orders"}}));
  };
  TextConsumer one = join();
  TextConsumer other = join();
  for (int i = 0; i < 20; ++i) {
    must(one.poll(100ms).status());
    must(other.poll(100ms).status());
  }
  REQUIRE(must(one.assignment()).size() + must(other.assignment()).size() == 1);
  must(broker.close());
  const SteadyTime closed = env.clock().steady_now();
  CHECK(fault(one.poll(60s).status()) == Fault::closed);
  CHECK(fault(other.poll(60s).status()) == Fault::closed);
  CHECK(env.clock().steady_now() - closed < 10s);
}
