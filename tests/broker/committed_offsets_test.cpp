// SPDX-License-Identifier: Apache-2.0
//
// What becomes of committed offsets when their partition is shorter, or gone.
#include <algorithm>
#include <string>
#include <vector>

#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/small_file.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

TextConsumer member(const MemoryBroker& broker) {
  return must(TextConsumer::open(broker, {.group = "billing",
                                          .topics = {"orders"},
                                          .offset_reset = OffsetReset::earliest,
                                          .auto_commit = false}));
}

void produce_and_commit(const MemoryBroker& broker) {
  for (int i = 0; i < 10; ++i) produce_numbers(broker, i, 1);
  TextConsumer consumer = member(broker);
  CHECK(drain(consumer).size() == 10);
  must(consumer.commit());
}

/// The machine died, and the last 5 of 10 batches of one size with it.
void lose_half(MemoryEnv& env) {
  auto& files = env.file_system();
  for (const std::string name : {".kafka_cleanshutdown", ".ottla_clean",
                                 "recovery-point-offset-checkpoint", "orders-0/ottla_manifest"}) {
    const absl::Status removed = files.remove("data/" + name, IoReason::other);
    REQUIRE((removed.ok() || fault(removed) == Fault::not_found));
  }
  auto log = must(
      files.open("data/orders-0/00000000000000000000.log", OpenMode::read_write, IoReason::other));
  must(log.truncate(must(log.size()) / 2, IoReason::other));
}

std::optional<Offset> committed(const MemoryBroker& broker) {
  TextConsumer consumer = must(TextConsumer::open(broker, {.group = "billing"}));
  const auto all = must(consumer.committed({partition(0)}));
  const auto found = all.find(partition(0));
  return found == all.end() ? std::nullopt : std::optional(found->second.offset);
}

}  // namespace

TEST_CASE("a commit above what a crash has left is lowered and told before anybody reads it") {
  MemoryEnv env;
  {
    const MemoryBroker broker = open_with_topic(env, 1);
    produce_and_commit(broker);
  }
  lose_half(env);
  std::vector<std::string> told;
  {
    const MemoryBroker broker =
        open(env, {.on_event = [&](const BrokerEvent& event) { told.push_back(event.code); }});
    produce_numbers(broker, 100, 2);
    TextConsumer consumer = member(broker);
    CHECK(drain(consumer) ==
          std::vector<std::string>{"orders-0@5 null=n100", "orders-0@6 null=n101"});
    CHECK(std::count(told.begin(), told.end(), "offset_lowered") == 1);
    must(consumer.commit());
  }
  CHECK(committed(open(env)) == Offset(7));  // and once only
}

TEST_CASE("so is one of an earlier leader, however long the log has grown since") {
  MemoryEnv env;
  {
    const MemoryBroker broker = open_with_topic(env, 1);
    produce_and_commit(broker);
  }
  lose_half(env);
  {
    const MemoryBroker broker = open(env);
    produce_numbers(broker, 100, 20);  // nobody asks for the group
  }
  CHECK(committed(open(env)) == Offset(5));
}

TEST_CASE("why commits are refused is told once, and they work again when the disk has room") {
  bool full = false;
  const auto hook = [&](IoCall& call) {
    const bool hit = full && !call.done && call.operation == IoOperation::write &&
                     call.path.find("__consumer_offsets") != std::string_view::npos;
    return hit ? error(Fault::no_space, "no space left", Outcome::not_written) : absl::OkStatus();
  };
  MemoryEnv env({.files = AnyFileSystem(FaultFileSystem(MemoryFileSystem(), hook))});
  std::vector<std::string> told;
  const MemoryBroker broker = open(env, {.on_event = [&](const BrokerEvent& event) {
                                     if (event.code == "commits_refused") {
                                       told.push_back(event.text);
                                     }
                                   }});
  must(broker.create_topic({.name = "orders", .partitions = 1}));
  produce_numbers(broker, 0, 3);
  TextConsumer consumer = member(broker);
  CHECK(drain(consumer).size() == 3);
  for (const int round : {1, 2}) {
    INFO(round);
    full = true;
    CHECK_FALSE(consumer.commit().ok());
    CHECK_FALSE(consumer.commit().ok());
    REQUIRE(told.size() == static_cast<std::size_t>(round));
    CHECK(told.back().find("no space left") != std::string::npos);
    full = false;
    must(consumer.commit());
  }
  CHECK(committed(broker) == Offset(3));
}

