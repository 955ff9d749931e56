// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/mutex.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/stops.hpp"

using namespace ottla;

static constexpr SteadyTime long_ago{std::chrono::nanoseconds(1)};
static constexpr bool checked = OTTLA_CHECKED == 1;

TEST_CASE("A mutex keeps threads apart") {
  Mutex mutex;
  long count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 20'000; ++n) {
        Lock lock(mutex);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(count == 80'000);
}

TEST_CASE("A lock can be given back early and taken again") {
  Mutex mutex;
  {
    Lock lock(mutex);
    lock.unlock();
    { Lock other(mutex); }
    lock.lock();
  }
  {
    Lock lock(mutex);
    lock.unlock();
  }
  Lock free_again(mutex);
}

TEST_CASE("A wait ends when its deadline has passed, holding the lock") {
  Mutex mutex;
  Condition changed;
  std::atomic<bool> trying = false;
  std::atomic<bool> entered = false;
  Lock lock(mutex);
  CHECK_FALSE(changed.wait_until(lock, long_ago));
  CHECK_FALSE(changed.wait_until(lock, SteadyTime::min()));
  std::thread other([&] {
    trying = true;
    Lock mine(mutex);
    entered = true;
  });
  while (!trying) {
    std::this_thread::yield();
  }
  for (int i = 0; i < 1000; ++i) {
    std::this_thread::yield();
  }
  CHECK_FALSE(entered);
  lock.unlock();
  other.join();
  CHECK(entered);
}

TEST_CASE("Threads that wait for each other take turns") {
  Mutex mutex;
  Condition changed;
  int turn = 0;
  std::string log;
  const auto play = [&](int me, char letter) {
    for (int i = 0; i < 500; ++i) {
      {
        Lock lock(mutex);
        while (turn != me) {
          changed.wait(lock);
        }
        log += letter;
        turn = 1 - me;
      }
      changed.notify_all();
    }
  };
  std::thread other(play, 1, 'b');
  play(0, 'a');
  other.join();
  std::string expected;
  for (int i = 0; i < 500; ++i) {
    expected += "ab";
  }
  CHECK(log == expected);
}

TEST_CASE("A second ordinary lock under one stops a checked build") {
  CHECK(stops([] {
          Mutex a, b;
          Lock first(a);
          Lock second(b);
        }) == checked);
}

TEST_CASE("A leaf may be taken under an ordinary lock, but nothing under a leaf") {
  using Kind = Mutex::Kind;
  CHECK_FALSE(stops([] {
    Mutex a, leaf(Kind::leaf);
    Lock first(a);
    { Lock second(leaf); }
    Lock again(leaf);
  }));
  CHECK(stops([] {
          Mutex a, leaf(Kind::leaf);
          Lock first(leaf);
          Lock second(a);
        }) == checked);
  CHECK(stops([] {
          Mutex leaf(Kind::leaf), other(Kind::leaf);
          Lock first(leaf);
          Lock second(other);
        }) == checked);
}

TEST_CASE("Waiting under another lock stops a checked build") {
  CHECK(stops([] {
          Mutex a, leaf(Mutex::Kind::leaf);
          Condition changed;
          Lock first(a);
          Lock second(leaf);
          static_cast<void>(changed.wait_until(second, long_ago));
        }) == checked);
}

TEST_CASE("What must not happen under a lock stops a checked build, and only under one") {
  const auto call_out = [](bool locked, Mutex::Kind kind) {
    return stops([&] {
      Mutex mutex(kind);
      Lock lock(mutex);
      if (!locked) {
        lock.unlock();
      }
      Mutex::expect_none_held();
    });
  };
  CHECK(call_out(true, Mutex::Kind::ordinary) == checked);
  CHECK(call_out(true, Mutex::Kind::leaf) == checked);
  CHECK_FALSE(call_out(false, Mutex::Kind::ordinary));
}

TEST_CASE("A thread's locks are its own") {
  Mutex a, b;
  Lock first(a);
  std::thread other([&] { Lock second(b); });
  other.join();
  CHECK(Mutex::held().ordinary == (checked ? 1 : 0));
}

/// A world of one thread that writes down what it is asked.
class Recorder final : public LockScheduler {
 public:
  Recorder() { LockScheduler::current() = this; }
  ~Recorder() { LockScheduler::current() = nullptr; }

  void lock(Mutex&) override { log += "lock "; }
  void unlock(Mutex&) override { log += "unlock "; }
  bool wait(Condition&, Mutex&, SteadyTime deadline) override {
    held_in_wait = Mutex::held().ordinary;
    log += deadline == never ? "wait " : "wait_until ";
    return deadline == never;
  }
  void notify(Condition&, bool all) override { log += all ? "notify_all " : "notify_one "; }

  std::string log;
  int held_in_wait = -1;
};

TEST_CASE("In a simulated world its scheduler locks, waits and wakes") {
  Mutex mutex;
  Condition changed;
  Recorder world;
  {
    Lock lock(mutex);
    changed.wait(lock);
    CHECK_FALSE(changed.wait_until(lock, long_ago));
    CHECK(Mutex::held().ordinary == (checked ? 1 : 0));
  }
  changed.notify_one();
  changed.notify_all();
  CHECK(world.log == "lock wait wait_until unlock notify_one notify_all ");
  CHECK(world.held_in_wait == 0);
  // Another thread is not in that world.
  std::thread other([&] { Lock lock(mutex); });
  other.join();
  CHECK(world.log == "lock wait wait_until unlock notify_one notify_all ");
}

TEST_CASE("A ring is remembered until it is reset") {
  Doorbell bell;
  CHECK_FALSE(bell.rung());
  CHECK_FALSE(bell.wait_until(long_ago));
  bell.ring();
  bell.wake();
  CHECK(bell.rung());
  CHECK(bell.wait_until(never));
  CHECK(bell.rung());
  bell.reset();
  CHECK_FALSE(bell.rung());
  CHECK_FALSE(bell.wait_until(long_ago));
}

TEST_CASE("A ring wakes the owner, and what was written before it is seen") {
  const Ref<Doorbell> bell = make_ref<Doorbell>();
  int written = 0;
  std::thread ringer([bell, &written] {
    written = 42;
    bell->ring();
  });
  CHECK(bell->wait_until(never));
  CHECK(written == 42);
  ringer.join();
}

TEST_CASE("Resetting, looking and waiting loses no ring") {
  const Ref<Doorbell> bell = make_ref<Doorbell>();
  constexpr int last = 50'000;
  std::atomic<int> posted = 0;
  std::atomic<int> seen = 0;
  std::thread ringer([bell, &posted, &seen] {
    for (int n = 1; n <= last; ++n) {
      posted.store(n, std::memory_order_relaxed);
      bell->ring();
      while (seen.load() != n) {
        std::this_thread::yield();
      }
    }
  });
  // Nobody rings again before the owner has seen the last ring: a lost one would hang this.
  while (seen.load() < last) {
    bell->reset();
    const int found = posted.load(std::memory_order_relaxed);
    if (found != seen.load()) {
      seen.store(found);
    } else {
      bell->wait_until(never);
    }
  }
  ringer.join();
  CHECK(seen == last);
}

TEST_CASE("A nudge ends one wait, this one or the next, and is no ring") {
  const Ref<Doorbell> bell = make_ref<Doorbell>();
  bell->nudge();
  CHECK_FALSE(bell->wait_until(never));
  std::thread other([bell] { bell->nudge(); });
  CHECK_FALSE(bell->wait_until(never));
  other.join();
  CHECK_FALSE(bell->rung());
  std::thread ringer([bell] { bell->ring(); });
  CHECK(bell->wait_until(never));
  ringer.join();
  bell->nudge();
  CHECK(bell->wait_until(never));
}

TEST_CASE("Ringing under a lock stops a checked build") {
  CHECK(stops([] {
          Mutex mutex;
          Doorbell bell;
          Lock lock(mutex);
          bell.ring();
        }) == checked);
}
