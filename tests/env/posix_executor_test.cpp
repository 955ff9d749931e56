// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>

#include <ottla/env/posix/posix_env.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;
using namespace std::chrono_literals;

namespace {

std::unique_ptr<PosixExecutor> executor(int threads) {
  auto opened = PosixExecutor::open({.threads = threads});
  REQUIRE(opened.ok());
  return *std::move(opened);
}

SteadyTime in(std::chrono::nanoseconds delay) { return after(PosixClock().steady_now(), delay); }

/// Rings when `count` tasks have called it.
class Countdown {
 public:
  explicit Countdown(int count) : left_(count) {}
  void operator()() {
    if (left_.fetch_sub(1) == 1) {
      const Ref<Doorbell> bell = bell_;  // the owner goes on once it is rung
      bell->ring();
    }
  }
  bool wait(PosixExecutor& executor) { return executor.await(*bell_, in(20s)); }

 private:
  std::atomic<int> left_;
  Ref<Doorbell> bell_ = make_ref<Doorbell>();
};

int threads_of_this_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<int>(std::distance(begin(tasks), end(tasks)));
}

}  // namespace

TEST_CASE("posts from four threads all run", "[env]") {
  for (const int threads : {0, 1, 3}) {
    Countdown all(4000);
    const auto pool = executor(threads);
    std::vector<std::thread> posters;
    for (int i = 0; i < 4; ++i) {
      posters.emplace_back([&] {
        for (int n = 0; n < 1000; ++n) {
          pool->post([&] { all(); });
        }
      });
    }
    CHECK(all.wait(*pool));
    for (std::thread& poster : posters) {
      poster.join();
    }
  }
}

TEST_CASE("one thread runs posts in order, and timers by their time", "[env]") {
  for (const int threads : {0, 1}) {
    std::string ran;
    Countdown all(5);
    const auto pool = executor(threads);
    const SteadyTime soon = in(20ms);
    const auto note = [&](char name) {
      return [&, name] {
        ran += name;
        all();
      };
    };
    pool->post_at(after(soon, 2ms), note('e'));
    pool->post_at(soon, note('c'));
    pool->post_at(soon, note('d'));
    pool->post(note('a'));
    pool->post(note('b'));
    REQUIRE(all.wait(*pool));
    CHECK(ran == "abcde");
    CHECK(PosixClock().steady_now() >= after(soon, 2ms));
  }
}

TEST_CASE("an earlier timer goes first though it came later", "[env]") {
  for (int round = 0; round < 3; ++round) {  // by the second, the threads have gone to sleep
    Countdown first(1);
    Countdown second(1);
    const auto pool = executor(2);
    const TimerId late = pool->post_at(in(1h), [] {});
    pool->post_at(in(1ms), [&] { first(); });
    CHECK(first.wait(*pool));
    pool->post_at(in(1ms), [&] { second(); });
    CHECK(second.wait(*pool));
    CHECK(pool->cancel(late));
  }
}

TEST_CASE("timers run while a task, or another timer, keeps a thread busy", "[env]") {
  for (const bool busy_with_timer : {false, true}) {
    Countdown ran(1);
    Countdown started(1);
    std::atomic<bool> release{false};
    const auto pool = executor(2);
    const auto busy = [&] {
      started();
      while (!release) {
        std::this_thread::yield();
      }
    };
    pool->post_at(in(5ms), [&] { ran(); });
    if (busy_with_timer) {
      pool->post_at(in(1ms), busy);
    } else {
      pool->post(busy);
    }
    CHECK(started.wait(*pool));
    CHECK(ran.wait(*pool));
    release = true;
  }
}

