// SPDX-License-Identifier: Apache-2.0
//
// A step of the wall clock deletes nothing at once.
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

using Configs = std::vector<std::pair<std::string, std::string>>;

/// Records are kept for 7 days: the bound is 16.8 h; what is known of producers for one: 2.4 h.
struct Stepped {
  explicit Stepped(Configs configs = {})
      : broker(open(env, {.on_event = [this](const BrokerEvent& event) {
                      if (event.code == "clock_stepped") told.push_back(event.text);
                    }})) {
    must(broker.create_topic({.name = "orders", .partitions = 1, .configs = std::move(configs)}));
    write(10);
    env.advance(1min);  // retention has begun
  }

  /// Records of now.
  void write(int count, std::size_t bytes = 100) {
    auto producer = must(TextProducer::open(broker));
    for (int i = 0; i < count; ++i) {
      must(producer.send({.topic = "orders", .value = std::string(bytes, 'x')}).status());
      must(producer.flush());
    }
  }
  void step(std::chrono::milliseconds by) { env.set_wall(env.clock().wall_now() + by.count()); }
  std::int64_t begin() {
    auto consumer = must(TextConsumer::open(broker, {}));
    return must(consumer.beginning_offsets({partition(0)})).begin()->second.value();
  }

  MemoryEnv env;
  std::vector<std::string> told;
  MemoryBroker broker;
};

constexpr std::chrono::hours day{24};

}  // namespace

TEST_CASE("a step forward deletes nothing until the clocks have kept pace for ten minutes") {
  Stepped it;
  it.step(30 * day);
  it.env.advance(14min);  // seen by 5 minutes at the latest
  CHECK(it.begin() == 0);
  REQUIRE(it.told.size() == 1);
  CHECK(it.told[0].find("forward by 720 h 0 min") != std::string::npos);
  CHECK(it.told[0].find("confirm_clock()") != std::string::npos);
  it.env.advance(6min);
  CHECK(it.begin() == 10);
  CHECK(it.told.size() == 1);
}

TEST_CASE("a clock that is set right in time has deleted nothing") {
  Stepped it;
  it.step(30 * day);
  it.env.advance(9min);
  it.step(-30 * day);
  it.env.advance(1h);
  CHECK(it.begin() == 0);
  CHECK(it.told.size() == 2);
  it.env.advance(7 * day + 1h);
  CHECK(it.begin() == 10);  // by their age
  CHECK(it.told.size() == 2);
}

TEST_CASE("a step back pauses, too") {
  Stepped it;
  it.step(-30 * day);
  it.env.advance(6min);
  CHECK(it.begin() == 0);
  REQUIRE(it.told.size() == 1);
  CHECK(it.told[0].find("back by 720 h") != std::string::npos);
  it.write(10);  // thirty days old, once it is set right
  it.step(30 * day);
  it.env.advance(9min);
  CHECK(it.begin() == 0);
  CHECK(it.told.size() == 2);
}

TEST_CASE("a step below the bound is age as any other; steps add up") {
  Stepped it(Configs{{"retention.ms", "72000000"}});  // 20 h, so that 2 h is the bound
  it.env.advance(18h + 30min);
  it.step(59min);
  it.env.advance(6min);
  CHECK(it.begin() == 0);
  it.step(59min);  // more than an hour with the one before, less than the bound
  it.env.advance(6min);
  CHECK(it.begin() == 10);
  CHECK(it.told.empty());
  it.write(1);
  it.step(119min);
  it.env.advance(6min);
  CHECK(it.told.size() == 1);  // nearly four hours within ten minutes, and each hour was seen
}

TEST_CASE("the host may confirm the clock") {
  Stepped it;
  it.step(30 * day);
  it.env.advance(6min);
  CHECK(it.begin() == 0);
  must(it.broker.confirm_clock());
  it.env.advance(5min);
  CHECK(it.begin() == 10);
  CHECK(it.told.size() == 1);
}

TEST_CASE("what is too much goes while the clock is not believed") {
  Stepped it(Configs{{"retention.bytes", "2000000"}, {"segment.bytes", "1048576"}});
  it.write(10, 500'000);
  it.step(30 * day);
  it.write(10, 500'000);
  it.env.advance(6min);
  CHECK(it.told.size() == 1);
  CHECK(it.begin() == 26);  // two a segment, and 2 MB are left
}

TEST_CASE("committed offsets expire by a clock that is believed only") {
  Stepped it;
  const auto committed = [&] {
    auto consumer = must(TextConsumer::open(it.broker, {.group = "billing"}));
    return must(consumer.committed({partition(0)})).size();
  };
  {
    auto consumer = must(TextConsumer::open(it.broker, {.group = "billing",
                                                        .topics = {"orders"},
                                                        .offset_reset = OffsetReset::earliest,
                                                        .auto_commit = false}));
    CHECK(drain(consumer).size() == 10);
    must(consumer.commit());
  }
  it.step(30 * day);
  it.env.advance(11min);  // looked at once
  CHECK(committed() == 1);
  it.env.advance(10min);
  CHECK(committed() == 0);
}
