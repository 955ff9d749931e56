// SPDX-License-Identifier: Apache-2.0
//
// The end of a process: nothing of it runs any further, or only until it returns, while the others
// go on.
#include <memory>
#include <string>
#include <vector>

#include <ottla/base/status.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/sim/sim_env.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;
using namespace std::chrono_literals;

namespace {

using Machine = SimEnv<MemoryFileSystem>;

/// What must not happen any more once its process is dead.
struct Destroyed {
  explicit Destroyed(int& its_count) : count(its_count) {}
  ~Destroyed() { ++count; }
  int& count;
};

}  // namespace

TEST_CASE("of a crashed process nothing runs, wherever it was, and others go on") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SimScheduler world({.seed = seed});
    Machine victim(world, MemoryFileSystem(), {.name = "victim"});
    Machine other(world, MemoryFileSystem(), {.name = "other"});
    Mutex mutex;
    int destroyed = 0;
    int steps = 0;
    int steps_then = -1;
    int others = 0;
    for (int actor = 0; actor < 3; ++actor) {
      world.start(victim.process(), "worker", [&] {
        const auto owned = std::make_unique<Destroyed>(destroyed);
        for (;;) {
          Lock lock(mutex);
          ++steps;
          lock.unlock();
          victim.executor().post([&, held = std::make_shared<Destroyed>(destroyed)] { ++steps; });
          world.await_time(after(world.now(), 1ms));
        }
      });
    }
    victim.executor().post_at(after(world.now(), 1h), [&] { ++steps; });
    world.start(other.process(), "bystander", [&] {
      for (int i = 0; i < 200; ++i) {
        Lock lock(mutex);
        ++others;
        lock.unlock();
        world.await_time(after(world.now(), 100us));
      }
    });
    int destroyed_then = 0;
    world.start(sim_world, "breaker", [&] {
      world.await_time(after(world.now(), 10ms));
      for (std::uint64_t i = world.below(50); i > 0; --i) {
        world.preempt();
      }
      victim.crash();
      steps_then = steps;
      destroyed_then = destroyed;
    });
    REQUIRE(world.run().ok());
    REQUIRE(others == 200);
    REQUIRE(steps == steps_then);
    REQUIRE(steps > 30);
    REQUIRE(destroyed == destroyed_then);
    REQUIRE_FALSE(victim.alive());
    REQUIRE(other.alive());
    REQUIRE(world.leaked().actors == 5);
    REQUIRE(world.leaked().tasks >= 1);
    REQUIRE(world.leaked().stack_bytes > 0);
  }
}

TEST_CASE("who crashes his own process does not come back") {
  SimScheduler world({.seed = 4});
  Machine env(world, MemoryFileSystem());
  bool back = false;
  int destroyed = 0;
  world.start(env.process(), "suicide", [&] {
    const Destroyed owned(destroyed);
    env.crash();
    back = true;
  });
  REQUIRE(world.run().ok());
  CHECK_FALSE(back);
  CHECK(destroyed == 0);
  CHECK(world.leaked().actors == 3);
}

TEST_CASE("a process crashes before or after a named call of its files") {
  std::vector<std::string> found;
  for (const bool done : {false, true}) {
    SimScheduler world;
    MemoryFileSystem files;
    std::unique_ptr<Machine> env;
    env = std::make_unique<Machine>(
        world, files, SimEnvOptions{.on_io = [&](IoCall& call) {
          if (call.operation == IoOperation::write && call.done == done && call.position == 2) {
            env->crash();
          }
          return absl::OkStatus();
        }});
    bool back = false;
    world.start(env->process(), "writer", [&] {
      auto file = env->file_system().open("/f", OpenMode::create, IoReason::other);
      const Bytes piece = as_bytes(std::string_view("ab"));
      for (std::int64_t position = 0; position < 6; position += 2) {
        CHECK(file->write(position, {&piece, 1}, IoReason::append).ok());
      }
      back = true;
    });
    REQUIRE(world.run().ok());
    CHECK_FALSE(back);
    found.push_back(std::to_string(files.status("/f")->size));
    // The next incarnation.
    Machine again(world, files);
    CHECK(again.process_generation() != 0);
    CHECK(env->process_generation() == 0);
    absl::Status opened = error(Fault::internal, "not tried");
    CHECK(world
              .run(again.process(),
                   [&] {
                     opened = again.file_system()
                                  .open("/f", OpenMode::read_write, IoReason::other)
                                  .status();
                   })
              .ok());
    CHECK(opened.ok());
  }
  CHECK(found == std::vector<std::string>{"2", "4"});
}

