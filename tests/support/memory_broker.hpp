// SPDX-License-Identifier: Apache-2.0
//
// A broker in a world that is stepped, and what tests do with it all the time.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ottla/broker/memory_broker.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/env/memory/memory_env.hpp>
#include <ottla/producer/producer.hpp>

#include "tests/support/must.hpp"

namespace test {

using namespace std::chrono_literals;
using MemoryBroker = ottla::MemoryBroker;
using TextProducer = ottla::Producer<std::string, std::string>;
using TextConsumer = ottla::Consumer<std::string, std::string>;

inline MemoryBroker open(ottla::MemoryEnv& env, ottla::BrokerConfig config = {}) {
  config.log_dirs = "data";
  return must(MemoryBroker::open(env, std::move(config)));
}

inline MemoryBroker open_with_topic(ottla::MemoryEnv& env, std::int32_t partitions,
                                    std::vector<std::pair<std::string, std::string>> configs = {}) {
  MemoryBroker broker = open(env);
  must(broker.create_topic(
      {.name = "orders", .partitions = partitions, .configs = std::move(configs)}));
  return broker;
}

/// "orders-1@4 key=value", in the order of the poll.
inline std::vector<std::string> texts(const TextConsumer::Records& records) {
  std::vector<std::string> all;
  for (const auto& record : records) {
    const auto key = record.key();
    const auto value = record.value();
    all.push_back(std::string(record.topic()) + "-" + std::to_string(record.partition().value()) +
                  "@" + std::to_string(record.offset().value()) + " " +
                  (key.is_null() ? "null" : *key) + "=" + (value.is_null() ? "null" : *value));
  }
  must(records.status());
  return all;
}

/// Polls until nothing comes any more.
inline std::vector<std::string> drain(TextConsumer& consumer) {
  std::vector<std::string> all;
  for (;;) {
    const auto records = must(consumer.poll(10ms));
    if (records.empty()) return all;
    for (std::string& text : texts(records)) all.push_back(std::move(text));
  }
}

inline ottla::TopicPartition partition(int number) {
  return {"orders", ottla::PartitionId(number)};
}

/// "n0", "n1", ... without keys into one partition.
inline void produce_numbers(const MemoryBroker& broker, int from, int count, int into = 0,
                            ottla::ProducerConfig config = {}) {
  auto producer = must(TextProducer::open(broker, std::move(config)));
  for (int i = from; i < from + count; ++i) {
    const std::string value = "n" + std::to_string(i);
    must(producer
             .send({.topic = "orders",
                    .partition = ottla::PartitionId(into),
                    .value = value,
                    .timestamp = ottla::Timestamp(1'600'000'000'000 + i)})
             .status());
  }
  must(producer.flush());
}

}  // namespace test
