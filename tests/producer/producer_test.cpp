// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "tests/producer/producer_bed.hpp"

namespace {

/// A type of a user's own, which numbers convert to.
struct Cents {
  Cents(std::int64_t of) : amount(of) {}
  std::int64_t amount;
};
struct Euros : Cents {
  explicit Euros(std::int64_t of) : Cents(100 * of) {}
};
struct Purse {
  operator Cents() const { return 3; }
};

}  // namespace

template <>
struct ottla::Serde<Cents> {
  using input = const Cents&;
  static Bytes serialize(input cents, std::vector<std::byte>& scratch) {
    const std::string text = std::to_string(cents.amount) + " cents";
    scratch.assign(as_bytes(text).begin(), as_bytes(text).end());
    return scratch;
  }
  static absl::StatusOr<Cents> deserialize(Bytes) { return Cents(0); }
};

using namespace ottla;
using namespace std::chrono_literals;

namespace {
constexpr PartitionId p0{0};
}

TEST_CASE("a record that is waited for is sent at once, and its place is told") {
  ProducerBed bed;
  auto producer = bed.open({.linger = 1h});
  const auto sent = producer.send({.topic = "t", .partition = p0, .value = "a"});
  REQUIRE(sent.ok());
  CHECK(bed.leader->log("t", 0).empty());
  const auto where = producer.wait(*sent);
  REQUIRE(where.ok());
  CHECK(where->partition == p0);
  CHECK(where->offset == Offset(0));
  CHECK(bed.leader->values("t", 0) == std::vector<std::string>{"a"});
}

TEST_CASE("records of one batch have their own offsets, also later") {
  ProducerBed bed;
  auto producer = bed.open({.linger = 1h});
  std::vector<Receipt> receipts;
  for (int i = 0; i < 3; ++i) {
    receipts.push_back(
        producer.send({.topic = "t", .partition = p0, .value = std::to_string(i)}).value());
  }
  REQUIRE(producer.flush().ok());
  CHECK(bed.leader->log("t", 0).size() == 1);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(producer.wait(receipts[i])->offset == Offset(static_cast<std::int64_t>(i)));
  }
}

TEST_CASE("without linger every record is sent at once") {
  ProducerBed bed;
  auto producer = bed.open({.linger = 0ms});
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "a"}).ok());
  CHECK(bed.leader->log("t", 0).size() == 1);
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "b"}).ok());
  CHECK(bed.leader->log("t", 0).size() == 2);
}

TEST_CASE("a batch is sent when it has lingered, a younger one when it has, too") {
  ProducerBed bed;
  auto producer = bed.open({.linger = 5ms, .batch_size = 200});
  const std::string large(150, 'x');
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "a"}).ok());
  bed.env.advance(4ms);
  CHECK(bed.leader->log("t", 0).empty());
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = large}).ok());  // closes the first
  CHECK(bed.leader->log("t", 0).size() == 1);
  REQUIRE(producer.send({.topic = "t", .partition = PartitionId(1), .value = "b"}).ok());
  bed.env.advance(2ms);
  CHECK(bed.leader->log("t", 0).size() == 1);
  bed.env.advance(3ms);
  CHECK(bed.leader->log("t", 0).size() == 2);
  CHECK(bed.leader->log("t", 1).size() == 1);
}

TEST_CASE("a batch that was opened before others lingers no longer than they do") {
  ProducerBed bed;
  auto producer = bed.open({.linger = 10ms, .batch_size = 200});
  const std::string large(150, 'x');
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "a"}).ok());
  bed.env.advance(7ms);
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = large}).ok());  // closes the first
  bed.env.advance(2ms);
  REQUIRE(producer.send({.topic = "t", .partition = PartitionId(1), .value = "b"}).ok());
  bed.env.advance(7ms);
  CHECK(bed.leader->log("t", 0).size() == 1);
  bed.env.advance(1ms);
  CHECK(bed.leader->log("t", 0).size() == 2);
  CHECK(bed.leader->log("t", 1).empty());
}

TEST_CASE("flush sends what lingers in every partition and topic, and waits for it") {
  ProducerBed bed;
  bed.leader->set_topic("u", 1);
  bed.leader->answer_on_write_out = true;
  auto producer = bed.open({.linger = 1h});
  for (std::int32_t p = 0; p < 3; ++p) {
    REQUIRE(producer.send({.topic = "t", .partition = PartitionId(p), .value = "a"}).ok());
  }
  REQUIRE(producer.send({.topic = "u", .value = "b"}).ok());
  REQUIRE(producer.flush().ok());
  for (std::int32_t p = 0; p < 3; ++p) {
    CHECK(bed.leader->log("t", p).size() == 1);
  }
  CHECK(bed.leader->values("u", 0) == std::vector<std::string>{"b"});
}

