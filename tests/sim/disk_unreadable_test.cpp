// SPDX-License-Identifier: Apache-2.0
//
// A broker on a disk that cannot read a sector: that is told as such, and is no reason to cut.
#include <string>
#include <vector>

#include <ottla/broker/broker.hpp>
#include <ottla/producer/producer.hpp>
#include <ottla/sim/sim_disk.hpp>
#include <ottla/sim/sim_env.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/must.hpp"

using namespace ottla;
using namespace std::chrono_literals;
using test::must;

TEST_CASE("A sector that cannot be read is not damage, and nothing is repaired for it") {
  using Process = SimEnv<SimFileSystem>;
  const TopicPartition orders{"orders", PartitionId(0)};
  const std::string file = "/data/orders-0/00000000000000000000.log";
  SimDisk disk;
  SimScheduler world({.seed = 1});
  Process env(world, disk.file_system());
  std::vector<BrokerEvent> told;
  const auto open = [&] {
    return must(BasicBroker<Process>::open(
        env,
        {.log_dirs = "/data", .scrubber = {.interval = 1h}, .on_event = [&](const auto& event) {
           if (event.level == EventLevel::error) told.push_back(event);
         }}));
  };
  must(world.run(env.process(), [&] {
    auto broker = open();
    must(broker.create_topic({.name = "orders"}));
    auto producer = must(Producer<std::string, std::string>::open(broker));
    for (int i = 0; i < 100; ++i) {
      must(producer.send({.topic = "orders", .value = std::string(100, 'x')}).status());
    }
    must(producer.close());
    must(broker.close());
    disk.spoil_sector(file, 600);
    broker = open();

    const VerifyReport report = must(broker.verify());
    REQUIRE(report.damage.size() == 1);
    CHECK(report.damage[0].file == file);
    CHECK(report.damage[0].fault == Fault::io);

    for (const Repair how : {Repair::skip_range, Repair::truncate}) {
      const absl::Status refused = broker.repair(orders, how).status();
      CHECK(fault(refused) == Fault::io);
      CHECK(refused.message().find(file) != absl::string_view::npos);
    }

    world.await_time(after(world.now(), 61min));
    REQUIRE(told.size() == 1);
    CHECK(told[0].code == "read_failed");
    CHECK(told[0].file == file);
    CHECK(told[0].text.find("is read again") != std::string::npos);
    must(broker.close());
  }));
}
