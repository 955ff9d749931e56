// SPDX-License-Identifier: Apache-2.0
//
// A partition among threads: producers, consumers that wait, syncs, retention, the timer, and at
// last closing or removal in the middle of it. What each thread saw is judged at the end.
#include <array>
#include <atomic>
#include <thread>

#include <ottla/env/posix/posix_env.hpp>

#include "partition_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace partition_test;

namespace {

constexpr int producers = 4;

/// Counts what became of the batches of one producer, in the order of those that ask for the same.
struct Account {
  std::atomic<int> acknowledged{0};
  std::atomic<int> failed{0};
  std::array<std::atomic<std::int64_t>, 2> last{-1, -1};  // offset; written, durable
  std::atomic<int> disorder{0};
};

class Counting final : public ProduceReply {
 public:
  Counting(Account& account, Durability durability)
      : account_(account), last_(account.last[durability == Durability::durable ? 1 : 0]) {}
  void done(absl::StatusOr<ProduceResponse> outcome, SealedBatch) noexcept override {
    if (!outcome.ok()) {
      ++account_.failed;
      return;
    }
    const std::int64_t base = outcome->base_offset.value();
    account_.disorder += last_.exchange(base) >= base;
    ++account_.acknowledged;
  }

 private:
  Account& account_;
  std::atomic<std::int64_t>& last_;
};

struct Crowd {
  log_test::Disk disk;
  std::unique_ptr<PosixEnv> env = must(PosixEnv::open({.executor = {.threads = 2}}));
  WorldOf<PosixEnv> world{*env};
  std::atomic<int> held{0};
  PartitionOptions options;
  Ref<TailBudget> tails = make_ref<TailBudget>(std::int64_t{1} << 20);
  Ref<Partition> partition;
  std::array<Account, producers> accounts;
  std::atomic<bool> stop{false};
  std::atomic<int> problems{0};
  std::atomic<std::int64_t> consumed{0};

  Crowd() {
    disk.hook = [this](IoCall&) {
      held += Mutex::held().ordinary + Mutex::held().leaf;
      return absl::OkStatus();
    };
    options.partition = {"t", PartitionId(0)};
    options.topic_id = disk.options.topic_id;
    options.config.log.segment_bytes = 20'000;
    options.config.log.retention = std::nullopt;
    options.config.log.file_delete_delay = std::chrono::milliseconds(5);
    options.tail_bytes = 64 * 1024;
    options.staged_bytes = 32 * 1024;
    disk.options.config = options.config.log;
  }
  ~Crowd() { partition = {}; }
  void open() {
    partition = make_ref<Partition>(world, disk.open(), options, tails, make_ref<ReadBuffers>());
  }
  SteadyTime soon() { return after(world.steady_now(), 20s); }

  void produce(int who, int batches) {
    for (int i = 0; i < batches; ++i) {
      const auto asked = i % 16 == 7 ? Durability::durable : Durability::written;
      Account& account = accounts[static_cast<std::size_t>(who)];
      partition->produce({.durability = asked,
                          .batch = make_batch(i, {.records = 1 + i % 3, .value_size = 50}),
                          .reply = make_ref<Counting>(account, asked)},
                         BatchOrigin::here);
      if (i % 8 == 7) {
        const auto level = i % 32 == 31 ? Durability::durable : Durability::written;
        const absl::Status written = partition->write_out(level, soon());
        problems += !written.ok() && fault(written) != Fault::closed &&
                    error_code(written) != ErrorCode::unknown_topic_id;
      }
    }
  }

