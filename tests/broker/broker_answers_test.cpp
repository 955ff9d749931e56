// SPDX-License-Identifier: Apache-2.0
//
// What a broker refuses, and in which words; and when its host's sink is not called any more.
#include <atomic>
#include <thread>

#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/posix/posix_env.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace std::chrono_literals;
using test::MemoryBroker;
using test::must;
using test::TextConsumer;
using test::TextProducer;

namespace {

/// As an older version, or a cluster, has left it: create_topic refuses it.
void leave_topic(MemoryEnv& env, const std::string& name,
                 std::vector<std::pair<std::string, std::string>> configs) {
  using Core = BasicBrokerCore<MemoryEnv>;
  const Ref<Core> core = must(Core::open(env, {}, {.log_dirs = "data"}));
  MetadataMachine::CreateTopics event{.request = {}, .topics = {}, .fresh_ids = {}};
  event.topics.topics.push_back({.name = name, .configs = std::move(configs)});
  event.fresh_ids.push_back(core->fresh_uuid());
  absl::Status made = absl::UnknownError("not answered");
  core->metadata().submit(
      [&](RequestId id) {
        event.request = id;
        return MetadataMachine::Event(event);
      },
      [&](const absl::StatusOr<MetadataMachine::Response>& answer) { made = answer.status(); });
  must(made);
  must(core->close(never));
}

}  // namespace

TEST_CASE("a topic that asks for more replicas in sync than it has is not made") {
  MemoryEnv env;
  const MemoryBroker broker = test::open(env);
  for (const bool if_not_exists : {false, true}) {
    const absl::Status refused = broker.create_topic(
        {.name = "t", .configs = {{"min.insync.replicas", "2"}}, .if_not_exists = if_not_exists});
    CHECK(error_code(refused) == ErrorCode::invalid_config);
    CHECK(refused.message().find("min.insync.replicas=2 is above the replication factor, 1") !=
          std::string::npos);
    CHECK(refused.message().find("leave it at 1") != std::string::npos);
  }
  CHECK(must(broker.list_topics()).empty());
  const auto connection = broker.connect();
  CreateTopicsRequest dry{.topics = {}, .validate_only = true};
  dry.topics.push_back({.name = "t", .configs = {{"min.insync.replicas", "2"}}});
  dry.topics.push_back(
      {.name = "u", .replication_factor = 3, .configs = {{"min.insync.replicas", "2"}}});
  const auto answer = must(ask<CreateTopicsResponse>(*connection, dry, never));
  for (const auto& topic : answer.topics) {
    CHECK(topic.error ==
          (topic.name == "t" ? ErrorCode::invalid_config : ErrorCode::invalid_replication_factor));
  }
  CHECK(broker.create_topic({.name = "t", .configs = {{"min.insync.replicas", "1"}}}).ok());
}

