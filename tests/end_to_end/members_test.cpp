// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <optional>
#include <set>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

TextConsumer member(const MemoryBroker& broker, ConsumerConfig config = {}) {
  config.group = "billing";
  if (config.topics.empty()) config.topics = {"orders"};
  config.offset_reset = OffsetReset::earliest;
  config.heartbeat_interval = 1s;
  return must(TextConsumer::open(broker, std::move(config)));
}

std::size_t owned(TextConsumer& consumer) { return must(consumer.assignment()).size(); }

/// What is polled within `time` of each member's, by turns.
std::vector<std::string> poll_all(const std::vector<TextConsumer*>& members,
                                  std::chrono::milliseconds time = 3s) {
  std::vector<std::string> all;
  for (auto passed = 0ms; passed < time; passed += 100ms) {
    for (TextConsumer* each : members) {
      for (auto& text : texts(must(each->poll(100ms)))) all.push_back(std::move(text));
    }
  }
  return all;
}

}  // namespace

TEST_CASE("a member that dies without a word is dropped when its session ends") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 2);
  // A static member that is not polled falls silent, and says no goodbye.
  TextConsumer dying =
      member(broker, {.max_poll_interval = 2s, .session_timeout = 10s, .instance_id = "one"});
  TextConsumer other = member(broker, {.session_timeout = 10s});
  poll_all({&dying, &other});
  REQUIRE(owned(other) == 1);
  poll_all({&other}, 8s);
  CHECK(owned(other) == 1);
  poll_all({&other}, 8s);
  CHECK(owned(other) == 2);
}

TEST_CASE("a member that works for long while its group rebalances stays a member") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 6);
  int lost = 0;
  ConsumerConfig config{
      .auto_commit = false, .max_poll_records = 5, .assignors = {"cooperative-sticky"}};
  config.rebalance.lost = [&](const std::vector<TopicPartition>&) { ++lost; };
  TextConsumer working = member(broker, config);
  TextConsumer other = member(broker, config);
  poll_all({&working, &other}, 20s);
  REQUIRE(owned(working) == 3);
  TextConsumer third = member(broker, config);
  const auto turn = [&](TextConsumer& each) { must(each.poll(0ms)); };
  turn(third);
  env.advance(2s);
  for (int i = 0; i < 6; ++i) produce_numbers(broker, 0, 10, i);
  CHECK(must(working.poll(0ms)).count() == 5);  // has joined, and works
  for (int second = 0; second < 120; ++second) {
    turn(other);
    turn(third);
    env.advance(1s);
  }
  CHECK(error_code(working.commit()) == ErrorCode::rebalance_in_progress);
  poll_all({&working, &other, &third}, 20s);
  CHECK(lost == 0);
  CHECK(owned(working) == 2);
  CHECK(owned(other) == 2);
  CHECK(owned(third) == 2);
  CHECK(working.commit().ok());
}

TEST_CASE("a static member that comes back in time finds its partitions, and nobody rebalances") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 2);
  int rebalances = 0;
  ConsumerConfig config;
  config.rebalance.assigned = [&](const std::vector<TopicPartition>&) { ++rebalances; };
  TextConsumer other = member(broker, config);
  std::optional<TextConsumer> first = member(broker, {.instance_id = "one"});
  poll_all({&other, &*first});
  const auto before = must(first->assignment());
  const int settled = rebalances;
  first.reset();
  first.emplace(member(broker, {.instance_id = "one"}));
  poll_all({&other, &*first});
  CHECK(must(first->assignment()) == before);
  CHECK(rebalances == settled);
}

TEST_CASE("a static member that comes back with other topics reads those, and no others") {
  const std::string assignor = GENERATE("range", "cooperative-sticky");
  const bool leads = GENERATE(true, false);
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 2);
  must(broker.create_topic({.name = "bills", .partitions = 2}));
  TextConsumer other = member(broker, {.assignors = {assignor}});
  std::optional<TextConsumer> first =
      member(broker, {.assignors = {assignor}, .instance_id = "one"});
  if (leads) poll_all({&*first}, 1s);
  poll_all({&other, &*first}, 10s);
  REQUIRE(owned(*first) == 1);
  first.reset();
  produce_numbers(broker, 0, 3, 0);
  produce_numbers(broker, 0, 3, 1);
  first.emplace(
      member(broker, {.topics = {"bills"}, .assignors = {assignor}, .instance_id = "one"}));
  for (auto passed = 0ms; passed < 10s; passed += 200ms) {
    CHECK(must(first->poll(100ms)).empty());
    must(other.poll(100ms));
  }
  CHECK(must(first->assignment()) ==
        std::vector<TopicPartition>{{"bills", PartitionId(0)}, {"bills", PartitionId(1)}});
  CHECK(owned(other) == 2);
}

