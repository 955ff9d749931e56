// SPDX-License-Identifier: Apache-2.0
//
// More committed offsets are tidied up than go into one batch of __consumer_offsets.
#include <algorithm>
#include <string>
#include <vector>

#include <ottla/admin/admin.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

constexpr int many = 200;
const TopicPartition other{"other", PartitionId(0)};

struct Told {
  std::vector<std::string> codes;

  BrokerConfig config() {
    return {.message_max_bytes = 4096,
            .on_event = [this](const BrokerEvent& event) { codes.push_back(event.code); }};
  }
  auto count(std::string_view code) const { return std::count(codes.begin(), codes.end(), code); }
};

TextConsumer of_group(const MemoryBroker& broker) {
  return must(TextConsumer::open(broker, {.group = "billing"}));
}

MemoryBroker open_with_commits(MemoryEnv& env, Told& told) {
  MemoryBroker broker = open(env, told.config());
  must(broker.create_topic({.name = "orders", .partitions = many}));
  must(broker.create_topic({.name = "other"}));
  TextConsumer consumer = of_group(broker);
  for (int i = 0; i < many; i += 10) {
    OffsetsToCommit some;
    for (int j = i; j < i + 10; ++j) some[partition(j)] = {Offset(5)};
    must(consumer.commit(some));
  }
  must(consumer.commit(OffsetsToCommit{{other, {Offset(0)}}}));
  return broker;
}

OffsetsToCommit committed(const MemoryBroker& broker) {
  std::vector<TopicPartition> all{other};
  for (int i = 0; i < many; ++i) all.push_back(partition(i));
  return must(of_group(broker).committed(all));
}

}  // namespace

TEST_CASE("all offsets of a deleted topic are gone from the log, however many") {
  MemoryEnv env;
  Told told;
  {
    const MemoryBroker broker = open_with_commits(env, told);
    must(broker.delete_topic("orders"));
    must(broker.create_topic({.name = "orders", .partitions = many}));
    CHECK(committed(broker).size() == 1);
  }
  CHECK(committed(open(env, told.config())).size() == 1);
  CHECK(told.count("offsets_of_deleted_topic") == 0);
  CHECK(told.count("commits_refused") == 0);
}

TEST_CASE("all offsets above what a crash has left are lowered, however many") {
  MemoryEnv env;
  Told told;
  {
    const MemoryBroker broker = open_with_commits(env, told);
    CHECK(committed(broker).size() == many + 1);
  }
  for (const std::string name : {".kafka_cleanshutdown", ".ottla_clean"}) {
    const absl::Status removed = env.file_system().remove("data/" + name, IoReason::other);
    REQUIRE((removed.ok() || fault(removed) == Fault::not_found));
  }
  const OffsetsToCommit left = committed(open(env, told.config()));
  CHECK(left.size() == many + 1);
  CHECK(std::all_of(left.begin(), left.end(),
                    [](const auto& each) { return each.second.offset == Offset(0); }));
  CHECK(told.count("offset_lowered") > 0);
  CHECK(told.count("commits_refused") == 0);
}

TEST_CASE("a group is deleted with all of its offsets, however many") {
  MemoryEnv env;
  Told told;
  {
    const MemoryBroker broker = open_with_commits(env, told);
    const Admin admin = must(Admin::open(broker));
    must(admin.delete_group("billing"));
    CHECK(must(admin.list_groups()).empty());
    CHECK(committed(broker).empty());
  }
  const MemoryBroker broker = open(env, told.config());
  CHECK(must(must(Admin::open(broker)).list_groups()).empty());
  CHECK(committed(broker).empty());
}
