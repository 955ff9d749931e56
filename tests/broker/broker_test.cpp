// SPDX-License-Identifier: Apache-2.0
#include <functional>
#include <utility>

#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/small_file.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

TEST_CASE("topics are created, listed, described, grown and deleted") {
  MemoryEnv env;
  const MemoryBroker broker = open(env);
  REQUIRE(broker.create_topic({.name = "orders", .partitions = 3}).ok());
  REQUIRE(broker.create_topic({.name = "bills"}).ok());
  CHECK(*broker.list_topics() == std::vector<std::string>{"bills", "orders"});
  CHECK(broker.describe_topic("orders")->partitions.size() == 3);
  CHECK(broker.describe_topic("bills")->partitions.size() == 1);
  REQUIRE(broker.add_partitions("orders", 5).ok());
  CHECK(broker.describe_topic("orders")->partitions.size() == 5);
  REQUIRE(broker.delete_topic("orders").ok());
  CHECK(*broker.list_topics() == std::vector<std::string>{"bills"});
  CHECK(error_code(broker.describe_topic("orders").status()) ==
        ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("what cannot be a topic is refused with Kafka's code and a remedy") {
  MemoryEnv env;
  const MemoryBroker broker = open(env);
  REQUIRE(broker.create_topic({.name = "a.b"}).ok());
  const absl::Status again = broker.create_topic({.name = "a.b"});
  CHECK(error_code(again) == ErrorCode::topic_already_exists);
  CHECK(std::string(sv(again.message())).find("if_not_exists") != std::string::npos);
  CHECK(broker.create_topic({.name = "a.b", .if_not_exists = true}).ok());
  CHECK(error_code(broker.create_topic({.name = "a_b"})) == ErrorCode::invalid_topic_exception);
  CHECK(error_code(broker.create_topic({.name = "no way"})) == ErrorCode::invalid_topic_exception);
  CHECK(error_code(broker.create_topic({.name = "c", .partitions = 0})) ==
        ErrorCode::invalid_partitions);
  const absl::Status config =
      broker.create_topic({.name = "c", .configs = {{"retention.sm", "1"}}});
  CHECK(error_code(config) == ErrorCode::invalid_config);
  CHECK(std::string(sv(config.message())).find("retention.ms") != std::string::npos);
  CHECK(error_code(broker.add_partitions("a.b", 1)) == ErrorCode::invalid_partitions);
  CHECK(error_code(broker.delete_topic("nothing")) == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("topics and records are there again after a clean stop and after none") {
  const bool clean = GENERATE(true, false);
  MemoryEnv env;
  TopicId id;
  {
    MemoryBroker broker = open_with_topic(env, 2, {{"retention.ms", "-1"}});
    id = broker.describe_topic("orders")->id;
    produce_numbers(broker, 0, 10, 1);
    if (clean) {
      REQUIRE(broker.close().ok());
    }
  }
  const MemoryBroker broker = open(env);
  CHECK(broker.describe_topic("orders")->id == id);
  auto consumer = must(TextConsumer::open(broker));
  REQUIRE(consumer.assign({partition(1)}).ok());
  REQUIRE(consumer.seek_to_beginning().ok());
  CHECK(drain(consumer).size() == 10);
}

TEST_CASE("a deleted topic does not come back, and one of its name begins anew") {
  MemoryEnv env;
  {
    const MemoryBroker broker = open_with_topic(env, 1);
    produce_numbers(broker, 0, 5);
    REQUIRE(broker.delete_topic("orders").ok());
  }
  {
    const MemoryBroker broker = open(env);
    CHECK(broker.list_topics()->empty());
    REQUIRE(broker.create_topic({.name = "orders"}).ok());
    produce_numbers(broker, 0, 2);
  }
  const MemoryBroker broker = open(env);
  auto consumer = must(TextConsumer::open(broker));
  CHECK(consumer.end_offsets({partition(0)})->at(partition(0)) == Offset(2));
}

TEST_CASE("a directory has one broker at a time") {
  MemoryEnv env;
  MemoryBroker broker = open(env);
  const auto second = MemoryBroker::open(env, {.log_dirs = "data"});
  CHECK(fault(second.status()) == Fault::locked);
  REQUIRE(broker.close().ok());
  CHECK(MemoryBroker::open(env, {.log_dirs = "data"}).ok());
}

TEST_CASE("a broker without a directory says that it needs one") {
  MemoryEnv env;
  const auto broker = MemoryBroker::open(env, {});
  CHECK(error_code(broker.status()) == ErrorCode::invalid_config);
}

TEST_CASE("clients that outlive their broker are told that it is closed") {
  MemoryEnv env;
  auto broker = std::make_unique<MemoryBroker>(open_with_topic(env, 1));
  auto producer = must(TextProducer::open(*broker, {.linger = 0ms}));
  auto consumer = must(TextConsumer::open(*broker));
  REQUIRE(consumer.assign({partition(0)}).ok());
  REQUIRE(producer.send({.topic = "orders", .value = "before"}).ok());
  broker.reset();
  const auto sent = producer.send({.topic = "orders", .value = "after"});
  CHECK((!sent.ok() || fault(producer.wait(*sent).status()) == Fault::closed));
  CHECK(fault(consumer.poll(1s).status()) == Fault::closed);
}

TEST_CASE("a deleted topic leaves nothing in the checkpoints, also for a new one of its name") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  const auto noted = [&] {
    std::string all;
    for (const std::string_view file : checkpoint_files) {
      all += must(read_small_file(env.file_system(), "data/" + std::string(file), 10'000));
    }
    return all.find("orders 0") != std::string::npos;
  };
  produce_numbers(broker, 0, 10, 0);
  env.advance(61s);
  CHECK(noted());
  must(broker.delete_topic("orders"));
  CHECK_FALSE(noted());
  must(broker.create_topic({.name = "orders", .partitions = 1}));
  env.advance(61s);
  CHECK(noted());
  auto consumer = must(TextConsumer::open(broker));
  CHECK(consumer.end_offsets({partition(0)})->at(partition(0)) == Offset(0));
}

TEST_CASE("topics whose directories were found without a metadata log are adopted") {
  MemoryEnv env;
  {
    const MemoryBroker broker = open_with_topic(env, 3);
    produce_numbers(broker, 0, 4, 2);
  }
  REQUIRE(env.file_system().remove("data/ottla_metadata", IoReason::other).ok());
  std::vector<std::string> told;
  const MemoryBroker broker =
      must(MemoryBroker::open(env, {.log_dirs = "data", .on_event = [&](const BrokerEvent& event) {
                                      told.push_back(event.code);
                                    }}));
  CHECK(broker.describe_topic("orders")->partitions.size() == 3);
  CHECK(std::count(told.begin(), told.end(), "adopted_topic") == 1);
  auto consumer = must(TextConsumer::open(broker));
  CHECK(consumer.end_offsets({partition(2)})->at(partition(2)) == Offset(4));
  env.advance(24h * 30);  // four times the default; nobody said how long its records are kept
  CHECK(consumer.beginning_offsets({partition(2)})->at(partition(2)) == Offset(0));
}

TEST_CASE("old segments go by retention, and the log start stays where it was after a restart") {
  MemoryEnv env;
  {
    const MemoryBroker broker =
        open_with_topic(env, 1, {{"internal.segment.bytes", "2000"}, {"retention.ms", "60000"}});
    env.set_wall(Timestamp(1'600'000'000'000));
    produce_numbers(broker, 0, 200, 0, {.batch_size = 500});
    env.set_wall(Timestamp(1'600'000'000'000 + 600'000));
    produce_numbers(broker, 600'000, 1, 0);
    env.advance(301s);
    auto consumer = must(TextConsumer::open(broker));
    CHECK(consumer.beginning_offsets({partition(0)})->at(partition(0)) > Offset(150));
  }
  const MemoryBroker broker = open(env);
  auto consumer = must(TextConsumer::open(broker));
  CHECK(consumer.beginning_offsets({partition(0)})->at(partition(0)) > Offset(150));
  REQUIRE(consumer.assign({partition(0)}).ok());
  REQUIRE(consumer.seek(partition(0), Offset(0)).ok());
  REQUIRE(consumer.poll(10ms).ok());  // out of range: begins anew by the reset policy
}

TEST_CASE("a group asked for while another topic is being written waits for its turn") {
  std::function<void()> meanwhile;
  const auto hook = [&](IoCall& call) {
    const bool writes = call.operation == IoOperation::write && !call.done;
    if (writes && call.path.ends_with("ottla_metadata") && meanwhile) {
      std::exchange(meanwhile, nullptr)();
    }
    return absl::OkStatus();
  };
  MemoryEnv env({.files = AnyFileSystem(FaultFileSystem(MemoryFileSystem(), hook))});
  const MemoryBroker broker = open(env);
  const auto committed = [&] {
    return ask<OffsetFetchResponse>(*broker.connect(), OffsetFetchRequest{.group = "g"},
                                    after(env.clock().steady_now(), 100s))
        .status();
  };
  meanwhile = [&] {
    const absl::Status asked = committed();
    CHECK(fault(asked) == Fault::timed_out);  // nobody writes the topic while this waits
    CHECK(error_code(asked) == ErrorCode::coordinator_not_available);
  };
  REQUIRE(broker.create_topic({.name = "orders", .partitions = 2}).ok());
  CHECK_FALSE(meanwhile);
  CHECK(broker.list_topics()->size() == 2);
  CHECK(committed().ok());
  CHECK(broker.describe_topic("orders")->partitions.size() == 2);
}

TEST_CASE("the broker's own topics are neither created nor written by clients") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  for (const std::string name : {"__consumer_offsets", "__cluster_metadata"}) {
    CHECK(error_code(broker.create_topic({.name = name})) == ErrorCode::invalid_topic_exception);
  }
  CHECK(broker.create_topic({.name = "__mine"}).ok());
  auto consumer = must(TextConsumer::open(broker, {.group = "g"}));
  must(consumer.committed({partition(0)}));  // makes __consumer_offsets
  CHECK(error_code(broker.add_partitions("__consumer_offsets", 60)) ==
        ErrorCode::invalid_topic_exception);
  auto producer = must(TextProducer::open(broker));
  const auto sent = producer.send({.topic = "__consumer_offsets", .key = "k", .value = "v"});
  const absl::Status outcome = sent.ok() ? producer.wait(*sent).status() : sent.status();
  CHECK(error_code(outcome) == ErrorCode::invalid_topic_exception);
  must(consumer.committed({partition(0)}));
}

TEST_CASE("a broker's config is checked as a whole when it is opened") {
  MemoryEnv env;
  const auto code = [&](BrokerConfig config) {
    return error_code(MemoryBroker::open(env, std::move(config)).status());
  };
  CHECK(code({.log_dirs = "d", .log = {.retention = -1ms}}) == ErrorCode::invalid_config);
  CHECK(code({.log_dirs = "d", .log = {.retention_bytes = -1}}) == ErrorCode::invalid_config);
  CHECK(code({.log_dirs = "d", .log = {.segment_bytes = 0}}) == ErrorCode::invalid_config);
  CHECK(code({.log_dirs = "d", .offsets = {.metadata_max_bytes = -1}}) ==
        ErrorCode::invalid_config);
  CHECK(code({.log_dirs = {"one", "one"}}) == ErrorCode::invalid_config);
  CHECK(code({.log_dirs = "d", .staged_bytes = -1}) == ErrorCode::invalid_config);
  CHECK(code({.log_dirs = "d", .write_out_delay = -1us}) == ErrorCode::invalid_config);
  CHECK(MemoryBroker::open(env, {.log_dirs = "d", .log = {.retention = std::nullopt}}).ok());
}

TEST_CASE(
    "a partition that cannot be opened holds up no other, and is tried again when asked for") {
  bool fails = true;
  const auto hook = [&](IoCall& call) {
    const bool hit = fails && !call.done && call.operation == IoOperation::open &&
                     call.path.find("orders-1/") != std::string_view::npos;
    return hit ? error(Fault::io, "the device failed") : absl::OkStatus();
  };
  MemoryEnv env({.files = AnyFileSystem(FaultFileSystem(MemoryFileSystem(), hook))});
  const auto file_system_answers = [&](const MemoryBroker& broker) {
    CHECK_NOTHROW(produce_numbers(broker, 0, 1, 0));
    auto producer = must(TextProducer::open(broker));
    const auto sent = producer.send({.topic = "orders", .partition = PartitionId(1), .value = "v"});
    const absl::Status outcome = sent.ok() ? producer.wait(*sent).status() : sent.status();
    CHECK(error_code(outcome) == ErrorCode::kafka_storage_error);
    auto consumer = must(TextConsumer::open(broker));
    CHECK(error_code(consumer.end_offsets({partition(1)}).status()) ==
          ErrorCode::kafka_storage_error);
  };
  {
    const MemoryBroker broker = open(env);
    const TopicDefinition orders{.name = "orders", .partitions = 2, .if_not_exists = true};
    CHECK(error_code(broker.create_topic(orders)) == ErrorCode::kafka_storage_error);
    const absl::Status again = broker.create_topic(orders);
    CHECK(error_code(again) == ErrorCode::kafka_storage_error);
    CHECK(outcome(again) == Outcome::unknown);  // it is there
    file_system_answers(broker);
    fails = false;
    CHECK(broker.create_topic(orders).ok());
    produce_numbers(broker, 0, 1, 1);
  }
  fails = true;
  {
    std::vector<std::string> told;
    const MemoryBroker broker =
        open(env, {.on_event = [&](const BrokerEvent& event) { told.push_back(event.code); }});
    CHECK(std::count(told.begin(), told.end(), "partition_offline") == 1);
    file_system_answers(broker);
    REQUIRE(broker.delete_topic("orders").ok());
  }
  CHECK(env.file_system().status("data/orders-1").ok());  // nobody could tell whose it is
  fails = false;
  const MemoryBroker broker = open(env);
  CHECK_FALSE(env.file_system().status("data/orders-1").ok());
}

TEST_CASE("a directory that does not say whose it is is made again where it is empty") {
  MemoryEnv env;
  {
    const MemoryBroker broker = open_with_topic(env, 2);
    produce_numbers(broker, 0, 3, 1);
  }
  for (const DirectoryEntry& entry : must(env.file_system().list("data/orders-0"))) {
    REQUIRE(env.file_system().remove("data/orders-0/" + entry.name, IoReason::other).ok());
  }
  REQUIRE(env.file_system().remove("data/orders-1/partition.metadata", IoReason::other).ok());
  std::vector<std::string> told;
  const MemoryBroker broker = open(env, {.on_event = [&](const BrokerEvent& event) {
                                     told.push_back(event.code + " " + event.file);
                                   }});
  CHECK(told ==
        std::vector<std::string>{"partition_offline orders-1", "unknown_directory data/orders-1"});
  produce_numbers(broker, 0, 1, 0);
  auto consumer = must(TextConsumer::open(broker));
  CHECK(consumer.end_offsets({partition(0)})->at(partition(0)) == Offset(1));
}

TEST_CASE("work whose interval is the longest there is waits") {
  constexpr auto longest = std::chrono::milliseconds::max();
  MemoryEnv env;
  const MemoryBroker broker = open(env, {.retention_check_interval = longest,
                                         .checkpoint_interval = longest,
                                         .cleaner = {.backoff = longest},
                                         .scrubber = {.interval = longest},
                                         .close_timeout = longest});
  must(broker.create_topic({.name = "orders", .configs = {{"cleanup.policy", "compact"}}}));
  env.advance(1h);
  CHECK(env.advance(1h) < 100);
}

TEST_CASE("closing twice answers the same") {
  MemoryEnv env;
  MemoryBroker broker = open_with_topic(env, 1);
  CHECK(broker.close().ok());
  CHECK(broker.close().ok());
  CHECK(env.file_system().status("data/.kafka_cleanshutdown").ok());
}

TEST_CASE("a log whose files are gone is damaged, not empty, and nobody waits for its records") {
  const bool clean = GENERATE(true, false);
  MemoryEnv env;
  {
    const MemoryBroker broker = open_with_topic(env, 2);
    produce_numbers(broker, 0, 10, 0);
    produce_numbers(broker, 0, 10, 1);
  }
  auto& files = env.file_system();
  if (!clean) must(files.remove("data/.kafka_cleanshutdown", IoReason::other));
  must(files.remove("data/orders-0/00000000000000000000.log", IoReason::other));
  MemoryBroker broker = open(env);
  auto consumer = must(TextConsumer::open(broker));
  must(consumer.assign({partition(0)}));
  must(consumer.seek_to_beginning());
  CHECK(fault(consumer.poll(1s).status()) == Fault::corrupt);
  must(consumer.assign({partition(1)}));
  must(consumer.seek_to_beginning());
  CHECK(drain(consumer).size() == 10);
  CHECK(broker.close().ok());
}

TEST_CASE("an index that readers found damaged is made anew while the broker runs") {
  MemoryEnv env;
  const std::string path = "data/orders-0/00000000000000000000.index";
  const auto content = [&] { return must(read_small_file(env.file_system(), path, 10'000)); };
  {
    const MemoryBroker broker =
        open_with_topic(env, 1, {{"internal.segment.bytes", "400"}, {"index.interval.bytes", "0"}});
    for (int i = 0; i < 12; ++i) produce_numbers(broker, i, 1);
  }
  const std::string index = content();
  REQUIRE(index.size() >= 16);
  auto file = must(env.file_system().open(path, OpenMode::read_write, IoReason::other));
  const std::byte wrong{static_cast<unsigned char>(index[7] + 5)};  // a position inside a batch
  const Bytes byte(&wrong, 1);
  must(file.write(7, {&byte, 1}, IoReason::other));
  const MemoryBroker broker = open(env);
  CHECK(content() != index);
  TextConsumer consumer = must(TextConsumer::open(broker, {}));
  must(consumer.assign({partition(0)}));
  must(consumer.seek(partition(0), Offset(1)));
  CHECK(drain(consumer).size() == 11);
  env.advance(6min);
  CHECK(content() == index);
  must(consumer.seek(partition(0), Offset(1)));
  CHECK(drain(consumer).size() == 11);
}
