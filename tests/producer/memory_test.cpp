// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <new>
#include <thread>

#include <ottla/env/posix/posix_env.hpp>

#include "tests/producer/producer_bed.hpp"

using namespace ottla;
using namespace std::chrono_literals;

namespace {

constexpr PartitionId p0{0};
constexpr auto nothing = [] {};

/// Has no memory to wait with.
class Restless final : public World {
 public:
  Restless() : World(nullptr, calls()) {}

 private:
  static const Calls& calls() {
    static const Calls only = [] {
      Calls made{};
      made.await = [](void*, Doorbell&, SteadyTime) -> bool { throw std::bad_alloc(); };
      return made;
    }();
    return only;
  }
};

}  // namespace

TEST_CASE("memory is given in turn: a small request does not overtake a large one") {
  MemoryEnv env;
  WorldOf<MemoryEnv> world(env);
  MemoryBudget budget(100);
  REQUIRE(budget.try_take(80));
  const SteadyTime until = after(world.steady_now(), 10s);
  env.executor().post([&] {  // runs while the outer one waits
    CHECK(budget.exhausted());
    CHECK_FALSE(budget.try_take(10));
    env.executor().post([&] { budget.give_back(80); });
    CHECK(budget.take(30, world, until, nothing).ok());
  });
  CHECK(budget.take(60, world, until, nothing).ok());
  CHECK(budget.available() == 10);
  CHECK_FALSE(budget.exhausted());
}

TEST_CASE("who waits too long for memory is told, and those behind him go on") {
  const auto env = PosixEnv::open({.executor = {.threads = 1}}).value();
  WorldOf<PosixEnv> world(*env);
  MemoryBudget budget(100);
  REQUIRE(budget.try_take(80));
  std::atomic<bool> is_behind{false};
  absl::Status behind;
  std::thread other;
  const absl::Status late = budget.take(50, world, world.steady_now(), [&] {
    other = std::thread([&] { behind = budget.take(20, world, never, [&] { is_behind = true; }); });
    while (!is_behind) std::this_thread::yield();
  });
  other.join();
  CHECK(behind.ok());
  CHECK(fault(late) == Fault::timed_out);
  CHECK(outcome(late) == Outcome::not_written);
  CHECK(retriable(late));
  CHECK(budget.available() == 0);
}

TEST_CASE("more than there is in all is refused at once") {
  MemoryEnv env;
  WorldOf<MemoryEnv> world(env);
  MemoryBudget budget(100);
  CHECK(error_code(budget.take(101, world, never, nothing)) == ErrorCode::message_too_large);
  CHECK(budget.available() == 100);
}

TEST_CASE("who cannot wait for memory is told, and leaves the queue") {
  Restless world;
  MemoryBudget budget(100);
  REQUIRE(budget.try_take(80));
  CHECK(fault(budget.take(50, world, never, nothing)) == Fault::no_memory);
  CHECK_FALSE(budget.exhausted());
  budget.give_back(80);
  CHECK(budget.available() == 100);
}

TEST_CASE("closing ends the waits for memory") {
  MemoryEnv env;
  WorldOf<MemoryEnv> world(env);
  MemoryBudget budget(100);
  REQUIRE(budget.try_take(100));
  env.executor().post([&] { budget.close(); });
  CHECK(fault(budget.take(1, world, never, nothing)) == Fault::closed);
  budget.give_back(100);
  CHECK_FALSE(budget.try_take(1));
}

TEST_CASE("with buffer.memory full send waits until outcomes bring memory back") {
  ProducerBed bed;
  bed.leader->answer_on_write_out = true;
  auto producer = bed.open({.linger = 1h, .batch_size = 1'000, .buffer_memory = 3'000});
  for (int i = 0; i < 50; ++i) {
    REQUIRE(producer.send({.topic = "t", .partition = p0, .value = std::string(600, 'x')}).ok());
  }
  REQUIRE(producer.flush().ok());
  CHECK(bed.leader->values("t", 0).size() == 50);
}

