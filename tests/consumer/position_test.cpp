// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include "tests/support/catch.hpp"
#include "tests/support/fake_connection.hpp"

using namespace ottla;
using namespace test;
using namespace std::chrono_literals;

namespace {

using Reader = Consumer<std::string, std::string>;

const TopicPartition first{"orders", PartitionId(0)};
const TopicPartition second{"orders", PartitionId(1)};

Reader reader(const FakeHost& host, ConsumerConfig config = {}) {
  auto consumer = Reader::open(host, std::move(config));
  REQUIRE(consumer.ok());
  REQUIRE(consumer->assign({first}).ok());
  return *std::move(consumer);
}

std::int64_t polled(Reader& consumer, std::chrono::milliseconds timeout = 0ms) {
  const auto records = consumer.poll(timeout);
  if (!records.ok()) return -1;
  return records->count();
}

}  // namespace

TEST_CASE("a position out of the log begins anew as auto.offset.reset says") {
  FakeHost host;
  FakeConnection& broker = *host.connection;
  broker.append(0, batch_of(100, 5), 105);
  broker.log(0).start = 100;
  const auto reset = GENERATE(OffsetReset::earliest, OffsetReset::latest, OffsetReset::none);
  Reader consumer = reader(host, {.offset_reset = reset});
  REQUIRE(consumer.seek(first, Offset(7)).ok());
  if (reset == OffsetReset::none) {
    const auto failed = consumer.poll(10ms).status();
    CHECK(error_code(failed) == ErrorCode::offset_out_of_range);
    CHECK(error_code(consumer.poll(10ms).status()) == ErrorCode::offset_out_of_range);
    REQUIRE(consumer.seek(first, Offset(103)).ok());
    CHECK(polled(consumer) == 2);
    return;
  }
  CHECK(polled(consumer, 10ms) == (reset == OffsetReset::earliest ? 5 : 0));
  CHECK(*consumer.position(first) == Offset(105));
}

TEST_CASE("a poll ends where the start that it is told is out of the log, too") {
  FakeHost host;
  FakeConnection& broker = *host.connection;
  broker.append(0, batch_of(100, 5), 105);
  broker.log(0).start = 100;
  broker.log(0).stale_start = 50;
  Reader consumer = reader(host, {.offset_reset = OffsetReset::earliest});
  REQUIRE(consumer.seek(first, Offset(7)).ok());
  CHECK(polled(consumer) == 0);
  CHECK(polled(consumer) == 0);
  CHECK(broker.fetches == 2);
  broker.log(0).stale_start = -1;
  broker.env.advance(50ms);
  CHECK(polled(consumer) == 5);
}

TEST_CASE("a position that cannot be mended yet holds up no other partition") {
  FakeHost host;
  FakeConnection& broker = *host.connection;
  Reader consumer = reader(host, {.offset_reset = OffsetReset::earliest});
  broker.append_records(0, 1, 4);
  CHECK(polled(consumer) == 4);
  broker.log(0).offsets_error = ErrorCode::not_leader_or_follower;
  REQUIRE(consumer.seek(first, Offset(99)).ok());
  CHECK(polled(consumer) == 0);  // which finds that out
  REQUIRE(consumer.assign({first, second}).ok());
  broker.append_records(1, 2, 5);
  broker.env.advance(1s);
  CHECK(polled(consumer) == 10);
  broker.append_records(1, 1, 5);
  CHECK(polled(consumer) == 5);  // nor does it later
  broker.log(0).offsets_error = ErrorCode::none;
  broker.env.advance(1s);
  CHECK(polled(consumer) == 4);
}

TEST_CASE("without a commit and without a reset policy a poll says that it does not know where") {
  FakeHost host;
  Reader consumer = reader(host, {.group = "g", .offset_reset = OffsetReset::none});
  CHECK(error_code(consumer.poll(10ms).status()) == ErrorCode::offset_out_of_range);
  CHECK(error_code(consumer.position(first).status()) == ErrorCode::offset_out_of_range);
  REQUIRE(consumer.seek(first, Offset(0)).ok());
  CHECK(polled(consumer) == 0);
}

TEST_CASE(
    "a coordinator that is not ready is asked again, and its silence is no lack of a commit") {
  FakeHost host;
  FakeConnection& broker = *host.connection;
  broker.append_records(0, 1, 10);
  int asked = 0;
  const bool in_partition = GENERATE(false, true);
  broker.on_offset_fetch = [&](const OffsetFetchRequest& request,
                               Reply<OffsetFetchResponse> reply) {
    OffsetFetchResponse response;
    response.partitions.push_back({.partition = request.partitions->at(0), .offset = Offset(6)});
    if (++asked < 4) {
      (in_partition ? response.partitions[0].error : response.error) =
          in_partition ? ErrorCode::unstable_offset_commit
                       : ErrorCode::coordinator_load_in_progress;
      response.partitions[0].offset = Offset(-1);
    }
    reply(std::move(response));
  };
  Reader consumer = reader(host, {.group = "g", .offset_reset = OffsetReset::earliest});
  CHECK(polled(consumer) == 0);
  CHECK(asked == 1);
  CHECK(polled(consumer) == 0);  // not again within the pause
  CHECK(asked == 1);
  CHECK(polled(consumer, 1s) == 4);
  CHECK(asked == 4);
}

