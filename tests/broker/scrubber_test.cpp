// SPDX-License-Identifier: Apache-2.0
//
// Everything is read again, because the host asks for it or because it is time, and what the disk
// has lost is told.
#include <limits>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

/// One byte of the last value in a file of "orders-1".
void damage(MemoryEnv& env) {
  auto file = must(env.file_system().open("data/orders-1/00000000000000000000.log",
                                          OpenMode::read_write, IoReason::other));
  const std::byte wrong{'!'};
  const Bytes piece(&wrong, 1);
  must(file.write(must(file.size()) - 2, {&piece, 1}, IoReason::other));
}

MemoryBroker open_told(MemoryEnv& env, std::vector<BrokerEvent>& told, ScrubberConfig scrubber) {
  return open(env, {.scrubber = scrubber, .on_event = [&told](const BrokerEvent& event) {
                      if (event.code == "damage_found") told.push_back(event);
                    }});
}

}  // namespace

TEST_CASE("verify reads all partitions, tells how far it is, and names what is damaged") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 3);
  produce_numbers(broker, 0, 10, 0);
  produce_numbers(broker, 10, 10, 1);
  std::int64_t told = 0;
  const VerifyReport whole = must(broker.verify([&](const VerifyReport& so_far) {
    told = so_far.bytes;
    return true;
  }));
  CHECK(whole.complete);
  CHECK(whole.damage.empty());
  CHECK(whole.partitions == 3);
  CHECK(whole.bytes > 200);
  CHECK(told == whole.bytes);

  damage(env);
  const VerifyReport report = must(broker.verify());
  CHECK(report.complete);
  REQUIRE(report.damage.size() == 1);
  CHECK(report.damage[0].partition == partition(1));
  CHECK(report.damage[0].file == "data/orders-1/00000000000000000000.log");
  CHECK(report.damage[0].position == 0);
  CHECK(report.damage[0].why.find("checksum") != std::string::npos);
  CHECK(report.bytes < whole.bytes);
}

TEST_CASE("verify ends where its caller says so, and of a closed broker it says that") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 3);
  const VerifyReport report = must(broker.verify([](const VerifyReport&) { return false; }));
  CHECK_FALSE(report.complete);
  CHECK(report.partitions == 1);
  must(broker.close());
  CHECK(fault(broker.verify().status()) == Fault::closed);
}

TEST_CASE("damage is found in the background within the interval, and told once a round") {
  MemoryEnv env;
  std::vector<BrokerEvent> told;
  const MemoryBroker broker = open_told(env, told, {.interval = 1h});
  must(broker.create_topic({.name = "orders", .partitions = 3}));
  for (int i = 0; i < 3; ++i) produce_numbers(broker, 0, 10, i);
  env.advance(90min);  // one round
  CHECK(told.empty());
  damage(env);
  env.advance(29min);
  CHECK(told.empty());
  env.advance(2min);
  REQUIRE(told.size() == 1);
  CHECK(told[0].file == "data/orders-1/00000000000000000000.log");
  CHECK(told[0].text.find("restore from a backup") != std::string::npos);
  env.advance(61min);
  CHECK(told.size() == 2);
}

TEST_CASE("a round takes its time, and goes on where partitions come and go") {
  MemoryEnv env;
  std::vector<BrokerEvent> told;
  const MemoryBroker broker = open_told(env, told, {.interval = 1h, .max_bytes_per_second = 1.0});
  must(broker.create_topic({.name = "orders", .partitions = 2}));
  must(broker.create_topic({.name = "aside", .partitions = 1}));
  for (int i = 0; i < 2; ++i) produce_numbers(broker, 0, 100, i);
  damage(env);
  env.advance(1h + 1min);
  CHECK(told.empty());  // it is at orders-0, which has more than 60 bytes
  must(broker.delete_topic("aside"));
  env.advance(2h);
  CHECK_FALSE(told.empty());
  must(broker.delete_topic("orders"));
  told.clear();
  env.advance(10h);
  CHECK(told.empty());
}

TEST_CASE("no round is begun with an interval of 0; a pace or a ratio out of range is refused") {
  MemoryEnv env;
  std::vector<BrokerEvent> told;
  {
    const MemoryBroker broker = open_told(env, told, {.interval = 0ms});
    must(broker.create_topic({.name = "orders", .partitions = 2}));
    produce_numbers(broker, 0, 10, 1);
    damage(env);
    env.advance(100h);
    CHECK(told.empty());
  }
  const auto refused =
      MemoryBroker::open(env, {.log_dirs = "data", .scrubber = {.max_bytes_per_second = 0}});
  CHECK(error_code(refused.status()) == ErrorCode::invalid_config);
  for (const double ratio : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    const auto no_ratio =
        MemoryBroker::open(env, {.log_dirs = "data", .cleaner = {.min_cleanable_ratio = ratio}});
    CHECK(error_code(no_ratio.status()) == ErrorCode::invalid_config);
  }
}
