// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <variant>
#include <vector>

#include <ottla/base/status.hpp>
#include <ottla/metadata/metadata_machine.hpp>

#include "tests/support/catch.hpp"

namespace {

using namespace ottla;
using Machine = MetadataMachine;

constexpr Now now{SteadyTime{}, Timestamp(1'000)};

Uuid id_of(int n) {
  Uuid id;
  id.bytes[15] = static_cast<std::byte>(n);
  return id;
}

/// A machine whose decisions are written at once.
struct Kept {
  Machine machine;
  Offset next{0};
  int ids = 0;

  explicit Kept(MetadataLimits limits = {})
      : machine({.broker = BrokerId(1), .directory = id_of(99), .default_partitions = 2}, limits) {}

  Machine::Decision decide(const Machine::Event& event) {
    Machine::Decision decision = machine.decide(event, now);
    for (const MachineRecord& record : decision.records) {
      REQUIRE(machine.apply({.key = {}, .value = Bytes(*record.value), .offset = next}).ok());
      ++next;
    }
    return decision;
  }
  CreateTopicsResponse create(std::vector<CreateTopicsRequest::Topic> topics, bool dry = false) {
    Machine::CreateTopics event{RequestId(1), {std::move(topics), dry}, {}};
    for (std::size_t i = 0; i < event.topics.topics.size(); ++i) {
      event.fresh_ids.push_back(id_of(++ids));
    }
    const Machine::Decision decision = decide(event);
    REQUIRE(decision.answers.size() == 1);
    return std::get<CreateTopicsResponse>(decision.answers[0].response);
  }
  ErrorCode create_one(std::string name, std::int32_t partitions = 1, std::int16_t copies = -1) {
    return create({{.name = std::move(name),
                    .partitions = partitions,
                    .replication_factor = copies,
                    .configs = {}}})
        .topics.at(0)
        .error;
  }
  DeleteTopicsResponse::Topic remove(std::string name) {
    const Machine::Decision decision =
        decide(Machine::DeleteTopics{RequestId(2), {{{.name = std::move(name), .id = {}}}}});
    return std::get<DeleteTopicsResponse>(decision.answers.at(0).response).topics.at(0);
  }
  ErrorCode grow(std::string name, std::int32_t partitions) {
    const Machine::Decision decision =
        decide(Machine::CreatePartitions{RequestId(3), {{{std::move(name), partitions}}, false}});
    return std::get<CreatePartitionsResponse>(decision.answers.at(0).response).topics.at(0).error;
  }
};

}  // namespace

TEST_CASE("a new topic has its id, its partitions and its configs") {
  Kept kept;
  const auto response = kept.create({{.name = "orders",
                                      .partitions = 3,
                                      .replication_factor = -1,
                                      .configs = {{"retention.ms", "1000"}}}});
  CHECK(response.topics.at(0).error == ErrorCode::none);
  CHECK(response.topics.at(0).partitions == 3);
  const MetadataTopic* topic = kept.machine.find("orders");
  REQUIRE(topic != nullptr);
  CHECK(topic == kept.machine.find(response.topics.at(0).id));
  CHECK(topic->partitions.size() == 3);
  CHECK(topic->partitions.at(2).leader == BrokerId(1));
  CHECK(topic->configs.at("retention.ms") == "1000");
  CHECK(kept.machine.partition_count() == 3);
}

TEST_CASE("a topic without a number of partitions has the broker's default") {
  Kept kept;
  CHECK(kept.create({{.name = "orders", .configs = {}}}).topics.at(0).partitions == 2);
}

TEST_CASE("topics are refused for Kafka's reasons") {
  Kept kept;
  REQUIRE(kept.create_one("a.b") == ErrorCode::none);
  CHECK(kept.create_one("a.b") == ErrorCode::topic_already_exists);
  CHECK(kept.create_one("a_b") == ErrorCode::invalid_topic_exception);
  CHECK(kept.create_one("bad name") == ErrorCode::invalid_topic_exception);
  CHECK(kept.create_one("..") == ErrorCode::invalid_topic_exception);
  CHECK(kept.create_one("c", 0) == ErrorCode::invalid_partitions);
  CHECK(kept.create_one("c", -2) == ErrorCode::invalid_partitions);
  CHECK(kept.create_one("c", 1, 3) == ErrorCode::invalid_replication_factor);
  CHECK(kept.machine.topics().size() == 1);
}

TEST_CASE("two topics of one request collide with each other too") {
  Kept kept;
  const auto response =
      kept.create({{.name = "x.y", .configs = {}}, {.name = "x_y", .configs = {}}});
  CHECK(response.topics.at(0).error == ErrorCode::none);
  CHECK(response.topics.at(1).error == ErrorCode::invalid_topic_exception);
}

TEST_CASE("limits of topics and partitions hold, also within one request") {
  Kept kept({.topics = 2, .partitions = 5});
  const auto response = kept.create({{.name = "a", .partitions = 3, .configs = {}},
                                     {.name = "b", .partitions = 3, .configs = {}}});
  CHECK(response.topics.at(0).error == ErrorCode::none);
  CHECK(response.topics.at(1).error == ErrorCode::policy_violation);
  CHECK(kept.create_one("c", 1) == ErrorCode::none);
  CHECK(kept.create_one("d", 1) == ErrorCode::policy_violation);
  CHECK(kept.grow("a", 5) == ErrorCode::policy_violation);
}

TEST_CASE("validate_only answers and writes nothing") {
  Kept kept;
  CHECK(kept.create({{.name = "orders", .configs = {}}}, true).topics.at(0).error ==
        ErrorCode::none);
  CHECK(kept.machine.find("orders") == nullptr);
}

TEST_CASE("a deleted topic is gone, and its name is free again") {
  Kept kept;
  REQUIRE(kept.create_one("a.b", 2) == ErrorCode::none);
  const TopicId id = kept.machine.find("a.b")->id;
  CHECK(kept.remove("a.b").id == id);
  CHECK(kept.machine.find(id) == nullptr);
  CHECK(kept.machine.was_removed(id));
  CHECK(kept.machine.partition_count() == 0);
  CHECK(kept.create_one("a_b") == ErrorCode::none);
  CHECK(kept.remove("a.b").error == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("the broker's own topics cannot be deleted") {
  Kept kept;
  REQUIRE(kept.create_one("__consumer_offsets") == ErrorCode::none);
  CHECK(kept.remove("__consumer_offsets").error == ErrorCode::invalid_topic_exception);
}

TEST_CASE("partitions are added, never taken away") {
  Kept kept;
  REQUIRE(kept.create_one("orders", 2) == ErrorCode::none);
  CHECK(kept.grow("orders", 2) == ErrorCode::invalid_partitions);
  CHECK(kept.grow("orders", 4) == ErrorCode::none);
  CHECK(kept.machine.find("orders")->partitions.size() == 4);
  CHECK(kept.grow("nothing", 4) == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("a decision that could not be written is answered as failed") {
  Kept kept;
  const Machine::CreateTopics event{
      RequestId(1),
      {{{.name = "a", .configs = {}}, {.name = "..", .configs = {}}}, false},
      {id_of(1), id_of(2)}};
  const Machine::Decision failed =
      kept.machine.decide_failed(event, ErrorCode::kafka_storage_error, now);
  CHECK(failed.records.empty());
  const auto& response = std::get<CreateTopicsResponse>(failed.answers.at(0).response);
  CHECK(response.topics.at(0).error == ErrorCode::kafka_storage_error);
  CHECK(response.topics.at(1).error == ErrorCode::invalid_topic_exception);
}

TEST_CASE("topics that come and go leave no more than the ids of the last ones") {
  Kept kept;
  const auto id = [](std::size_t n) {
    Uuid some = id_of(static_cast<int>(n % 256));
    some.bytes[14] = static_cast<std::byte>(n / 256);
    return some;
  };
  constexpr std::size_t most = Machine::removed_topics;
  std::vector<std::byte> record;
  for (std::size_t i = most + 100; i > 0; --i) {
    record = encode(RemoveTopicRecord{id(i)});
    REQUIRE(kept.machine.apply({.value = Bytes(record)}).ok());
  }
  REQUIRE(kept.machine.apply({.value = Bytes(record)}).ok());  // again: it counts once
  CHECK_FALSE(kept.machine.was_removed(id(most + 1)));
  CHECK(kept.machine.was_removed(id(most)));
  CHECK(kept.machine.was_removed(id(1)));
  const std::vector<MachineRecord> all = kept.machine.snapshot();
  CHECK(all.size() == most);
  Kept again;
  for (const MachineRecord& one : all) {
    REQUIRE(again.machine.apply({.value = Bytes(*one.value)}).ok());
  }
  CHECK(again.machine.snapshot() == all);
  record = encode(RemoveTopicRecord{id(most + 200)});
  REQUIRE(again.machine.apply({.value = Bytes(record)}).ok());
  CHECK_FALSE(again.machine.was_removed(id(most)));  // the oldest still
}

TEST_CASE("a machine rebuilt from a snapshot is the same, removed topics included") {
  Kept kept;
  REQUIRE(kept.create_one("gone") == ErrorCode::none);
  const TopicId gone = kept.machine.find("gone")->id;
  kept.remove("gone");
  kept.create({{.name = "orders", .partitions = 3, .configs = {{"retention.ms", "1000"}}}});
  Kept again;
  Offset next(0);
  for (const MachineRecord& record : kept.machine.snapshot()) {
    REQUIRE(again.machine.apply({.key = {}, .value = Bytes(*record.value), .offset = next}).ok());
    ++next;
  }
  const MetadataTopic* topic = again.machine.find("orders");
  REQUIRE(topic != nullptr);
  CHECK(topic->partitions == kept.machine.find("orders")->partitions);
  CHECK(topic->configs == kept.machine.find("orders")->configs);
  CHECK(again.machine.was_removed(gone));
  CHECK(again.machine.partition_count() == 3);
}

TEST_CASE("records that come before what they belong to are refused") {
  Kept kept;
  PartitionRecord orphan;
  orphan.topic = id_of(7);
  const std::vector<std::byte> value = encode(orphan);
  CHECK_FALSE(kept.machine.apply({.key = {}, .value = Bytes(value), .offset = Offset(0)}).ok());
}

TEST_CASE("a topic found on disk is adopted unless it is known") {
  Kept kept;
  const Machine::AdoptTopic found{RequestId(4), "orders", id_of(42), 3, {}};
  CHECK(std::get<Machine::Adopted>(kept.decide(found).answers.at(0).response).error ==
        ErrorCode::none);
  CHECK(kept.machine.find(id_of(42))->partitions.size() == 3);
  CHECK(std::get<Machine::Adopted>(kept.decide(found).answers.at(0).response).error ==
        ErrorCode::topic_already_exists);
}

TEST_CASE("producer ids come in blocks that do not overlap, also from a machine that is rebuilt") {
  Kept kept;
  const auto block = [](Kept& from, std::int64_t floor) {
    const auto decision =
        from.decide(Machine::AllocateProducerIds{RequestId(9), ProducerId(floor)});
    const auto given = std::get<Machine::ProducerIdBlock>(decision.answers.at(0).response);
    CHECK(given.error == ErrorCode::none);
    CHECK(given.count == 1'000);
    return given.first.value();
  };
  CHECK(block(kept, 0) == 0);
  CHECK(block(kept, 0) == 1'000);
  CHECK(block(kept, 5'000) == 5'000);
  Kept rebuilt;
  for (const MachineRecord& record : kept.machine.snapshot()) {
    REQUIRE(rebuilt.machine.apply({.key = {}, .value = Bytes(*record.value), .offset = Offset(0)})
                .ok());
  }
  CHECK(block(rebuilt, 0) == 6'000);
  const auto failed =
      kept.machine.decide_failed(Machine::AllocateProducerIds{RequestId(9), ProducerId(0)},
                                 ErrorCode::kafka_storage_error, now);
  CHECK(failed.records.empty());
  CHECK(std::get<Machine::ProducerIdBlock>(failed.answers.at(0).response).error ==
        ErrorCode::kafka_storage_error);
}