TEST_CASE("with buffer.memory full for max.block.ms send fails, and nothing of it is sent") {
  ProducerBed bed;
  std::vector<ProduceRequest> parked;
  bed.leader->script = [&](ProduceRequest& request) {
    parked.push_back(std::move(request));
    return true;
  };
  auto producer =
      bed.open({.linger = 0ms, .batch_size = 1'000, .buffer_memory = 2'000, .max_block = 5s});
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "a"}).ok());
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "b"}).ok());
  const SteadyTime begin = bed.world.steady_now();
  const auto refused = producer.send({.topic = "t", .partition = p0, .value = "c"});
  CHECK(fault(refused.status()) == Fault::timed_out);
  CHECK_THAT(std::string(refused.status().message()), Catch::Contains("buffer.memory"));
  CHECK(bed.world.steady_now() - begin == 5s);
  CHECK(parked.size() == 2);
  for (ProduceRequest& each : parked) bed.leader->accept(std::move(each));
  bed.leader->script = {};
  CHECK(producer.send({.topic = "t", .partition = p0, .value = "d"}).ok());
  CHECK(bed.leader->values("t", 0) == std::vector<std::string>{"a", "b", "d"});
}

TEST_CASE("in a callback send does not wait for memory") {
  ProducerBed bed;
  std::vector<ProduceRequest> parked;
  StringProducer* itself = nullptr;
  Fault seen = Fault::none;
  auto producer = bed.open(
      {.linger = 0ms, .batch_size = 1'000, .buffer_memory = 1'500, .on_delivery = [&](auto&) {
         seen = fault(itself->send({.topic = "t", .value = "again"}).status());
       }});
  itself = &producer;
  REQUIRE(producer.send({.topic = "t", .value = "a"}).ok());
  CHECK(seen == Fault::would_deadlock);
}

TEST_CASE("all memory is back when everything is done, whatever became of it") {
  ProducerBed bed;
  int n = 0;
  bed.leader->script = [&](ProduceRequest& request) {
    switch (++n % 4) {
      case 0:
        request.reply->done(error(ErrorCode::invalid_record, "x"), std::move(request.batch));
        return true;
      case 1:
        request.reply->done(error(ErrorCode::not_enough_replicas, "x"), std::move(request.batch));
        return true;
      case 2:
        request.reply->done(error(ErrorCode::message_too_large, "x"), std::move(request.batch));
        return true;
      default:
        return false;
    }
  };
  // Any loss of a batch's memory would block one of the sends below.
  auto producer =
      bed.open({.linger = 1ms, .batch_size = 500, .buffer_memory = 1'000, .max_block = 20s});
  for (int i = 0; i < 200; ++i) {
    REQUIRE(producer.send({.topic = "t", .value = std::string(100, 'x')}).ok());
  }
  producer.flush().IgnoreError();
}

TEST_CASE("send waits for room at its partition for max.block.ms, wait until its own deadline") {
  ProducerBed bed;
  auto producer = bed.open({.linger = 1s, .batch_size = 100, .max_block = 5s});
  const SteadyTime began = bed.world.steady_now();
  std::vector<SteadyTime> deadlines;
  bed.leader->script = [&](ProduceRequest& request) {
    deadlines.push_back(request.deadline);
    return false;
  };
  const std::string value(60, 'v');
  REQUIRE(producer.send({.topic = "t", .partition = PartitionId(0), .value = value}).ok());
  const auto second = producer.send({.topic = "t", .partition = PartitionId(0), .value = value});
  REQUIRE(producer.wait(*second, 100ms).ok());
  REQUIRE(producer.send({.topic = "t", .partition = PartitionId(0), .value = value}).ok());
  REQUIRE(producer.flush(200ms).ok());
  CHECK(deadlines ==
        std::vector<SteadyTime>{after(began, 5s), after(began, 100ms), after(began, 200ms)});
}
