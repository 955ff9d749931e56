// SPDX-License-Identifier: Apache-2.0
//
// Pieces of the library among actors of a simulated world, over files in memory: producer batching,
// the keeper of a machine, and a partition with producers, consumers, syncs and upkeep. What
// tests/broker/partition_threads_test.cpp does with threads, each seed does in another order.
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ottla/broker/machine_keeper.hpp>
#include <ottla/broker/partition.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/env/world.hpp>
#include <ottla/producer/accumulator.hpp>
#include <ottla/sim/sim_env.hpp>

#include "tests/log/log_fixture.hpp"
#include "tests/support/catch.hpp"

namespace {

using namespace ottla;
using namespace std::chrono_literals;
using log_test::must;

using Process = SimEnv<MemoryFileSystem>;

/// Where a seed fails, its number is all that is needed to see it again.
constexpr std::uint64_t seeds = 300;
constexpr int batches_each = 24;

SimSchedulerOptions options_of(std::uint64_t seed) {
  return {.seed = seed,
          .time_limit = 1h,
          .step_limit = 5'000'000,
          .stall_one_in = seed % 3 == 0 ? 50U : 0U,
          .longest_stall = 20ms,
          .spurious_one_in = seed % 4 == 0 ? 10U : 0U};
}

/// Producers append, senders take batches by the baton; what was sent, record by record.
struct Batching {
  explicit Batching(std::uint64_t seed) : world(options_of(seed)) {}

  void append(int who, int records) {
    for (int i = 0; i < records; ++i) {
      const std::string value = std::to_string(who) + "-" + std::to_string(i);
      const auto appended = queue.append({.value = as_bytes(value)}, 0, false, env.clock());
      must(appended.status());
      if (appended->closed) {
        send();
      }
    }
    send();
  }
  void send() {
    for (auto batch = queue.take(PartitionQueue::Take::open_too); batch;
         batch = queue.take_next(PartitionQueue::Take::open_too)) {
      senders += 1;
      most_senders = std::max(most_senders, senders);
      world.preempt();
      Compressor compressor;
      const SealedBatch sealed = must(batch->builder.seal(compressor));
      collect(sealed.bytes());
      outcomes.complete(batch->number, {});
      budget.give_back(batch->charged);
      senders -= 1;
    }
  }
  void collect(Bytes bytes) {
    Decompressor decompressor;
    BatchCursor batches(bytes);
    while (const BatchView* batch = batches.next()) {
      RecordCursor records = batch->records(decompressor);
      while (const RecordView* record = records.next()) {
        sent.emplace_back(as_string_view(*record->value()));
      }
    }
  }

  SimScheduler world;
  Process env{world, MemoryFileSystem()};
  const BatchingOptions options{.batch_size = 100};
  MemoryBudget budget{1 << 20};
  BatchOutcomes outcomes;
  PartitionQueue queue{options, budget, outcomes};
  std::vector<std::string> sent;
  int senders = 0;
  int most_senders = 0;
};

/// Counts what became of the batches of one producer, in their order.
struct Account {
  int acknowledged = 0;
  int failed = 0;
  std::array<std::int64_t, 2> last = {-1, -1};  // offset, of each durability
  int disorder = 0;
};

class Counting final : public ProduceReply {
 public:
  Counting(Account& account, Durability durability) : account_(account), durability_(durability) {}
  void done(absl::StatusOr<ProduceResponse> outcome, SealedBatch) noexcept override {
    if (!outcome.ok()) {
      ++account_.failed;
      return;
    }
    const std::int64_t base = outcome->base_offset.value();
    std::int64_t& last = account_.last[static_cast<std::size_t>(durability_)];
    account_.disorder += std::exchange(last, base) >= base;
    ++account_.acknowledged;
  }

 private:
  Account& account_;
  const Durability durability_;
};

SealedBatch one_record(const std::string& value) {
  BatchBuilder builder(BatchFields{});
  must(builder.append({.timestamp = Timestamp(log_test::t0), .value = as_bytes(value)}));
  Compressor compressor;
  return must(builder.seal(compressor));
}

struct Crowd {
  explicit Crowd(std::uint64_t seed) : world(options_of(seed)) {
    options.partition = {"t", PartitionId(0)};
    options.topic_id = disk.options.topic_id;
    options.config.log.segment_bytes = 2'000;
    options.config.log.retention = std::nullopt;
    options.staged_bytes = 4 * 1024;
    options.tail_bytes = 1024;
    disk.options.config = options.config.log;
  }

  void open() {
    auto log = must(Log::open(env.file_system(), disk.directory, disk.options,
                              {.last_stop = LastStop::clean, .now = env.clock().wall_now()},
                              disk.health, disk.report));
    partition =
        make_ref<Partition>(its_world, std::move(log), options, tails, make_ref<ReadBuffers>());
  }
  SteadyTime soon() { return after(world.now(), 20s); }

