// SPDX-License-Identifier: Apache-2.0
//
// A broker that may only read, beside one that writes, in one directory.
#include <ottla/consumer/consumer.hpp>

#include "tests/log/read_only_files.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

/// One file system, seen by two processes; the second one fails the test where it changes anything.
struct Two {
  MemoryFileSystem disk;
  MemoryEnv writers{{.files = AnyFileSystem(disk)}};
  MemoryEnv readers{{.files = log_test::reading(disk)}};
  std::vector<std::string> told;

  MemoryBroker writer(BrokerConfig config = {}) { return open(writers, std::move(config)); }
  /// With "orders", and so many records in it.
  MemoryBroker writer_of(int records, BrokerConfig config = {}) {
    MemoryBroker broker = writer(std::move(config));
    must(broker.create_topic({.name = "orders"}));
    produce_numbers(broker, 0, records);
    return broker;
  }
  absl::StatusOr<MemoryBroker> try_reader(MemoryEnv& env) {
    BrokerConfig config{.log_dirs = "data",
                        .access = Access::read_only,
                        .on_event = [this](const BrokerEvent& event) {
                          told.push_back(event.code + " " + event.file);
                        }};
    return MemoryBroker::open(env, std::move(config));
  }
  MemoryBroker reader(MemoryEnv& env) { return must(try_reader(env)); }
  MemoryBroker reader() { return reader(readers); }
};

TextConsumer consumer_of(const MemoryBroker& broker, std::vector<TopicPartition> partitions,
                         ConsumerConfig config = {}) {
  config.offset_reset = OffsetReset::earliest;
  TextConsumer consumer = must(TextConsumer::open(broker, std::move(config)));
  must(consumer.assign(std::move(partitions)));
  return consumer;
}

void check_refused(const absl::Status& status) {
  INFO(status);
  CHECK(fault(status) == Fault::read_only);
  CHECK(error_code(status) == ErrorCode::policy_violation);
  CHECK(status.message().find("Access::read_only") != absl::string_view::npos);
}

}  // namespace

TEST_CASE("A reader sees topics and records while the writer is at work, and changes nothing") {
  Two two;
  const MemoryBroker writer = two.writer();
  must(writer.create_topic({.name = "orders", .partitions = 2}));
  produce_numbers(writer, 0, 10);
  const MemoryBroker reader = two.reader();
  CHECK(must(reader.list_topics()) == std::vector<std::string>{"orders"});
  CHECK(must(reader.describe_topic("orders")).partitions.size() == 2);
  TextConsumer consumer = consumer_of(reader, {partition(0), partition(1)});
  CHECK(drain(consumer).size() == 10);
  produce_numbers(writer, 10, 5, 1);
  const auto more = drain(consumer);
  REQUIRE(more.size() == 5);
  CHECK(more.back() == "orders-1@4 null=n14");
  CHECK(two.told.empty());
  must(reader.close());
  must(writer.close());
}

TEST_CASE("Who waits is woken by what another process writes") {
  Two two;
  const MemoryBroker writer = two.writer_of(0);
  const MemoryBroker reader = two.reader();
  TextConsumer consumer = consumer_of(reader, {partition(0)});
  CHECK(must(consumer.poll(100ms)).empty());
  const SteadyTime begun = two.readers.clock().steady_now();
  two.readers.executor().post_at(
      begun + 500ms, [&] { produce_numbers(writer, 0, 1); }, no_lane);
  CHECK(texts(must(consumer.poll(10s))) == std::vector<std::string>{"orders-0@0 null=n0"});
  CHECK(two.readers.clock().steady_now() - begun <= 510ms);
}

TEST_CASE("Where nobody waits nothing is looked at") {
  Two two;
  const MemoryBroker writer = two.writer_of(0);
  int calls = 0;
  MemoryEnv env({.files = AnyFileSystem(FaultFileSystem(two.disk, [&](IoCall&) {
                   ++calls;
                   return absl::OkStatus();
                 }))});
  const MemoryBroker reader = two.reader(env);
  {
    TextConsumer consumer = consumer_of(reader, {partition(0)});
    CHECK(must(consumer.poll(100ms)).empty());
    must(consumer.close());
  }
  env.advance(2s);  // who has gone is woken
  calls = 0;
  env.advance(1h);
  CHECK(calls == 0);
}

TEST_CASE("Topics that the writer makes, enlarges and deletes are seen when they are asked for") {
  Two two;
  const MemoryBroker writer = two.writer();
  const MemoryBroker reader = two.reader();
  CHECK(must(reader.list_topics()).empty());
  must(writer.create_topic({.name = "orders"}));
  produce_numbers(writer, 0, 3);
  TextConsumer consumer = consumer_of(reader, {partition(0)});
  CHECK(drain(consumer).size() == 3);
  must(writer.add_partitions("orders", 3));
  CHECK(must(reader.describe_topic("orders")).partitions.size() == 3);
  CHECK(drain(consumer).empty());
  produce_numbers(writer, 3, 2);
  CHECK(drain(consumer).size() == 2);
  must(writer.delete_topic("orders"));
  CHECK(must(reader.list_topics()).empty());
}

