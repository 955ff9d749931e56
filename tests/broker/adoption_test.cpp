// SPDX-License-Identifier: Apache-2.0
//
// A broker on a directory that Apache Kafka wrote: its topics with their configs, and its records.
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <ottla/env/small_file.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

using BytesConsumer = Consumer<std::string_view, std::string_view>;

void copy_to(MemoryFileSystem& files, const std::filesystem::path& from, const std::string& to) {
  REQUIRE(files.create_directory(to, IoReason::other).ok());
  for (const auto& entry : std::filesystem::directory_iterator(from)) {
    const std::string path = to + "/" + entry.path().filename().string();
    if (entry.is_directory()) {
      copy_to(files, entry.path(), path);
    } else {
      REQUIRE(replace_small_file(files, path, golden::read_bytes(entry.path()), Durability::written,
                                 IoReason::other)
                  .ok());
    }
  }
}

/// As in expected.json: inclusive.
using Ranges = std::vector<std::pair<std::int64_t, std::int64_t>>;

Ranges read_all(const MemoryBroker& broker, const TopicPartition& partition,
                IsolationLevel isolation) {
  auto consumer = must(
      BytesConsumer::open(broker, {.offset_reset = OffsetReset::earliest, .isolation = isolation}));
  must(consumer.assign({partition}));
  Ranges ranges;
  for (;;) {
    const auto records = must(consumer.poll(0ms));
    must(records.status());
    for (const auto& record : records) {
      const std::int64_t offset = record.offset().value();
      if (ranges.empty() || ranges.back().second + 1 != offset) {
        ranges.emplace_back(offset, offset);
      }
      ranges.back().second = offset;
    }
    if (records.empty()) {
      CHECK(must(consumer.position(partition)) ==
            must(consumer.end_offsets({partition})).at(partition));
      return ranges;
    }
  }
}

}  // namespace

TEST_CASE("topics of a Kafka broker are served with the configs that Kafka noted", "[golden]") {
  if (golden::skip_without_full_data()) return;
  const auto expected = golden::read_json(golden::dir() / "rolled" / "expected.json");
  MemoryFileSystem files;
  copy_to(files, golden::dir() / "rolled" / "data", "data");
  MemoryEnv env({.files = AnyFileSystem(files)});
  std::map<std::string, std::string> told;
  const MemoryBroker broker = open(env, {.on_event = [&](const BrokerEvent& event) {
                                     told[event.file] = event.code + ": " + event.text;
                                   }});
  auto consumer = must(TextConsumer::open(broker));
  for (const auto& [name, configs] : expected["topics"].items()) {
    INFO(name << ' ' << told[name]);
    CHECK(told[name].find("Kafka has noted") != std::string::npos);
    const auto described = must(broker.describe_topic(name));
    CHECK(described.name == name);
  }
  CHECK_FALSE(broker.describe_topic("__cluster_metadata").ok());
  for (const auto& [directory, answers] : expected["client"].items()) {
    const auto partition = *TopicPartition::parse(directory);
    INFO(directory);
    const auto& listed = answers["list_offsets_read_uncommitted"];
    CHECK(must(consumer.end_offsets({partition})).at(partition).value() ==
          listed["latest"]["offset"].get<std::int64_t>());
    CHECK(must(consumer.beginning_offsets({partition})).at(partition).value() ==
          listed["earliest"]["offset"].get<std::int64_t>());
  }
}

TEST_CASE("consumers read of Kafka's transactions what its own clients read", "[golden]") {
  const auto isolation = GENERATE(IsolationLevel::read_uncommitted, IsolationLevel::read_committed);
  const std::string level(isolation == IsolationLevel::read_committed ? "read_committed"
                                                                      : "read_uncommitted");
  const auto expected = golden::read_json(golden::dir() / "txn" / "expected.json");
  MemoryFileSystem files;
  copy_to(files, golden::dir() / "txn" / "data", "data");
  MemoryEnv env({.files = AnyFileSystem(files)});
  const MemoryBroker broker = open(env);
  int partitions = 0;
  int lookups = 0;
  for (const auto& [directory, answers] : expected["client"].items()) {
    const auto partition = *TopicPartition::parse(directory);
    if (partition.topic.starts_with("__") || !files.status("data/" + directory).ok()) {
      continue;
    }
    INFO(directory << ' ' << level);
    ++partitions;
    CHECK(read_all(broker, partition, isolation) ==
          answers["consumer_" + level]["offset_ranges"].get<Ranges>());
    const auto& listed = answers["list_offsets_" + level];
    auto consumer = must(BytesConsumer::open(broker, {.isolation = isolation}));
    CHECK(must(consumer.end_offsets({partition})).at(partition).value() ==
          listed["latest"]["offset"].get<std::int64_t>());
    for (const auto& each : listed["for_timestamp"]) {
      const Timestamp target(each["target"].get<std::int64_t>());
      INFO(target.value());
      const auto found = must(consumer.offsets_for_times({{partition, target}}));
      const auto at = found.find(partition);
      CHECK((at == found.end() ? -1 : at->second.offset.value()) ==
            each["offset"].get<std::int64_t>());
      ++lookups;
    }
  }
  CHECK(partitions >= 5);
  CHECK(lookups >= 100);
}