TEST_CASE("tasks of a lane run one after the other, and leave a thread to all others", "[env]") {
  const int lanes[3] = {};
  std::atomic<bool> release{false};
  std::atomic<int> inside{0};
  Countdown hung(2);
  Countdown brief(20);
  Countdown rest(4);
  const auto pool = executor(3);
  const auto hang = [&] {
    CHECK_FALSE(BriefScope::active());
    ++inside;
    hung();
    while (!release) {
      std::this_thread::yield();
    }
    rest();
  };
  for (const int& lane : lanes) {  // two at once, the third has to wait
    pool->post_at(in(0s), hang, &lane);
  }
  const TimerId waits = pool->post_at(in(0s), hang, &lanes[0]);
  REQUIRE(hung.wait(*pool));
  pool->post_at(in(0s), hang, &lanes[1]);
  for (int i = 0; i < 10; ++i) {
    pool->post_at(in(1ms), [&] {
      if (BriefScope::active()) brief();
    });
    pool->post([&] { brief(); });
  }
  CHECK(brief.wait(*pool));
  CHECK(inside == 2);
  CHECK(pool->cancel(waits));
  release = true;
  CHECK(rest.wait(*pool));
  CHECK(inside == 4);
}

TEST_CASE("a lane's next task runs in time though another thread waits for a later timer",
          "[env]") {
  Countdown next(1);
  const int lane = 0;
  const auto pool = executor(2);
  pool->post_at(in(1h), [] {});
  pool->post_at(
      in(0s),
      [&] {
        pool->post_at(
            in(100ms), [&] { next(); }, &lane);  // nobody watches it while this runs
        for (const SteadyTime until = in(20ms); in(0s) < until;) {
          std::this_thread::yield();  // the other thread is likely to wait for the first by then
        }
      },
      &lane);
  CHECK(next.wait(*pool));
}

TEST_CASE("where nobody is left to others, lanes are no different", "[env]") {
  for (const int threads : {0, 1}) {
    Countdown all(3);
    const auto pool = executor(threads);
    const auto run = [&] {
      CHECK_FALSE(BriefScope::active());
      all();
    };
    pool->post_at(in(0s), run, pool.get());
    pool->post_at(in(1ms), run, pool.get());
    pool->post(run);
    CHECK(all.wait(*pool));
  }
}

TEST_CASE("a timer either runs or is cancelled", "[env]") {
  constexpr int timers = 2000;
  std::atomic<int> ran{0};
  std::atomic<int> cancelled{0};
  Countdown all(timers);
  const auto pool = executor(3);
  std::vector<TimerId> ids;
  for (int i = 0; i < timers; ++i) {
    ids.push_back(pool->post_at(in(std::chrono::microseconds(i)), [&] {
      ++ran;
      all();
    }));
  }
  for (const TimerId id : ids) {
    if (pool->cancel(id)) {
      ++cancelled;
      all();
    }
  }
  CHECK(all.wait(*pool));
  CHECK(ran + cancelled == timers);
  CHECK_FALSE(pool->cancel(ids.back()));
}

TEST_CASE("a spawned body waits on a stack of its own until the executor ends", "[env]") {
  Countdown started(2);
  std::atomic<int> ended{0};
  auto pool = executor(1);
  for (const char* name : {"fetcher", "a name longer than the system takes"}) {
    REQUIRE(pool->spawn(name,
                        [&, pool = pool.get()] {
                          started();
                          auto bell = make_ref<Doorbell>();
                          while (!pool->stopping()) {
                            pool->await(*bell, never);
                          }
                          ++ended;
                        })
                .ok());
  }
  REQUIRE(started.wait(*pool));
  pool.reset();
  CHECK(ended == 2);
}

TEST_CASE("tasks never run are destroyed with the pool", "[env]") {
  auto token = std::make_shared<int>(1);
  for (const int threads : {0, 1}) {
    auto pool = executor(threads);
    pool->post_at(in(1h), [token] {});
    if (threads == 0) {
      pool->post([token] {});
    }
    CHECK(token.use_count() > 1);
    pool.reset();
    CHECK(token.use_count() == 1);
  }
}

TEST_CASE("what runs when the executor ends is waited for, and may still post", "[env]") {
  Countdown started(1);
  std::atomic<bool> finished{false};
  std::atomic<bool> posted_ran{false};
  std::atomic<bool> refused{false};
  auto pool = executor(2);
  PosixExecutor* raw = pool.get();
  pool->post([&] {
    started();
    while (!raw->stopping()) {
      std::this_thread::yield();
    }
    raw->post([&] { posted_ran = true; });
    refused = raw->post_at(in(0s), [] {}) == no_timer;
    finished = true;
  });
  REQUIRE(started.wait(*pool));
  pool.reset();
  CHECK(finished);
  CHECK(refused);
  CHECK_FALSE(posted_ran);
}