  void produce(std::size_t who, int batches) {
    for (int i = 0; i < batches; ++i) {
      const Durability durability = i % 8 == 3 ? Durability::durable : Durability::written;
      partition->produce({.durability = durability,
                          .batch = one_record(std::to_string(who) + "-" + std::to_string(i)),
                          .reply = make_ref<Counting>(accounts[who], durability)},
                         BatchOrigin::here);
      if (i % 4 == 3) {
        problems += !partition->write_out(Durability::written, soon()).ok();
      }
    }
    ++finished;
  }
  /// Reads everything once, in order, and waits where nothing is.
  void consume() {
    const auto until = static_cast<std::int64_t>(accounts.size()) * batches_each;
    const auto bell = make_ref<Doorbell>();
    std::int64_t next = 0;
    while (next < until) {
      FetchedPartition into;
      partition->fetch({.offset = Offset(next)}, 500, true, into);
      must(into.status);
      const std::int64_t before = next;
      for (const Slice& slice : into.slices) {
        BatchCursor batches(slice.bytes.bytes());
        while (const BatchView* batch = batches.next()) {
          const BatchHeader& header = batch->header();
          problems += header.base_offset.value() > next || header.next_offset().value() <= next;
          next = header.next_offset().value();
        }
      }
      problems += next > into.high_watermark.value();
      if (next == before) {
        bell->reset();
        if (partition->add_waiter(bell, into.high_watermark, 1)) {
          its_world.await(*bell, after(world.now(), 50ms));
        }
      }
    }
    ++finished;
  }

  log_test::Disk disk;
  SimScheduler world;
  Process env{world, disk.memory, {.name = "broker", .wall = Timestamp(log_test::t0)}};
  WorldOf<Process> its_world{env};
  PartitionOptions options;
  Ref<TailBudget> tails = make_ref<TailBudget>(std::int64_t{1} << 20);
  std::array<Account, 3> accounts;
  Ref<Partition> partition;
  int problems = 0;
  int finished = 0;  // producers and consumers
};

/// Every record is the number of its turn.
class Counter {
 public:
  struct Event {
    RequestId request;
  };
  using Decision = ottla::Decision<RequestId, int, int>;

  Decision decide(const Event& event, Now) const {
    Decision decision;
    decision.write({std::byte{'k'}}, std::vector<std::byte>{static_cast<std::byte>(total_)});
    decision.answer(event.request, total_);
    return decision;
  }
  Decision decide_failed(const Event&, ErrorCode, Now) const { return {}; }
  absl::Status apply(const WrittenRecord& record) {
    disorder_ += static_cast<int>((*record.value)[0]) != total_;
    ++total_;
    return absl::OkStatus();
  }
  void apply(RequestId) noexcept {}
  int total() const { return total_; }
  int disorder() const { return disorder_; }

 private:
  int total_ = 0;
  int disorder_ = 0;
};

/// Answers from another task, a little later.
class LateJournal final : public Journal {
 public:
  LateJournal(SimScheduler& world, SimExecutor& executor) : world_(world), executor_(executor) {}
  void append(std::span<const MachineRecord> records, Done done) noexcept override {
    const Offset base(written_);
    written_ += static_cast<std::int64_t>(records.size());
    const std::chrono::nanoseconds delay(world_.below(2'000'000));
    executor_.post_at(after(world_.now(), delay),
                      [base, done = std::move(done)]() mutable { done(base); });
  }
  absl::Status load(absl::FunctionRef<absl::Status(const WrittenRecord&)>) override {
    return absl::OkStatus();
  }

 private:
  SimScheduler& world_;
  SimExecutor& executor_;
  std::int64_t written_ = 0;
};

}  // namespace

TEST_CASE("records of many actors are sent once, in each one's order, by one sender at a time") {
  for (std::uint64_t seed = 1; seed <= 4 * seeds; ++seed) {
    CAPTURE(seed);
    Batching batching(seed);
    for (int who = 0; who < 4; ++who) {
      batching.world.start(batching.env.process(), "producer",
                           [&batching, who] { batching.append(who, 30); });
    }
    REQUIRE(batching.world.run().ok());
    std::array<int, 4> next = {};
    int disorder = 0;
    for (const std::string& value : batching.sent) {
      int& expected = next[static_cast<std::size_t>(value[0] - '0')];
      disorder += value.substr(2) != std::to_string(expected++);
    }
    REQUIRE(disorder == 0);
    REQUIRE(batching.sent.size() == 120);
    REQUIRE(batching.most_senders == 1);
    REQUIRE(batching.budget.available() == batching.budget.total());
    REQUIRE(batching.outcomes.pending() == 0);
  }
}

