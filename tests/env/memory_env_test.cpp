// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>
#include <string>
#include <thread>

#include <ottla/env/memory/memory_env.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;
using namespace std::chrono_literals;

namespace {

SteadyTime in(const MemoryEnv& env, std::chrono::nanoseconds delay) {
  return after(env.clock().steady_now(), delay);
}

}  // namespace

TEST_CASE("nothing runs before it is told to", "[env]") {
  MemoryEnv env;
  std::string ran;
  env.executor().post([&] { ran += 'a'; });
  env.executor().post_at(in(env, 0ns), [&] { ran += 'c'; });
  env.executor().post([&] { ran += 'b'; });
  CHECK(ran.empty());
  CHECK(env.run_until_idle() == 3);
  CHECK(ran == "abc");
  CHECK(env.run_until_idle() == 0);
}

TEST_CASE("advancing runs each timer at its time, and what it brings about", "[env]") {
  MemoryEnv env;
  const SteadyTime start = env.clock().steady_now();
  std::string ran;
  const auto note = [&](char name) {
    ran += name + std::to_string((env.clock().steady_now() - start) / 1s) + ' ';
  };
  env.executor().post_at(after(start, 3s), [&] { note('c'); });
  env.executor().post_at(after(start, 1s), [&] {
    note('a');
    env.executor().post_at(after(start, 2s), [&] { note('b'); });
    env.executor().post([&] { note('p'); });
  });
  env.executor().post_at(after(start, 3s), [&] { note('d'); });
  env.executor().post_at(after(start, 5s), [&] { note('e'); });
  CHECK(env.advance(4s) == 5);
  CHECK(ran == "a1 p1 b2 c3 d3 ");
  CHECK(env.clock().steady_now() == after(start, 4s));
  CHECK(env.advance(1s) == 1);
}

TEST_CASE("a wait goes on to the next timer, and at last to its deadline", "[env]") {
  MemoryEnv env;
  const SteadyTime start = env.clock().steady_now();
  Doorbell bell;
  env.executor().post_at(after(start, 2s), [&] { bell.ring(); });
  env.executor().post_at(after(start, 1s), [] {});
  CHECK(env.executor().await(bell, after(start, 10s)));
  CHECK(env.clock().steady_now() == after(start, 2s));
  bell.reset();
  CHECK_FALSE(env.executor().await(bell, after(start, 10s)));
  CHECK(env.clock().steady_now() == after(start, 10s));
  CHECK_FALSE(env.executor().await(bell, after(start, 1s)));
  CHECK(env.clock().steady_now() == after(start, 10s));
}

TEST_CASE("a wait without an end sleeps until another thread rings or posts", "[env]") {
  MemoryEnv env;
  Doorbell bell;
  bool ran = false;
  std::thread other([&] {
    env.executor().post([&] {
      ran = true;
      bell.ring();
    });
  });
  CHECK(env.executor().await(bell, never));
  other.join();
  CHECK(ran);
}

TEST_CASE("a cancelled timer of this world does not run", "[env]") {
  MemoryEnv env;
  int ran = 0;
  const TimerId first = env.executor().post_at(in(env, 1s), [&] { ++ran; });
  const TimerId second = env.executor().post_at(in(env, 1s), [&] { ++ran; });
  CHECK(env.executor().cancel(second));
  CHECK_FALSE(env.executor().cancel(second));
  CHECK_FALSE(env.executor().cancel(no_timer));
  env.advance(1s);
  CHECK(ran == 1);
  CHECK_FALSE(env.executor().cancel(first));
}

TEST_CASE("one round runs what was due when it began", "[env]") {
  MemoryEnv env;
  int ran = 0;
  std::function<void()> again = [&] {
    ++ran;
    env.executor().post([&] { again(); });
  };
  env.executor().post([&] { again(); });
  env.executor().post_at(in(env, 0s), [&] { ++ran; });
  CHECK(env.executor().run_once(1s) == 2);
  CHECK(env.executor().run_once(1s) == 2);  // the timer, and one of the posts
  CHECK(ran == 4);
}

TEST_CASE("the wall clock is stepped alone, and files carry it", "[env]") {
  MemoryEnv env({.wall = Timestamp(5000)});
  REQUIRE(env.file_system().open("/f", OpenMode::create, IoReason::other).ok());
  CHECK(env.file_system().status("/f")->modified == Timestamp(5000));
  const SteadyTime before = env.clock().steady_now();
  env.set_wall(Timestamp(1000));
  CHECK(env.clock().steady_now() == before);
  env.advance(2500ms);
  CHECK(env.clock().wall_now() == Timestamp(3500));
  REQUIRE(env.file_system().open("/g", OpenMode::create, IoReason::other).ok());
  CHECK(env.file_system().status("/g")->modified == Timestamp(3500));
}

TEST_CASE("tasks that were never run are destroyed with their executor", "[env]") {
  auto token = std::make_shared<int>(1);
  {
    MemoryEnv env;
    env.executor().post([token] {});
    env.executor().post_at(in(env, 1s), [token] {});
    CHECK(token.use_count() == 3);
    CHECK_FALSE(env.executor().spawn("body", [token] {}).ok());
  }
  CHECK(token.use_count() == 1);
}

TEST_CASE("a task of this world that throws is counted, and the next one runs", "[env]") {
  MemoryEnv env;
  int ran = 0;
  env.executor().post([] { throw std::runtime_error("no"); });
  env.executor().post([&] { ++ran; });
  CHECK(env.run_until_idle() == 2);
  CHECK(ran == 1);
  CHECK(env.executor().thrown() == 1);
}