TEST_CASE("Records of a topic that was made anew are not taken for those of the old one") {
  Two two;
  const MemoryBroker writer = two.writer_of(3);
  const MemoryBroker reader = two.reader();
  const TopicId old = must(reader.describe_topic("orders")).id;
  const auto fetch = [&](Offset offset) {
    const FetchPartition wanted{.topic_id = old, .offset = offset};
    const FetchRequest request{.partitions = {&wanted, 1}};
    FetchResponse response;
    must(reader.connect()->fetch(request, response, {}));
    return response.partitions.at(0).status;
  };
  must(fetch(Offset(3)));
  must(writer.delete_topic("orders"));
  CHECK(error_code(fetch(Offset(3))) == ErrorCode::unknown_topic_id);
  must(writer.create_topic({.name = "orders"}));
  produce_numbers(writer, 0, 9);
  CHECK(error_code(fetch(Offset(3))) == ErrorCode::unknown_topic_id);
  TextConsumer consumer = consumer_of(reader, {partition(0)});
  CHECK(drain(consumer).size() == 9);
}

TEST_CASE("Whatever would write is refused, and says why") {
  Two two;
  const MemoryBroker writer = two.writer_of(3);
  const MemoryBroker reader = two.reader();
  check_refused(reader.create_topic({.name = "more"}));
  check_refused(reader.delete_topic("orders"));
  check_refused(reader.add_partitions("orders", 2));
  check_refused(reader.verify().status());
  check_refused(reader.confirm_clock());
  const Admin admin = must(Admin::open(reader));
  check_refused(admin.delete_records(partition(0), Offset(1)).status());

  auto producer = must(TextProducer::open(reader, {.enable_idempotence = Idempotence::off}));
  const auto sent = producer.send({.topic = "orders", .value = "v"});
  const absl::Status flushed = producer.flush();
  CHECK((!sent.ok() || !flushed.ok()));
  check_refused(sent.ok() ? flushed : sent.status());

  TextConsumer consumer = consumer_of(reader, {partition(0)}, {.group = "billing"});
  CHECK(drain(consumer).size() == 3);
  check_refused(consumer.commit());
  TextConsumer member =
      must(TextConsumer::open(reader, {.group = "billing", .topics = {"orders"}}));
  absl::Status joined;
  for (int i = 0; i < 5 && joined.ok(); ++i) {
    joined = member.poll(100ms).status();
  }
  check_refused(joined);
}

TEST_CASE("What groups have committed is where their readers begin") {
  Two two;
  const MemoryBroker writer = two.writer_of(5, {.offsets_topic_partitions = 3});
  const MemoryBroker reader = two.reader();
  TextConsumer other = consumer_of(writer, {partition(0)}, {.group = "billing"});
  CHECK(drain(other).size() == 5);
  must(other.commit());
  produce_numbers(writer, 5, 2);
  {
    TextConsumer consumer =
        consumer_of(reader, {partition(0)}, {.group = "billing", .auto_commit = false});
    CHECK(drain(consumer).size() == 2);
  }
  CHECK(drain(other).size() == 2);
  must(other.commit());
  produce_numbers(writer, 7, 4);
  TextConsumer later =
      consumer_of(reader, {partition(0)}, {.group = "billing", .auto_commit = false});
  CHECK(drain(later).size() == 4);
  TextConsumer fresh = consumer_of(reader, {partition(0)}, {.group = "new", .auto_commit = false});
  CHECK(drain(fresh).size() == 11);
}

TEST_CASE("What is committed in a topic of groups that was made since is seen") {
  Two two;
  const MemoryBroker writer = two.writer_of(5, {.offsets_topic_partitions = 3});
  const MemoryBroker reader = two.reader();
  TextConsumer mine =
      consumer_of(reader, {partition(0)}, {.group = "billing", .auto_commit = false});
  const Admin admin = must(Admin::open(reader));
  TextConsumer other = consumer_of(writer, {partition(0)}, {.group = "billing"});
  CHECK(drain(other).size() == 5);
  must(other.commit());
  CHECK(must(admin.list_groups()).size() == 1);
  CHECK(must(mine.committed({partition(0)})).size() == 1);
}

