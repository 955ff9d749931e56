// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <deque>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <ottla/broker/machine_keeper.hpp>
#include <ottla/env/memory/memory_env.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/failing_memory.hpp"

namespace {

using namespace ottla;

/// Counts: an `Add` is written and applied, a `Look` answers, a `Wait` is answered by a timer.
class Counter {
 public:
  struct Add {
    RequestId request;
    int n = 0;
  };
  struct Look {
    RequestId request;
  };
  struct Wait {
    RequestId request;
  };
  struct Due {};
  using Event = std::variant<Add, Look, Wait, Due>;
  using Decision = ottla::Decision<RequestId, int, int>;

  Decision decide(const Event& event, Now now) const {
    Decision decision;
    if (const auto* add = std::get_if<Add>(&event)) {
      decision.write({std::byte{'k'}}, std::vector<std::byte>{static_cast<std::byte>(add->n)});
      decision.answer(add->request, total_ + add->n);
    } else if (const auto* look = std::get_if<Look>(&event)) {
      decision.answer(look->request, total_);
    } else if (const auto* wait = std::get_if<Wait>(&event)) {
      decision.soft_changes.push_back(wait->request);
      decision.arm(0, now.steady + std::chrono::seconds(5));
    } else {
      for (std::size_t i = 0; i < count_; ++i) {
        decision.answer(parked_[i], -1);
      }
    }
    return decision;
  }
  Decision decide_failed(const Event& event, ErrorCode why, Now) const {
    Decision decision;
    if (const auto* add = std::get_if<Add>(&event)) {
      decision.answer(add->request, -static_cast<int>(why));
    }
    return decision;
  }
  absl::Status apply(const WrittenRecord& record) {
    const std::vector<std::byte> copy(record.value->begin(), record.value->end());
    total_ += static_cast<int>((*record.value)[0]);
    return absl::OkStatus();
  }
  void apply(RequestId parked) noexcept { parked_.at(count_++) = parked; }
  int total() const { return total_; }

 private:
  int total_ = 0;
  std::array<RequestId, 8> parked_{};
  std::size_t count_ = 0;
};
static_assert(RuleMachine<Counter>);

/// Writes when told to.
class SlowJournal final : public Journal {
 public:
  void append(std::span<const MachineRecord> records, Done done) noexcept override {
    const Offset base(static_cast<std::int64_t>(written.size()));
    absl::Status taken = guarded([&] {
      std::vector<MachineRecord> copies(records.begin(), records.end());
      if (written.capacity() - written.size() < copies.size()) {
        written.reserve(2 * written.size() + copies.size());
      }
      std::move(copies.begin(), copies.end(), std::back_inserter(written));
    });
    if (!taken.ok()) {
      done(std::move(taken));
    } else if (at_once) {
      done(base);
    } else {
      waiting.push_back(std::move(done));
    }
  }
  absl::Status load(absl::FunctionRef<absl::Status(const WrittenRecord&)> take) override {
    Offset offset(0);
    for (const MachineRecord& record : written) {
      OTTLA_TRY(take({.key = {}, .value = Bytes(*record.value), .offset = offset}));
      ++offset;
    }
    return absl::OkStatus();
  }
  void answer(absl::StatusOr<Offset> with) {
    Done done = std::move(waiting.front());
    waiting.pop_front();
    done(std::move(with));
  }

  bool at_once = false;
  std::vector<MachineRecord> written;
  std::deque<Done> waiting;
};

struct Kept {
  MemoryEnv env;
  WorldOf<MemoryEnv> world{env};
  Ref<SlowJournal> journal = make_ref<SlowJournal>();
  Ref<MachineKeeper<Counter>> keeper = make_ref<MachineKeeper<Counter>>(
      world, Counter(), journal, MachineKeeper<Counter>::Hooks{.timer_due = [](const int&) {
        return Counter::Event(Counter::Due{});
      }});
  std::vector<std::string> answers;

  template <class Event>
  void submit(std::string name, [[maybe_unused]] int n = 0) {
    keeper->submit(
        [=](RequestId id) {
          if constexpr (std::is_same_v<Event, Counter::Add>) {
            return Counter::Event(Event{id, n});
          } else {
            return Counter::Event(Event{id});
          }
        },
        [this, name](absl::StatusOr<int> answer) {
          answers.push_back(name + "=" +
                            (answer.ok() ? std::to_string(*answer)
                                         : std::string(ottla::name(fault(answer.status())))));
        });
  }
};

}  // namespace

