// SPDX-License-Identifier: Apache-2.0
#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

TextConsumer reader(const MemoryBroker& broker, std::vector<TopicPartition> of,
                    ConsumerConfig config = {}) {
  config.offset_reset = OffsetReset::earliest;
  TextConsumer consumer = must(TextConsumer::open(broker, std::move(config)));
  must(consumer.assign(of));
  return consumer;
}

}  // namespace

TEST_CASE("records come back as they were sent, in order, null and empty apart") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  auto producer = must(TextProducer::open(broker));
  const RecordHeader header{"h", std::nullopt};
  REQUIRE(producer.send({.topic = "orders", .key = "k", .value = "v"}).ok());
  REQUIRE(producer.send({.topic = "orders", .key = std::nullopt, .value = ""}).ok());
  REQUIRE(producer.send({.topic = "orders", .key = "", .headers = std::span(&header, 1)}).ok());
  REQUIRE(producer.flush().ok());
  TextConsumer consumer = reader(broker, {partition(0)});
  const auto records = must(consumer.poll(10ms));
  CHECK(texts(records) ==
        std::vector<std::string>{"orders-0@0 k=v", "orders-0@1 null=", "orders-0@2 =null"});
  std::vector<RecordHeader> headers;
  for (const auto& record : records) {
    for (const RecordHeader& each : record.headers()) headers.push_back(each);
  }
  REQUIRE(headers.size() == 1);
  CHECK(headers[0].key == "h");
  CHECK_FALSE(headers[0].value.has_value());
}

TEST_CASE("every codec carries records from the producer to the consumer") {
  const auto codec = GENERATE(CompressionType::none, CompressionType::gzip, CompressionType::snappy,
                              CompressionType::lz4, CompressionType::zstd);
  if (!check_codec(codec).ok()) {
    WARN("this build has no " << std::string(name(codec)));
    return;
  }
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  produce_numbers(broker, 0, 1'000, 0, {.batch_size = 2'000, .compression = codec});
  TextConsumer consumer = reader(broker, {partition(0)});
  const auto all = drain(consumer);
  REQUIRE(all.size() == 1'000);
  CHECK(all[999] == "orders-0@999 null=n999");
}

TEST_CASE("however well records compress, a batch of them can be decompressed") {
  if (!check_codec(CompressionType::zstd).ok()) {
    WARN("this build has no zstd");
    return;
  }
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  ProducerConfig config{.batch_size = 1 << 20, .compression = CompressionType::zstd};
  config.max_request_size = 64 << 20;
  config.buffer_memory = 128 << 20;
  TextProducer producer = must(TextProducer::open(broker, config));
  const std::string value(200'000, 'z');
  for (int i = 0; i < 300; ++i) must(producer.send({.topic = "orders", .value = value}));
  must(producer.flush());
  const auto most = DecompressionLimits().max_bytes;
  const absl::Status refused =
      producer.send({.topic = "orders", .value = std::string(most + 1, 'z')}).status();
  CHECK(error_code(refused) == ErrorCode::message_too_large);
  CHECK(refused.message().find("compression.type=none") != std::string::npos);
  const std::string largest(most - 1'000, 'z');
  must(producer.send({.topic = "orders", .value = largest}));
  must(producer.flush());

  TextConsumer consumer = reader(broker, {partition(0)});
  std::int64_t read = 0;
  std::size_t bytes = 0;
  for (int polls = 0; polls < 100 && read < 301; ++polls) {
    ConsumerRecords records = must(consumer.poll(1s));
    for (const auto& record : records) {
      ++read;
      bytes += record.value()->size();
    }
    must(records.status());
  }
  CHECK(read == 301);
  CHECK(bytes == 300 * value.size() + largest.size());
}

TEST_CASE("a poll answers max.poll.records at most, and the next one goes on there") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  produce_numbers(broker, 0, 100);
  TextConsumer consumer = reader(broker, {partition(0)}, {.max_poll_records = 7});
  std::vector<std::string> all;
  for (int polls = 0; polls < 15; ++polls) {
    const auto records = must(consumer.poll(10ms));
    CHECK(records.count() <= 7);
    for (auto& text : texts(records)) all.push_back(text);
    CHECK(*consumer.position(partition(0)) == Offset(static_cast<std::int64_t>(all.size())));
  }
  REQUIRE(all.size() == 100);
  CHECK(all[57] == "orders-0@57 null=n57");
}

TEST_CASE("positions move by offset, to the ends, and by time") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  produce_numbers(broker, 0, 50);
  TextConsumer consumer = reader(broker, {partition(0)});
  const auto first = [&] {
    const auto records = must(consumer.poll(0ms));
    return records.empty() ? std::string() : texts(records).front();
  };
  REQUIRE(consumer.seek(partition(0), Offset(42)).ok());
  CHECK(first() == "orders-0@42 null=n42");
  REQUIRE(consumer.seek_to_beginning().ok());
  CHECK(first() == "orders-0@0 null=n0");
  REQUIRE(consumer.seek_to_end().ok());
  CHECK(first().empty());
  REQUIRE(consumer.seek_to_time(Timestamp(1'600'000'000'017)).ok());
  CHECK(first() == "orders-0@17 null=n17");
  REQUIRE(consumer.seek_to_time(Timestamp(1'700'000'000'000)).ok());
  CHECK(*consumer.position(partition(0)) == Offset(50));
  CHECK(fault(consumer.seek(partition(0), Offset(-1))) == Fault::invalid_argument);
  CHECK(fault(consumer.seek(partition(3), Offset(1))) == Fault::invalid_argument);
}