TEST_CASE("events of many actors are decided one after the other, and each is answered once") {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    SimScheduler world(options_of(seed));
    Process env(world, MemoryFileSystem());
    WorldOf<Process> its_world(env);
    const auto keeper = make_ref<MachineKeeper<Counter>>(
        its_world, Counter(), make_ref<LateJournal>(world, env.executor()));
    std::vector<int> answers;
    for (int who = 0; who < 4; ++who) {
      world.start(env.process(), "submitter", [&] {
        for (int i = 0; i < 10; ++i) {
          keeper->submit(
              [](RequestId id) { return Counter::Event{id}; },
              [&](absl::StatusOr<int> answer) { answers.push_back(answer.value_or(-1)); });
        }
      });
    }
    REQUIRE(world.run().ok());
    Doorbell bell;
    env.executor().await(bell, after(world.now(), 10s));
    REQUIRE(answers.size() == 40);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      REQUIRE(answers[i] == static_cast<int>(i));
    }
    REQUIRE(keeper->query([](const Counter& counter) { return counter.disorder(); }) == 0);
    keeper->close();
  }
}

TEST_CASE("producers, consumers, syncs and upkeep of a partition see one order in any schedule") {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    Crowd crowd(seed);
    bool closed = false;
    crowd.world.start(crowd.env.process(), "main", [&] {
      crowd.open();
      for (std::size_t who = 0; who < crowd.accounts.size(); ++who) {
        crowd.world.start(crowd.env.process(), "producer",
                          [&crowd, who] { crowd.produce(who, batches_each); });
      }
      for (int i = 0; i < 2; ++i) {
        crowd.world.start(crowd.env.process(), "consumer", [&crowd] { crowd.consume(); });
      }
      while (crowd.finished < 5) {
        crowd.problems += !crowd.partition->tick([](Offset) { return absl::OkStatus(); }).ok();
        crowd.problems += !crowd.partition->flush(FlushScope::sealed, crowd.soon()).ok();
        crowd.partition->rest();
        crowd.world.await_time(after(crowd.world.now(), 1ms));
      }
      closed = crowd.partition->close(crowd.soon()).ok();
      crowd.partition = {};
    });
    const absl::Status ran = crowd.world.run();
    REQUIRE(ran.ToString() == "OK");
    REQUIRE(closed);
    REQUIRE(crowd.problems == 0);
    for (const Account& account : crowd.accounts) {
      REQUIRE(account.acknowledged == batches_each);
      REQUIRE(account.failed == 0);
      REQUIRE(account.disorder == 0);
    }
    REQUIRE(crowd.tails->used.load() == 0);
  }
}

TEST_CASE("what a partition acknowledged is in its log after its process crashed at any time") {
  std::uint64_t acknowledged = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    Crowd crowd(seed);
    crowd.world.start(crowd.env.process(), "main", [&] {
      crowd.open();
      for (std::size_t who = 0; who < crowd.accounts.size(); ++who) {
        crowd.world.start(crowd.env.process(), "producer",
                          [&crowd, who] { crowd.produce(who, 1000); });
      }
    });
    const bool unwinds = seed % 4 == 0;
    crowd.world.start(sim_world, "breaker", [&] {
      while (!crowd.partition) {
        crowd.world.await_time(after(crowd.world.now(), 1ms));
      }
      for (std::uint64_t i = 100 + crowd.world.below(3000); i > 0; --i) {
        crowd.world.preempt();
      }
      unwinds ? crowd.env.fail() : crowd.env.crash();
    });
    const absl::Status ran = crowd.world.run();
    REQUIRE(ran.ToString() == "OK");
    int acks = 0;
    std::int64_t last = -1;
    for (const Account& account : crowd.accounts) {
      acks += account.acknowledged;
      last = std::max({last, account.last[0], account.last[1]});
    }
    if (!unwinds) {
      crowd.world.give_up([dead = std::move(crowd.partition)] {});
    }
    crowd.partition = {};
    auto log =
        must(Log::open(crowd.disk.files, crowd.disk.directory, crowd.disk.options,
                       {.last_stop = LastStop::process_crash, .now = Timestamp(log_test::t0)},
                       make_ref<DirectoryHealth>("/d"), crowd.disk.report));
    const auto found = log_test::read_all(log.view());
    REQUIRE(static_cast<std::int64_t>(found.size()) > last);
    REQUIRE(static_cast<int>(found.size()) >= acks);
    std::array<int, 3> next = {};
    for (const auto& [offset, value] : found) {
      int& expected = next[static_cast<std::size_t>(value[0] - '0')];
      REQUIRE(value.substr(2) == std::to_string(expected++));
    }
    acknowledged += static_cast<std::uint64_t>(acks);
  }
  CHECK(acknowledged > 10 * seeds);
}
