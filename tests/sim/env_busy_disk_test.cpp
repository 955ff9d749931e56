// SPDX-License-Identifier: Apache-2.0
//
// Producers that keep a slow disk busy: retention has its turn among them.
#include <string>

#include <ottla/broker/broker.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/producer/producer.hpp>
#include <ottla/sim/sim_env.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/must.hpp"

using namespace ottla;
using namespace std::chrono_literals;
using test::must;

namespace {

using SimBroker = BasicBroker<SimEnv<MemoryFileSystem>>;
using TextProducer = Producer<std::string, std::string>;

constexpr std::int64_t limit = 20'000;

/// Each write of records takes `slow`.
struct Busy {
  Busy(std::uint64_t seed, Schedule schedule, std::chrono::milliseconds slow)
      : world({.seed = seed, .schedule = schedule, .time_limit = 1h, .step_limit = 50'000'000}),
        env(world, MemoryFileSystem(),
            {.executor = {.threads = 3}, .on_io = [this, slow](IoCall& call) {
               if (!call.done && call.operation == IoOperation::write &&
                   call.reason == IoReason::append && call.path.starts_with("data/t-0/")) {
                 pass(slow);
               }
               return absl::OkStatus();
             }}) {}

  void pass(std::chrono::nanoseconds time) { world.await_time(after(world.now(), time)); }
  std::int64_t bytes() {
    std::int64_t bytes = 0;
    for (const DirectoryEntry& entry : must(env.files().list("data/t-0"))) {
      const auto status = env.files().status("data/t-0/" + entry.name);
      bytes += entry.name.ends_with(".log") && status.ok() ? status->size : 0;
    }
    return bytes;
  }
  void produce(const SimBroker& broker) {
    auto producer = must(TextProducer::open(broker, {.linger = 0ms}));
    const std::string value(500, 'x');
    while (!stop) {
      must(producer.send({.topic = "t", .value = value}).status());
      must(producer.flush());
    }
  }

  bool stop = false;
  SimScheduler world;
  SimEnv<MemoryFileSystem> env;
};

}  // namespace

TEST_CASE("retention has its turn among producers that keep the disk busy") {
  const Schedule schedule = GENERATE(Schedule::uniform, Schedule::sticky, Schedule::priorities);
  const auto slow = GENERATE(1ms, 30ms, 100ms);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    CAPTURE(static_cast<int>(schedule), slow.count(), seed);
    Busy it(seed, schedule, slow);
    must(it.world.run(it.env.process(), [&] {
      const SimBroker broker =
          must(SimBroker::open(it.env, {.log_dirs = "data", .initial_task_delay = 100 * slow}));
      must(broker.create_topic({.name = "t",
                                .configs = {{"internal.segment.bytes", "5000"},
                                            {"retention.bytes", std::to_string(limit)}}}));
      for (int i = 0; i < 4; ++i) {
        it.world.start(it.env.process(), "producer", [&it, broker] { it.produce(broker); });
      }
      it.pass(99 * slow);
      CHECK(it.bytes() > 2 * limit);
      const SteadyTime end = after(it.world.now(), 60s);
      while (it.bytes() > 2 * limit && it.world.now() < end) {
        it.pass(slow);
      }
      CHECK(it.bytes() <= 2 * limit);
      it.stop = true;
    }));
  }
}
