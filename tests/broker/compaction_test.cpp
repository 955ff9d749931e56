// SPDX-License-Identifier: Apache-2.0
//
// Topics with cleanup.policy=compact, and the offsets that groups commit, in a broker whose time is
// stepped.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <ottla/env/small_file.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

using Configs = std::vector<std::pair<std::string, std::string>>;

const Configs compacted = {{"cleanup.policy", "compact"},
                           {"internal.segment.bytes", "2000"},
                           {"min.cleanable.dirty.ratio", "0.1"}};

/// One that reads from files, where compaction is seen.
BrokerConfig config_with(CleanerConfig cleaner = {}, EventSink on_event = {}) {
  return {.hot_tail_partition_bytes = 0, .cleaner = cleaner, .on_event = std::move(on_event)};
}
MemoryBroker open_compacted(MemoryEnv& env, const Configs& configs = compacted,
                            BrokerConfig config = config_with()) {
  MemoryBroker broker = open(env, std::move(config));
  must(broker.create_topic({.name = "orders", .configs = configs}));
  return broker;
}

/// A batch each. A value of "" is a tombstone.
void put(const MemoryBroker& broker, const std::vector<std::pair<std::string, std::string>>& all) {
  auto producer = must(TextProducer::open(broker, {.linger = 0ms}));
  for (const auto& [key, value] : all) {
    Outgoing<std::string> outgoing;
    if (!value.empty()) {
      outgoing = std::string_view(value);
    }
    must(producer.send({.topic = "orders", .key = key, .value = outgoing}).status());
    must(producer.flush());
  }
}

void put_numbers(const MemoryBroker& broker, int from, int to) {
  std::vector<std::pair<std::string, std::string>> all;
  for (int i = from; i < to; ++i) {
    all.emplace_back("k" + std::to_string(i % 5), std::to_string(i));
  }
  put(broker, all);
}

struct Seen {
  std::map<std::string, std::string> latest;
  int records = 0;
  int tombstones = 0;
};
Seen read_all(const MemoryBroker& broker) {
  auto consumer = must(TextConsumer::open(broker));
  must(consumer.assign({partition(0)}));
  must(consumer.seek_to_beginning());
  Seen seen;
  const Offset end = must(consumer.end_offsets({partition(0)})).at(partition(0));
  while (must(consumer.position(partition(0))) < end) {
    const auto records = must(consumer.poll(10ms));
    for (const auto& record : records) {
      ++seen.records;
      const std::string key = *record.key();
      seen.latest.erase(key);
      if (record.value().is_null()) {
        ++seen.tombstones;
      } else {
        seen.latest.emplace(key, *record.value());
      }
    }
  }
  return seen;
}

std::int64_t bytes_in(MemoryEnv& env, const std::string& directory, std::string_view suffix) {
  std::int64_t bytes = 0;
  for (const DirectoryEntry& entry : must(env.file_system().list(directory))) {
    bytes += entry.name.ends_with(suffix)
                 ? must(env.file_system().status(directory + "/" + entry.name)).size
                 : 0;
  }
  return bytes;
}

const std::map<std::string, std::string> last_of_300 = {
    {"k0", "295"}, {"k1", "296"}, {"k2", "297"}, {"k3", "298"}, {"k4", "299"}};

}  // namespace

TEST_CASE("a compacted topic keeps the latest value of each key, in a fraction of the bytes") {
  MemoryEnv env;
  {
    const MemoryBroker broker = open_compacted(env);
    put_numbers(broker, 0, 300);
    const std::int64_t before = bytes_in(env, "data/orders-0", ".log");
    env.advance(60s);
    const Seen seen = read_all(broker);
    CHECK(seen.latest == last_of_300);
    CHECK(seen.records < 60);
    CHECK(bytes_in(env, "data/orders-0", ".log") < before / 4);
    CHECK(bytes_in(env, "data/orders-0", ".deleted") > 0);
    env.advance(120s);
    CHECK(bytes_in(env, "data/orders-0", ".deleted") == 0);
    const std::string checkpoint =
        must(read_small_file(env.file_system(), "data/cleaner-offset-checkpoint", 1 << 16));
    CHECK(checkpoint.starts_with("0\n1\norders 0 "));
  }
  const MemoryBroker again = open(env, config_with());
  CHECK(read_all(again).latest == last_of_300);
  put_numbers(again, 300, 600);
  env.advance(60s);
  CHECK(read_all(again).latest.at("k4") == "599");
  CHECK(read_all(again).records < 60);
}

TEST_CASE("a deleted key is gone from a compacted topic once its tombstone's time has passed") {
  MemoryEnv env;
  Configs configs = compacted;
  configs.emplace_back("delete.retention.ms", "1000");
  const MemoryBroker broker = open_compacted(env, configs);
  put(broker, {{"gone", "1"}, {"gone", ""}});
  put_numbers(broker, 0, 100);
  env.advance(60s);
  CHECK(read_all(broker).tombstones == 1);
  put_numbers(broker, 100, 300);
  env.advance(60s);
  CHECK(read_all(broker).tombstones == 0);
  CHECK(read_all(broker).latest == last_of_300);
}

TEST_CASE("compaction waits for the share of new data that the topic names, and can be off") {
  const bool off = GENERATE(true, false);
  MemoryEnv env;
  Configs configs = compacted;
  configs.back().second = off ? "0.1" : "1";
  const MemoryBroker broker = open_compacted(env, configs, config_with({.enable = !off}));
  put_numbers(broker, 0, 300);
  env.advance(120s);
  CHECK(read_all(broker).records == 300);
}