TEST_CASE("who commits on a disk that takes no write is told so at once, and what to do") {
  const Fault why = GENERATE(Fault::no_space, Fault::io, Fault::read_only, Fault::no_descriptors,
                             Fault::not_found);
  bool failing = false;
  const auto hook = [&](IoCall& call) {
    const bool hit = failing && !call.done && call.operation == IoOperation::write &&
                     call.path.find("__consumer_offsets") != std::string_view::npos;
    return hit ? error(ErrorCode::kafka_storage_error, why, "no write there; do this")
               : absl::OkStatus();
  };
  MemoryEnv env({.files = AnyFileSystem(FaultFileSystem(MemoryFileSystem(), hook))});
  const MemoryBroker broker = open_with_topic(env, 1);
  produce_numbers(broker, 0, 3);
  TextConsumer consumer = member(broker);
  CHECK(drain(consumer).size() == 3);
  failing = true;
  const SteadyTime began = env.clock().steady_now();
  const auto is_told = [&](const absl::Status& status) {
    INFO(status);
    CHECK(fault(status) == why);
    CHECK(error_code(status) == ErrorCode::not_coordinator);  // as Kafka's protocol has it
    CHECK(outcome(status) == Outcome::not_written);
    CHECK(status.message().find("no write there; do this") != absl::string_view::npos);
  };
  is_told(consumer.commit());
  absl::Status later;
  must(consumer.commit_async({{partition(0), {Offset(1)}}},
                             [&](const absl::Status& status) { later = status; }));
  must(consumer.poll(0ms));
  is_told(later);
  TextConsumer other = must(TextConsumer::open(broker, {.group = "another", .topics = {"orders"}}));
  is_told(other.poll(0ms).status());
  CHECK(env.clock().steady_now() - began < 1s);
  failing = false;
  must(consumer.commit());
  must(other.poll(100ms));
}

TEST_CASE("a clean stop leaves commits alone, also those above the end") {
  MemoryEnv env;
  {
    const MemoryBroker broker = open_with_topic(env, 1);
    produce_numbers(broker, 0, 3);
    TextConsumer consumer = member(broker);
    drain(consumer);
    must(consumer.commit({{partition(0), {.offset = Offset(50)}}}));
  }
  CHECK(committed(open(env)) == Offset(50));
}

TEST_CASE("the commits of a deleted topic are gone for a new one of its name") {
  const bool loaded = GENERATE(true, false);
  MemoryEnv env;
  {
    const MemoryBroker broker = open_with_topic(env, 1);
    produce_and_commit(broker);
    if (loaded) {
      must(broker.delete_topic("orders"));
      must(broker.create_topic({.name = "orders"}));
      CHECK_FALSE(committed(broker));
    }
  }
  const MemoryBroker broker = open(env);
  if (!loaded) {
    must(broker.delete_topic("orders"));
    must(broker.create_topic({.name = "orders"}));
  }
  CHECK_FALSE(committed(broker));
  produce_numbers(broker, 7, 1);
  TextConsumer consumer = member(broker);
  CHECK(drain(consumer) == std::vector<std::string>{"orders-0@0 null=n7"});
}

TEST_CASE("groups are listed before anybody has asked for one of them") {
  MemoryEnv env;
  {
    const MemoryBroker broker = open_with_topic(env, 1);
    produce_and_commit(broker);
  }
  const MemoryBroker broker = open(env);
  const auto listed = must(ask<ListGroupsResponse>(*broker.connect(), ListGroupsRequest{},
                                                   after(env.clock().steady_now(), 1s)));
  REQUIRE(listed.groups.size() == 1);
  CHECK(listed.groups[0].group == "billing");
}