  /// Reads everything once, in order, and waits where nothing is.
  void consume() {
    const auto bell = make_ref<Doorbell>();
    std::int64_t next = 0;
    while (!stop.load()) {
      FetchedPartition into;
      partition->fetch({.offset = Offset(next)}, 8000, true, into);
      if (!into.status.ok()) {
        if (error_code(into.status) == ErrorCode::offset_out_of_range) {
          next = into.log_start_offset.value();
          continue;
        }
        return;  // closed, or removed
      }
      const std::int64_t before = next;
      for (const Slice& slice : into.slices) {
        BatchCursor batches(slice.bytes.bytes());
        while (const BatchView* batch = batches.next()) {
          const BatchHeader& header = batch->header();
          problems += header.base_offset.value() > next || header.next_offset().value() <= next;
          next = header.next_offset().value();
        }
        problems += !batches.ok();
      }
      problems += next > into.high_watermark.value();
      if (next == before) {
        bell->reset();
        if (partition->add_waiter(bell, into.high_watermark, 1)) {
          world.await(*bell, after(world.steady_now(), 50ms));
        }
      }
    }
    consumed += next;
  }

  int sum(std::atomic<int> Account::*field) {
    int all = 0;
    for (Account& account : accounts) all += (account.*field).load();
    return all;
  }
};

}  // namespace

TEST_CASE("Four producers, two consumers, syncs and retention see one order, and every outcome") {
  Crowd crowd;
  const bool all_durable = GENERATE(false, true);
  crowd.options.config.flush_messages = all_durable ? 1 : INT64_MAX;
  crowd.options.config.log.retention_bytes = 100'000;
  crowd.open();
  const int batches = 400;
  std::vector<std::thread> threads;
  std::thread first([&] { crowd.consume(); });
  std::thread second([&] { crowd.consume(); });
  std::thread upkeep([&] {
    while (!crowd.stop.load()) {
      crowd.problems += !crowd.partition->tick([](Offset) { return absl::OkStatus(); }).ok();
      crowd.problems += !crowd.partition->flush(FlushScope::sealed, crowd.soon()).ok();
      crowd.partition->rest();
      crowd.partition->list_offsets({.timestamp = at_max_timestamp}, {});
      crowd.partition->metrics();
      std::this_thread::yield();
    }
  });
  for (int i = 0; i < producers; ++i) {
    threads.emplace_back([&crowd, i] { crowd.produce(i, batches); });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(crowd.partition->write_out(Durability::durable, crowd.soon()).ok());
  const std::int64_t end = crowd.partition->ends().end.value();
  crowd.stop = true;
  upkeep.join();
  first.join();
  second.join();
  const auto closed = crowd.partition->close(crowd.soon());
  CHECK(closed.ok());
  CHECK(crowd.sum(&Account::acknowledged) == producers * batches);
  CHECK(crowd.sum(&Account::failed) == 0);
  CHECK(crowd.sum(&Account::disorder) == 0);
  CHECK(crowd.problems == 0);
  CHECK(crowd.held == 0);
  CHECK(end == producers * (batches / 3 * 6 + 1));
  CHECK(crowd.tails->used.load() == 0);
}

TEST_CASE("Whoever closes or removes a partition amid its work leaves nobody without an outcome") {
  const bool removed = GENERATE(false, true);
  const int delay = GENERATE(0, 1, 3, 10);
  Crowd crowd;
  crowd.open();
  const int batches = 200;
  std::vector<std::thread> threads;
  for (int i = 0; i < producers; ++i) {
    threads.emplace_back([&crowd, i] { crowd.produce(i, batches); });
  }
  std::thread consumer([&] { crowd.consume(); });
  const auto bell = make_ref<Doorbell>();
  crowd.world.await(*bell, after(crowd.world.steady_now(), std::chrono::milliseconds(delay)));
  const bool ended = removed ? crowd.partition->remove(crowd.soon()).ok()
                             : crowd.partition->close(crowd.soon()).ok();
  const Offset end = crowd.partition->ends().end;
  for (std::thread& thread : threads) thread.join();
  consumer.join();
  CHECK(ended);
  CHECK(crowd.sum(&Account::acknowledged) + crowd.sum(&Account::failed) == producers * batches);
  CHECK(crowd.sum(&Account::disorder) == 0);
  CHECK(crowd.problems == 0);
  CHECK(crowd.partition->ends().end == end);
  CHECK(crowd.held == 0);
}
