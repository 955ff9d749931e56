// SPDX-License-Identifier: Apache-2.0
//
// Consumers and producers in threads of their own, in real time; a hang is found by CTest's limit.
#include <atomic>
#include <set>
#include <thread>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

Broker broker_in_memory(std::int32_t partitions) {
  Broker broker = must(Broker::open({.log_dirs = in_memory}));
  must(broker.create_topic({.name = "orders", .partitions = partitions}));
  return broker;
}

void send(TextProducer& producer, int number, int partitions) {
  const std::string value = std::to_string(number);
  must(producer
           .send({.topic = "orders", .partition = PartitionId(number % partitions), .value = value})
           .status());
}

}  // namespace

TEST_CASE("a blocked consumer gets what another thread produces, record by record") {
  const Broker broker = broker_in_memory(1);
  constexpr int records = 300;
  std::atomic<int> read{0};
  std::thread reading([&] {
    auto consumer = must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
    must(consumer.assign({partition(0)}));
    while (read < records) read += static_cast<int>(must(consumer.poll(60s)).count());
  });
  auto producer = must(TextProducer::open(broker, {.linger = 0ms}));
  for (int i = 0; i < records; ++i) {
    send(producer, i, 1);
    while (read <= i) std::this_thread::yield();  // the reader sleeps again, mostly
  }
  reading.join();
  CHECK(read == records);
}

TEST_CASE("members in threads share a topic that is written meanwhile, one leaves in the middle") {
  const Broker broker = broker_in_memory(6);
  constexpr int records = 6'000;
  std::atomic<int> read{0};
  std::vector<std::multiset<std::string>> seen(3);
  const auto run = [&](std::size_t number, int until) {
    auto consumer = must(TextConsumer::open(broker, {.group = "g",
                                                     .topics = {"orders"},
                                                     .offset_reset = OffsetReset::earliest,
                                                     .max_poll_records = 50,
                                                     .heartbeat_interval = 5ms}));
    while (read < until) {
      const auto polled = must(consumer.poll(5ms));
      for (const auto& record : polled) seen[number].insert(*record.value());
      read += static_cast<int>(polled.count());
    }
    must(consumer.close());
  };
  std::vector<std::thread> threads;
  threads.emplace_back(run, 0, records / 2);
  threads.emplace_back(run, 1, records);
  threads.emplace_back(run, 2, records);
  auto producer = must(TextProducer::open(broker, {.linger = 1ms}));
  for (int i = 0; i < records; ++i) send(producer, i, 6);
  must(producer.flush());
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> all;
  for (const auto& each : seen) all.insert(each.begin(), each.end());
  CHECK(all.size() == records);
}

TEST_CASE("wakeups from another thread end polls, and are not lost before one") {
  const Broker broker = broker_in_memory(1);
  auto consumer = must(TextConsumer::open(broker));
  must(consumer.assign({partition(0)}));
  std::atomic<int> wanted{0};
  std::thread waking([&] {
    for (int i = 1; i <= 200; ++i) {
      while (wanted < i) std::this_thread::yield();
      consumer.wakeup();
    }
  });
  for (int i = 1; i <= 200; ++i) {
    wanted = i;
    CHECK(fault(consumer.poll(60s).status()) == Fault::woken);
  }
  waking.join();
}

TEST_CASE("a consumer closes while its broker does") {
  for (int round = 0; round < 20; ++round) {
    std::optional<Broker> broker = broker_in_memory(2);
    auto consumer = must(TextConsumer::open(
        *broker,
        {.group = "g", .topics = {"orders"}, .heartbeat_interval = 1ms, .close_timeout = 10s}));
    must(consumer.poll(0ms));
    std::thread closing([&] { broker.reset(); });
    consumer.close().IgnoreError();  // closed, or in time
    closing.join();
    CHECK(fault(consumer.poll(0ms).status()) == Fault::closed);
  }
}