TEST_CASE("A partition that does not say whose it is does not keep the others from being read") {
  Two two;
  const MemoryBroker writer = two.writer_of(5);
  must(writer.create_topic({.name = "bad"}));
  MemoryEnv env({.files = AnyFileSystem(FaultFileSystem(two.disk, [](IoCall& call) {
                   const bool hit = call.operation == IoOperation::open &&
                                    call.path.ends_with("bad-0/partition.metadata");
                   return hit ? error(Fault::io, "a bad sector") : absl::OkStatus();
                 }))});
  const MemoryBroker reader = two.reader(env);
  CHECK(two.told == std::vector<std::string>{"unknown_directory data/bad-0/partition.metadata"});
  TextConsumer consumer = consumer_of(reader, {partition(0)});
  CHECK(drain(consumer).size() == 5);
}

TEST_CASE("Offsets by time, the first and the last one are those of the writer") {
  Two two;
  const MemoryBroker writer = two.writer_of(10);
  const MemoryBroker reader = two.reader();
  TextConsumer theirs = consumer_of(writer, {partition(0)});
  TextConsumer mine = consumer_of(reader, {partition(0)});
  CHECK(must(mine.beginning_offsets({partition(0)})) ==
        must(theirs.beginning_offsets({partition(0)})));
  CHECK(must(mine.end_offsets({partition(0)})) == must(theirs.end_offsets({partition(0)})));
  const Timestamp middle(1'600'000'000'006);
  CHECK(must(mine.offsets_for_times({{partition(0), middle}})) ==
        must(theirs.offsets_for_times({{partition(0), middle}})));
}

TEST_CASE("Records that were deleted are gone for readers, too") {
  Two two;
  const MemoryBroker writer = two.writer_of(10);
  const MemoryBroker reader = two.reader();
  must(must(Admin::open(writer)).delete_records(partition(0), Offset(4)).status());
  TextConsumer consumer = consumer_of(reader, {partition(0)});
  CHECK(drain(consumer).size() == 6);
}

TEST_CASE("A directory that nobody has open, and one that a process left by dying, are read") {
  Two two;
  for (const bool dies : {false, true}) {
    {
      const MemoryBroker writer = two.writer();
      must(writer.create_topic({.name = "orders", .if_not_exists = true}));
      produce_numbers(writer, 0, 10);
      if (!dies) {
        must(writer.close());
      }
      const MemoryBroker reader = two.reader();
      TextConsumer consumer = consumer_of(reader, {partition(0)});
      CHECK(drain(consumer).size() == (dies ? 20U : 10U));
    }
  }
}

TEST_CASE("A directory that is not there, and one in memory, are not opened to be read") {
  Two two;
  CHECK(fault(two.try_reader(two.readers).status()) == Fault::not_found);
  const absl::Status in_memory_refused =
      Broker::open({.log_dirs = in_memory, .access = Access::read_only}).status();
  CHECK(error_code(in_memory_refused) == ErrorCode::invalid_config);
}

TEST_CASE("On a read-only medium a broker that would write says how it can be read") {
  Two two;
  must(two.writer_of(0).close());
  MemoryEnv env({.files = AnyFileSystem(FaultFileSystem(two.disk, [](IoCall& call) {
                   return log_test::is_change(call) ? error(Fault::read_only, "a read-only medium")
                                                    : absl::OkStatus();
                 }))});
  const absl::Status refused = MemoryBroker::open(env, {.log_dirs = "data"}).status();
  CHECK(fault(refused) == Fault::read_only);
  CHECK(refused.message().find("Access::read_only") != absl::string_view::npos);
  CHECK(two.try_reader(env).ok());
}

TEST_CASE("Kafka's directories are served as they are") {
  Two two;
  const auto copy = [&](const std::filesystem::path& from) {
    must(two.disk.create_directory("data", IoReason::other));
    for (const auto& entry : std::filesystem::recursive_directory_iterator(from)) {
      const std::string to = "data/" + entry.path().lexically_relative(from).string();
      if (entry.is_directory()) {
        must(two.disk.create_directory(to, IoReason::other));
      } else {
        auto file = must(two.disk.open(to, OpenMode::create, IoReason::other));
        const std::string text = golden::read_text(entry.path());
        const Bytes piece = as_bytes(text);
        must(file.write(0, {&piece, 1}, IoReason::other));
      }
    }
  };
  copy(golden::dir() / "rolled" / "data");
  const MemoryBroker reader = two.reader();
  const auto expected = golden::read_json(golden::dir() / "rolled" / "expected.json");
  int partitions = 0;
  for (const auto& [name, client] : expected["client"].items()) {
    INFO(name);
    const auto id = TopicPartition::parse(name);
    if (!id || !client.contains("consumer_read_uncommitted") ||
        !two.disk.status("data/" + name).ok()) {
      continue;
    }
    TextConsumer consumer = consumer_of(reader, {*id});
    std::int64_t count = 0;
    for (;;) {
      const auto records = must(consumer.poll(10ms));
      if (records.empty()) break;
      count += records.count();
    }
    CHECK(count == client["consumer_read_uncommitted"]["count"].get<std::int64_t>());
    ++partitions;
  }
  CHECK(partitions > 0);
}
