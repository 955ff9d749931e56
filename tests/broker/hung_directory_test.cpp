// SPDX-License-Identifier: Apache-2.0
//
// One log directory hangs: what waits for it ends in time, and the others are as before. Only real
// threads can show it.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include <ottla/broker/broker.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/env/fault_file_system.hpp>
#include <ottla/producer/producer.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/must.hpp"

using namespace ottla;
using namespace test;
using namespace std::chrono_literals;

namespace {

using TextProducer = Producer<std::string, std::string>;

/// Writes of records below "a/" wait as long as it is shut.
class Gate {
 public:
  absl::Status pass(const IoCall& call) {
    if (call.done || call.operation != IoOperation::write ||
        call.path.find("a/t-") == std::string_view::npos) {
      return absl::OkStatus();
    }
    std::unique_lock lock(mutex_);
    waiting_ += shut_ ? 1 : 0;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !shut_; });
    return absl::OkStatus();
  }
  void set(bool shut) {
    const std::lock_guard lock(mutex_);
    shut_ = shut;
    changed_.notify_all();
  }
  /// Whether a thread hangs, within 20 s.
  bool hangs() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return waiting_ > 0; });
  }
  int waiting() {
    const std::lock_guard lock(mutex_);
    return waiting_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool shut_ = false;
  int waiting_ = 0;
};

/// Counts what was told.
class Told {
 public:
  void operator()(const Delivery& delivery) {
    const std::lock_guard lock(mutex_);
    ++(delivery.offset.ok() ? delivered_ : failed_);
    changed_.notify_all();
  }
  bool delivered(std::size_t count) { return wait_for(delivered_, count); }
  bool failed(std::size_t count) { return wait_for(failed_, count); }

 private:
  bool wait_for(const std::size_t& count, std::size_t wanted) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return count == wanted; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t delivered_ = 0;
  std::size_t failed_ = 0;
};

struct Directories {
  explicit Directories(int threads, std::chrono::microseconds write_out_delay = 1ms)
      : env(must(PosixEnv::open(
            {.executor = {.threads = threads},
             .files = AnyFileSystem(FaultFileSystem(
                 memory_files(), [this](IoCall& call) { return gate.pass(call); }))}))) {
    BrokerConfig config;
    config.write_out_delay = write_out_delay;
    config.log_dirs = std::vector<std::string>{"b", "a"};
    broker.emplace(must(Broker::open(*env, config)));
    must(broker->create_topic({.name = "t", .partitions = 8}));
    for (int i = 0; i < 8; ++i) {
      const bool lies_in_a = env->file_system().status("a/t-" + std::to_string(i)).ok();
      (lies_in_a ? in_a : in_b).push_back(PartitionId(i));
    }
    REQUIRE(!in_a.empty());
    REQUIRE(!in_b.empty());
  }
  ~Directories() { gate.set(false); }

  TextProducer producer(Told& told, std::chrono::milliseconds delivery_timeout) {
    ProducerConfig config{
        .linger = 5ms, .delivery_timeout = delivery_timeout, .request_timeout = 100ms};
    config.on_delivery = [&told](const Delivery& delivery) { told(delivery); };
    return must(TextProducer::open(*broker, config));
  }
  static void send(TextProducer& producer, const std::vector<PartitionId>& partitions) {
    for (const PartitionId partition : partitions) {
      must(producer.send({.topic = "t", .partition = partition, .value = "x"}).status());
    }
  }

  Gate gate;
  std::unique_ptr<PosixEnv> env;
  std::optional<Broker> broker;
  std::vector<PartitionId> in_a;
  std::vector<PartitionId> in_b;
};

}  // namespace

TEST_CASE("a directory that hangs takes one thread, and no other directory waits for it") {
  Told told_a;
  Told told_b;
  Directories it(4);
  TextProducer a = it.producer(told_a, 500ms);
  TextProducer b = it.producer(told_b, 60s);
  it.gate.set(true);
  Directories::send(a, it.in_a);
  REQUIRE(it.gate.hangs());
  for (std::size_t round = 1; round <= 20; ++round) {
    Directories::send(b, it.in_b);
    CHECK(told_b.delivered(round * it.in_b.size()));
  }
  CHECK(told_a.failed(it.in_a.size()));  // delivery.timeout.ms
  CHECK(it.gate.waiting() == 1);
  it.gate.set(false);
  Directories::send(b, it.in_a);
  CHECK(told_b.delivered(20 * it.in_b.size() + it.in_a.size()));
}

TEST_CASE("with two threads a directory that hangs leaves the timers alive") {
  Told told;
  Directories it(2);
  TextProducer producer = it.producer(told, 500ms);
  it.gate.set(true);
  Directories::send(producer, it.in_a);
  REQUIRE(it.gate.hangs());
  Directories::send(producer, it.in_a);
  CHECK(told.failed(2 * it.in_a.size()));
  CHECK(it.gate.waiting() == 1);
}

TEST_CASE("what a waiting consumer wants of a lingering producer is written in its lane") {
  Told told;
  Directories it(4, 1h);  // not by the timer
  auto consumer = must(Consumer<std::string, std::string>::open(
      *it.broker, {.offset_reset = OffsetReset::earliest}));
  must(consumer.assign({{"t", it.in_a[0]}, {"t", it.in_b[0]}}));
  TextProducer producer = it.producer(told, 500ms);
  it.gate.set(true);
  Directories::send(producer, {it.in_a[0], it.in_b[0]});
  std::size_t polled = 0;
  for (const auto& record : must(consumer.poll(20s))) {
    CHECK(record.partition() == it.in_b[0]);
    ++polled;
  }
  CHECK(polled == 1);
  it.gate.set(false);
}
