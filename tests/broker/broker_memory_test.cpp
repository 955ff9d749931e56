// SPDX-License-Identifier: Apache-2.0
//
// Whichever allocation of a request fails, it is answered once, by a typed error at worst; nobody
// is stuck, the same request again succeeds, and the broker closes.
#include <optional>

#include "tests/support/catch.hpp"
#include "tests/support/failing_memory.hpp"
#include "tests/support/memory_broker.hpp"

#ifdef OTTLA_TEST_SANITIZED

#include <cstdio>

TEST_CASE("a broker without memory: not under a sanitizer") {
  std::puts("SKIPPED: operator new is the sanitizer's");
}

#else

using namespace ottla;
using namespace test;

namespace {

struct Hosted {
  MemoryEnv env;
  MemoryBroker broker = test::open(env, {.offsets_topic_partitions = 2});
  Ref<Connection> connection = broker.connect();

  Hosted() { must(broker.create_topic({.name = "orders", .partitions = 2})); }

  template <class Response, class Request>
  Response ask(Request request) {
    return must(ottla::ask<Response>(*connection, std::move(request),
                                     after(env.clock().steady_now(), 60s)));
  }

  JoinGroupResponse join(std::string member = {}) {
    JoinGroupRequest request{.version = 3,
                             .group = "billing",
                             .member_id = std::move(member),
                             .protocol_type = "consumer",
                             .protocols = {{"range", {std::byte{0}}}}};
    return ask<JoinGroupResponse>(std::move(request));
  }
  static SyncGroupRequest sync(const JoinGroupResponse& joined) {
    return {.group = "billing",
            .generation = joined.generation,
            .member_id = joined.member_id,
            .assignments = {{joined.member_id, {std::byte{1}, std::byte{2}}}}};
  }
  static OffsetCommitRequest commit(const JoinGroupResponse& joined, std::int64_t offset) {
    return {.group = "billing",
            .generation = joined.generation,
            .member_id = joined.member_id,
            .partitions = {{.partition = partition(0), .offset = Offset(offset)},
                           {.partition = partition(1), .offset = Offset(offset)}}};
  }
  JoinGroupResponse member() {
    JoinGroupResponse joined = join();
    REQUIRE(ask<SyncGroupResponse>(sync(joined)).error == ErrorCode::none);
    return joined;
  }
};

/// What a request was answered: kept without asking for memory.
template <class Response>
struct Answered {
  int told = 0;
  std::optional<absl::StatusOr<Response>> answer;
};

/// Asks with the k-th allocation failing; whether it came to that. What waits for a timer is
/// answered later, with memory.
template <class Response, class Request>
bool ask_without_memory(Hosted& hosted, Request request, int k, FailingMemory::How how,
                        std::optional<absl::StatusOr<Response>>& answer) {
  Answered<Response> answered;
  Reply<Response> reply([&answered](absl::StatusOr<Response> given) {
    ++answered.told;
    answered.answer.emplace(std::move(given));
  });
  bool reached = false;
  {
    const FailingMemory failing(k, how);
    hosted.connection->call(std::move(request), std::move(reply));
    hosted.env.run_until_idle();
    reached = failing.reached();
  }
  hosted.env.advance(200ms);
  CHECK(answered.told == 1);
  CHECK(hosted.env.executor().thrown() == 0);
  if (answered.told == 1 && !answered.answer->ok()) {
    CHECK(fault(answered.answer->status()) == Fault::no_memory);
  }
  answer = std::move(answered.answer);
  return reached;
}

/// Topics and groups still work; the broker closes, and all is there again.
void goes_on(Hosted& hosted, std::int64_t committed) {
  must(hosted.broker.create_topic({.name = "later", .if_not_exists = true}));
  must(hosted.broker.delete_topic("later"));
  must(hosted.broker.create_topic({.name = "orders", .partitions = 2, .if_not_exists = true}));
  produce_numbers(hosted.broker, 0, 3);
  hosted.env.advance(46s);  // whoever was a member is not any more
  const JoinGroupResponse joined = hosted.member();
  REQUIRE(joined.error == ErrorCode::none);
  for (const auto& one :
       hosted.ask<OffsetCommitResponse>(Hosted::commit(joined, committed)).partitions) {
    REQUIRE(one.error == ErrorCode::none);
  }
  must(hosted.broker.close());
  hosted.broker = test::open(hosted.env);
  hosted.connection = hosted.broker.connect();
  CHECK(*hosted.broker.list_topics() == std::vector<std::string>{"__consumer_offsets", "orders"});
  for (const auto& one :
       hosted.ask<OffsetFetchResponse>(OffsetFetchRequest{.group = "billing"}).partitions) {
    CHECK(one.offset == Offset(committed));
  }
  must(hosted.broker.close());
}

/// Asks with each allocation failing, alone or with all behind it; then `again`. How many there
/// are.
template <class Response, class Prepare, class Again>
int sweep(Prepare request_of, Again again) {
  int k = 0;
  for (const auto how : {FailingMemory::How::for_good, FailingMemory::How::once}) {
    bool reached = true;
    for (k = 0; reached; ++k) {
      INFO("allocation " << k << (how == FailingMemory::How::once ? "" : " and all behind it"));
      Hosted hosted;
      auto request = request_of(hosted);
      std::optional<absl::StatusOr<Response>> answer;
      reached = ask_without_memory<Response>(hosted, request, k, how, answer);
      again(hosted, request, answer);
      goes_on(hosted, 2);
    }
  }
  return k;
}

}  // namespace