TEST_CASE("an answer waits until its records are written") {
  Kept kept;
  kept.submit<Counter::Add>("add", 3);
  CHECK(kept.answers.empty());
  CHECK(kept.keeper->query([](const Counter& counter) { return counter.total(); }) == 0);
  kept.journal->answer(Offset(0));
  CHECK(kept.answers == std::vector<std::string>{"add=3"});
  CHECK(kept.keeper->query([](const Counter& counter) { return counter.total(); }) == 3);
}

TEST_CASE("the next event is decided only after the last one was applied") {
  Kept kept;
  kept.submit<Counter::Add>("first", 1);
  kept.submit<Counter::Add>("second", 2);
  kept.submit<Counter::Look>("look");
  CHECK(kept.journal->waiting.size() == 1);
  kept.journal->answer(Offset(0));
  CHECK(kept.answers == std::vector<std::string>{"first=1"});
  kept.journal->answer(Offset(1));
  CHECK(kept.answers == std::vector<std::string>{"first=1", "second=3", "look=3"});
}

TEST_CASE("what was not written is dropped, and answered as the machine says") {
  Kept kept;
  kept.submit<Counter::Add>("add", 3);
  kept.submit<Counter::Look>("look");
  kept.journal->answer(error(ErrorCode::kafka_storage_error, "the disk is gone"));
  CHECK(kept.answers == std::vector<std::string>{"add=-56", "look=0"});
}

TEST_CASE("many events whose records are written at once need no deep stack") {
  Kept kept;
  kept.journal->at_once = true;
  for (int i = 0; i < 20'000; ++i) {
    kept.submit<Counter::Add>("add", 1);
  }
  CHECK(kept.answers.back() == "add=20000");
}

TEST_CASE("requests that wait for the disk are so many at most") {
  Kept kept;
  constexpr std::size_t most = MachineKeeper<Counter>::most_queued;
  kept.submit<Counter::Add>("add", 3);
  for (std::size_t i = 1; i < most; ++i) {
    kept.submit<Counter::Look>("look");
  }
  CHECK(kept.answers.empty());
  kept.submit<Counter::Look>("more");
  CHECK(kept.answers == std::vector<std::string>{"more=timed_out"});
  kept.journal->answer(Offset(0));
  CHECK(kept.answers.size() == 1 + most);
  kept.submit<Counter::Look>("more");
  CHECK(kept.answers.back() == "more=3");
}

