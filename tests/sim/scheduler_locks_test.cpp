// SPDX-License-Identifier: Apache-2.0
//
// What the schedules find, and what they never accuse: bugs of a few lines, and their mended
// versions.
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/status.hpp>
#include <ottla/sim/sim_scheduler.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;
using namespace std::chrono_literals;

namespace {

/// One waits for the other's news. The one that is wrong looks before it has the lock.
struct Mailbox {
  Mutex mutex;
  Condition changed;
  std::atomic<bool> ready{false};

  void put() {
    {
      Lock lock(mutex);
      ready = true;
    }
    changed.notify_one();
  }
  void take() {
    Lock lock(mutex);
    while (!ready) {
      changed.wait(lock);
    }
  }
  void put_wrongly() {
    ready = true;
    changed.notify_one();
  }
  void take_wrongly() {
    if (!ready) {
      Lock lock(mutex);
      changed.wait(lock);
    }
  }
};

absl::Status exchange(SimSchedulerOptions options, bool wrongly) {
  SimScheduler world(options);
  Mailbox box;
  world.start(sim_world, "taker", [&] { wrongly ? box.take_wrongly() : box.take(); });
  world.start(sim_world, "putter", [&] { box.put(); });
  return world.run();
}

/// Of `seeds`, those that end with `fault`.
template <class Run>
int ending_with(Fault fault, std::uint64_t seeds, Run run) {
  int found = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    found += ottla::fault(run(SimSchedulerOptions{.seed = seed})) == fault;
  }
  return found;
}

}  // namespace

TEST_CASE("a lost wakeup is found by each schedule within a hundred seeds") {
  for (const Schedule schedule : {Schedule::uniform, Schedule::sticky, Schedule::priorities}) {
    CAPTURE(static_cast<int>(schedule));
    CHECK(ending_with(Fault::internal, 100, [&](SimSchedulerOptions options) {
            options.schedule = schedule;
            return exchange(options, true);
          }) > 0);
  }
}

TEST_CASE("a notice given without the lock is lost between the look and the sleep") {
  CHECK(ending_with(Fault::internal, 100, [](SimSchedulerOptions options) {
          SimScheduler world(options);
          Mailbox box;
          world.start(sim_world, "taker", [&] { box.take(); });
          world.start(sim_world, "putter", [&] { box.put_wrongly(); });
          return world.run();
        }) > 0);
}

TEST_CASE("what waits for its condition under the lock is never accused") {
  CHECK(ending_with(Fault::none, 20'000, [](SimSchedulerOptions options) {
          return exchange(options, false);
        }) == 20'000);
  CHECK(ending_with(Fault::none, 1'000, [](SimSchedulerOptions options) {
          options.stall_one_in = 3;
          options.spurious_one_in = 3;
          return exchange(options, false);
        }) == 1'000);
}

TEST_CASE("nobody sleeps through a doorbell, and what was done before the ring is seen") {
  CHECK(ending_with(Fault::none, 5'000, [](SimSchedulerOptions options) {
          options.time_limit = 1min;
          SimScheduler world(options);
          const auto bell = make_ref<Doorbell>();
          int done = 0;
          int seen = 0;
          world.start(sim_world, "sleeper", [&] {
            for (int round = 1; round <= 3; ++round) {
              while (!bell->rung()) {
                bell->wait_until(never);
              }
              bell->reset();
              seen = done;
            }
          });
          world.start(sim_world, "ringer", [&] {
            for (int round = 1; round <= 3; ++round) {
              done = round;
              bell->ring();
              while (seen != round) {
                world.await_time(after(world.now(), 1ms));
              }
            }
          });
          return world.run();
        }) == 5'000);
}

TEST_CASE("a wait without a loop is found by spurious wakeups") {
  const int found = ending_with(Fault::internal, 100, [](SimSchedulerOptions options) {
    options.spurious_one_in = 2;
    SimScheduler world(options);
    Mailbox box;
    bool too_early = false;
    world.start(sim_world, "taker", [&] {
      Lock lock(box.mutex);
      if (!box.ready) {
        box.changed.wait(lock);
      }
      too_early = !box.ready;
    });
    world.start(sim_world, "putter", [&] { box.put(); });
    const absl::Status ran = world.run();
    return too_early ? error(Fault::internal, "too early") : ran;
  });
  CHECK(found > 0);
}