TEST_CASE("a topic is created, whichever allocation failed at first") {
  const int swept = sweep<CreateTopicsResponse>(
      [](Hosted&) {
        CreateTopicsRequest request;
        request.topics.push_back({.name = "later", .partitions = 2});
        return request;
      },
      [](Hosted& hosted, const auto&, const auto&) {
        must(hosted.broker.create_topic({.name = "later", .partitions = 2, .if_not_exists = true}));
        CHECK(hosted.broker.describe_topic("later")->partitions.size() == 2);
      });
  CHECK(swept > 100);
}

TEST_CASE(
    "a topic is deleted, whichever allocation failed at first, and one of its name begins anew") {
  const int swept = sweep<DeleteTopicsResponse>(
      [](Hosted& hosted) {
        produce_numbers(hosted.broker, 0, 5);
        hosted.ask<OffsetCommitResponse>(Hosted::commit(hosted.member(), 5));
        DeleteTopicsRequest request;
        request.topics.push_back({.name = "orders", .id = {}});
        return request;
      },
      [](Hosted& hosted, const auto&, const auto&) {
        const absl::Status deleted = hosted.broker.delete_topic("orders");
        CHECK((deleted.ok() || error_code(deleted) == ErrorCode::unknown_topic_or_partition));
        must(hosted.broker.create_topic({.name = "orders", .partitions = 2}));
        auto consumer = must(TextConsumer::open(hosted.broker));
        CHECK(consumer.end_offsets({partition(0)})->at(partition(0)) == Offset(0));
      });
  CHECK(swept > 100);
}

TEST_CASE("a group's first member joins, whichever allocation failed at first") {
  const int swept = sweep<JoinGroupResponse>(
      [](Hosted&) {
        return JoinGroupRequest{.version = 3,
                                .group = "billing",
                                .protocol_type = "consumer",
                                .protocols = {{"range", {std::byte{0}}}}};
      },
      [](Hosted& hosted, const auto&, const auto&) {
        hosted.env.advance(301s);  // a member that nobody was told of is not waited for
        CHECK(hosted.join().error == ErrorCode::none);
      });
  CHECK(swept > 100);
}

