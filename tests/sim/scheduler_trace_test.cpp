// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <exception>
#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <ottla/base/status.hpp>
#include <ottla/sim/sim_scheduler.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;
using namespace std::chrono_literals;

namespace {

struct Traced {
  std::uint64_t hash = 0;
  std::string order;
  std::uint64_t steps = 0;
};

/// A few actors that pass a token around, sleep and throw dice.
Traced play(SimSchedulerOptions options, std::string_view noted = "") {
  SimScheduler world(options);
  Mutex mutex;
  Condition changed;
  Traced traced;
  int turn = 0;
  for (int actor = 0; actor < 3; ++actor) {
    world.start(sim_world, "player", [&, actor] {
      for (int round = 0; round < 20; ++round) {
        Lock lock(mutex);
        if (turn % 2 != actor % 2) {
          changed.wait_until(lock, after(world.now(), 5ms));
        }
        traced.order += static_cast<char>('a' + actor);
        ++turn;
        lock.unlock();
        changed.notify_one();
        world.await_time(after(world.now(), std::chrono::microseconds(world.below(100))));
      }
    });
  }
  world.note(noted);
  CHECK(world.run().ToString() == "OK");
  traced.hash = world.trace_hash();
  traced.steps = world.steps();
  return traced;
}

}  // namespace

TEST_CASE("the same seed leaves the same trace") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const SimSchedulerOptions options{
        .seed = seed, .stall_one_in = seed % 3 == 0 ? 10U : 0U, .spurious_one_in = 5};
    const Traced once = play(options);
    const Traced again = play(options);
    REQUIRE(once.hash == again.hash);
    REQUIRE(once.order == again.order);
    REQUIRE(once.steps == again.steps);
  }
}

TEST_CASE("different seeds leave different traces, and schedule differently") {
  std::set<std::uint64_t> hashes;
  std::set<std::string> orders;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const Traced traced = play({.seed = seed});
    hashes.insert(traced.hash);
    orders.insert(traced.order);
  }
  CHECK(hashes.size() == 200);
  CHECK(orders.size() > 150);
}

TEST_CASE("a trace is the same whichever compiler made it, and takes in what is noted") {
  const Traced traced = play({.seed = 42});
  CHECK(traced.order == "cbabcacbabcbabcbabcbcbabcbabcaababcbcaabcbabcacbacacacacaacc");
  CHECK(traced.hash == 0xaba585c79a3390fc);
  CHECK(play({.seed = 42}, "news").hash != traced.hash);
  CHECK(play({.seed = 42}, "news").hash != play({.seed = 42}, "other news").hash);
}

TEST_CASE("seeds draw every schedule") {
  std::set<Schedule> drawn;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    drawn.insert(SimScheduler({.seed = seed}).schedule());
  }
  CHECK(drawn.size() == 3);
}

TEST_CASE("priorities change often enough that nobody who turns round starves the others") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SimScheduler world({.seed = seed, .schedule = Schedule::priorities, .step_limit = 1'000'000});
    bool done = false;
    world.start(sim_world, "spinner", [&] {
      while (!done) {
        world.preempt();
      }
    });
    world.start(sim_world, "worker", [&] {
      for (int i = 0; i < 10; ++i) {
        world.preempt();
      }
      done = true;
    });
    REQUIRE(world.run().ok());
  }
}

