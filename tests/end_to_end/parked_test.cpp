// SPDX-License-Identifier: Apache-2.0
//
// Threads parked in every call that waits, on a disk that does not answer: the broker's destructor
// ends, and everybody is told but those who are in a call of the disk themselves. Clients'
// destructors end as well.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <ottla/env/fault_file_system.hpp>
#include <ottla/ottla.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using test::must;
using test::TextConsumer;
using test::TextProducer;
using namespace std::chrono_literals;

namespace {

/// Files in memory of which one kind of calls, from some moment on, does not return until the disk
/// answers again; of all files, or of those with `part` in their path.
class HangingDisk {
 public:
  HangingDisk(IoOperation operation, std::string part)
      : operation_(operation), part_(std::move(part)) {}
  AnyFileSystem files() {
    return AnyFileSystem(FaultFileSystem(MemoryFileSystem(), [this](IoCall& call) {
      if (call.operation == operation_ && !call.done && hangs_.load() &&
          call.path.find(part_) != std::string_view::npos) {
        ++inside_;
        hangs_.wait(true);
        --inside_;
      }
      return absl::OkStatus();
    }));
  }
  void hang() { hangs_ = true; }
  void answer() {
    hangs_ = false;
    hangs_.notify_all();
  }
  void wait_for_somebody() const {
    while (inside_.load() == 0) std::this_thread::yield();
  }

 private:
  const IoOperation operation_;
  const std::string part_;
  std::atomic<bool> hangs_{false};
  std::atomic<int> inside_{0};
};

/// A thread in a call of which only the status matters.
class Parked {
 public:
  template <class Call>
  explicit Parked(Call call)
      : thread_([this, call = std::move(call)] {
          started_ = true;
          status_ = call();
        }) {
    while (!started_) std::this_thread::yield();
  }
  absl::Status join() {
    thread_.join();
    return status_;
  }

 private:
  std::atomic<bool> started_{false};
  absl::Status status_;
  std::thread thread_;
};

bool is_end(const absl::Status& status) {
  INFO(status);
  return fault(status) == Fault::closed || outcome(status) == Outcome::unknown;
}

/// A broker on such a disk, with the topic "orders".
struct Hosted {
  HangingDisk disk;
  std::unique_ptr<PosixEnv> env;
  std::optional<Broker> broker;

  Hosted(IoOperation hanging, int partitions, std::string part = "")
      : disk(hanging, std::move(part)) {
    env = must(PosixEnv::open({.executor = {.threads = 2}, .files = disk.files()}));
    broker = must(open());
    must(broker->create_topic({.name = "orders", .partitions = partitions}));
  }
  absl::StatusOr<Broker> open() const {
    return Broker::open(
        *env, {.log_dirs = "data", .offsets_topic_partitions = 1, .close_timeout = 200ms});
  }
  TextConsumer member() const {
    auto member = must(
        TextConsumer::open(*broker, {.group = "g", .topics = {"orders"}, .close_timeout = 200ms}));
    while (must(member.assignment()).empty()) must(member.poll(10ms).status());
    return member;
  }
};

}  // namespace