TEST_CASE("flush tells the first failure once, and no later than its deadline") {
  ProducerBed bed;
  std::vector<ProduceRequest> stuck;
  auto producer = bed.open({.linger = 0ms});
  bed.leader->script = [&](ProduceRequest& request) {
    request.reply->done(error(ErrorCode::invalid_record, "bad"), std::move(request.batch));
    return true;
  };
  REQUIRE(producer.send({.topic = "t", .value = "a"}).ok());
  CHECK(error_code(producer.flush()) == ErrorCode::invalid_record);
  CHECK(producer.flush().ok());
  bed.leader->script = [&](ProduceRequest& request) {
    stuck.push_back(std::move(request));
    return true;
  };
  const auto sent = producer.send({.topic = "t", .value = "b"});
  REQUIRE(sent.ok());
  CHECK(fault(producer.flush(50ms)) == Fault::timed_out);
  CHECK(fault(producer.wait(*sent, 50ms).status()) == Fault::timed_out);
  bed.leader->script = {};
  bed.leader->accept(std::move(stuck.at(0)));
  CHECK(producer.flush(0ms).ok());
  CHECK(producer.wait(*sent, 0ms).ok());
}

TEST_CASE("keys choose Kafka's partition, records without one stay together") {
  ProducerBed bed;
  auto producer = bed.open({.linger = 1h});
  for (const char* key : {"ada", "bob", "cyd", "dan"}) {
    REQUIRE(producer.send({.topic = "t", .key = key, .value = key}).ok());
  }
  REQUIRE(producer.flush().ok());
  for (std::int32_t p = 0; p < 3; ++p) {
    for (const std::string& key : bed.leader->values("t", p)) {
      CHECK(partition_for_key(as_bytes(key), 3) == p);
    }
  }
  auto other = bed.open({.linger = 1h});
  std::int32_t with_records = 0;
  bed.leader->set_topic("u", 3);
  for (int i = 0; i < 10; ++i) {
    REQUIRE(other.send({.topic = "u", .value = "v"}).ok());
  }
  REQUIRE(other.flush().ok());
  for (std::int32_t p = 0; p < 3; ++p) {
    with_records += bed.leader->values("u", p).size() == 10 ? 1 : 0;
  }
  CHECK(with_records == 1);
}

TEST_CASE("records without a key go to partitions that are available, if any is") {
  ProducerBed bed;
  const auto set_offline = [&](std::int32_t partition, bool is) {
    bed.leader->set_offline("t", partition, is);
  };
  auto producer = bed.open({.linger = 0ms, .batch_size = 100});
  const std::string value(60, 'v');
  const auto reached = [&] {
    std::set<std::int32_t> all;
    for (int i = 0; i < 100; ++i) {
      const auto at = producer.wait(*producer.send({.topic = "t", .value = value}));
      all.insert(at->partition.value());
    }
    return all;
  };
  set_offline(1, true);
  CHECK(reached() == std::set<std::int32_t>{0, 2});
  set_offline(2, true);
  REQUIRE(producer.wait(*producer.send({.topic = "t", .value = value})).ok());  // learns of it
  CHECK(reached() == std::set<std::int32_t>{0});
  set_offline(0, true);
  REQUIRE(producer.wait(*producer.send({.topic = "t", .value = value})).ok());
  CHECK(reached() == std::set<std::int32_t>{0, 1, 2});
  set_offline(1, false);
  REQUIRE(producer.wait(*producer.send({.topic = "t", .value = value})).ok());
  CHECK(reached() == std::set<std::int32_t>{1});
  REQUIRE(producer.send({.topic = "t", .partition = PartitionId(0), .value = value}).ok());
}

TEST_CASE("the program's own partitioner decides, and what it throws is an error of send") {
  ProducerBed bed;
  std::int32_t answer = 2;
  auto producer = bed.open({.linger = 0ms, .partitioner = [&](const PartitionChoice& choice) {
                              if (answer == 99) throw std::runtime_error("no idea");
                              return choice.partitions == 3 ? answer : 0;
                            }});
  REQUIRE(producer.send({.topic = "t", .key = "k", .value = "a"}).ok());
  CHECK(bed.leader->values("t", 2) == std::vector<std::string>{"a"});
  answer = 3;
  CHECK(fault(producer.send({.topic = "t", .value = "b"}).status()) == Fault::invalid_argument);
  answer = 99;
  CHECK(fault(producer.send({.topic = "t", .value = "c"}).status()) == Fault::internal);
  answer = -1;
  CHECK(producer.send({.topic = "t", .value = "d"}).ok());
}

