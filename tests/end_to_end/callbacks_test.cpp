// SPDX-License-Identifier: Apache-2.0
//
// What callbacks may do, and until when they come.
#include <atomic>
#include <optional>
#include <string>
#include <thread>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

TEST_CASE("a send of a callback leaves the record alone whose send calls back") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  using Numbers = Producer<std::string, std::int64_t>;  // numbers are serialized into scratch
  constexpr std::uint64_t outer = 1;
  std::optional<Numbers> producer;
  int refused = 0;
  ProducerConfig config{.batch_size = 200, .buffer_memory = 2000, .max_request_size = 1000};
  config.on_delivery = [&](const Delivery& delivery) {
    if (delivery.tag == outer) {
      const auto sent = producer->send({.topic = "orders", .key = "nested", .value = -1});
      refused += sent.ok() ? 0 : 1;
    }
  };
  producer.emplace(must(Numbers::open(broker, config)));
  constexpr std::int64_t records = 1'000;
  for (std::int64_t i = 0; i < records; ++i) {
    must(producer->send({.topic = "orders", .key = "outer", .value = i, .tag = outer}).status());
  }
  must(producer->flush());
  auto consumer = must(
      Consumer<std::string, std::int64_t>::open(broker, {.offset_reset = OffsetReset::earliest}));
  must(consumer.assign({partition(0)}));
  std::int64_t next = 0;
  int nested = 0;
  for (bool more = true; more;) {
    const auto polled = must(consumer.poll(10ms));
    more = !polled.empty();
    for (const auto& record : polled) {
      if (*record.key() == "nested") {
        ++nested;
        CHECK(*record.value() == -1);
      } else if (*record.value() == next) {
        ++next;
      }
    }
  }
  CHECK(next == records);
  CHECK(nested > 0);
  CHECK(nested + refused == records);
}

TEST_CASE("an event loop is told of a little that has waited for long enough") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  auto consumer = must(
      TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest, .fetch_min_bytes = 1000}));
  must(consumer.assign({partition(0)}));
  std::size_t read = 0;
  const auto poll = [&] { read += drain(consumer).size(); };
  must(consumer.on_ready([&] { env.executor().post(poll); }));
  CHECK(must(consumer.poll(0ms)).empty());
  const auto late = GENERATE(0ms, 700ms);
  env.advance(late);
  produce_numbers(broker, 0, 1);
  env.advance(1s);
  CHECK(read == 1);
}

TEST_CASE("an event loop is told when a member has something to do") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  auto consumer = must(TextConsumer::open(
      broker,
      {.group = "g", .topics = {"later", "orders"}, .offset_reset = OffsetReset::earliest}));
  std::vector<std::string> read;
  int polls = 0;
  must(consumer.on_ready([&] {
    env.executor().post([&] {
      ++polls;
      for (std::string& text : drain(consumer)) read.push_back(std::move(text));
    });
  }));
  CHECK(must(consumer.poll(0ms)).empty());
  env.advance(10s);
  CHECK(polls < 50);
  SECTION("a topic comes") {
    must(broker.create_topic({.name = "later"}));
    auto producer = must(TextProducer::open(broker));
    must(producer.send({.topic = "later", .value = "v"}).status());
    must(producer.flush());
    env.advance(10s);
    CHECK(read == std::vector<std::string>{"later-0@0 null=v"});
  }
  SECTION("partitions come") {
    must(broker.add_partitions("orders", 2));
    produce_numbers(broker, 0, 1, 1);
    env.advance(10s);
    CHECK(read == std::vector<std::string>{"orders-1@0 null=n0"});
  }
}

TEST_CASE("nobody is told of a consumer that is closed or gone, in a listener either") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  int told = 0;
  bool drop = false;
  std::optional<TextConsumer> consumer;
  ConsumerConfig config{.group = "g", .topics = {"orders"}};
  config.rebalance.revoked = [&](const std::vector<TopicPartition>&) {
    if (drop) consumer.reset();
    told = 0;
  };
  consumer.emplace(must(TextConsumer::open(broker, std::move(config))));
  must(consumer->on_ready([&] { ++told; }));
  for (int i = 0; i < 5; ++i) {
    must(consumer->poll(0ms));
    env.advance(10ms);
  }
  SECTION("closed") {
    must(consumer->close());
    CHECK(fault(consumer->on_ready([&] { ++told; })) == Fault::closed);
  }
  SECTION("closed, then gone") {
    must(consumer->close());
    consumer.reset();
  }
  SECTION("gone") { consumer.reset(); }
  SECTION("gone in a listener") {
    must(consumer->enforce_rebalance());
    drop = true;
    consumer->poll(0ms).status().IgnoreError();
    CHECK_FALSE(consumer.has_value());
  }
  produce_numbers(broker, 0, 1);
  env.advance(1min);
  CHECK(told == 0);
}

TEST_CASE("a consumer's close waits for a call of on_ready that is under way") {
  const Broker broker = must(Broker::open({.log_dirs = in_memory}));
  must(broker.create_topic({.name = "orders", .partitions = 1}));
  std::atomic<int> inside{0};
  std::atomic<bool> let_go{false};
  std::atomic<bool> returned{false};
  auto consumer = must(TextConsumer::open(broker, {}));
  must(consumer.assign({partition(0)}));
  must(consumer.on_ready([&] {
    ++inside;
    while (!let_go) std::this_thread::yield();
    returned = true;
  }));
  CHECK(must(consumer.poll(0ms)).empty());
  std::thread sending([&] {
    auto producer = must(TextProducer::open(broker, {.linger = 0ms}));
    producer.send({.topic = "orders", .value = "v"}).status().IgnoreError();
    producer.flush().IgnoreError();
  });
  while (inside == 0) std::this_thread::yield();
  std::thread freeing([&] {
    for (int i = 0; i < 1'000; ++i) std::this_thread::yield();  // close is likely to wait by then
    let_go = true;
  });
  must(consumer.close());
  const bool returned_before = returned;
  freeing.join();
  sending.join();
  CHECK(returned_before);
  CHECK(inside == 1);
}
