// SPDX-License-Identifier: Apache-2.0
//
// The contract of Executor, in a simulated world: what tests/env asks of the others.
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <ottla/env/memory/file_system.hpp>
#include <ottla/env/world.hpp>
#include <ottla/sim/sim_env.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;
using namespace std::chrono_literals;

namespace {

struct Bed {
  explicit Bed(int threads, std::uint64_t seed = 1)
      : world({.seed = seed}), env(world, MemoryFileSystem(), {.executor = {.threads = threads}}) {}

  SteadyTime in(std::chrono::nanoseconds delay) const { return after(world.now(), delay); }
  SimExecutor& executor() { return env.executor(); }
  void run(Task body) { REQUIRE(world.run(env.process(), std::move(body)).ok()); }
  /// Everything due in the next second.
  void settle() {
    Doorbell bell;
    CHECK_FALSE(executor().await(bell, in(1s)));
  }

  SimScheduler world;
  SimEnv<MemoryFileSystem> env;
};

}  // namespace

TEST_CASE("a world of a simulated process gives what its environment gives") {
  SimScheduler scheduler({.seed = 7});
  SimEnv env(scheduler, MemoryFileSystem(), {.wall = Timestamp(1000)});
  WorldOf<decltype(env)> world(env);
  CHECK(world.steady_now() == env.clock().steady_now());
  CHECK(world.wall_now() == Timestamp(1000));
  CHECK(world.next_random() != world.next_random());
  CHECK(world.process_generation() == env.process_generation());
  int ran = 0;
  world.post([&] { ++ran; });
  const TimerId timer = world.post_at(after(world.steady_now(), 1s), [&] { ++ran; });
  CHECK(world.cancel(timer));
  Doorbell bell;
  CHECK_FALSE(world.await(bell, after(world.steady_now(), 2s)));
  CHECK(ran == 1);
  CHECK(world.wall_now() == Timestamp(3000));
}

TEST_CASE("the processes of a world have numbers of their own, the same for the same seed") {
  const auto first_of = [](std::uint64_t seed) {
    SimScheduler world({.seed = seed});
    SimEnv first(world, MemoryFileSystem());
    SimEnv second(world, MemoryFileSystem());
    CHECK(first.process_generation() != second.process_generation());
    const std::uint64_t number = first.random().next();
    CHECK(number != second.random().next());
    return number;
  };
  CHECK(first_of(1) == first_of(1));
  CHECK(first_of(1) != first_of(2));
}

TEST_CASE("one simulated thread runs posts in order, and timers by their time") {
  for (const int threads : {0, 1}) {
    Bed bed(threads);
    std::string ran;
    const SteadyTime soon = bed.in(20ms);
    const auto note = [&](char name) { return [&, name] { ran += name; }; };
    bed.executor().post_at(after(soon, 2ms), note('e'));
    bed.executor().post_at(soon, note('c'));
    bed.executor().post_at(soon, note('d'));
    bed.executor().post(note('a'));
    bed.executor().post(note('b'));
    CHECK(ran.empty());
    bed.settle();
    CHECK(ran == "abcde");
  }
}

TEST_CASE("a simulated hour of timers runs in their order, each at its time") {
  for (const int threads : {0, 1, 2}) {
    Bed bed(threads, 11);
    const SteadyTime start = bed.world.now();
    std::vector<std::int64_t> seconds;
    for (int i = 3600; i > 0; --i) {
      bed.executor().post_at(after(start, std::chrono::seconds(i)),
                             [&] { seconds.push_back((bed.world.now() - start) / 1s); });
    }
    Doorbell bell;
    CHECK_FALSE(bed.executor().await(bell, after(start, 1h)));
    CHECK(bed.world.now() == after(start, 1h));
    bed.settle();
    REQUIRE(seconds.size() == 3600);
    for (std::size_t i = 0; i < seconds.size(); ++i) {
      REQUIRE(seconds[i] == static_cast<std::int64_t>(i + 1));
    }
  }
}

TEST_CASE("two simulated threads run tasks that wait for each other") {
  int met = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Bed bed(2, seed);
    auto first = make_ref<Doorbell>();
    auto second = make_ref<Doorbell>();
    bed.executor().post([&] {
      first->ring();
      met += bed.executor().await(*second, bed.in(10s));
    });
    bed.executor().post([&] {
      second->ring();
      met += bed.executor().await(*first, bed.in(10s));
    });
    bed.settle();
  }
  CHECK(met == 100);
}

TEST_CASE("posts from four actors all run") {
  for (const int threads : {0, 1, 3}) {
    Bed bed(threads, 5);
    int ran = 0;
    for (int i = 0; i < 4; ++i) {
      bed.world.start(bed.env.process(), "poster", [&] {
        for (int n = 0; n < 250; ++n) {
          bed.executor().post([&] { ++ran; });
        }
      });
    }
    REQUIRE(bed.world.run().ok());
    bed.settle();
    CHECK(ran == 1000);
  }
}

TEST_CASE("a simulated timer either runs or is cancelled") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Bed bed(3, seed);
    constexpr int timers = 100;
    int ran = 0;
    int cancelled = 0;
    bed.run([&] {
      std::vector<TimerId> ids;
      for (int i = 0; i < timers; ++i) {
        ids.push_back(bed.executor().post_at(bed.in(std::chrono::microseconds(i)), [&] { ++ran; }));
      }
      bed.world.await_time(bed.in(50us));
      for (const TimerId id : ids) {
        cancelled += bed.executor().cancel(id);
      }
      CHECK_FALSE(bed.executor().cancel(ids.back()));
    });
    bed.settle();
    CHECK(ran + cancelled == timers);
    CHECK(ran > 0);
    CHECK(cancelled > 0);
    CHECK_FALSE(bed.executor().cancel(no_timer));
  }
}