TEST_CASE("a member syncs, whichever allocation failed at first") {
  const int swept = sweep<SyncGroupResponse>(
      [](Hosted& hosted) { return Hosted::sync(hosted.join()); },
      [](Hosted& hosted, const SyncGroupRequest& request, const auto& answer) {
        if (!answer->ok()) {
          const JoinGroupResponse joined = hosted.join(request.member_id);
          CHECK(joined.error == ErrorCode::none);
          CHECK(hosted.ask<SyncGroupResponse>(Hosted::sync(joined)).error == ErrorCode::none);
        }
      });
  CHECK(swept > 20);
}

TEST_CASE("a heartbeat keeps a member, whichever allocation failed at first") {
  const int swept = sweep<HeartbeatResponse>(
      [](Hosted& hosted) {
        const JoinGroupResponse joined = hosted.member();
        hosted.env.advance(30s);
        return HeartbeatRequest{
            .group = "billing", .generation = joined.generation, .member_id = joined.member_id};
      },
      [](Hosted& hosted, const HeartbeatRequest& request, const auto&) {
        CHECK(hosted.ask<HeartbeatResponse>(request).error == ErrorCode::none);
        hosted.env.advance(44s);
        CHECK(hosted.ask<HeartbeatResponse>(request).error == ErrorCode::none);
        hosted.env.advance(46s);  // its session has an end all the same
        CHECK(hosted.ask<HeartbeatResponse>(request).error == ErrorCode::unknown_member_id);
      });
  CHECK(swept > 5);
}

TEST_CASE("offsets are committed, whichever allocation failed at first") {
  const int swept = sweep<OffsetCommitResponse>(
      [](Hosted& hosted) { return Hosted::commit(hosted.member(), 1); },
      [](Hosted& hosted, const OffsetCommitRequest& request, const auto&) {
        for (const auto& one : hosted.ask<OffsetCommitResponse>(request).partitions) {
          CHECK(one.error == ErrorCode::none);
        }
        const auto fetched =
            hosted.ask<OffsetFetchResponse>(OffsetFetchRequest{.group = "billing"}).partitions;
        CHECK(fetched.size() == 2);
      });
  CHECK(swept > 20);
}

TEST_CASE("a member leaves and its group is deleted, whichever allocation failed at first") {
  sweep<LeaveGroupResponse>(
      [](Hosted& hosted) {
        return LeaveGroupRequest{.group = "billing", .members = {{hosted.member().member_id}}};
      },
      [](Hosted& hosted, const LeaveGroupRequest& request, const auto&) {
        hosted.ask<LeaveGroupResponse>(request);
        CHECK(hosted.ask<DeleteGroupsResponse>(DeleteGroupsRequest{.groups = {"billing"}})
                  .groups.at(0)
                  .error == ErrorCode::none);
      });
  sweep<DeleteGroupsResponse>(
      [](Hosted& hosted) {
        hosted.ask<LeaveGroupResponse>(
            LeaveGroupRequest{.group = "billing", .members = {{hosted.member().member_id}}});
        return DeleteGroupsRequest{.groups = {"billing", "nobody's"}};
      },
      [](Hosted& hosted, const DeleteGroupsRequest& request, const auto& answer) {
        const auto again = hosted.ask<DeleteGroupsResponse>(request).groups;
        CHECK(again.size() == 2);
        CHECK((!answer->ok() || (*answer)->groups.size() == 2));
      });
}

TEST_CASE("a question is answered, whichever allocation failed at first") {
  sweep<MetadataResponse>([](Hosted&) { return MetadataRequest{}; },
                          [](Hosted& hosted, const MetadataRequest& request, const auto&) {
                            CHECK(hosted.ask<MetadataResponse>(request).topics.size() == 1);
                          });
  sweep<ListOffsetsResponse>(
      [](Hosted& hosted) {
        produce_numbers(hosted.broker, 0, 5);
        ListOffsetsRequest request;
        request.partitions.push_back(
            {.partition = partition(0), .timestamp = Timestamp(1'600'000'000'002)});
        return request;
      },
      [](Hosted& hosted, const ListOffsetsRequest& request, const auto&) {
        const auto found = hosted.ask<ListOffsetsResponse>(request).partitions.at(0);
        CHECK(found.error == ErrorCode::none);
        CHECK(found.offset == Offset(2));
      });
  sweep<DescribeGroupsResponse>(
      [](Hosted&) { return DescribeGroupsRequest{.groups = {"billing"}}; },
      [](Hosted& hosted, const DescribeGroupsRequest& request, const auto&) {
        CHECK(hosted.ask<DescribeGroupsResponse>(request).groups.size() == 1);
      });
}

