// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/wakeups.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/stops.hpp"

using namespace ottla;

class Thing : public Counted {
 public:
  explicit Thing(std::atomic<int>& alive, int value = 0) : alive_(alive), value_(value) {
    ++alive_;
  }
  ~Thing() override { --alive_; }
  int value() const { return value_; }

 private:
  std::atomic<int>& alive_;
  int value_;
};
class Special final : public Thing {
 public:
  using Thing::Thing;
};

TEST_CASE("An object lives as long as somebody counts it") {
  std::atomic<int> alive = 0;
  Ref<Thing> first = make_ref<Thing>(alive, 7);
  CHECK(first->value() == 7);
  CHECK((*first).value() == 7);
  Ref<Thing> second = first;
  first = nullptr;
  CHECK_FALSE(first);
  CHECK(alive == 1);
  Ref<Thing> third = std::move(second);
  CHECK(second.get() == nullptr);
  CHECK(alive == 1);
  third = Ref<Thing>();
  CHECK(alive == 0);
}

TEST_CASE("A plain pointer becomes an owner again") {
  std::atomic<int> alive = 0;
  Ref<Thing> first = make_ref<Thing>(alive);
  Thing* plain = first.get();
  {
    const Ref<Thing> again(plain);
    first = nullptr;
    CHECK(alive == 1);
    CHECK(again.get() == plain);
  }
  CHECK(alive == 0);
  CHECK(Ref<Thing>(static_cast<Thing*>(nullptr)) == Ref<Thing>());
}

TEST_CASE("A count of the derived is one of the base, and not the other way round") {
  STATIC_REQUIRE(std::is_convertible_v<Ref<Special>, Ref<Thing>>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<Ref<Thing>, Ref<Special>>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<Thing*, Ref<Thing>>);
  std::atomic<int> alive = 0;
  Ref<Special> special = make_ref<Special>(alive);
  Ref<Thing> copied = special;
  Ref<Thing> moved = std::move(special);
  CHECK(copied == moved);
  CHECK_FALSE(special);
  copied = nullptr;
  CHECK(alive == 1);
  moved = nullptr;
  CHECK(alive == 0);
}

TEST_CASE("An object whose count was given away stays") {
  std::atomic<int> alive = 0;
  Ref<Thing> thing = make_ref<Thing>(alive);
  Thing* plain = thing.release();
  CHECK_FALSE(thing);
  CHECK(alive == 1);
  { const Ref<Thing> again(plain); }
  CHECK(alive == 1);
  delete plain;
}

TEST_CASE("Assigning to oneself changes nothing") {
  std::atomic<int> alive = 0;
  Ref<Thing> thing = make_ref<Thing>(alive);
  Ref<Thing>& same = thing;
  thing = same;
  CHECK(alive == 1);
  thing = std::move(same);
  CHECK(alive == 1);
}

TEST_CASE("Threads copy and drop one object, and it is deleted once") {
  std::atomic<int> alive = 0;
  Ref<Thing> thing = make_ref<Thing>(alive, 1);
  std::vector<int> sums(4);
  std::vector<std::thread> threads;
  for (int& sum : sums) {
    threads.emplace_back([thing, &sum] {
      for (int i = 0; i < 10'000; ++i) {
        const Ref<Thing> copy = thing;
        sum += copy->value();
      }
    });
  }
  thing = nullptr;
  for (std::thread& thread : threads) {
    thread.join();
  }
  threads.clear();
  CHECK(alive == 0);
  CHECK(sums == std::vector<int>(4, 10'000));
}

class Sleeper final : public Wakeable {
 public:
  Sleeper(std::string& log, char name) : log_(log), name_(name) {}
  void wake() noexcept override { log_ += name_; }

 private:
  std::string& log_;
  char name_;
};

TEST_CASE("Wake-ups run in order, once, when they are asked to or at the end of their scope") {
  std::string log;
  {
    Wakeups wakeups;
    CHECK(wakeups.empty());
    for (const char name : {'a', 'b', 'c', 'd', 'e', 'f'}) {
      wakeups.add(make_ref<Sleeper>(log, name));
    }
    CHECK_FALSE(wakeups.empty());
    CHECK(log.empty());
    wakeups.run();
    CHECK(log == "abcdef");
    CHECK(wakeups.empty());
    wakeups.add(make_ref<Sleeper>(log, 'g'));
  }
  CHECK(log == "abcdefg");
}

TEST_CASE("What is to be woken lives until it was, though its owner is gone") {
  std::atomic<int> alive = 0;
  class Waiter final : public Wakeable {
   public:
    explicit Waiter(std::atomic<int>& count) : count_(count) { ++count_; }
    ~Waiter() override { --count_; }
    void wake() noexcept override {}

   private:
    std::atomic<int>& count_;
  };
  Ref<Wakeable> waiter = make_ref<Waiter>(alive);
  Wakeups wakeups;
  wakeups.add(waiter);
  waiter = nullptr;
  CHECK(alive == 1);
  wakeups.run();
  CHECK(alive == 0);
}

TEST_CASE("Declared before the lock, wake-ups run after it") {
  Mutex mutex;
  std::string log;
  {
    Wakeups wakeups;
    Lock lock(mutex);
    wakeups.add(make_ref<Sleeper>(log, 'a'));
  }
  CHECK(log == "a");
}

TEST_CASE("Waking somebody under a lock stops a checked build") {
  CHECK(stops([] {
          Mutex mutex;
          std::string log;
          Wakeups wakeups;
          wakeups.add(make_ref<Sleeper>(log, 'a'));
          Lock lock(mutex);
          wakeups.run();
        }) == (OTTLA_CHECKED == 1));
}
