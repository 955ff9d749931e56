// SPDX-License-Identifier: Apache-2.0
//
// The disk under the groups' commits is full: calls of members end in their time.
#include <optional>
#include <string>

#include <ottla/env/fault_file_system.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

struct Full {
  static MemoryEnvOptions options(const bool& full) {
    MemoryEnvOptions options;
    options.files = AnyFileSystem(FaultFileSystem(memory_files(), [&full](IoCall& call) {
      const bool hit = full && !call.done && call.operation == IoOperation::write &&
                       call.path.find("__consumer_offsets") != std::string_view::npos;
      return hit ? error(ErrorCode::kafka_storage_error, Fault::no_space, "the disk is full")
                 : absl::OkStatus();
    }));
    return options;
  }
  TextConsumer member(RebalanceListener rebalance = {}) {
    return must(TextConsumer::open(broker, {.group = "billing",
                                            .topics = {"orders"},
                                            .offset_reset = OffsetReset::earliest,
                                            .rebalance = std::move(rebalance)}));
  }
  std::chrono::nanoseconds passed() { return env.clock().steady_now() - start; }

  bool full = false;
  MemoryEnv env{options(full)};
  MemoryBroker broker = open_with_topic(env, 2);
  SteadyTime start{};
};

}  // namespace

TEST_CASE("a poll of a member takes its time and no longer, whatever a rebalance commits") {
  Full world;
  produce_numbers(world.broker, 0, 10);
  auto one = world.member();
  CHECK(must(one.poll(100ms)).count() == 10);
  auto two = world.member();
  must(two.poll(0ms).status());
  world.env.advance(1s);  // a heartbeat hears of the rebalance
  world.full = GENERATE(true, false);
  const auto timeout = GENERATE(0ms, 200ms);
  world.start = world.env.clock().steady_now();
  const absl::Status polled = one.poll(timeout).status();
  CHECK((polled.ok() || fault(polled) == Fault::no_space));  // who joins is told of the disk
  CHECK(world.passed() <= timeout);
  if (!world.full) {  // what was read is committed, though nobody waits
    std::int64_t again = 0;
    for (int i = 0; i < 20; ++i) {
      again += must(one.poll(0ms)).count() + must(two.poll(0ms)).count();
      world.env.advance(500ms);
    }
    CHECK(must(one.assignment()).size() + must(two.assignment()).size() == 2);
    CHECK(again == 0);
  }
  world.full = false;
}

TEST_CASE("a consumer closes in its time though a listener commits in vain") {
  Full world;
  produce_numbers(world.broker, 0, 10);
  std::optional<TextConsumer> consumer;
  consumer.emplace(world.member({.revoked = [&](const std::vector<TopicPartition>&) {
    CHECK_FALSE(consumer->commit().ok());
  }}));
  CHECK(must(consumer->poll(100ms)).count() == 10);
  world.full = true;
  world.start = world.env.clock().steady_now();
  CHECK_FALSE(consumer->close(1s).ok());
  CHECK(world.passed() <= 1s);
  world.full = false;
}