TEST_CASE("a coordinator that never answers does not hold up a poll beyond its time") {
  FakeHost host;
  host.connection->on_offset_fetch = [](const OffsetFetchRequest&, Reply<OffsetFetchResponse>) {};
  Reader consumer = reader(host, {.group = "g", .api_timeout = 5s});
  const auto now = [&] { return host.connection->env.clock().steady_now(); };
  const SteadyTime start = now();
  CHECK(polled(consumer) == 0);
  CHECK(now() == start);
  CHECK(polled(consumer, 1s) == 0);
  CHECK(now() == start + 1s);
  CHECK(fault(consumer.position(first).status()) == Fault::timed_out);
  CHECK(now() == start + 6s);
}

TEST_CASE("a refusal of the coordinator is told") {
  FakeHost host;
  host.connection->on_offset_fetch = [](const OffsetFetchRequest&,
                                        Reply<OffsetFetchResponse> reply) {
    reply(OffsetFetchResponse{.error = ErrorCode::group_authorization_failed});
  };
  Reader consumer = reader(host, {.group = "g"});
  CHECK(error_code(consumer.poll(0ms).status()) == ErrorCode::group_authorization_failed);
}

TEST_CASE("a topic that is deleted under an assignment is an error, made again it begins anew") {
  FakeHost host;
  FakeConnection& broker = *host.connection;
  broker.append_records(0, 1, 4);
  Reader consumer = reader(host, {.offset_reset = OffsetReset::earliest});
  CHECK(polled(consumer) == 4);
  SECTION("made again at once") {
    broker.add_topic("orders", 2);
    broker.append_records(0, 1, 3);
    CHECK(polled(consumer) == 3);
  }
  SECTION("gone for a while") {
    broker.topics.erase("orders");
    ++broker.version;
    const auto failed = consumer.poll(10ms).status();
    CHECK(error_code(failed) == ErrorCode::unknown_topic_or_partition);
    CHECK(error_code(consumer.poll(10ms).status()) == ErrorCode::unknown_topic_or_partition);
    broker.add_topic("orders", 2);
    broker.append_records(0, 1, 3);
    CHECK(polled(consumer) == 3);
  }
}

TEST_CASE("the topic is described once, not with each poll") {
  FakeHost host;
  Reader consumer = reader(host, {});
  for (int i = 0; i < 10; ++i) polled(consumer);
  CHECK(host.connection->descriptions <= 2);  // to assign, and to begin
}

TEST_CASE("partitions that stay assigned keep their positions and what was fetched") {
  FakeHost host;
  host.connection->append_records(0, 1, 10);
  Reader consumer = reader(host, {.offset_reset = OffsetReset::earliest, .max_poll_records = 4});
  CHECK(polled(consumer) == 4);
  REQUIRE(consumer.assign({second, first}).ok());
  CHECK(*consumer.assignment() == std::vector<TopicPartition>{first, second});
  CHECK(*consumer.position(first) == Offset(4));
  CHECK(polled(consumer) == 4);
  CHECK(host.connection->fetches == 1);
  REQUIRE(consumer.assign({second}).ok());
  REQUIRE(consumer.assign({first}).ok());
  CHECK(*consumer.position(first) == Offset(0));
  CHECK(polled(consumer) == 4);
}

TEST_CASE("lag is the distance to the end that the last fetch told") {
  FakeHost host;
  host.connection->append_records(0, 2, 10);
  Reader consumer = reader(host, {.offset_reset = OffsetReset::earliest, .max_poll_records = 10});
  CHECK_FALSE(consumer.lag(first)->has_value());
  CHECK(polled(consumer) == 10);
  CHECK(*consumer.lag(first) == 10);
  CHECK(polled(consumer) == 10);
  CHECK(*consumer.lag(first) == 0);
  CHECK(fault(consumer.lag(second).status()) == Fault::invalid_argument);
}

TEST_CASE("times before 1970 and offsets below 0 are refused") {
  FakeHost host;
  Reader consumer = reader(host, {});
  CHECK(fault(consumer.offsets_for_times({{first, Timestamp(-1)}}).status()) ==
        Fault::invalid_argument);
  CHECK(fault(consumer.seek_to_time(Timestamp(-2))) == Fault::invalid_argument);
  CHECK(fault(consumer.seek(first, Offset(-1))) == Fault::invalid_argument);
}

TEST_CASE("a second thread inside a consumer is told so, and the first goes on") {
  FakeHost host;
  Reader consumer = reader(host, {});
  std::vector<Fault> told;
  host.connection->env.executor().post([&] {
    std::thread([&] {
      told = {fault(consumer.poll(0ms).status()), fault(consumer.commit()), fault(consumer.close()),
              fault(consumer.partitions_of("orders").status())};
      consumer.wakeup();  // which alone may come from elsewhere
    }).join();
  });
  CHECK(fault(consumer.poll(10s).status()) == Fault::woken);
  CHECK(told == std::vector<Fault>(4, Fault::wrong_thread));
  CHECK(polled(consumer) == 0);
}