TEST_CASE("compaction keeps to its share of the disk") {
  MemoryEnv env;
  const MemoryBroker broker = open_compacted(
      env, compacted, config_with({.io_max_bytes_per_second = 1000, .io_buffer_bytes = 2048}));
  put_numbers(broker, 0, 300);
  env.advance(35s);  // it begins after 30, and has 40 KB to read
  CHECK(read_all(broker).records == 300);
  env.advance(120s);
  CHECK(read_all(broker).records < 60);
}

TEST_CASE("a broker that is closed while it compacts leaves nothing half done") {
  MemoryEnv env;
  {
    MemoryBroker broker = open_compacted(
        env, compacted, config_with({.io_max_bytes_per_second = 1000, .io_buffer_bytes = 2048}));
    put_numbers(broker, 0, 300);
    env.advance(130s);
    CHECK(bytes_in(env, "data/orders-0", ".cleaned") + bytes_in(env, "data/orders-0", ".deleted") >
          0);
    REQUIRE(broker.close().ok());
    CHECK(bytes_in(env, "data/orders-0", ".cleaned") == 0);
  }
  const MemoryBroker again = open(env, config_with());
  CHECK(read_all(again).latest == last_of_300);
  env.advance(60s);
  CHECK(read_all(again).latest == last_of_300);
  CHECK(read_all(again).records < 60);
}

TEST_CASE("a damaged segment is told of once, and not compacted until it is repaired") {
  MemoryEnv env;
  std::vector<std::string> told;
  {
    const MemoryBroker broker = open_compacted(env);
    put_numbers(broker, 0, 100);
  }
  const std::string path = "data/orders-0/00000000000000000000.log";
  auto file = must(env.file_system().open(path, OpenMode::read_write, IoReason::other));
  const std::byte bad[] = {std::byte{0x5a}};
  const Bytes piece(bad);
  must(file.write(100, {&piece, 1}, IoReason::other));
  const std::int64_t before = bytes_in(env, "data/orders-0", ".log");
  const MemoryBroker broker =
      open(env, config_with({}, [&](const BrokerEvent& event) { told.push_back(event.code); }));
  env.advance(300s);
  CHECK(std::count(told.begin(), told.end(), "compaction_failed") == 1);
  CHECK(bytes_in(env, "data/orders-0", ".log") == before);
  CHECK(bytes_in(env, "data/orders-0", ".cleaned") == 0);
  must(broker.repair(partition(0), Repair::skip_range).status());
  put_numbers(broker, 100, 200);
  env.advance(300s);
  CHECK(bytes_in(env, "data/orders-0", ".log") < before / 2);
  CHECK(std::count(told.begin(), told.end(), "compaction_failed") == 1);
}

TEST_CASE("limits of the cleaner that make no sense are refused") {
  MemoryEnv env;
  for (const CleanerConfig& wrong :
       {CleanerConfig{.io_max_bytes_per_second = 0}, CleanerConfig{.load_factor = 1.5},
        CleanerConfig{.load_factor = -1}}) {
    const auto broker = MemoryBroker::open(env, {.log_dirs = "data", .cleaner = wrong});
    CHECK(error_code(broker.status()) == ErrorCode::invalid_config);
  }
}

TEST_CASE("a topic that is deleted while it is compacted leaves nothing") {
  MemoryEnv env;
  std::vector<std::string> told;
  const MemoryBroker broker =
      open_compacted(env, compacted,
                     config_with({.io_max_bytes_per_second = 1000, .io_buffer_bytes = 2048},
                                 [&](const BrokerEvent& event) { told.push_back(event.code); }));
  put_numbers(broker, 0, 300);
  env.advance(35s);
  REQUIRE(broker.delete_topic("orders").ok());
  REQUIRE(broker.create_topic({.name = "orders", .configs = compacted}).ok());
  put_numbers(broker, 0, 300);
  env.advance(300s);
  CHECK(read_all(broker).latest == last_of_300);
  CHECK(bytes_in(env, "data/orders-0", ".cleaned") == 0);
  CHECK(std::count(told.begin(), told.end(), "compaction_failed") == 0);
}

TEST_CASE("the log of committed offsets does not grow for ever") {
  MemoryEnv env;
  BrokerConfig config{.offsets_topic_partitions = 1};
  config.offsets.retention = std::chrono::minutes(100'000);
  const auto commit = [&](const MemoryBroker& broker, int times) {
    auto consumer = must(TextConsumer::open(broker, {.group = "billing",
                                                     .topics = {"orders"},
                                                     .offset_reset = OffsetReset::earliest,
                                                     .auto_commit = false}));
    CHECK(drain(consumer).size() <= 10);
    for (int i = 0; i < times; ++i) {
      must(consumer.commit({{partition(0), {.offset = Offset(1 + i % 9)}}}));
    }
  };
  {
    const MemoryBroker broker = open(env, config);
    REQUIRE(broker.create_topic({.name = "orders"}).ok());
    produce_numbers(broker, 0, 10);
    commit(broker, 500);
    const std::int64_t before = bytes_in(env, "data/__consumer_offsets-0", ".log");
    env.advance(std::chrono::hours(24 * 8));  // segment.ms
    commit(broker, 4);
    env.advance(std::chrono::minutes(5));
    CHECK(bytes_in(env, "data/__consumer_offsets-0", ".log") < before / 4);
  }
  const MemoryBroker broker = open(env, config);
  auto consumer = must(TextConsumer::open(broker, {.group = "billing"}));
  CHECK(must(consumer.committed({partition(0)})).at(partition(0)).offset == Offset(4));
}
