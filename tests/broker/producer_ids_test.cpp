// SPDX-License-Identifier: Apache-2.0
#include <set>

#include <ottla/broker/producer_ids.hpp>
#include <ottla/protocol/connection.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

ProducerId ask_for_id(const MemoryBroker& broker) {
  const Ref<Connection> connection = broker.connect();
  const auto answer = must(ask<InitProducerIdResponse>(
      *connection, InitProducerIdRequest{},
      after(connection->world().steady_now(), std::chrono::seconds(10))));
  CHECK(answer.error == ErrorCode::none);
  CHECK(answer.producer_epoch == ProducerEpoch(0));
  return answer.producer_id;
}

}  // namespace

TEST_CASE("a producer id is never given twice, however the broker ended") {
  MemoryEnv env;
  std::set<std::int64_t> given;
  for (const bool clean : {true, false, false, true}) {
    MemoryBroker broker = open(env);
    for (int i = 0; i < 1'100; ++i) {
      CHECK(given.insert(ask_for_id(broker).value()).second);
    }
    if (clean) {
      REQUIRE(broker.close().ok());
    }
  }
  CHECK(given.size() == 4'400);
}

TEST_CASE("an id that some log knows is not given again") {
  ProducerIds ids;
  CHECK_FALSE(ids.take());
  CHECK(ids.begin_block(ProducerId(0), 1'000) == ProducerId(0));
  CHECK(ids.take() == ProducerId(1));
  ids.note(ProducerId(500));
  CHECK(ids.take() == ProducerId(501));
  ids.note(ProducerId(2'000));
  CHECK_FALSE(ids.take());
  CHECK(ids.floor() == ProducerId(2'001));
  // Two who asked at the same time: the later block is used, the rest of the other one is not.
  CHECK(ids.begin_block(ProducerId(4'000), 1'000) == ProducerId(4'000));
  CHECK(ids.begin_block(ProducerId(3'000), 1'000) == ProducerId(3'000));
  CHECK(ids.take() == ProducerId(4'001));
}

TEST_CASE("transactional ids are refused, with Kafka's code where there is one") {
  MemoryEnv env;
  const MemoryBroker broker = open(env);
  const Ref<Connection> connection = broker.connect();
  const SteadyTime deadline = after(connection->world().steady_now(), std::chrono::seconds(10));
  CHECK(error_code(ask<InitProducerIdResponse>(*connection, InitProducerIdRequest{""}, deadline)
                       .status()) == ErrorCode::invalid_request);
  CHECK(fault(ask<InitProducerIdResponse>(*connection, InitProducerIdRequest{"tx"}, deadline)
                  .status()) == Fault::unsupported);
}