TEST_CASE("who turns round for ever reaches the limit of steps") {
  SimScheduler world({.step_limit = 10'000});
  world.start(sim_world, "spinner", [&] {
    for (;;) {
      world.preempt();
    }
  });
  const absl::Status ran = world.run();
  CHECK(fault(ran) == Fault::limit_reached);
  CHECK(std::string(ran.message()).find("'spinner'") != std::string::npos);
  CHECK(fault(world.run()) == Fault::limit_reached);
}

TEST_CASE("who comes again for ever reaches the limit of time") {
  SimScheduler world({.time_limit = 1h});
  world.start(sim_world, "sleeper", [&] {
    for (;;) {
      world.await_time(after(world.now(), 1s));
    }
  });
  const absl::Status ran = world.run();
  CHECK(fault(ran) == Fault::timed_out);
  CHECK(std::string(ran.message()).find("'sleeper' of 'world' waits for its time") !=
        std::string::npos);
  CHECK(world.now() == after(SteadyTime(1s), 1h));
}

TEST_CASE("time stands still while somebody can run, unless he is held up") {
  for (const bool stalls : {false, true}) {
    SimScheduler world({.seed = 9, .stall_one_in = stalls ? 5U : 0U, .longest_stall = 1s});
    const SteadyTime start = world.now();
    SteadyTime seen = start;
    world.start(sim_world, "worker", [&] {
      for (int i = 0; i < 1000; ++i) {
        world.preempt();
      }
      seen = world.now();
    });
    world.start(sim_world, "sleeper", [&] { world.await_time(after(start, 1ms)); });
    REQUIRE(world.run().ok());
    CHECK((seen > after(start, 1s)) == stalls);
    CHECK((seen == start) == !stalls);
  }
}

TEST_CASE("a body that throws is what run answers") {
  SimScheduler world;
  world.start(sim_world, "thrower", [] { throw std::runtime_error("no"); });
  const absl::Status ran = world.run();
  CHECK(fault(ran) == Fault::internal);
  CHECK(std::string(ran.message()).find("'thrower' threw: no") != std::string::npos);
}

TEST_CASE("exceptions of different actors are caught each by its own") {
  SimScheduler world({.seed = 5, .schedule = Schedule::uniform});
  int wrong = 0;
  for (int actor = 0; actor < 4; ++actor) {
    world.start(sim_world, "thrower", [&, actor] {
      for (int i = 0; i < 50; ++i) {
        try {
          throw actor;
        } catch (const int& mine) {
          world.preempt();  // others throw and catch meanwhile
          try {
            throw;
          } catch (int again) {
            wrong += again != actor;
          }
          wrong += mine != actor;
        }
        wrong += std::uncaught_exceptions() != 0;
      }
    });
  }
  REQUIRE(world.run().ok());
  CHECK(wrong == 0);
}

TEST_CASE("actors start others, thousands in turn") {
  SimScheduler world({.seed = 2});
  int ended = 0;
  std::function<void(int)> chain = [&](int left) {
    ++ended;
    if (left > 0) {
      world.start(sim_world, "next", [&, left] { chain(left - 1); });
    }
  };
  world.start(sim_world, "first", [&] { chain(3000); });
  REQUIRE(world.run().ok());
  CHECK(ended == 3001);
}

#if defined(__SANITIZE_ADDRESS__)
constexpr bool checked_by_sanitizer = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool checked_by_sanitizer = true;
#else
constexpr bool checked_by_sanitizer = false;
#endif
#else
constexpr bool checked_by_sanitizer = false;
#endif

/// Calls itself until it is `bytes` below `top`.
[[gnu::noinline]] int dive(std::uintptr_t top, std::size_t bytes) {
  volatile char frame[48] = {};
  frame[0] = 1;
  const int below =
      top - reinterpret_cast<std::uintptr_t>(&frame[0]) < bytes ? dive(top, bytes) : 0;
  return below + frame[0];
}

TEST_CASE("a stack that was too small is reported where its actor next waits") {
  constexpr std::size_t stack = 64 << 10;
  for (const std::size_t bytes : {stack / 2, stack + 1024}) {
    if (checked_by_sanitizer && bytes > stack) {
      continue;  // it stops the process there and then
    }
    SimScheduler world({.stack_bytes = stack});
    world.start(sim_world, "diver", [&] {
      const char top = 0;
      dive(reinterpret_cast<std::uintptr_t>(&top), bytes);
      world.preempt();
    });
    CHECK((fault(world.run()) == Fault::limit_reached) == (bytes > stack));
  }
}
