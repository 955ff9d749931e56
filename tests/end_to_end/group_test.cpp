// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <set>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

TextConsumer member(const MemoryBroker& broker, ConsumerConfig config = {}) {
  if (config.group.empty()) config.group = "billing";
  config.topics = {"orders"};
  config.offset_reset = OffsetReset::earliest;
  config.heartbeat_interval = 100ms;
  return must(TextConsumer::open(broker, std::move(config)));
}

/// Lets each member poll by turns until nothing moves any more.
std::vector<std::vector<std::string>> poll_by_turns(std::vector<TextConsumer*> members) {
  std::vector<std::vector<std::string>> got(members.size());
  for (int turn = 0; turn < 24; ++turn) {
    for (std::size_t i = 0; i < members.size(); ++i) {
      for (auto& text : texts(must(members[i]->poll(50ms)))) got[i].push_back(std::move(text));
    }
  }
  return got;
}

std::size_t owned(TextConsumer& consumer) { return must(consumer.assignment()).size(); }

}  // namespace

TEST_CASE("one member reads all partitions, and its first poll brings records") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 3);
  for (int i = 0; i < 3; ++i) produce_numbers(broker, i, 1, i);
  TextConsumer consumer = member(broker);
  CHECK(must(consumer.poll(100ms)).count() == 3);
}

TEST_CASE("a group goes on where it committed, after a restart too") {
  MemoryEnv env;
  {
    const MemoryBroker broker = open_with_topic(env, 1);
    produce_numbers(broker, 0, 10);
    TextConsumer consumer = member(broker, {.auto_commit = false, .max_poll_records = 4});
    CHECK(texts(must(consumer.poll(100ms))).back() == "orders-0@3 null=n3");
    REQUIRE(consumer.commit().ok());
    CHECK(must(consumer.poll(100ms)).count() == 4);  // read, and not committed
  }
  const MemoryBroker broker = open(env);
  TextConsumer consumer = member(broker, {.auto_commit = false});
  CHECK(drain(consumer).front() == "orders-0@4 null=n4");
  CHECK(consumer.committed({partition(0)})->at(partition(0)).offset == Offset(4));
}

TEST_CASE("two members share the partitions, and who joins late gets some") {
  const std::string assignor = GENERATE("range", "cooperative-sticky");
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 4);
  TextConsumer first = member(broker, {.assignors = {assignor}});
  poll_by_turns({&first});
  CHECK(owned(first) == 4);
  TextConsumer second = member(broker, {.assignors = {assignor}});
  poll_by_turns({&first, &second});
  CHECK(owned(first) == 2);
  CHECK(owned(second) == 2);
  for (int i = 0; i < 4; ++i) produce_numbers(broker, i, 5, i);
  const auto got = poll_by_turns({&first, &second});
  CHECK(got[0].size() == 10);
  CHECK(got[1].size() == 10);
}

TEST_CASE("who leaves gives its partitions to the others, with what it had read committed") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 2);
  TextConsumer first = member(broker);
  std::optional<TextConsumer> second = member(broker);
  poll_by_turns({&first, &*second});
  for (int i = 0; i < 2; ++i) produce_numbers(broker, i * 10, 3, i);
  auto got = poll_by_turns({&first, &*second});
  CHECK(got[0].size() + got[1].size() == 6);
  second.reset();
  for (int i = 0; i < 2; ++i) produce_numbers(broker, i * 10 + 5, 2, i);
  const auto rest = poll_by_turns({&first});
  CHECK(owned(first) == 2);
  CHECK(rest[0].size() == 4);
}