TEST_CASE("a due timer is an event") {
  Kept kept;
  kept.submit<Counter::Wait>("wait");
  kept.env.advance(std::chrono::milliseconds(4'999));
  CHECK(kept.answers.empty());
  kept.env.advance(std::chrono::milliseconds(1));
  CHECK(kept.answers == std::vector<std::string>{"wait=-1"});
}

TEST_CASE("a timer that is armed anew fires once, at the later time") {
  Kept kept;
  kept.submit<Counter::Wait>("first");
  kept.env.advance(std::chrono::seconds(3));
  kept.submit<Counter::Wait>("second");
  kept.env.advance(std::chrono::seconds(3));
  CHECK(kept.answers.empty());
  kept.env.advance(std::chrono::seconds(2));
  CHECK(kept.answers == std::vector<std::string>{"first=-1", "second=-1"});
}

TEST_CASE("a due timer that is armed anew before its turn does not count") {
  Kept kept;
  kept.submit<Counter::Wait>("first");
  kept.submit<Counter::Add>("add", 1);  // under way, so everything else queues up
  kept.submit<Counter::Wait>("second");
  kept.env.advance(std::chrono::seconds(5));
  kept.journal->answer(Offset(0));
  CHECK(kept.answers == std::vector<std::string>{"add=1"});
  kept.env.advance(std::chrono::seconds(5));
  CHECK(kept.answers == std::vector<std::string>{"add=1", "first=-1", "second=-1"});
}

TEST_CASE("closing answers everybody, and nothing happens afterwards") {
  Kept kept;
  kept.submit<Counter::Add>("under way", 1);
  kept.submit<Counter::Look>("queued");
  kept.submit<Counter::Wait>("later");
  kept.keeper->close();
  CHECK(kept.answers.size() == 3);
  kept.journal->answer(Offset(0));
  kept.submit<Counter::Look>("too late");
  kept.env.advance(std::chrono::seconds(10));
  CHECK(kept.answers.size() == 4);
  CHECK(kept.answers.back() == "too late=closed");
}

TEST_CASE("a machine is rebuilt from its journal") {
  Kept kept;
  kept.journal->at_once = true;
  kept.submit<Counter::Add>("add", 3);
  Kept again;
  again.journal->written = kept.journal->written;
  REQUIRE(again.keeper->load().ok());
  CHECK(again.keeper->query([](const Counter& counter) { return counter.total(); }) == 3);
}

#ifdef OTTLA_TEST_SANITIZED

#include <cstdio>

TEST_CASE("a keeper without memory: not under a sanitizer") {
  std::puts("SKIPPED: operator new is the sanitizer's");
}

#else

namespace {

/// Of requests, in the order that they were submitted: what each was answered, without memory.
struct Outcomes {
  struct One {
    int told = 0;
    bool ok = false;
    int answer = 0;
    Fault fault = Fault::none;
    Outcome outcome = Outcome::not_written;
  };
  std::array<One, 16> all{};
  std::size_t count = 0;

  MachineKeeper<Counter>::Reply next() {
    One& one = all.at(count++);
    return [&one](absl::StatusOr<int> answer) {
      ++one.told;
      one.ok = answer.ok();
      one.answer = answer.value_or(0);
      one.fault = fault(answer.status());
      one.outcome = outcome(answer.status());
    };
  }
};

/// Adds 1, 2, 4, ...; a request that waits for a timer; and the timer. Whether the failing
/// allocation was reached.
bool keep_without_memory(int k, test::FailingMemory::How how) {
  Kept kept;
  kept.journal->at_once = true;
  Outcomes outcomes;
  const auto add = [&](int n) {
    kept.keeper->submit(
        [n](RequestId id) {
          return Counter::Event(Counter::Add{id, n});
        },
        outcomes.next());
  };
  bool reached = false;
  {
    const test::FailingMemory failing(k, how);
    add(1);
    add(2);
    kept.keeper->submit([](RequestId id) { return Counter::Event(Counter::Wait{id}); },
                        outcomes.next());
    add(4);
    kept.env.advance(std::chrono::seconds(5));
    add(8);
    reached = failing.reached();
  }
  const std::size_t without = outcomes.count;
  add(16);
  kept.env.advance(std::chrono::seconds(10));
  add(32);
  REQUIRE(outcomes.all[without].ok);
  REQUIRE(outcomes.all[without + 1].ok);
  const int total = kept.keeper->query([](const Counter& counter) { return counter.total(); });
  for (std::size_t i = 0; i < outcomes.count; ++i) {
    const Outcomes::One& one = outcomes.all[i];
    CHECK(one.told == 1);
    CHECK((one.ok || one.fault == Fault::no_memory));
    const int n = i == 2 ? 0 : 1 << (i < 2 ? i : i - 1);  // each its own bit
    const int so_far = total & (2 * n - 1);
    CHECK((!one.ok || one.answer == (i == 2 ? -1 : so_far)));
    CHECK((one.outcome == Outcome::unknown || one.ok == ((total & n) != 0) || i == 2));
  }
  Kept again;
  again.journal->written = kept.journal->written;
  REQUIRE(again.keeper->load().ok());
  CHECK(again.keeper->query([](const Counter& counter) { return counter.total(); }) == total);
  return reached;
}

}  // namespace

TEST_CASE(
    "whichever allocation fails, a keeper answers each request once and keeps what is written") {
  int k = 0;
  while (keep_without_memory(k, test::FailingMemory::How::once)) ++k;
  CHECK(k > 30);
}

TEST_CASE("a keeper without any memory from some moment on goes on when there is") {
  for (int k = 0; keep_without_memory(k, test::FailingMemory::How::for_good); ++k) {
  }
}

#endif
