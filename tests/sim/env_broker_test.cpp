// SPDX-License-Identifier: Apache-2.0
//
// A whole broker with producers and a consumer group in one simulated process, in many schedules;
// and what it acknowledged, read by its next incarnation after it crashed at any time.
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <ottla/broker/broker.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/producer/producer.hpp>
#include <ottla/sim/sim_env.hpp>

#include "tests/log/log_fixture.hpp"
#include "tests/support/catch.hpp"

namespace {

using namespace ottla;
using namespace std::chrono_literals;
using log_test::must;

using Process = SimEnv<MemoryFileSystem>;
using SimBroker = BasicBroker<Process>;
using TextProducer = Producer<std::string, std::string>;
using TextConsumer = Consumer<std::string, std::string>;

constexpr std::uint64_t seeds = 40;
constexpr int producers = 2;
constexpr int records_each = 30;

struct House {
  explicit House(std::uint64_t seed)
      : world({.seed = seed,
               .time_limit = 1h,
               .step_limit = 20'000'000,
               .stall_one_in = seed % 3 == 0 ? 200U : 0U,
               .longest_stall = 20ms,
               .spurious_one_in = seed % 4 == 0 ? 20U : 0U}) {}

  SimBroker open() {
    auto broker = must(SimBroker::open(*env, {.log_dirs = "data"}));
    must(broker.create_topic({.name = "orders", .partitions = 2, .if_not_exists = true}));
    return broker;
  }
  /// Values "<who>-<n>", keyed by who: what a flush brought through is acknowledged.
  void produce(const SimBroker& broker, int who) {
    auto producer = must(TextProducer::open(broker, {.linger = 2ms}));
    std::vector<std::string> sent;
    for (int i = 0; i < records_each; ++i) {
      sent.push_back(std::to_string(who) + "-" + std::to_string(i));
      const std::string key = std::to_string(who);
      if (!producer.send({.topic = "orders", .key = key, .value = sent.back()}).ok()) {
        return;
      }
      if (world.below(4) == 0 || i + 1 == records_each) {
        if (!producer.flush().ok()) {
          return;
        }
        acknowledged.insert(sent.begin(), sent.end());
      }
    }
  }
  /// Everything, from the start, until `count` records have come, or none do any more.
  void consume(const SimBroker& broker, const std::string& group, std::size_t count) {
    auto consumer = must(TextConsumer::open(
        broker, {.group = group, .topics = {"orders"}, .offset_reset = OffsetReset::earliest}));
    int empty = 0;
    while (read.size() < count && empty < 20) {
      const auto records = must(consumer.poll(100ms));
      empty = records.empty() ? empty + 1 : 0;
      for (const auto& record : records) {
        read.push_back(*record.value());
      }
      must(consumer.commit());
    }
  }
  /// Whether each producer's values are there from the first on, in order, none twice.
  bool in_order() const {
    std::vector<int> next(producers);
    for (const std::string& value : read) {
      const auto who = static_cast<std::size_t>(value[0] - '0');
      if (value.substr(2) != std::to_string(next[who]++)) {
        return false;
      }
    }
    return true;
  }

  MemoryFileSystem files;
  SimScheduler world;
  std::unique_ptr<Process> env = std::make_unique<Process>(world, files);
  std::set<std::string> acknowledged;
  std::vector<std::string> read;
};

}  // namespace

TEST_CASE("a broker, its producers and its consumers agree in any schedule") {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    House house(seed);
    bool closed = false;
    house.world.start(house.env->process(), "main", [&] {
      const SimBroker broker = house.open();
      int finished = 0;
      for (int who = 0; who < producers; ++who) {
        house.world.start(house.env->process(), "producer", [&, who] {
          house.produce(broker, who);
          ++finished;
        });
      }
      house.world.start(house.env->process(), "consumer", [&] {
        house.consume(broker, "billing", producers * records_each);
        ++finished;
      });
      while (finished < producers + 1) {
        house.world.await_time(after(house.world.now(), 5ms));
      }
      closed = broker.close().ok();
    });
    const absl::Status ran = house.world.run();
    REQUIRE(ran.ToString() == "OK");
    REQUIRE(closed);
    REQUIRE(house.acknowledged.size() == producers * records_each);
    REQUIRE(house.read.size() == producers * records_each);
    REQUIRE(house.in_order());
  }
}

TEST_CASE("what a broker acknowledged its next incarnation has, whenever it crashed") {
  std::size_t acknowledged = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    House house(seed);
    std::optional<SimBroker> broker;
    house.world.start(house.env->process(), "main", [&] {
      broker = house.open();
      for (int who = 0; who < producers; ++who) {
        house.world.start(house.env->process(), "producer",
                          [&, who] { house.produce(*broker, who); });
      }
    });
    house.world.start(sim_world, "breaker", [&] {
      while (!broker) {
        house.world.await_time(after(house.world.now(), 1ms));
      }
      for (std::uint64_t i = house.world.below(6000); i > 0; --i) {
        house.world.preempt();
      }
      house.env->crash();
    });
    const absl::Status ran = house.world.run();
    REQUIRE(ran.ToString() == "OK");
    // What is left of the dead is not touched any more.
    house.world.give_up([dead = std::move(broker)] {});

    Process again(house.world, house.files, {.name = "again"});
    const absl::Status recovered = house.world.run(again.process(), [&] {
      const auto reopened = must(SimBroker::open(again, {.log_dirs = "data"}));
      house.consume(reopened, "audit", SIZE_MAX);
      must(reopened.close());
    });
    REQUIRE(recovered.ToString() == "OK");
    REQUIRE(house.in_order());
    const std::set<std::string> found(house.read.begin(), house.read.end());
    for (const std::string& value : house.acknowledged) {
      CAPTURE(value);
      REQUIRE(found.count(value) == 1);
    }
    acknowledged += house.acknowledged.size();
  }
  CHECK(acknowledged > 5 * seeds);
}