TEST_CASE("a deadlock is reported with what everybody waits for") {
  SimScheduler world({.seed = 1});
  const SimProcess broker = world.begin_process("broker");
  Doorbell never_rung;
  Mutex mutex;
  Condition never_notified;
  world.start(sim_world, "ada", [&] { Lock lock(mutex); });
  world.start(sim_world, "bob", [&] { never_rung.wait_until(never); });
  world.start(broker, "cyd", [&] {
    Lock lock(mutex);
    never_notified.wait(lock);
  });
  world.start(
      broker, "dan", [&] { world.park(&world, "work", never); }, SimScheduler::Kind::background);
  const absl::Status ran = world.run();
  REQUIRE(fault(ran) == Fault::internal);
  const std::string report(ran.message());
  CHECK(report.find("deadlock") != std::string::npos);
  CHECK(report.find("'bob' of 'world' waits for a condition #1, for ever") != std::string::npos);
  CHECK(report.find("'cyd' of 'broker' waits for a condition #2, for ever") != std::string::npos);
  CHECK(report.find("'dan' of 'broker' waits for work #3, for ever") != std::string::npos);
  CHECK(report.find("'ada'") == std::string::npos);
  CHECK(fault(world.run()) == Fault::internal);
}

TEST_CASE("a report says who has the lock that another wants") {
  SimScheduler world({.seed = 1, .schedule = Schedule::uniform});
  Mutex mutex;
  std::string seen;
  world.start(sim_world, "holder", [&] {
    Lock lock(mutex);
    for (int i = 0; i < 100; ++i) {
      world.preempt();
    }
    seen = world.report();
  });
  world.start(sim_world, "other", [&] {
    while (seen.empty()) {
      Lock lock(mutex);
    }
  });
  REQUIRE(world.run().ok());
  CHECK(seen.find("'other' of 'world' waits for a lock that 'holder' has") != std::string::npos);
  CHECK(seen.find("'holder' of 'world' runs") != std::string::npos);
}

TEST_CASE("one actor at a time is between lock and unlock") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SimScheduler world({.seed = seed, .stall_one_in = seed % 2 == 0 ? 20U : 0U});
    Mutex mutex;
    int inside = 0;
    int most = 0;
    int sum = 0;
    for (int actor = 0; actor < 4; ++actor) {
      world.start(sim_world, "adder", [&] {
        for (int i = 0; i < 10; ++i) {
          Lock lock(mutex);
          most = std::max(most, ++inside);
          const int seen = sum;
          world.preempt();
          sum = seen + 1;
          --inside;
        }
      });
    }
    REQUIRE(world.run().ok());
    REQUIRE(most == 1);
    REQUIRE(sum == 40);
  }
}

TEST_CASE("each actor counts the locks that it holds itself") {
  SimScheduler world({.seed = 3, .schedule = Schedule::uniform});
  std::vector<std::unique_ptr<Mutex>> mutexes;
  int wrong = 0;
  for (int actor = 0; actor < 5; ++actor) {
    mutexes.push_back(std::make_unique<Mutex>());
    world.start(sim_world, "holder", [&, mutex = mutexes.back().get()] {
      for (int i = 0; i < 50; ++i) {
        wrong += Mutex::held().ordinary != 0;
        Lock lock(*mutex);
        world.preempt();
        wrong += Mutex::held().ordinary != OTTLA_CHECKED;
      }
    });
  }
  REQUIRE(world.run().ok());
  CHECK(wrong == 0);
  CHECK(Mutex::held().ordinary == 0);
}

TEST_CASE("a wait ends at its deadline, in virtual time, and one that is notified before it") {
  SimScheduler world;
  Mutex mutex;
  Condition changed;
  const SteadyTime start = world.now();
  bool notified = true;
  bool told = false;
  world.start(sim_world, "waiter", [&] {
    Lock lock(mutex);
    notified = changed.wait_until(lock, after(start, 10s));
    told = changed.wait_until(lock, after(start, 100s));
  });
  world.start(sim_world, "notifier", [&] {
    world.await_time(after(start, 30s));
    changed.notify_all();
  });
  REQUIRE(world.run().ok());
  CHECK_FALSE(notified);
  CHECK(told);
  CHECK(world.now() == after(start, 30s));
}

TEST_CASE("notify_one wakes one, and in the end each one") {
  std::vector<int> firsts(3);
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SimScheduler world({.seed = seed});
    Mutex mutex;
    Condition changed;
    int waiting = 0;
    std::vector<int> order;
    for (int actor = 0; actor < 3; ++actor) {
      world.start(sim_world, "waiter", [&, actor] {
        Lock lock(mutex);
        ++waiting;
        changed.wait(lock);
        order.push_back(actor);
      });
    }
    std::vector<std::size_t> counts;
    world.start(sim_world, "notifier", [&] {
      const auto until = [&](auto holds) {
        while (!holds()) {
          world.await_time(after(world.now(), 1ms));
        }
      };
      until([&] { return waiting == 3; });
      for (std::size_t woken = 1; woken <= 3; ++woken) {
        changed.notify_one();
        until([&] { return order.size() == woken; });
        world.await_time(after(world.now(), 1ms));
        counts.push_back(order.size());
      }
    });
    REQUIRE(world.run().ok());
    REQUIRE(counts == std::vector<std::size_t>{1, 2, 3});
    ++firsts[static_cast<std::size_t>(order.front())];
  }
  for (const int first : firsts) {
    CHECK(first > 0);
  }
}
