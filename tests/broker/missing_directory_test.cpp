// SPDX-License-Identifier: Apache-2.0
//
// Log directories that are not there when a broker is opened, and partitions that are there twice:
// nothing is made anew in their place, and what can be done is said.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <ottla/env/small_file.hpp>
#include <ottla/log/known_directories.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

/// Two log directories, "a" and "b"; orders-0 is in the first, orders-1 in the second.
struct Site {
  MemoryEnv env;
  std::vector<std::string> directories{"a", "b"};
  std::map<std::string, std::string> told;  // by "code file"

  AnyFileSystem& files() { return env.file_system(); }
  MemoryBroker open() {
    told.clear();
    BrokerConfig config{.on_event = [this](const BrokerEvent& event) {
      told[event.code + " " + event.file] = event.text;
    }};
    config.log_dirs = directories;
    return must(MemoryBroker::open(env, std::move(config)));
  }
  void begin() {
    const MemoryBroker broker = open();
    must(broker.create_topic({.name = "orders", .partitions = 2}));
    produce_numbers(broker, 0, 3, 0);
    produce_numbers(broker, 10, 3, 1);
    REQUIRE(there("a/orders-0"));
    REQUIRE(there("b/orders-1"));
  }
  bool there(const std::string& path) { return files().status(path).ok(); }
  void make(const std::string& path) { must(files().create_directory(path, IoReason::other)); }
  void move(const std::string& from, const std::string& to) {
    must(files().rename(from, to, IoReason::other));
  }
  std::string offline(const std::string& name) { return told["partition_offline " + name]; }
};

std::vector<std::string> read(const MemoryBroker& broker, int number) {
  auto consumer = must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
  must(consumer.assign({partition(number)}));
  return drain(consumer);
}

const std::vector<std::string> tens = {"orders-1@0 null=n10", "orders-1@1 null=n11",
                                       "orders-1@2 null=n12"};

bool takes_records(const MemoryBroker& broker, int number) {
  auto producer =
      must(TextProducer::open(broker, {.delivery_timeout = 300ms, .request_timeout = 100ms}));
  const auto sent =
      producer.send({.topic = "orders", .partition = PartitionId(number), .value = "new"});
  return sent.ok() && producer.wait(*sent).ok();
}

