// SPDX-License-Identifier: Apache-2.0
//
// A topic is deleted while a call on its files hangs: its directory is its own until the call is
// over, and nobody else suffers.
#include <string>
#include <vector>

#include <ottla/broker/broker.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/producer/producer.hpp>
#include <ottla/sim/sim_env.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/must.hpp"

using namespace ottla;
using namespace std::chrono_literals;
using test::must;

namespace {

using SimBroker = BasicBroker<SimEnv<MemoryFileSystem>>;
using TextProducer = Producer<std::string, std::string>;
using TextConsumer = Consumer<std::string, std::string>;

/// Calls `what` on files of t-0 hang while `shut`.
struct House {
  explicit House(IoOperation operation) : what(operation) {}

  IoOperation what;
  bool shut = false;
  int hanging = 0;
  SimScheduler world{{.seed = 7, .time_limit = 1h, .step_limit = 20'000'000}};
  SimEnv<MemoryFileSystem> env{
      world, MemoryFileSystem(), {.executor = {.threads = 4}, .on_io = [this](IoCall& call) {
                                    if (!call.done && call.operation == what &&
                                        call.path.starts_with("data/t-0/") && shut) {
                                      ++hanging;
                                      while (shut) {
                                        pass(100ms);
                                      }
                                      --hanging;
                                    }
                                    return absl::OkStatus();
                                  }}};

  void pass(std::chrono::milliseconds time) { world.await_time(after(world.now(), time)); }
  absl::StatusOr<SimBroker> open() { return SimBroker::open(env, {.log_dirs = "data"}); }
  bool there(const std::string& path) { return env.file_system().status(path).ok(); }

  static bool produce(const SimBroker& broker, const std::string& topic, const std::string& value) {
    auto producer = must(TextProducer::open(
        broker, {.linger = 0ms, .delivery_timeout = 500ms, .request_timeout = 100ms}));
    const auto sent = producer.send({.topic = topic, .partition = PartitionId(0), .value = value});
    return sent.ok() && producer.wait(*sent).ok();
  }
  static std::vector<std::string> records(const SimBroker& broker) {
    auto consumer = must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
    must(consumer.assign({{"t", PartitionId(0)}}));
    std::vector<std::string> all;
    for (int i = 0; i < 3; ++i) {
      for (const auto& record : must(consumer.poll(100ms))) {
        all.push_back(*record.value());
      }
    }
    return all;
  }
  /// After: the topic is deleted, and a call on its files hangs.
  SimBroker delete_hung() {
    SimBroker broker = must(open());
    const std::string flush = what == IoOperation::sync ? "1" : "1000000";
    must(broker.create_topic(
        {.name = "t", .partitions = 1, .configs = {{"flush.messages", flush}}}));
    must(broker.create_topic({.name = "other", .partitions = 1}));
    shut = true;
    world.start(env.process(), "producer", [broker] { produce(broker, "t", "old"); });
    pass(1s);
    REQUIRE(hanging == 1);
    broker.delete_topic("t").IgnoreError();
    pass(120s);
    CHECK(hanging == 1);
    CHECK(there("data/t-0"));
    return broker;
  }
  template <class Work>
  void run(Work work) {
    must(world.run(env.process(), work));
  }
};

}  // namespace

TEST_CASE("a topic whose files somebody is in yet leaves its name to no other") {
  House it(GENERATE(IoOperation::write, IoOperation::sync));
  it.run([&] {
    {
      const SimBroker broker = it.delete_hung();
      const absl::Status refused = broker.create_topic({.name = "t", .partitions = 1});
      CHECK(error_code(refused) == ErrorCode::kafka_storage_error);
      CHECK(std::string(sv(refused.message())).find("still works on t-0") != std::string::npos);
      it.shut = false;
      it.pass(1s);
      CHECK(House::produce(broker, "other", "x"));
      must(broker.create_topic({.name = "t", .partitions = 1, .if_not_exists = true}));
      CHECK(House::produce(broker, "t", "new"));
      CHECK(House::records(broker) == std::vector<std::string>{"new"});
    }
    CHECK(House::records(must(it.open())) == std::vector<std::string>{"new"});
  });
}

TEST_CASE("the directory of a topic goes once nobody is in its files") {
  House it(GENERATE(IoOperation::write, IoOperation::sync));
  it.run([&] {
    const SimBroker broker = it.delete_hung();
    it.shut = false;
    it.pass(61s);
    CHECK_FALSE(it.there("data/t-0"));
    CHECK(House::produce(broker, "other", "x"));
  });
}

TEST_CASE("log directories stay locked while somebody is in the files of a deleted topic") {
  House it(IoOperation::write);
  it.run([&] {
    SimBroker broker = it.delete_hung();
    CHECK(fault(broker.close()) == Fault::timed_out);
    CHECK(fault(it.open().status()) == Fault::locked);
    it.shut = false;
    it.pass(1s);
    const SimBroker after = must(it.open());
    CHECK_FALSE(it.there("data/t-0"));
  });
}