TEST_CASE("a member that stops polling is dropped, and told when it polls again") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 2);
  std::vector<std::string> told;
  ConsumerConfig config{.max_poll_interval = 30s, .session_timeout = 10s};
  config.rebalance.lost = [&](const std::vector<TopicPartition>& lost) {
    told.push_back("lost " + std::to_string(lost.size()));
  };
  TextConsumer slow = member(broker, config);
  TextConsumer other = member(broker, {.max_poll_interval = 3'000s, .session_timeout = 10s});
  poll_by_turns({&slow, &other});
  REQUIRE(owned(slow) == 1);
  for (int i = 0; i < 10; ++i) {
    env.advance(5s);
    must(other.poll(10ms));
  }
  poll_by_turns({&other});
  CHECK(owned(other) == 2);
  must(slow.poll(10ms));
  CHECK(told == std::vector<std::string>{"lost 1"});
  poll_by_turns({&slow, &other});
  CHECK(owned(slow) == 1);
}

TEST_CASE("with more members than partitions some wait, and take over") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  std::optional<TextConsumer> first = member(broker);
  TextConsumer second = member(broker);
  poll_by_turns({&*first, &second});
  CHECK(owned(*first) + owned(second) == 1);
  first.reset();
  poll_by_turns({&second});
  CHECK(owned(second) == 1);
}

TEST_CASE("two groups read the same topic, each all of it") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 2);
  for (int i = 0; i < 2; ++i) produce_numbers(broker, i, 5, i);
  TextConsumer one = member(broker, {.group = "one"});
  TextConsumer two = member(broker, {.group = "two"});
  const auto got = poll_by_turns({&one, &two});
  CHECK(got[0].size() == 10);
  CHECK(got[1].size() == 10);
}

TEST_CASE("listeners hear what comes and goes, revoked before assigned") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 2);
  std::vector<std::string> told;
  ConsumerConfig config{.assignors = {"cooperative-sticky"}};
  config.rebalance.assigned = [&](const std::vector<TopicPartition>& partitions) {
    told.push_back("assigned " + std::to_string(partitions.size()));
  };
  config.rebalance.revoked = [&](const std::vector<TopicPartition>& partitions) {
    told.push_back("revoked " + std::to_string(partitions.size()));
  };
  TextConsumer first = member(broker, config);
  poll_by_turns({&first});
  CHECK(told == std::vector<std::string>{"assigned 2"});
  TextConsumer second = member(broker, {.assignors = {"cooperative-sticky"}});
  poll_by_turns({&first, &second});
  REQUIRE(told.size() >= 2);
  CHECK(told[1] == "revoked 1");
  REQUIRE(first.close().ok());
  CHECK(told.back() == "revoked 1");
}

TEST_CASE("a group notices new partitions of its topic") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  TextConsumer consumer = member(broker);
  poll_by_turns({&consumer});
  REQUIRE(broker.add_partitions("orders", 3).ok());
  produce_numbers(broker, 0, 2, 2);
  const auto got = poll_by_turns({&consumer});
  CHECK(owned(consumer) == 3);
  CHECK(got[0].size() == 2);
}

TEST_CASE("commits of given offsets, asynchronous ones, and lag") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  produce_numbers(broker, 0, 10);
  TextConsumer consumer = member(broker, {.auto_commit = false, .max_poll_records = 3});
  must(consumer.poll(100ms));
  CHECK(*must(consumer.lag(partition(0))) == 7);
  REQUIRE(consumer.commit({{partition(0), {.offset = Offset(2), .metadata = "mine"}}}).ok());
  CHECK(consumer.committed({partition(0)})->at(partition(0)).metadata == "mine");
  std::vector<bool> done;
  REQUIRE(
      consumer.commit_async([&](const absl::Status& status) { done.push_back(status.ok()); }).ok());
  must(consumer.poll(0ms));
  CHECK(done == std::vector<bool>{true});
  CHECK(consumer.committed({partition(0)})->at(partition(0)).offset == Offset(3));
}

TEST_CASE("positions are committed by themselves after a while") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  produce_numbers(broker, 0, 10);
  TextConsumer consumer = member(broker, {.auto_commit_interval = 5s});
  must(consumer.poll(100ms));
  CHECK(consumer.committed({partition(0)})->empty());
  env.advance(6s);
  must(consumer.poll(0ms));
  CHECK(consumer.committed({partition(0)})->at(partition(0)).offset == Offset(10));
}