TEST_CASE("enforce_rebalance has the whole group join anew, whoever asks for it") {
  const std::string assignor = GENERATE("range", "cooperative-sticky");
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 2);
  int rebalances = 0;
  ConsumerConfig config{.assignors = {assignor}};
  config.rebalance.assigned = [&](const std::vector<TopicPartition>&) { ++rebalances; };
  TextConsumer first = member(broker, config);
  TextConsumer second = member(broker, config);
  poll_all({&first, &second}, 10s);
  for (TextConsumer* each : {&first, &second, &first, &second}) {
    rebalances = 0;
    must(each->enforce_rebalance());
    poll_all({&first, &second});
    CHECK(rebalances == 2);
  }
}

TEST_CASE("the elder of two static members with one id is fenced") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 2);
  TextConsumer elder = member(broker, {.instance_id = "one"});
  poll_all({&elder}, 1s);
  TextConsumer younger = member(broker, {.instance_id = "one"});
  poll_all({&younger}, 1s);
  env.advance(2s);
  CHECK(error_code(elder.poll(0ms).status()) == ErrorCode::fenced_instance_id);
  CHECK(owned(younger) == 2);
}

TEST_CASE("members that come and go with their commits read each record once") {
  const std::string assignor = GENERATE("range", "cooperative-sticky");
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 5);
  std::vector<std::unique_ptr<TextConsumer>> members;
  std::multiset<std::string> seen;
  int sent = 0;
  const auto turn = [&] {
    for (int i = 0; i < 5; ++i, sent += 20) produce_numbers(broker, sent, 20, i);
    std::vector<TextConsumer*> now;
    for (const auto& each : members) now.push_back(each.get());
    for (auto& text : poll_all(now)) seen.insert(text.substr(text.find('=') + 1));
  };
  for (int round = 0; round < 12; ++round) {
    const bool grows = members.empty() || (env.random().next() % 3 != 0 && members.size() < 6);
    if (grows) {
      members.push_back(std::make_unique<TextConsumer>(
          member(broker, {.max_poll_records = 7, .assignors = {assignor}})));
    } else {
      members.erase(members.begin() +
                    static_cast<std::ptrdiff_t>(env.random().next() % members.size()));
    }
    if (!members.empty()) turn();
  }
  if (members.empty()) members.push_back(std::make_unique<TextConsumer>(member(broker)));
  turn();
  turn();
  CHECK(seen.size() == static_cast<std::size_t>(sent));
  for (int i = 0; i < sent; ++i) {
    if (seen.count("n" + std::to_string(i)) != 1) {
      FAIL_CHECK("n" << i << " was read " << seen.count("n" + std::to_string(i)) << " times");
      break;
    }
  }
}

TEST_CASE("a cooperative member reads on while the group rebalances") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 2);
  TextConsumer first = member(broker, {.assignors = {"cooperative-sticky"}});
  poll_all({&first}, 1s);
  TextConsumer second = member(broker, {.assignors = {"cooperative-sticky"}});
  must(second.poll(0ms));  // joins, and does not poll on: the group waits for it
  env.advance(2s);
  produce_numbers(broker, 0, 3);
  CHECK(must(first.poll(100ms)).count() == 3);
  poll_all({&first, &second});
  CHECK(owned(first) == 1);
  CHECK(owned(second) == 1);
}

TEST_CASE("a consumer that outlives its broker is told so, and keeps what it polled") {
  MemoryEnv env;
  std::optional<MemoryBroker> broker = open_with_topic(env, 1);
  produce_numbers(*broker, 0, 3);
  TextConsumer consumer = member(*broker);
  const auto records = must(consumer.poll(100ms));
  broker.reset();
  CHECK(fault(consumer.poll(100ms).status()) == Fault::closed);
  CHECK(fault(consumer.commit()) == Fault::closed);
  CHECK(fault(consumer.close()) == Fault::closed);
  CHECK(fault(consumer.close()) == Fault::closed);
  CHECK(texts(records).back() == "orders-0@2 null=n2");
}

TEST_CASE("polled records stay whole when their topic is deleted") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  produce_numbers(broker, 0, 3);
  TextConsumer consumer = must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
  must(consumer.assign({partition(0)}));
  const auto records = must(consumer.poll(100ms));
  must(broker.delete_topic("orders"));
  env.advance(600s);
  CHECK(texts(records).size() == 3);
  CHECK(error_code(consumer.poll(10ms).status()) == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("a subscription may wait for its topic") {
  MemoryEnv env;
  const MemoryBroker broker = open(env);
  TextConsumer consumer = member(broker);
  CHECK(must(consumer.poll(1s)).empty());
  env.executor().post_at(env.clock().steady_now() + 5s, [&] {
    must(broker.create_topic({.name = "orders", .partitions = 2}));
    produce_numbers(broker, 0, 3, 1);
  });
  CHECK(must(consumer.poll(20s)).count() == 3);
}