TEST_CASE("no other process sees a call half done, though its caller crashes at any time") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SimScheduler world({.seed = seed, .schedule = Schedule::uniform});
    MemoryFileSystem files;
    Machine victim(world, files, {.name = "victim"});
    Machine other(world, files, {.name = "other"});
    world.start(victim.process(), "renamer", [&] {
      for (int i = 0;; ++i) {
        const std::string name = "/" + std::to_string(i);
        REQUIRE(victim.file_system().open(name, OpenMode::create, IoReason::other).ok());
        REQUIRE(victim.file_system().rename(name, "/f", IoReason::other).ok());
      }
    });
    bool usable = false;
    world.start(other.process(), "breaker", [&] {
      for (std::uint64_t i = world.below(60); i > 0; --i) {
        world.preempt();
      }
      victim.crash();
      usable = other.file_system().list("/").ok() &&
               other.file_system().open("/mine", OpenMode::create, IoReason::other).ok();
    });
    REQUIRE(world.run().ok());
    REQUIRE(usable);
  }
}

TEST_CASE("a process that fails returns from everything, in no time, and leaks nothing") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    int destroyed = 0;
    int made = 0;
    SimScheduler world({.seed = seed});
    MemoryFileSystem files;
    {
      Machine env(world, files);
      SteadyTime failed_at{};
      SteadyTime returned_at{};
      int refused = 0;
      for (int actor = 0; actor < 3; ++actor) {
        world.start(env.process(), "worker", [&] {
          ++made;
          const Destroyed owned(destroyed);
          const auto bell = make_ref<Doorbell>();
          while (env.alive()) {
            env.executor().post([held = std::make_unique<Destroyed>(destroyed)] {});
            ++made;
            env.executor().await(*bell, after(world.now(), 1s));
          }
          refused +=
              fault(env.file_system().create_directory("/d", IoReason::other)) == Fault::closed;
          env.executor().await(*bell, never);
          world.await_time(after(world.now(), 1h));
          returned_at = world.now();
        });
      }
      env.executor().post_at(after(world.now(), 24h),
                             [held = std::make_unique<Destroyed>(destroyed)] {});
      ++made;
      SteadyTime sleeper_woke{};
      world.start(env.process(), "sleeper", [&] {
        world.await_time(after(world.now(), 1h));
        sleeper_woke = world.now();
      });
      world.start(sim_world, "breaker", [&] {
        world.await_time(after(world.now(), 10s));
        failed_at = world.now();
        env.fail();
      });
      REQUIRE(world.run().ok());
      REQUIRE(refused == 3);
      REQUIRE(returned_at == failed_at);
      REQUIRE(sleeper_woke == failed_at);
      REQUIRE(failed_at == after(SteadyTime(1s), 10s));
    }
    REQUIRE(destroyed == made);
    REQUIRE(world.leaked().actors == 0);
    REQUIRE(world.leaked().tasks == 0);
    REQUIRE_FALSE(files.status("/d").ok());
  }
}

TEST_CASE("one that waits for ever in a failed process is a deadlock until it crashes") {
  SimScheduler world;
  Machine env(world, MemoryFileSystem());
  Doorbell never_rung;
  world.start(env.process(), "stuck", [&] { never_rung.wait_until(never); });
  world.start(sim_world, "breaker", [&] {
    env.fail();
    world.await_time(after(world.now(), 1s));
    env.crash();
  });
  REQUIRE(world.run().ok());
  CHECK(world.leaked().actors == 1);
}

TEST_CASE("a world that ends gives up whoever is left") {
  int destroyed = 0;
  {
    SimScheduler world;
    Doorbell never_rung;
    world.start(sim_world, "stuck", [&] {
      const Destroyed owned(destroyed);
      never_rung.wait_until(never);
    });
    CHECK_FALSE(world.run().ok());
    world.start(sim_world, "never begun", [] {});
  }
  CHECK(destroyed == 0);
}