bool says(const std::string& text, const std::string& what) {
  return text.find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("a partition whose log directory is not mounted is offline until it is") {
  Site site;
  site.begin();
  site.move("b", "away");
  if (GENERATE(false, true)) {
    site.make("b");
  }
  for (int i = 0; i < 3; ++i) {
    const MemoryBroker broker = site.open();
    CHECK(site.told.size() == 2);
    CHECK(site.told.contains("log_directory_missing b"));
    CHECK(says(site.offline("orders-1"), "delete the topic"));
    CHECK(says(site.offline("orders-1"), "b (directory.id"));
    CHECK_FALSE(takes_records(broker, 1));
    CHECK_FALSE(broker.create_topic({.name = "orders", .if_not_exists = true}).ok());
    CHECK(takes_records(broker, 0));
    if (i == 0) {
      must(broker.create_topic({.name = "fresh", .partitions = 4}));
    }
    CHECK_FALSE(site.there("b/orders-1"));
  }
  const bool was_in_b = site.there("b/fresh-0");
  site.move("b", "under");
  site.move("away", "b");
  const MemoryBroker broker = site.open();
  CHECK(read(broker, 1) == tens);
  CHECK(takes_records(broker, 1));
  CHECK(read(broker, 0).size() == 6);
  CHECK(says(site.offline(was_in_b ? "fresh-0" : "fresh-1"), "put that back"));  // it is under it
}

TEST_CASE("a topic whose log directory is gone for good can be deleted, and made again") {
  Site site;
  site.begin();
  site.move("b", "away");
  {
    const MemoryBroker broker = site.open();
    must(broker.delete_topic("orders"));
    must(broker.create_topic({.name = "orders", .partitions = 2}));
    CHECK(takes_records(broker, 1));
  }
  for (int i = 0; i < 2; ++i) {
    const MemoryBroker broker = site.open();
    CHECK(site.told.size() == (i == 0 ? 1U : 0U));  // it is missing, and not missed any more
    CHECK(read(broker, 1).size() == 1);
  }
}

TEST_CASE("a partition whose log directory is gone for good begins anew where its name is put") {
  Site site;
  site.begin();
  site.move("b", "away");
  { const MemoryBroker broker = site.open(); }
  CHECK(says(site.offline("orders-1"), "make an empty directory orders-1 in a log directory"));
  site.make("a/orders-1");
  {
    const MemoryBroker broker = site.open();
    CHECK(site.offline("orders-1").empty());
    CHECK(read(broker, 1).empty());
    CHECK(takes_records(broker, 1));
  }
  const MemoryBroker broker = site.open();
  CHECK(site.told.empty());
  CHECK(read(broker, 1).size() == 1);
}

TEST_CASE(
    "the first log directory is not there: what is adopted from the others has no gaps filled") {
  Site site;
  site.begin();
  site.move("a", "away");
  {
    const MemoryBroker broker = site.open();
    CHECK(site.told.contains("adopted_topic orders"));
    CHECK(says(site.offline("orders-0"), "a (directory.id"));
    CHECK(read(broker, 1) == tens);
    CHECK_FALSE(takes_records(broker, 0));
  }
  site.move("a", "under");
  site.move("away", "a");
  const MemoryBroker broker = site.open();
  CHECK(read(broker, 0).size() == 3);
  CHECK(read(broker, 1) == tens);
}

TEST_CASE("a log directory is taken out, or put in, on purpose") {
  Site site;
  site.begin();
  site.move("b/orders-1", "a/orders-1");
  site.directories = {"a"};
  {
    const MemoryBroker broker = site.open();
    CHECK(site.told.size() == 1);
    CHECK(site.told.contains("log_directory_missing b"));
    CHECK(read(broker, 1) == tens);
  }
  site.directories = {"a", "c"};
  const MemoryBroker broker = site.open();
  CHECK(site.told.empty());
  CHECK(read(broker, 1) == tens);
}

TEST_CASE("a partition that lies in two log directories is offline until one is moved away") {
  Site site;
  site.begin();
  site.make("b/orders-0");  // an old copy, without records
  const std::string whose =
      must(read_small_file(site.files(), "a/orders-0/partition.metadata", 1'000));
  must(replace_small_file(site.files(), "b/orders-0/partition.metadata", as_bytes(whose),
                          Durability::written, IoReason::other));
  const std::string wrong = GENERATE("a", "b");
  {
    const MemoryBroker broker = site.open();
    CHECK(says(site.offline("orders-0"), "move all but one of a/orders-0 and b/orders-0 away"));
    CHECK_FALSE(takes_records(broker, 0));
    CHECK(read(broker, 1) == tens);
  }
  site.move(wrong + "/orders-0", "moved");
  {
    const MemoryBroker broker = site.open();
    CHECK(site.told.empty());
    CHECK(read(broker, 0).size() == (wrong == "a" ? 0U : 3U));
  }
  site.move("moved", wrong + "/orders-0");
  {
    const MemoryBroker broker = site.open();
    must(broker.delete_topic("orders"));
    CHECK_FALSE(site.there("a/orders-0"));
    CHECK_FALSE(site.there("b/orders-0"));
    must(broker.create_topic({.name = "orders", .partitions = 2}));
    CHECK(takes_records(broker, 0));
  }
}

TEST_CASE("a directory that keeps a partition from being made is not deleted with the topic") {
  Site site;
  const MemoryBroker broker = site.open();
  site.make("a/late-0");
  const std::string text = GENERATE("of somebody", "version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw");
  must(replace_small_file(site.files(), "a/late-0/partition.metadata", as_bytes(text),
                          Durability::written, IoReason::other));
  must(replace_small_file(site.files(), "a/late-0/00000000000000000000.log", as_bytes(text),
                          Durability::written, IoReason::other));
  CHECK(says(broker.create_topic({.name = "late", .partitions = 1}).ToString(), "move it away"));
  broker.delete_topic("late").IgnoreError();
  CHECK(site.there("a/late-0/00000000000000000000.log"));
  site.move("a/late-0", "moved");
  must(broker.create_topic({.name = "late", .partitions = 1}));
}

TEST_CASE("a list of log directories that is damaged is told and written anew") {
  Site site;
  site.begin();
  const std::string path = "a/" + std::string(known_directories_file);
  const std::string good = must(read_small_file(site.files(), path, 1'000));
  std::string bad = good;
  bad[30] = static_cast<char>(bad[30] ^ 1);
  must(replace_small_file(site.files(), path, as_bytes(bad), Durability::written, IoReason::other));
  { const MemoryBroker broker = site.open(); }
  CHECK(site.told.contains("log_directory " + path));
  CHECK(must(read_small_file(site.files(), path, 1'000)) == good);
}
