// SPDX-License-Identifier: Apache-2.0
//
// What a group does on a host that records it is in the history, commits by themselves too.
#include <algorithm>
#include <string>

#include <ottla/broker/broker.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/producer/producer.hpp>
#include <ottla/sim/checkers.hpp>
#include <ottla/sim/recording_host.hpp>
#include <ottla/sim/sim_env.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/must.hpp"

using namespace ottla;
using namespace std::chrono_literals;
using test::must;

namespace {

using Kind = HistoryEvent::Kind;
using SimBroker = BasicBroker<SimEnv<MemoryFileSystem>>;
using TextProducer = Producer<std::string, std::string>;
using TextConsumer = Consumer<std::string, std::string>;

}  // namespace

TEST_CASE("a host that records notes commits, what is committed, owners and bounds") {
  SimScheduler world({.seed = 3, .time_limit = 1h});
  SimEnv<MemoryFileSystem> env(world, MemoryFileSystem());
  History history([&] { return world.now(); });
  const TopicPartition orders{"orders", PartitionId(0)};
  must(world.run(env.process(), [&] {
    const auto broker = must(SimBroker::open(env, {.log_dirs = "data"}));
    must(broker.create_topic({.name = "orders", .partitions = 1}));
    auto producer = must(TextProducer::open(broker));
    must(producer.send({.topic = "orders", .value = "a-0"}).status());
    must(producer.flush());
    const RecordingHost host(broker, HistoryWriter(history));
    auto consumer = must(TextConsumer::open(
        host, {.group = "g", .topics = {"orders"}, .offset_reset = OffsetReset::earliest}));
    CHECK(must(consumer.poll(1s)).count() == 1);
    must(consumer.close());  // commits
    auto again = must(TextConsumer::open(host, {.group = "g"}));
    CHECK(must(again.committed({orders})).at(orders).offset == Offset(1));
    must(again.end_offsets({orders}));
    must(broker.close());
    CHECK(!again.committed({orders}).ok());
  }));
  const auto find = [&](Kind kind) {
    const auto& events = history.events();
    const auto found = std::find_if(events.begin(), events.end(), [&](const HistoryEvent& event) {
      return event.kind == kind && event.partition == orders;
    });
    REQUIRE(found != events.end());
    return *found;
  };
  CHECK(find(Kind::owns).generation == Generation(1));
  CHECK(find(Kind::owns).group == "g");
  CHECK(find(Kind::bounds).offset == Offset(0));  // where it began
  CHECK(find(Kind::commit).offset == Offset(1));
  const HistoryEvent commit = find(Kind::commit_ok);
  CHECK(history.events()[commit.asked].kind == Kind::commit);
  CHECK(history.events().back().kind == Kind::bounds);
  CHECK(history.events().back().end == Offset(1));
  CHECK(find(Kind::committed).time > SteadyTime());
  CHECK(wrong_commits(history).empty());
}