TEST_CASE("one that is there opens, is read, takes acks=1, and the sink is told what it lacks") {
  MemoryEnv env;
  leave_topic(env, "orders", {{"min.insync.replicas", "2"}});
  std::string told;
  const MemoryBroker broker =
      test::open(env, {.on_event = [&](const BrokerEvent& event) {
                   told += event.code + ' ' + event.file + ": " + event.text + '\n';
                 }});
  CHECK(told.starts_with("too_few_replicas orders: min.insync.replicas=2 is above"));
  for (const Acks acks : {Acks::all, Acks::leader}) {
    auto producer = must(TextProducer::open(
        broker,
        {.acks = acks, .linger = 0ms, .delivery_timeout = 1'000ms, .request_timeout = 900ms}));
    const Receipt receipt = must(producer.send({.topic = "orders", .value = "v"}));
    const auto outcome = producer.wait(receipt);
    CHECK(outcome.ok() == (acks != Acks::all));
  }
  auto consumer = must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
  must(consumer.assign({test::partition(0)}));
  CHECK(test::drain(consumer) == std::vector<std::string>{"orders-0@0 null=v"});
}

TEST_CASE("offsets of partitions that are not there are not taken, the others are") {
  MemoryEnv env;
  const MemoryBroker broker = test::open_with_topic(env, 1);
  auto consumer = must(TextConsumer::open(broker, {.group = "g"}));
  const TopicPartition there{"orders", PartitionId(0)};
  for (const TopicPartition& missing :
       {TopicPartition{"nope", PartitionId(0)}, TopicPartition{"orders", PartitionId(1)},
        TopicPartition{"orders", PartitionId(-1)}, TopicPartition{"", PartitionId(0)}}) {
    CAPTURE(missing.to_string());
    CHECK(error_code(consumer.commit({{missing, {Offset(3)}}})) ==
          ErrorCode::unknown_topic_or_partition);
    CHECK_FALSE(consumer.commit({{missing, {Offset(3)}}, {there, {Offset(5)}}}).ok());
    CHECK(must(consumer.committed({there})).at(there).offset == Offset(5));
  }
}

TEST_CASE("a topic's name that cannot be one is told so") {
  MemoryEnv env;
  const MemoryBroker broker = test::open_with_topic(env, 1);
  for (const std::string_view name : {"", "..", "a/b"}) {
    for (const absl::Status& refused : {broker.delete_topic(name), broker.add_partitions(name, 3),
                                        broker.describe_topic(name).status()}) {
      CHECK(error_code(refused) == ErrorCode::invalid_topic_exception);
      CHECK(fault(refused) == Fault::invalid_argument);
    }
  }
}

TEST_CASE("limits that exclude each other are refused when the broker is opened") {
  MemoryEnv env;
  CHECK_FALSE(
      MemoryBroker::open(env, {.log_dirs = "data", .offsets_topic_partitions = 200'000}).ok());
  CHECK_FALSE(MemoryBroker::open(env, {.log_dirs = "data",
                                       .group_min_session_timeout = 2s,
                                       .group_max_session_timeout = 1s})
                  .ok());
}

TEST_CASE("closing in a callback begins, and says that it goes on") {
  MemoryEnv env;
  const MemoryBroker broker = test::open_with_topic(env, 1);
  absl::Status closed;
  auto producer = must(TextProducer::open(
      broker, {.linger = 0ms, .on_delivery = [&](const Delivery&) { closed = broker.close(); }}));
  must(producer.send({.topic = "orders", .value = "v"}).status());
  producer.flush().IgnoreError();
  CHECK((closed.ok() || fault(closed) == Fault::would_deadlock));
}

TEST_CASE("a sink that was muted is not called, and one that is being called is waited for") {
  const auto env = must(PosixEnv::open());
  WorldOf<PosixEnv> world(*env);
  std::atomic<int> calls{0};
  std::atomic<bool> inside{false};
  std::atomic<bool> go_on{false};
  const auto events = make_ref<Events>(world, [&](const BrokerEvent&) {
    ++calls;
    inside = true;
    while (!go_on) {
      std::this_thread::yield();
    }
  });
  std::thread teller([&] { events->tell(EventLevel::info, "code", "file", "text"); });
  while (!inside) {
    std::this_thread::yield();
  }
  events->mute(world.steady_now());  // in vain: the deadline has passed
  std::atomic<bool> muted{false};
  std::thread muter([&] {
    events->mute(never);
    muted = true;
  });
  CHECK_FALSE(muted);
  go_on = true;
  muter.join();
  teller.join();
  events->tell(EventLevel::info, "code", "file", "text");
  CHECK(calls == 1);
}

TEST_CASE("a change of topics that cannot be written is told why, and whether it may come") {
  IoOperation at = IoOperation::write;
  absl::Status why;
  MemoryEnv env({.files = AnyFileSystem(FaultFileSystem(MemoryFileSystem(), [&](IoCall& call) {
                   const bool hit = call.path == "data/ottla_metadata" && call.operation == at;
                   return hit && !call.done ? why : absl::OkStatus();
                 }))});
  const MemoryBroker broker = test::open_with_topic(env, 1);
  const auto is_told = [&](Outcome left) {
    for (const absl::Status& refused :
         {broker.create_topic({.name = "new"}), broker.add_partitions("orders", 2),
          broker.delete_topic("orders")}) {
      INFO(refused);
      CHECK(fault(refused) == fault(why));
      CHECK(refused.message().find("; do this") != std::string::npos);
      CHECK(outcome(refused) == left);
      left = Outcome::not_written;  // nothing is tried any more where a sync failed
    }
  };
  for (const Fault fault : {Fault::no_descriptors, Fault::no_space}) {
    why = error(fault, "no write there; do this");
    is_told(Outcome::not_written);
    CHECK(must(broker.list_topics()) == std::vector<std::string>{"orders"});
  }
  why = absl::OkStatus();
  must(broker.create_topic({.name = "new"}));
  must(broker.delete_topic("new"));
  at = IoOperation::sync;
  why = error(Fault::io, "the device failed; do this", Outcome::unknown);
  is_told(Outcome::unknown);
}

TEST_CASE("who asks for more than a broker holds is told what to do") {
  MemoryEnv env;
  const MemoryBroker broker = test::open_with_topic(env, 1);
  for (const absl::Status& refused : {broker.create_topic({.name = "large", .partitions = 100'000}),
                                      broker.add_partitions("orders", 100'001)}) {
    INFO(refused);
    CHECK(error_code(refused) == ErrorCode::policy_violation);
    CHECK(refused.message().find("; delete topics") != std::string::npos);
  }
}