TEST_CASE("a spawned body waits on a stack of its own until its simulated executor ends") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    int ended = 0;
    {
      Bed bed(1, seed);
      int started = 0;
      for (const char* name : {"fetcher", "flusher"}) {
        REQUIRE(bed.executor()
                    .spawn(name,
                           [&] {
                             ++started;
                             const auto bell = make_ref<Doorbell>();
                             while (!bed.executor().stopping()) {
                               bed.executor().await(*bell, never);
                             }
                             ++ended;
                           })
                    .ok());
      }
      bed.settle();
      REQUIRE(started == 2);
    }
    REQUIRE(ended == 2);
  }
}

TEST_CASE("a wait without an end goes on until another actor rings or posts") {
  for (const int threads : {0, 1}) {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
      Bed bed(threads, seed);
      const auto bell = make_ref<Doorbell>();
      bed.world.start(bed.env.process(), "other", [&] {
        if (seed % 2 == 0) {
          bed.executor().post([bell] { bell->ring(); });
        } else {
          bell->ring();
        }
      });
      REQUIRE(bed.executor().await(*bell, never));
      REQUIRE(bed.world.run().ok());
    }
  }
}

TEST_CASE("a wait of this world ends at its deadline, and at a ring before") {
  for (const int threads : {0, 1}) {
    Bed bed(threads);
    Doorbell bell;
    const SteadyTime start = bed.world.now();
    CHECK_FALSE(bed.executor().await(bell, after(start, 3ms)));
    CHECK(bed.world.now() == after(start, 3ms));
    bed.executor().post_at(after(start, 2s), [&] { bell.ring(); });
    CHECK(bed.executor().await(bell, after(start, 10s)));
    CHECK(bed.world.now() == after(start, 2s));
    bell.reset();
    CHECK_FALSE(bed.executor().await(bell, after(start, 1s)));
    CHECK(bed.world.now() == after(start, 2s));
  }
}

TEST_CASE("simulated tasks that were never run are destroyed with their executor") {
  auto token = std::make_shared<int>(1);
  for (const int threads : {0, 1}) {
    {
      Bed bed(threads);
      bed.executor().post([token] {});
      bed.executor().post_at(bed.in(1h), [token] {});
      CHECK(token.use_count() == 3);
    }
    CHECK(token.use_count() == 1);
  }
}

TEST_CASE("a task that runs when its simulated executor ends is waited for, and may still post") {
  bool finished = false;
  bool posted_ran = false;
  TimerId refused = 1;
  {
    Bed bed(2);
    Doorbell started;
    bed.executor().post([&] {
      started.ring();
      while (!bed.executor().stopping()) {
        bed.world.preempt();
      }
      bed.executor().post([&] { posted_ran = true; });
      refused = bed.executor().post_at(bed.in(0s), [] {});
      CHECK(fault(bed.executor().spawn("late", [] {})) == Fault::closed);
      finished = true;
    });
    // Not settled: that task turns round until the end.
    bed.world.start(sim_world, "owner", [&] { bed.executor().await(started, never); });
    bed.run([&] { bed.world.fail(bed.env.process()); });
  }
  CHECK(finished);
  CHECK(refused == no_timer);
  CHECK_FALSE(posted_ran);
}

TEST_CASE("a body that does not end with its executor is abandoned after the time to close") {
  auto opened = std::make_unique<Bed>(1);
  const auto never_rung = make_ref<Doorbell>();
  REQUIRE(opened->executor().spawn("stuck", [never_rung] { never_rung->wait_until(never); }).ok());
  opened->settle();
  SimScheduler world({.seed = 1});
  {
    SimEnv env(world, MemoryFileSystem());
    REQUIRE(env.executor().spawn("stuck", [never_rung] { never_rung->wait_until(never); }).ok());
    REQUIRE(world.run().ok());
  }
  CHECK(world.leaked().actors == 1);
  CHECK(world.now() >= after(SteadyTime(1s), 30s));
}

TEST_CASE("a simulated task that throws is counted, and the next one runs") {
  Bed bed(1);
  int ran = 0;
  bed.executor().post([] { throw std::runtime_error("no"); });
  bed.executor().post([] { throw 1; });
  bed.executor().post([&] { ++ran; });
  bed.settle();
  CHECK(ran == 1);
  CHECK(bed.executor().thrown() == 2);
}

TEST_CASE("without simulated threads tasks run where they are waited for") {
  Bed bed(0);
  CHECK(fault(bed.executor().spawn("body", [] {})) == Fault::unsupported);
  int ran = 0;
  bed.executor().post([&] {
    ++ran;
    bed.executor().post([&] { ++ran; });
  });
  bed.executor().post([&] { ++ran; });
  bed.executor().post([&] { ++ran; });
  bed.executor().post_at(bed.in(0s), [&] { ++ran; });
  bed.executor().post_at(bed.in(1s), [&] { ++ran; });
  CHECK(ran == 0);
  CHECK(bed.executor().run_once(1s) == 4);
  CHECK(bed.executor().run_once(1s) == 1);
  CHECK(bed.executor().run_once(1s) == 0);
  CHECK(ran == 5);
}