namespace {

struct Woken final : Wakeable {
  int times = 0;
  void wake() noexcept override { ++times; }
};

}  // namespace

TEST_CASE("a fetch that waits is woken, whichever allocation failed at first") {
  bool reached = true;
  for (int k = 0; reached; ++k) {
    INFO("allocation " << k);
    Hosted hosted;
    produce_numbers(hosted.broker, 0, 1);
    const TopicId id = hosted.broker.describe_topic("orders")->id;
    const FetchPartition wanted{.topic_id = id, .partition = PartitionId(0), .offset = Offset(1)};
    const FetchRequest request{.partitions = {&wanted, 1}};
    const auto woken = make_ref<Woken>();
    FetchResponse into;
    absl::Status fetched;
    {
      const FailingMemory failing(k);
      fetched = hosted.connection->fetch(request, into, woken);
      reached = failing.reached();
    }
    CHECK((fetched.ok() || fault(fetched) == Fault::no_memory));
    must(hosted.connection->fetch(request, into, woken));
    REQUIRE(into.partitions.size() == 1);
    CHECK(into.partitions[0].status.ok());
    CHECK(woken->times == 0);
    produce_numbers(hosted.broker, 1, 1);
    CHECK(woken->times == 1);
    goes_on(hosted, 2);
  }
}

TEST_CASE("background work goes on, whichever allocation failed at first") {
  bool reached = true;
  for (int k = 0; reached; k += 3) {
    INFO("allocation " << k);
    Hosted hosted;
    produce_numbers(hosted.broker, 0, 5);
    hosted.member();
    must(hosted.broker.create_topic({.name = "old"}));
    must(hosted.broker.delete_topic("old"));
    {
      const FailingMemory failing(k);
      hosted.env.advance(6min);
      reached = failing.reached();
    }
    CHECK(hosted.env.executor().thrown() == 0);
    // Retention still comes: what is too old goes.
    must(hosted.broker.create_topic({.name = "later", .configs = {{"retention.ms", "1000"}}}));
    auto producer = must(TextProducer::open(hosted.broker, {}));
    must(producer.send({.topic = "later", .value = "old"}).status());
    must(producer.flush());
    hosted.env.advance(12min);
    const auto start = hosted.ask<ListOffsetsResponse>(ListOffsetsRequest{
        .partitions = {{.partition = {"later", PartitionId(0)}, .timestamp = at_earliest}}});
    CHECK(start.partitions.at(0).offset == Offset(1));
    goes_on(hosted, 2);
  }
}

TEST_CASE("a broker closes, whichever allocation fails, and nothing is lost") {
  bool reached = true;
  for (int k = 0; reached; ++k) {
    INFO("allocation " << k);
    Hosted hosted;
    hosted.ask<OffsetCommitResponse>(Hosted::commit(hosted.member(), 5));
    produce_numbers(hosted.broker, 0, 5);
    absl::Status closed;
    {
      const FailingMemory failing(k);
      closed = hosted.broker.close();
      reached = failing.reached();
    }
    CHECK((closed.ok() || fault(closed) == Fault::no_memory));
    CHECK(hosted.broker.close() == closed);
    hosted.broker = test::open(hosted.env);
    hosted.connection = hosted.broker.connect();
    auto consumer = must(TextConsumer::open(hosted.broker));
    CHECK(consumer.end_offsets({partition(0)})->at(partition(0)) == Offset(5));
    CHECK(hosted.ask<OffsetFetchResponse>(OffsetFetchRequest{.group = "billing"})
              .partitions.at(0)
              .offset == Offset(5));
    goes_on(hosted, 2);
  }
}

#endif
