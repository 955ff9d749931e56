// SPDX-License-Identifier: Apache-2.0
//
// A broker on a directory that Apache Kafka wrote: its topics with their configs, and its records.
#include <filesystem>
#include <string>

#include <ottla/env/small_file.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

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
