// SPDX-License-Identifier: Apache-2.0
#include <ottla/env/memory/file_system.hpp>
#include <ottla/sim/sim_env.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;
using namespace std::chrono_literals;

TEST_CASE("the wall clock goes with the steady one until it is stepped, drifts or freezes") {
  SimScheduler world;
  SimEnv env(world, MemoryFileSystem(), {.wall = Timestamp(5000)});
  SimEnv other(world, MemoryFileSystem(), {.wall = Timestamp(7000)});
  const SteadyTime start = world.now();
  std::vector<std::int64_t> seen;
  world.start(env.process(), "watch", [&] {
    const auto later = [&](std::chrono::nanoseconds time) {
      world.await_time(after(world.now(), time));
      seen.push_back(env.clock().wall_now().value());
    };
    later(0s);
    later(2500ms);
    env.hands().set_wall(Timestamp(1000));
    later(1s);
    env.hands().set_drift(100'000);  // a tenth faster
    later(10s);
    env.hands().set_drift(-100'000);
    later(10s);
    env.hands().set_drift(0);
    env.hands().freeze();
    later(1h);
    env.hands().set_wall(Timestamp(9000));
    later(1h);
    env.hands().freeze(false);
    later(1s);
  });
  REQUIRE(world.run().ok());
  CHECK(seen == std::vector<std::int64_t>{5000, 7500, 2000, 13000, 22000, 22000, 9000, 10000});
  const SteadyTime end = after(start, 2h + 24500ms);
  CHECK(env.clock().steady_now() == end);
  CHECK(other.clock().steady_now() == end);
  CHECK(other.clock().wall_now() == Timestamp(7000 + 7'224'500));
}

TEST_CASE("drift over years does not overflow") {
  SimScheduler world({.time_limit = 24h * 365 * 101});
  SimEnv env(world, MemoryFileSystem(), {.wall = Timestamp(0)});
  env.hands().set_drift(-1);
  world.start(env.process(), "sleeper",
              [&] { world.await_time(after(world.now(), 24h * 365 * 100)); });
  REQUIRE(world.run().ok());
  const std::int64_t years = std::int64_t{24} * 3'600'000 * 365 * 100;
  CHECK(env.clock().wall_now() == Timestamp(years - years / 1'000'000));
}
