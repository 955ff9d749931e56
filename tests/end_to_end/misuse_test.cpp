// SPDX-License-Identifier: Apache-2.0
//
// What is done wrong is a typed error that names the cause and the remedy: on the system's files,
// with threads, as a user's program meets it. Nothing aborts, and no destructor hangs.
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include <sys/wait.h>
#include <unistd.h>

#include <ottla/ottla.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/failing_memory.hpp"
#include "tests/support/memory_broker.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace ottla;
using test::must;
using test::TextConsumer;
using test::TextProducer;
using namespace std::chrono_literals;

namespace {

Broker open_on(const TemporaryDirectory& directory) {
  Broker broker = must(Broker::open({.log_dirs = directory / "data"}));
  must(broker.create_topic({.name = "orders", .partitions = 2, .if_not_exists = true}));
  return broker;
}

bool says(const absl::Status& status, const std::string& text) {
  INFO(status);
  return std::string(status.message()).find(text) != std::string::npos;
}

/// Whether `body` holds in a child of fork, which ends within the test's time. It starts no
/// threads: TSan ends a child that does.
template <class Body>
bool in_child(Body body) {
#ifdef OTTLA_TEST_SANITIZED
  constexpr int most = 5;  // a sanitizer's allocator may be locked, by another thread, at the fork
#else
  constexpr int most = 1;
#endif
  for (int forks = 1;; ++forks) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(30);
      _exit(body() ? 0 : 1);
    }
    int status = 0;
    const bool ended = waitpid(child, &status, 0) == child;
    const bool hung = ended && WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    if (!hung || forks == most) {
      return ended && status == 0;
    }
  }
}

}  // namespace

TEST_CASE("a topic that is not there is named, with what to do") {
  const TemporaryDirectory directory;
  const Broker broker = open_on(directory);
  auto producer = must(TextProducer::open(broker, {.max_block = 50ms}));
  auto consumer = must(TextConsumer::open(broker));
  for (const absl::Status& status :
       {producer.send({.topic = "ordres", .value = "v"}).status(),
        producer.topic("ordres").status(), consumer.assign({{"ordres", PartitionId(0)}}),
        consumer.partitions_of("ordres").status(), broker.describe_topic("ordres").status(),
        broker.delete_topic("ordres"), broker.add_partitions("ordres", 3)}) {
    CHECK(error_code(status) == ErrorCode::unknown_topic_or_partition);
    CHECK(says(status, "ordres"));
  }
}