TEST_CASE("the broker ends with a thread parked in every call that waits, and tells them all") {
  Hosted hosted(GENERATE(IoOperation::sync, IoOperation::write), 3);
  HangingDisk& disk = hosted.disk;
  std::optional<Broker>& broker = hosted.broker;
  const auto open = [&](std::int64_t memory = 1 << 20) {
    return std::make_unique<TextProducer>(
        must(TextProducer::open(*broker, {.durability = Durability::durable,
                                          .batch_size = 1 << 10,
                                          .buffer_memory = memory,
                                          .max_block = 1h,
                                          .delivery_timeout = 2h,
                                          .close_timeout = 200ms})));
  };
  const auto record = [](int partition) {
    return TextProducer::Record{
        .topic = "orders", .partition = PartitionId(partition), .value = "v"};
  };
  const auto first = open();
  const auto second = open();
  const auto third = open();
  const auto narrow = open(1 << 10);
  auto alone = must(TextConsumer::open(*broker, {.close_timeout = 200ms}));
  must(alone.assign({test::partition(1)}));
  auto member = hosted.member();
  must(first->topic("orders").status());

  disk.hang();
  Parked in_disk([&] { return first->wait(must(first->send(record(0))), 1h).status(); });
  disk.wait_for_somebody();
  std::vector<std::unique_ptr<Parked>> parked;
  const auto park = [&](auto call) { parked.push_back(std::make_unique<Parked>(std::move(call))); };
  park([&] { return second->wait(must(second->send(record(0))), 1h).status(); });
  park([&] {
    must(third->send(record(0)).status());
    return third->flush(1h);
  });
  park([&] {
    must(narrow->send(record(0)).status());
    const auto sent = narrow->send(record(1));  // waits for the memory of the first
    return sent.ok() ? narrow->wait(*sent, 1h).status() : sent.status();
  });
  park([&] { return alone.poll(1h).status(); });
  park([&] {
    for (;;) {  // the records of partition 0 are visible
      if (const auto polled = member.poll(1h); !polled.ok()) return polled.status();
    }
  });

  broker.reset();  // ends, though the disk hangs
  for (const auto& each : parked) CHECK(is_end(each->join()));
  CHECK(fault(hosted.open().status()) == Fault::locked);
  disk.answer();
  const absl::Status told = in_disk.join();
  CHECK((told.ok() || is_end(told)));
  // Once the disk has let everybody go.
  while (!hosted.open().ok()) std::this_thread::yield();
}

TEST_CASE(
    "one log that hangs keeps its directory until it is let go, and costs the others nothing") {
  Hosted hosted(IoOperation::write, 2, "orders-0/");
  auto stuck = must(TextProducer::open(*hosted.broker, {.close_timeout = 100ms}));
  auto well = must(TextProducer::open(*hosted.broker, {}));
  const auto record = [](int partition) {
    return TextProducer::Record{
        .topic = "orders", .partition = PartitionId(partition), .value = "v"};
  };
  must(stuck.topic("orders").status());
  hosted.disk.hang();
  Parked in_disk([&] { return stuck.wait(must(stuck.send(record(0))), 1h).status(); });
  hosted.disk.wait_for_somebody();
  must(well.wait(must(well.send(record(1)))).status());
  hosted.broker.reset();
  CHECK(fault(hosted.open().status()) == Fault::locked);
  hosted.disk.answer();
  CHECK(is_end(in_disk.join()));
  absl::StatusOr<Broker> again = hosted.open();
  for (; !again.ok(); again = hosted.open()) std::this_thread::yield();
  auto consumer = must(TextConsumer::open(*again, {}));
  const auto ends = must(consumer.end_offsets({test::partition(0), test::partition(1)}));
  CHECK(ends.at(test::partition(0)) <= Offset(1));
  CHECK(ends.at(test::partition(1)) == Offset(1));
}

TEST_CASE("clients' destructors end while the disk hangs") {
  Hosted hosted(GENERATE(IoOperation::sync, IoOperation::write), 1);
  HangingDisk& disk = hosted.disk;
  const Broker& broker = *hosted.broker;
  const ProducerConfig durable{
      .durability = Durability::durable, .delivery_timeout = 1h, .close_timeout = 100ms};
  auto other = must(TextProducer::open(broker, durable));
  std::optional<TextProducer> producer = must(TextProducer::open(broker, durable));
  std::optional<TextConsumer> consumer = hosted.member();
  must(producer->topic("orders").status());

  disk.hang();
  Parked in_disk([&] {
    must(other.send({.topic = "orders", .value = "v"}).status());
    return other.flush(1h);
  });
  disk.wait_for_somebody();
  const Receipt sent = must(producer->send({.topic = "orders", .value = "v"}));
  CHECK(fault(producer->wait(sent, 50ms).status()) == Fault::timed_out);
  consumer.reset();
  producer.reset();
  disk.answer();
  must(in_disk.join());
}