TEST_CASE("partitions come in ascending order, and paused ones not at all") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 3);
  for (int i = 2; i >= 0; --i) produce_numbers(broker, i * 10, 2, i);
  TextConsumer consumer = reader(broker, {partition(2), partition(0), partition(1)});
  REQUIRE(consumer.pause({partition(1)}).ok());
  CHECK(drain(consumer) == std::vector<std::string>{"orders-0@0 null=n0", "orders-0@1 null=n1",
                                                    "orders-2@0 null=n20", "orders-2@1 null=n21"});
  REQUIRE(consumer.resume({partition(1)}).ok());
  CHECK(drain(consumer).size() == 2);
}

TEST_CASE("a waiting poll ends with a record, with a wakeup, or with its time") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  TextConsumer consumer = reader(broker, {partition(0)});
  auto producer = must(TextProducer::open(broker, {.linger = 0ms}));
  env.executor().post_at(env.clock().steady_now() + 3s, [&] {
    must(producer.send({.topic = "orders", .value = "late"}).status());
  });
  const SteadyTime before = env.clock().steady_now();
  CHECK(must(consumer.poll(10s)).count() == 1);
  CHECK(env.clock().steady_now() - before < 4s);
  CHECK(must(consumer.poll(2s)).empty());
  CHECK(env.clock().steady_now() - before >= 5s);
  env.executor().post_at(env.clock().steady_now() + 1s, [&] { consumer.wakeup(); });
  CHECK(fault(consumer.poll(10s).status()) == Fault::woken);
  CHECK(must(consumer.poll(0ms)).empty());
  env.executor().post_at(env.clock().steady_now() + 1h, [&] {
    must(producer.send({.topic = "orders", .value = "later"}).status());
  });
  CHECK(must(consumer.poll(std::chrono::milliseconds::max())).count() == 1);
}

TEST_CASE("views stay valid as long as the polled records do") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  produce_numbers(broker, 0, 3);
  auto consumer = must(Consumer<std::string_view, std::string_view>::open(
      broker, {.offset_reset = OffsetReset::earliest}));
  REQUIRE(consumer.assign({partition(0)}).ok());
  const auto records = must(consumer.poll(10ms));
  std::vector<std::string_view> views;
  for (const auto& record : records) views.push_back(*record.value());
  REQUIRE(consumer.close().ok());
  CHECK(views == std::vector<std::string_view>{"n0", "n1", "n2"});
}

TEST_CASE("bytes that are no number are an error of that record alone") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  produce_numbers(broker, 0, 1);
  auto consumer = must(
      Consumer<std::string, std::int64_t>::open(broker, {.offset_reset = OffsetReset::earliest}));
  REQUIRE(consumer.assign({partition(0)}).ok());
  for (const auto& record : must(consumer.poll(10ms))) {
    CHECK(record.key().is_null());
    CHECK_FALSE(record.value().ok());
    CHECK_FALSE(record.value().is_null());
  }
}

TEST_CASE("a consumer that is misused says how") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  TextConsumer consumer = must(TextConsumer::open(broker));
  CHECK(fault(consumer.poll(1ms).status()) == Fault::invalid_argument);
  CHECK(error_code(consumer.assign({partition(7)})) == ErrorCode::unknown_topic_or_partition);
  CHECK(error_code(consumer.subscribe({"orders"})) == ErrorCode::invalid_group_id);
  CHECK(error_code(consumer.commit()) == ErrorCode::invalid_group_id);
  REQUIRE(consumer.close().ok());
  CHECK(fault(consumer.poll(1ms).status()) == Fault::closed);
  CHECK(consumer.close().ok());
  TextConsumer moved = must(TextConsumer::open(broker));
  const TextConsumer taken = std::move(moved);
  CHECK(fault(moved.poll(1ms).status()) == Fault::moved_from);
}

TEST_CASE("a record for a partition that the topic, made anew, has no more is told soon") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 3);
  auto producer = must(TextProducer::open(broker, {.linger = 1h, .delivery_timeout = 2h}));
  const auto kept =
      must(producer.send({.topic = "orders", .partition = PartitionId(1), .value = "kept"}));
  const auto lost =
      must(producer.send({.topic = "orders", .partition = PartitionId(2), .value = "lost"}));
  must(broker.delete_topic("orders"));
  must(broker.create_topic({.name = "orders", .partitions = 2}));
  const SteadyTime before = env.clock().steady_now();
  CHECK_FALSE(producer.flush().ok());
  CHECK(env.clock().steady_now() - before < 10s);
  CHECK(producer.wait(kept).ok());
  CHECK(error_code(producer.wait(lost).status()) == ErrorCode::unknown_topic_id);
}
