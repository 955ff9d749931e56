// SPDX-License-Identifier: Apache-2.0
//
// A topic is deleted, and mostly one of the same name made, while a group reads it.
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

TextConsumer member(const MemoryBroker& broker, bool auto_commit = false) {
  return must(TextConsumer::open(broker, {.group = "billing",
                                          .topics = {"orders"},
                                          .offset_reset = OffsetReset::earliest,
                                          .auto_commit = auto_commit}));
}

/// One batch each.
void produce_apart(const MemoryBroker& broker, int from, int count) {
  for (int i = from; i < from + count; ++i) produce_numbers(broker, i, 1);
}

/// With as many records as were read of the old one, and more.
void make_anew(const MemoryBroker& broker) {
  must(broker.delete_topic("orders"));
  must(broker.create_topic({.name = "orders"}));
  produce_apart(broker, 100, 5);
}

const std::vector<std::string> all_new{"orders-0@0 null=n100", "orders-0@1 null=n101",
                                       "orders-0@2 null=n102", "orders-0@3 null=n103",
                                       "orders-0@4 null=n104"};

}  // namespace

TEST_CASE("what was read of a deleted topic is not committed for a new one of its name") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  must(broker.create_topic({.name = "other"}));
  produce_apart(broker, 0, 3);
  TextConsumer consumer = member(broker);
  CHECK(drain(consumer).size() == 3);
  make_anew(broker);

  SECTION("the commit says so, and the next poll begins the new topic") {
    const absl::Status refused = consumer.commit();
    CHECK(error_code(refused) == ErrorCode::unknown_topic_id);
    CHECK(refused.message().find("orders-0: its topic was deleted and made anew") !=
          std::string::npos);
  }
  SECTION("other partitions of the same commit are taken") {
    const TopicPartition other{"other", PartitionId(0)};
    const absl::Status refused =
        consumer.commit(OffsetsToCommit{{partition(0), {Offset(3)}}, {other, {Offset(7)}}});
    CHECK(error_code(refused) == ErrorCode::unknown_topic_id);
    CHECK(must(consumer.committed({other})).at(other).offset == Offset(7));
  }
  SECTION("an asynchronous one is told the same") {
    absl::Status told;
    must(consumer.commit_async([&](const absl::Status& done) { told = done; }));
    CHECK(must(consumer.committed({partition(0)})).empty());
    const auto records = must(consumer.poll(10ms));
    CHECK(texts(records) == all_new);
    CHECK(error_code(told) == ErrorCode::unknown_topic_id);
    return;
  }
  CHECK(must(consumer.committed({partition(0)})).empty());
  CHECK(drain(consumer) == all_new);
  must(consumer.commit());
  CHECK(must(consumer.committed({partition(0)})).at(partition(0)).offset == Offset(5));
}

TEST_CASE("a producer's numbers begin anew with its topic: one more attempt is enough") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  auto producer = must(TextProducer::open(broker, {.linger = 0ms, .retries = 1}));
  const auto send = [&](std::string_view value) {
    must(producer.send({.topic = "orders", .value = std::string(value)}).status());
    return producer.flush();
  };
  must(send("old"));
  must(send("older"));
  must(broker.delete_topic("orders"));
  must(broker.create_topic({.name = "orders"}));
  must(send("new"));
  must(send("newer"));
  TextConsumer consumer = member(broker);
  CHECK(drain(consumer) ==
        std::vector<std::string>{"orders-0@0 null=new", "orders-0@1 null=newer"});
}

TEST_CASE("a consumer that commits by itself leaves without an error, and the next reads it all") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  produce_apart(broker, 0, 3);
  const bool by_hand = GENERATE(false, true);
  TextConsumer consumer =
      by_hand ? must(TextConsumer::open(broker, {.group = "billing"})) : member(broker, true);
  if (by_hand) {
    must(consumer.assign({partition(0)}));
    must(consumer.seek(partition(0), Offset(3)));
  } else {
    CHECK(drain(consumer).size() == 3);
  }
  const bool anew = GENERATE(false, true);
  if (anew) make_anew(broker);
  if (!anew) must(broker.delete_topic("orders"));
  must(consumer.close());
  if (!anew) return;
  TextConsumer next = member(broker);
  CHECK(drain(next) == all_new);
}

TEST_CASE("an offset that is left of a deleted topic is nobody's") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  const TopicId old = must(broker.describe_topic("orders")).id;
  produce_apart(broker, 0, 3);
  const auto connection = broker.connect();
  const auto deadline = [&] { return after(env.clock().steady_now(), 1s); };
  const auto fetched = [&](std::optional<std::vector<TopicPartition>> of) {
    return must(ask<OffsetFetchResponse>(
        *connection, OffsetFetchRequest{.group = "billing", .partitions = std::move(of)},
        deadline()));
  };
  const auto commit = [&](const TopicId& id) {
    return must(ask<OffsetCommitResponse>(
                    *connection,
                    OffsetCommitRequest{.group = "billing",
                                        .partitions = {{.partition = partition(0),
                                                        .topic_id = id,
                                                        .offset = Offset(3)}}},
                    deadline()))
        .partitions.at(0)
        .error;
  };
  CHECK(commit(old) == ErrorCode::none);
  CHECK(fetched(std::nullopt).partitions.at(0).topic_id == old);
  make_anew(broker);
  CHECK(commit(old) == ErrorCode::unknown_topic_id);
  CHECK(fetched(std::nullopt).partitions.empty());
  CHECK(fetched({{partition(0)}}).partitions.at(0).offset == Offset(-1));
  CHECK(commit(TopicId()) == ErrorCode::none);  // by name alone
  CHECK(fetched({{partition(0)}}).partitions.at(0).offset == Offset(3));
}