TEST_CASE("a stuck task is left behind", "[env]") {
  auto opened = PosixExecutor::open({.threads = 1, .close_timeout = 1ms});
  REQUIRE(opened.ok());
  struct Shared {
    std::atomic<bool> release{false};
    std::atomic<bool> done{false};
  };
  const auto shared = std::make_shared<Shared>();
  Countdown started(1);
  (*opened)->post([shared, &started] {
    started();
    while (!shared->release) {
      std::this_thread::yield();
    }
    shared->done = true;
  });
  REQUIRE(started.wait(**opened));
  opened->reset();
  CHECK_FALSE(shared->done);
  shared->release = true;
  while (shared.use_count() > 1) {
    std::this_thread::yield();
  }
  CHECK(shared->done);
}

TEST_CASE("a task may hold the last handle of its executor", "[env]") {
  auto opened = PosixExecutor::open({.close_timeout = 1h});
  REQUIRE(opened.ok());
  std::shared_ptr<PosixExecutor> pool = *std::move(opened);
  PosixExecutor* raw = pool.get();
  auto done = make_ref<Doorbell>();
  raw->post([pool = std::move(pool), done]() mutable {
    pool.reset();
    done->ring();
  });
  CHECK(done->wait_until(in(20s)));
}

TEST_CASE("a task that throws is counted, and the thread lives", "[env]") {
  Countdown next(1);
  const auto pool = executor(1);
  pool->post([] { throw std::runtime_error("no"); });
  pool->post([] { throw 1; });
  pool->post([&] { next(); });
  CHECK(next.wait(*pool));
  CHECK(pool->thrown() == 2);
}

TEST_CASE("without threads none is started, and tasks run where they are waited for", "[env]") {
  const int before = threads_of_this_process();
  const auto env = PosixEnv::open({.executor = {.threads = 0}, .files = memory_files()});
  REQUIRE(env.ok());
  PosixExecutor& pool = (*env)->executor();
  CHECK(fault(pool.spawn("body", [] {})) == Fault::unsupported);
  std::thread::id where;
  Countdown ran(1);
  pool.post([&] { where = std::this_thread::get_id(); });
  pool.post_at(in(1ms), [&] { ran(); });
  CHECK(ran.wait(pool));
  CHECK(where == std::this_thread::get_id());
  CHECK(threads_of_this_process() == before);

  pool.post([&] { where = {}; });
  CHECK(pool.run_once(1s) == 1);
  CHECK(pool.run_once(1s) == 0);
  CHECK(where == std::thread::id());

  int again = 0;
  for (int i = 0; i < 3; ++i) {
    pool.post([&] { ++again; });
  }
  CHECK(pool.run_once(0s) == 1);  // a budget never starves the program
  Doorbell bell;
  CHECK_FALSE(pool.await(bell, in(0s)));
  CHECK(again >= 2);
}

TEST_CASE("a wait without threads is told of tasks and of the bell", "[env]") {
  const auto pool = executor(0);
  for (int round = 0; round < 200; ++round) {
    const auto bell = make_ref<Doorbell>();
    std::thread other([&] {
      if (round % 2 == 0) {
        pool->post([bell] { bell->ring(); });
      } else {
        bell->ring();
      }
    });
    CHECK(pool->await(*bell, in(60s)));
    other.join();
  }
}

TEST_CASE("a wait ends at its deadline", "[env]") {
  for (const int threads : {0, 1}) {
    const auto pool = executor(threads);
    Doorbell bell;
    const SteadyTime deadline = in(3ms);
    CHECK_FALSE(pool->await(bell, deadline));
    CHECK(PosixClock().steady_now() >= deadline);
  }
}

TEST_CASE("an executor of an impossible size is refused", "[env]") {
  CHECK(fault(PosixExecutor::open({.threads = -1}).status()) == Fault::invalid_argument);
  CHECK(fault(PosixExecutor::open({.threads = 1'000'000}).status()) == Fault::invalid_argument);
}
