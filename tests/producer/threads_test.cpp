// SPDX-License-Identifier: Apache-2.0
//
// Many threads and one producer, in the system's own world. Meant for ThreadSanitizer.
#include <atomic>
#include <map>
#include <thread>

#include <ottla/env/posix/posix_env.hpp>

#include "tests/producer/producer_bed.hpp"

using namespace ottla;
using namespace std::chrono_literals;

namespace {

constexpr int senders = 4;
constexpr int per_sender = 500;
constexpr PartitionId p0{0};

struct RealBed {
  explicit RealBed(int threads)
      : env(PosixEnv::open({.executor = {.threads = threads}}).value()), world(*env) {
    leader->set_topic("t", 2);
  }

  std::unique_ptr<PosixEnv> env;
  WorldOf<PosixEnv> world;
  Ref<FakeLeader> leader = make_ref<FakeLeader>(world);
};

/// Each of several threads sends "thread number" with ascending numbers.
void send_from_all(StringProducer& producer, std::atomic<int>& failed) {
  std::vector<std::thread> threads;
  for (int sender = 0; sender < senders; ++sender) {
    threads.emplace_back([&, sender] {
      for (int i = 0; i < per_sender; ++i) {
        const std::string value = std::to_string(sender) + " " + std::to_string(i);
        failed += producer.send({.topic = "t", .partition = p0, .value = value}).ok() ? 0 : 1;
        if (i % 100 == 0) {
          failed += producer.flush().ok() ? 0 : 1;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

/// Every record once, those of one thread in its order.
void check_order(FakeLeader& leader) {
  std::map<std::string, int> next;
  int count = 0;
  int out_of_order = 0;
  for (const std::string& value : leader.values("t", 0)) {
    const std::size_t space = value.find(' ');
    out_of_order += std::stoi(value.substr(space + 1)) == next[value.substr(0, space)]++ ? 0 : 1;
    ++count;
  }
  CHECK(count == senders * per_sender);
  CHECK(out_of_order == 0);
}

}  // namespace

TEST_CASE("records of each thread keep their order, with linger and without") {
  for (const auto linger : {0ms, 1ms}) {
    RealBed bed(2);
    std::atomic<int> delivered{0};
    std::atomic<int> failed{0};
    auto opened = StringProducer::open(
        FakeHost{bed.leader},
        {.linger = linger, .batch_size = 500, .on_delivery = [&](const Delivery& each) {
           delivered += each.offset.ok() ? 1 : 0;
         }});
    REQUIRE(opened.ok());
    send_from_all(*opened, failed);
    CHECK(opened->close().ok());
    CHECK(failed == 0);
    CHECK(delivered == senders * per_sender);
    check_order(*bed.leader);
  }
}

TEST_CASE("order is kept while batches are refused at random and memory is short") {
  RealBed bed(2);
  std::atomic<unsigned> asked{0};
  bed.leader->script = [&](ProduceRequest& request) {
    if (++asked % 7 != 0) return false;
    request.reply->done(error(ErrorCode::not_enough_replicas, "x"), std::move(request.batch));
    return true;
  };
  std::atomic<int> failed{0};
  auto opened = StringProducer::open(FakeHost{bed.leader}, {.linger = 1ms,
                                                            .batch_size = 1'000,
                                                            .buffer_memory = 4'000,
                                                            .retry_backoff = 1ms,
                                                            .retry_backoff_max = 1ms});
  REQUIRE(opened.ok());
  send_from_all(*opened, failed);
  CHECK(opened->close().ok());
  CHECK(failed == 0);
  check_order(*bed.leader);
}

TEST_CASE("outcomes may come from other threads, and threads may wait for each") {
  RealBed bed(2);
  bed.leader->script = [&](ProduceRequest& request) {
    bed.world.post([&, request = std::make_shared<ProduceRequest>(std::move(request))] {
      bed.leader->accept(std::move(*request));
    });
    return true;
  };
  auto opened = StringProducer::open(FakeHost{bed.leader}, {.linger = 1h});
  REQUIRE(opened.ok());
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int sender = 0; sender < senders; ++sender) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        const auto sent = opened->send({.topic = "t", .partition = p0, .value = "v"});
        wrong += sent.ok() && opened->wait(*sent).ok() ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(bed.leader->values("t", 0).size() == 100 * senders);
}

TEST_CASE("a producer is closed while others send: each record is told by then, once") {
  const auto time = GENERATE(0ms, 30'000ms);
  const CompressionType codec = GENERATE(CompressionType::none, CompressionType::zstd);
  const Acks acks = GENERATE(Acks::all, Acks::none);
  if (!check_codec(codec).ok()) return;
  CAPTURE(time.count(), static_cast<int>(codec), static_cast<int>(acks));
  for (int round = 0; round < 20; ++round) {
    RealBed bed(1);
    std::atomic<int> accepted{0};
    std::atomic<int> told{0};
    auto opened = StringProducer::open(FakeHost{bed.leader},
                                       {.acks = acks,
                                        .linger = 1ms,
                                        .batch_size = 300,
                                        .compression = codec,
                                        .buffer_memory = 3'000,
                                        .on_delivery = [&](const Delivery&) { ++told; }});
    REQUIRE(opened.ok());
    std::atomic<bool> begun{false};
    std::vector<std::thread> threads;
    std::vector<std::vector<Receipt>> receipts(senders);
    for (auto& mine : receipts) {
      threads.emplace_back([&] {
        for (;;) {
          const auto sent = opened->send({.topic = "t", .value = "value"});
          if (!sent.ok()) break;
          mine.push_back(*sent);
          ++accepted;
          begun = true;
        }
      });
    }
    while (!begun) std::this_thread::yield();
    opened->close(time).IgnoreError();
    const int told_by_then = told;
    for (std::thread& thread : threads) thread.join();
    int open_ended = 0;
    for (const auto& mine : receipts) {
      for (const Receipt& each : mine) {
        open_ended += fault(opened->wait(each, 0ms).status()) == Fault::timed_out ? 1 : 0;
      }
    }
    CHECK(open_ended == 0);
    CHECK(told == told_by_then);
    CHECK(told == accepted);
  }
}

TEST_CASE("a record that is being compressed when close runs out of time is told") {
  if (!check_codec(CompressionType::zstd).ok()) return;
  RealBed bed(1);
  std::atomic<bool> begun{false};
  bed.leader->script = [&](ProduceRequest&) {
    begun = true;
    return false;
  };
  std::atomic<int> told{0};
  auto opened =
      StringProducer::open(FakeHost{bed.leader}, {.linger = 0ms,
                                                  .compression = CompressionType::zstd,
                                                  .zstd_level = 22,
                                                  .max_request_size = 2 << 20,
                                                  .on_delivery = [&](const Delivery&) { ++told; }});
  REQUIRE(opened.ok());
  std::string large(std::size_t{1} << 20, '\0');  // takes longer than close waits
  std::uint64_t random = 1;
  for (char& each : large) {
    random = random * 6'364'136'223'846'793'005U + 1;
    each = static_cast<char>('a' + (random >> 60U));
  }
  absl::StatusOr<Receipt> sent;
  std::thread sends([&] {
    opened->send({.topic = "t", .partition = p0, .value = "a"}).status().IgnoreError();
    sent = opened->send({.topic = "t", .partition = p0, .value = large});
  });
  while (!begun) std::this_thread::yield();
  const SteadyTime soon = after(bed.world.steady_now(), 50ms);
  while (bed.world.steady_now() < soon) std::this_thread::yield();
  opened->close(0ms).IgnoreError();
  const int told_by_then = told;
  sends.join();
  CHECK(told == told_by_then);
  CHECK(told == (sent.ok() ? 2 : 1));
  if (sent.ok()) CHECK(fault(opened->wait(*sent, 0ms).status()) != Fault::timed_out);
}

TEST_CASE("a send that got memory while another thread closes fails nothing that close sends") {
  RealBed bed(1);
  std::atomic<int> asked{0};
  std::vector<ProduceRequest> parked;
  bed.leader->script = [&](ProduceRequest& request) {
    switch (++asked) {
      case 1:  // goes again in half a second
        request.reply->done(error(ErrorCode::not_enough_replicas, "x"), std::move(request.batch));
        return true;
      case 2:
        parked.push_back(std::move(request));
        return true;
      default:
        return false;
    }
  };
  auto opened = StringProducer::open(FakeHost{bed.leader}, {.linger = 0ms,
                                                            .batch_size = 1'000,
                                                            .buffer_memory = 2'000,
                                                            .retry_backoff = 500ms,
                                                            .retry_backoff_max = 500ms});
  REQUIRE(opened.ok());
  const auto again = opened->send({.topic = "t", .partition = p0, .value = "a"});
  const auto second = opened->send({.topic = "t", .partition = PartitionId(1), .value = "b"});
  std::thread sends([&] {  // waits for memory
    opened->send({.topic = "t", .partition = PartitionId(1), .value = "c"}).status().IgnoreError();
  });
  const SteadyTime soon = after(bed.world.steady_now(), 50ms);
  while (bed.world.steady_now() < soon) std::this_thread::yield();
  absl::Status closed;
  std::thread closes([&] { closed = opened->close(60s); });
  while (fault(opened->flush(0ms)) != Fault::closed) std::this_thread::yield();
  bed.leader->accept(std::move(parked.at(0)));
  sends.join();
  closes.join();
  CHECK(opened->wait(*again, 0ms).ok());
  CHECK(opened->wait(*second, 0ms).ok());
  CHECK(bed.leader->values("t", 0) == std::vector<std::string>{"a"});
}

TEST_CASE("who closes while another thread closes waits for that, until his own deadline") {
  RealBed bed(1);
  std::vector<ProduceRequest> parked;
  bed.leader->script = [&](ProduceRequest& request) {
    parked.push_back(std::move(request));
    return true;
  };
  std::atomic<bool> told{false};
  auto opened = StringProducer::open(
      FakeHost{bed.leader}, {.linger = 0ms, .on_delivery = [&](const Delivery&) { told = true; }});
  REQUIRE(opened.ok());
  REQUIRE(opened->send({.topic = "t", .value = "v"}).ok());
  absl::Status first;
  std::thread closes([&] { first = opened->close(60s); });
  while (opened->send({.topic = "missing", .value = "v"}).ok() ||
         fault(opened->flush(0ms)) != Fault::closed) {
    std::this_thread::yield();
  }
  const absl::Status late = opened->close(1ms);
  std::thread answers([&] { bed.leader->accept(std::move(parked.at(0))); });
  const absl::Status second = opened->close(60s);
  const bool was_told = told;
  answers.join();
  closes.join();
  CHECK(fault(late) == Fault::timed_out);
  CHECK(second.ok());
  CHECK(was_told);
  CHECK(first.ok());
  CHECK(opened->close().ok());
}

TEST_CASE("close waits for a callback that has begun, though its deadline is over") {
  RealBed bed(1);
  std::atomic<bool> begun{false};
  std::atomic<bool> closing{false};
  std::atomic<bool> over{false};
  auto opened = StringProducer::open(FakeHost{bed.leader},
                                     {.linger = 1h, .on_delivery = [&](const Delivery&) {
                                        begun = true;
                                        while (!closing) std::this_thread::yield();
                                        const SteadyTime last = after(bed.world.steady_now(), 50ms);
                                        while (bed.world.steady_now() < last) {
                                          std::this_thread::yield();  // close is at its end
                                        }
                                        over = true;
                                      }});
  REQUIRE(opened.ok());
  REQUIRE(opened->send({.topic = "t", .value = "v"}).ok());
  std::thread flushes([&] { opened->flush().IgnoreError(); });
  while (!begun) std::this_thread::yield();
  closing = true;
  const absl::Status closed = opened->close(0ms);
  CHECK(over);
  CHECK(fault(closed) == Fault::timed_out);
  flushes.join();
}