TEST_CASE("a topic's handle and its name reach the same partitions") {
  ProducerBed bed;
  auto producer = bed.open({.linger = 0ms});
  auto topic = producer.topic("t");
  REQUIRE(topic.ok());
  CHECK(topic->name() == "t");
  CHECK(topic->partitions() == 3);
  REQUIRE(producer.send({.topic = *topic, .partition = p0, .value = "a"}).ok());
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "b"}).ok());
  CHECK(bed.leader->values("t", 0) == std::vector<std::string>{"a", "b"});
  auto stranger = bed.open();
  CHECK(fault(stranger.send({.topic = *topic, .value = "c"}).status()) == Fault::invalid_argument);
}

TEST_CASE("an unknown topic or partition is an error of send that names the remedy") {
  ProducerBed bed;
  auto producer = bed.open();
  const auto sent = producer.send({.topic = "nowhere", .value = "a"});
  CHECK(error_code(sent.status()) == ErrorCode::unknown_topic_or_partition);
  CHECK_THAT(std::string(sent.status().message()), Catch::Contains("create it"));
  CHECK(fault(producer.send({.topic = "t", .partition = PartitionId(3), .value = "a"}).status()) ==
        Fault::invalid_argument);
  CHECK(error_code(producer.partitions_for("nowhere").status()) ==
        ErrorCode::unknown_topic_or_partition);
  CHECK(producer.partitions_for("t")->size() == 3);
}

TEST_CASE("partitions that were added are found") {
  ProducerBed bed;
  auto producer = bed.open({.linger = 0ms});
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "a"}).ok());
  bed.leader->set_topic("t", 5);
  CHECK(producer.send({.topic = "t", .partition = PartitionId(4), .value = "b"}).ok());
  bed.leader->set_topic("t", 7);
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "c"}).ok());
  const auto topic = producer.topic("t");
  CHECK(topic->partitions() == 7);
  bed.leader->set_topic("t", 0);
  bed.leader->set_topic("t", 1);
  REQUIRE(producer.send({.topic = *topic, .partition = p0, .value = "d"}).ok());
  CHECK(topic->partitions() == 1);
}