TEST_CASE("bad names, partitions and records are refused by the call that brings them") {
  const TemporaryDirectory directory;
  const Broker broker = open_on(directory);
  for (const std::string name : {"", ".", "a/b", "white space"}) {
    const absl::Status status = broker.create_topic({.name = name});
    CHECK(error_code(status) == ErrorCode::invalid_topic_exception);
    CHECK(says(status, "use 1 to 249 of the characters"));
  }
  CHECK(error_code(broker.create_topic({.name = "orders"})) == ErrorCode::topic_already_exists);
  auto producer = must(TextProducer::open(broker, {.max_request_size = 1'000}));
  const auto wrong = producer.send({.topic = "orders", .partition = PartitionId(2), .value = "v"});
  CHECK(fault(wrong.status()) == Fault::invalid_argument);
  CHECK(says(wrong.status(), "2"));
  const std::string large(1'000, 'x');
  const auto oversized = producer.send({.topic = "orders", .value = large});
  CHECK(error_code(oversized.status()) == ErrorCode::message_too_large);
  CHECK(says(oversized.status(), "max.request.size"));
  CHECK(producer.flush().ok());
}

TEST_CASE("a batch beyond the broker's limit fails with Kafka's code, its neighbours do not") {
  const TemporaryDirectory directory;
  const Broker broker =
      must(Broker::open({.log_dirs = directory / "data", .message_max_bytes = 1'000}));
  must(broker.create_topic({.name = "orders"}));
  auto producer = must(TextProducer::open(broker));
  const auto before = must(producer.send({.topic = "orders", .value = "small"}));
  const std::string large(2'000, 'x');
  const auto sent = must(producer.send({.topic = "orders", .value = large}));
  CHECK(producer.wait(before).ok());
  CHECK(error_code(producer.wait(sent).status()) == ErrorCode::message_too_large);
}

TEST_CASE("a second broker on the directory is told who has it, in this process and another") {
  const TemporaryDirectory directory;
  const Broker broker = open_on(directory);
  const auto second = Broker::open({.log_dirs = directory / "data"});
  CHECK(fault(second.status()) == Fault::locked);
  CHECK(says(second.status(), directory / "data is open in this process"));
  const std::string holder = std::to_string(getpid());
  CHECK(in_child([&] {
    const auto other = Broker::open({.log_dirs = directory / "data", .threads = 0});
    return fault(other.status()) == Fault::locked && says(other.status(), holder);
  }));
  CHECK(broker.close().ok());
  CHECK(Broker::open({.log_dirs = directory / "data"}).ok());
}

TEST_CASE("directories that cannot be had say why") {
  const TemporaryDirectory directory;
  const auto missing = Broker::open({.log_dirs = directory / "a/b"});
  CHECK(fault(missing.status()) == Fault::not_found);
  CHECK(says(missing.status(), "make the directories above it first"));
  const auto file = Broker::open({.log_dirs = "/dev/null/data"});
  CHECK(fault(file.status()) == Fault::not_found);
  CHECK(says(file.status(), "/dev/null/data"));
  CHECK(fault(Broker::open({}).status()) == Fault::invalid_argument);
  if (geteuid() != 0) {  // root writes everywhere
    std::filesystem::permissions(directory.path(), std::filesystem::perms(0500));
    const auto closed = Broker::open({.log_dirs = directory / "data"});
    CHECK(fault(closed.status()) == Fault::read_only);
    CHECK(says(closed.status(), "let this user write there"));
    std::filesystem::permissions(directory.path(), std::filesystem::perms(0700));
  }
}

TEST_CASE("what was moved from says where to turn") {
  const TemporaryDirectory directory;
  Broker first = open_on(directory);
  const Broker broker = std::move(first);
  CHECK(fault(first.create_topic({.name = "t"})) == Fault::moved_from);
  CHECK(fault(first.list_topics().status()) == Fault::moved_from);
  CHECK(fault(first.close()) == Fault::moved_from);
  CHECK(first.run_once(1ms) == 0);
  CHECK(fault(TextProducer::open(first).status()) == Fault::moved_from);
  CHECK(fault(TextConsumer::open(first, {.group = "g"}).status()) == Fault::moved_from);
  auto producer = must(TextProducer::open(broker));
  Topic topic = must(producer.topic("orders"));
  const Topic taken = std::move(topic);
  CHECK(topic.name().empty());
  CHECK(topic.partitions() == 0);
  CHECK_FALSE(producer.send({.topic = topic, .value = "v"}).ok());
  CHECK(producer.send({.topic = taken, .value = "v"}).ok());
  auto other = std::move(producer);
  CHECK(fault(producer.send({.topic = "orders", .value = "v"}).status()) == Fault::moved_from);
  CHECK(fault(producer.close()) == Fault::moved_from);
  CHECK(other.close().ok());
  CHECK(fault(other.send({.topic = "orders", .value = "v"}).status()) == Fault::closed);
}

TEST_CASE("a position of a partition that is not assigned is refused, with what to do first") {
  const TemporaryDirectory directory;
  const Broker broker = open_on(directory);
  auto consumer = must(TextConsumer::open(broker));
  const absl::Status early = consumer.seek({"orders", PartitionId(0)}, Offset(0));
  CHECK(fault(early) == Fault::invalid_argument);
  CHECK(says(early, "orders-0 is not assigned to this consumer; assign it first"));
  must(consumer.assign({{"orders", PartitionId(0)}}));
  CHECK(consumer.seek({"orders", PartitionId(0)}, Offset(0)).ok());
}

TEST_CASE("directories and threads that are none are refused before anything is begun") {
  for (const LogDirs& none : {LogDirs(), LogDirs(""), LogDirs{"a", ""}}) {
    const absl::Status status = Broker::open({.log_dirs = none}).status();
    CHECK(error_code(status) == ErrorCode::invalid_config);
    CHECK(says(status, "name a directory, or ottla::in_memory"));
  }
  for (const int threads : {-1, 1'025}) {
    const absl::Status status = Broker::open({.log_dirs = in_memory, .threads = threads}).status();
    CHECK(error_code(status) == ErrorCode::invalid_config);
    CHECK(says(status, "threads is " + std::to_string(threads)));
    CHECK(says(status, "0 starts none"));
  }
}

TEST_CASE("an unknown config key names its neighbour") {
  ProducerConfig producer;
  ConsumerConfig consumer;
  BrokerConfig broker;
  CHECK(says(set_config(producer, "lingr.ms", "5"), "linger.ms"));
  CHECK(says(set_config(consumer, "group", "g"), "group"));
  CHECK(says(set_config(broker, "num.partition", "5"), "num.partitions"));
  CHECK(error_code(set_config(producer, "no.such.thing", "5")) == ErrorCode::invalid_config);
  const TemporaryDirectory directory;
  const absl::Status topic =
      open_on(directory).create_topic({.name = "t", .configs = {{"retention.m", "5"}}});
  CHECK(error_code(topic) == ErrorCode::invalid_config);
  CHECK(says(topic, "retention.ms"));
}

TEST_CASE("in a child of fork all objects refuse, none hangs, and new ones may be opened") {
  const TemporaryDirectory directory;
  auto broker = std::make_unique<Broker>(open_on(directory));
  auto producer = std::make_unique<TextProducer>(must(TextProducer::open(*broker)));
  auto consumer = std::make_unique<TextConsumer>(
      must(TextConsumer::open(*broker, {.group = "g", .topics = {"orders"}})));
  must(consumer->poll(100ms).status());
  CHECK(in_child([&] {
    const bool refused =
        fault(broker->create_topic({.name = "t"})) == Fault::forked &&
        fault(broker->verify().status()) == Fault::forked &&
        fault(broker->confirm_clock()) == Fault::forked &&
        fault(broker->close()) == Fault::forked &&
        fault(producer->send({.topic = "orders", .value = "v"}).status()) == Fault::forked &&
        fault(consumer->poll(10s).status()) == Fault::forked &&
        fault(consumer->commit()) == Fault::forked &&
        fault(consumer->on_ready([] {})) == Fault::forked;
    consumer->wakeup();
    consumer.reset();
    producer.reset();
    broker.reset();
    const auto own = Broker::open({.log_dirs = directory / "own", .threads = 0});
    return refused && own.ok() && own->create_topic({.name = "t"}).ok();
  }));
  CHECK(must(producer->wait(must(producer->send({.topic = "orders", .value = "v"})))).offset ==
        Offset(0));
}

TEST_CASE("clients that outlive their broker are told so, and end at once") {
  const TemporaryDirectory directory;
  auto broker = std::make_unique<Broker>(open_on(directory));
  auto producer = std::make_unique<TextProducer>(must(TextProducer::open(*broker)));
  auto consumer = std::make_unique<TextConsumer>(
      must(TextConsumer::open(*broker, {.group = "g", .topics = {"orders"}})));
  must(producer->wait(must(producer->send({.topic = "orders", .value = "v"}))).status());
  while (must(consumer->assignment()).empty()) must(consumer->poll(100ms).status());
  broker.reset();
  const auto sent = producer->send({.topic = "orders", .value = "v"});
  CHECK((!sent.ok() || fault(producer->wait(*sent).status()) == Fault::closed));
  CHECK(fault(consumer->poll(10s).status()) == Fault::closed);
  CHECK(fault(consumer->commit()) == Fault::closed);
  consumer.reset();
  producer.reset();
  CHECK(Broker::open({.log_dirs = directory / "data"}).ok());
}