TEST_CASE("a record larger than max.request.size is refused and leaves nothing behind") {
  ProducerBed bed;
  auto producer = bed.open({.max_request_size = 1'000});
  const std::string large(1'000, 'x');
  const auto sent = producer.send({.topic = "t", .value = large});
  CHECK(error_code(sent.status()) == ErrorCode::message_too_large);
  CHECK(producer.flush().ok());
}

TEST_CASE("with acks 0 nobody is asked and no offset is known") {
  ProducerBed bed;
  auto producer = bed.open({.acks = Acks::none, .linger = 0ms});
  bool had_reply = true;
  bed.leader->script = [&](ProduceRequest& request) {
    had_reply = static_cast<bool>(request.reply);
    return false;
  };
  const auto sent = producer.send({.topic = "t", .value = "a"});
  CHECK_FALSE(had_reply);
  CHECK(producer.wait(*sent)->offset == Offset(-1));
}

TEST_CASE("records arrive as they were built: keys, nulls, headers, times, compressed") {
  ProducerBed bed;
  for (const CompressionType codec :
       {CompressionType::none, CompressionType::gzip, CompressionType::zstd}) {
    if (!check_codec(codec).ok()) continue;
    const std::string name = "codec" + std::to_string(static_cast<int>(codec));
    bed.leader->set_topic(name, 1);
    auto producer = bed.open({.linger = 1h, .compression = codec});
    const std::vector<RecordHeader> headers = {{"h", std::nullopt}, {"i", as_bytes("x")}};
    REQUIRE(producer
                .send({.topic = name,
                       .key = "k",
                       .value = "v",
                       .headers = headers,
                       .timestamp = Timestamp(77)})
                .ok());
    REQUIRE(producer.send({.topic = name, .key = std::nullopt, .value = std::nullopt}).ok());
    REQUIRE(producer.flush().ok());
    const auto log = bed.leader->log(name, 0);
    REQUIRE(log.size() == 1);
    const auto batch = BatchView::parse(log[0].bytes());
    REQUIRE(batch.ok());
    CHECK(batch->header().compression() == codec);
    Decompressor decompressor;
    RecordCursor records = batch->records(decompressor);
    const RecordView* record = records.next();
    REQUIRE(record != nullptr);
    CHECK(record->timestamp() == Timestamp(77));
    CHECK(record->headers().size() == 2);
    CHECK(record->headers().last("h")->value == std::nullopt);
    record = records.next();
    REQUIRE(record != nullptr);
    CHECK_FALSE(record->key().has_value());
    CHECK_FALSE(record->value().has_value());
    CHECK(record->timestamp() == bed.world.wall_now());
  }
}

TEST_CASE("keys and values are borrowed as what they are, and none is one made for the moment") {
  static_assert(std::is_convertible_v<const char(&)[2], Outgoing<std::string>>);
  static_assert(std::is_convertible_v<std::string, Outgoing<std::string>>);
  static_assert(std::is_convertible_v<const std::string&, Outgoing<std::string_view>>);
  static_assert(std::is_convertible_v<std::vector<std::byte>&, Outgoing<Bytes>>);
  static_assert(std::is_convertible_v<std::int16_t, Outgoing<std::int64_t>>);
  static_assert(std::is_convertible_v<std::nullopt_t, Outgoing<Cents>>);
  static_assert(std::is_convertible_v<Cents, Outgoing<Cents>>);
  static_assert(std::is_convertible_v<Cents&, Outgoing<Cents>>);
  static_assert(std::is_convertible_v<const Cents&, Outgoing<Cents>>);
  static_assert(std::is_convertible_v<Euros, Outgoing<Cents>>);
  static_assert(std::is_convertible_v<const Uuid&, Outgoing<Uuid>>);
  static_assert(std::is_convertible_v<int, Cents>);
  static_assert(!std::is_constructible_v<Outgoing<Cents>, int>);
  static_assert(!std::is_constructible_v<Outgoing<Cents>, Purse>);
  static_assert(std::is_convertible_v<int, Outgoing<std::optional<Cents>>>);
  ProducerBed bed;
  std::vector<std::byte> scratch;
  const auto sent = [&]<class T>(const Outgoing<T>& outgoing) {
    const Bytes bytes = Serde<T>::serialize(outgoing.input(), scratch);
    return std::string(as_string_view(bytes));
  };
  const std::string text = "text";
  CHECK(sent(Outgoing<std::string>(text)) == "text");
  CHECK(sent(Outgoing<std::string>("literal")) == "literal");
  CHECK(sent(Outgoing<std::string_view>(text)) == "text");
  CHECK(sent(Outgoing<std::int16_t>(0x4142)) == "AB");
  const Euros euros(5);
  CHECK(sent(Outgoing<Cents>(euros)) == "500 cents");
  CHECK(sent(Outgoing<Cents>(Cents(7))) == "7 cents");
  auto producer = Producer<std::int64_t, Cents>::open(FakeHost{bed.leader});
  REQUIRE(producer.ok());
  REQUIRE(producer->send({.topic = "t", .partition = p0, .key = 1, .value = Cents(8)}).ok());
  REQUIRE(producer->send({.topic = "t", .partition = p0, .key = 1, .value = euros}).ok());
  REQUIRE(producer->flush().ok());
  CHECK(bed.leader->values("t", 0) == std::vector<std::string>{"8 cents", "500 cents"});
}

TEST_CASE("a producer that was moved from, closed or is asked for what is not there says so") {
  ProducerBed bed;
  auto producer = bed.open();
  auto other = std::move(producer);
  CHECK(fault(producer.send({.topic = "t", .value = "a"}).status()) == Fault::moved_from);
  CHECK(fault(producer.flush()) == Fault::moved_from);
  CHECK(other.close().ok());
  CHECK(other.close().ok());
  CHECK(fault(other.send({.topic = "t", .value = "a"}).status()) == Fault::closed);
  CHECK(fault(other.flush()) == Fault::closed);
  CHECK(
      error_code(StringProducer::open(FakeHost{bed.leader},
                                      {.acks = Acks::leader, .enable_idempotence = Idempotence::on})
                     .status()) == ErrorCode::invalid_config);
  CHECK(error_code(StringProducer::open(FakeHost{bed.leader}, {.linger = -1ms}).status()) ==
        ErrorCode::invalid_config);
}

TEST_CASE("receipts of another producer's numbers are not found") {
  ProducerBed bed;
  auto producer = bed.open();
  CHECK(fault(producer.wait({.batch = 12, .index = 0}).status()) == Fault::not_found);
}
