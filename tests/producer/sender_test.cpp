// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "tests/producer/producer_bed.hpp"

using namespace ottla;
using namespace std::chrono_literals;

namespace {

constexpr PartitionId p0{0};

/// Refuses the next `times` requests with `code`.
FakeLeader::Script refuse(int& times, ErrorCode code) {
  return [&times, code](ProduceRequest& request) {
    if (times == 0) return false;
    --times;
    request.reply->done(error(code, "refused"), std::move(request.batch));
    return true;
  };
}

/// Refuses batches larger than `limit`.
FakeLeader::Script too_large_above(std::size_t limit, int& refusals) {
  return [limit, &refusals](ProduceRequest& request) {
    if (request.batch.size() <= limit) return false;
    ++refusals;
    request.reply->done(error(ErrorCode::message_too_large, "too large"), std::move(request.batch));
    return true;
  };
}

std::vector<std::string> numbers(int count) {
  std::vector<std::string> all;
  for (int i = 0; i < count; ++i) all.push_back(std::to_string(i));
  return all;
}

}  // namespace

TEST_CASE("a batch that was refused is sent again after a while, and no later one overtakes it") {
  ProducerBed bed;
  int refusals = 1;
  bed.leader->script = refuse(refusals, ErrorCode::not_enough_replicas);
  auto producer = bed.open({.linger = 0ms});
  const auto first = producer.send({.topic = "t", .partition = p0, .value = "0"});
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "1"}).ok());
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "2"}).ok());
  CHECK(bed.leader->log("t", 0).empty());
  bed.env.advance(70ms);
  CHECK(bed.leader->log("t", 0).empty());
  bed.env.advance(60ms);
  CHECK(bed.leader->values("t", 0) == numbers(3));
  CHECK(producer.wait(*first)->offset == Offset(0));
  CHECK(producer.flush().ok());
}

TEST_CASE("several refused batches go again in their order, after one wait") {
  ProducerBed bed;
  std::vector<ProduceRequest> parked;
  bed.leader->script = [&](ProduceRequest& request) {
    parked.push_back(std::move(request));
    return true;
  };
  auto producer = bed.open({.linger = 0ms});
  for (const std::string& value : numbers(4)) {
    REQUIRE(producer.send({.topic = "t", .partition = p0, .value = value}).ok());
  }
  REQUIRE(parked.size() == 4);
  bed.leader->script = {};
  for (const std::size_t i : {2U, 0U, 3U, 1U}) {
    parked[i].reply->done(error(ErrorCode::kafka_storage_error, "x"), std::move(parked[i].batch));
  }
  bed.env.advance(130ms);
  CHECK(bed.leader->values("t", 0) == numbers(4));
}

TEST_CASE("the wait doubles from one attempt to the next, up to its limit") {
  ProducerBed bed;
  int refusals = 1'000;
  bed.leader->script = refuse(refusals, ErrorCode::leader_not_available);
  auto producer = bed.open({.linger = 0ms});
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "0"}).ok());
  bed.env.advance(120ms + 240ms + 480ms + 960ms);
  CHECK(refusals <= 1'000 - 5);
  CHECK(refusals >= 1'000 - 7);
  const int before = refusals;
  bed.env.advance(12s);
  CHECK(before - refusals >= 10);
  CHECK(before - refusals <= 15);
}

TEST_CASE("no more attempts are made than allowed, nor after delivery.timeout") {
  ProducerBed bed;
  int refusals = 1'000;
  bed.leader->script = refuse(refusals, ErrorCode::not_enough_replicas);
  auto few = bed.open({.linger = 0ms, .retries = 2});
  const auto sent = few.send({.topic = "t", .partition = p0, .value = "0"});
  const auto outcome_of_few = few.wait(*sent);
  CHECK(error_code(outcome_of_few.status()) == ErrorCode::not_enough_replicas);
  CHECK(refusals == 1'000 - 3);
  auto producer = bed.open({.linger = 0ms, .delivery_timeout = 31s});
  const SteadyTime begin = bed.world.steady_now();
  const auto late = producer.send({.topic = "t", .partition = PartitionId(1), .value = "0"});
  const auto where = producer.wait(*late, 1h);
  CHECK(error_code(where.status()) == ErrorCode::not_enough_replicas);
  CHECK(outcome(where.status()) == Outcome::not_written);
  CHECK_THAT(std::string(where.status().message()), Catch::Contains("delivery.timeout.ms"));
  CHECK(bed.world.steady_now() - begin <= 31s);
}

TEST_CASE("an error that would not go away, or a write that may appear, is not tried again") {
  for (const absl::Status& why :
       {error(ErrorCode::invalid_record, "x"), error(Fault::no_space, "x"),
        error(ErrorCode::not_enough_replicas_after_append, "x", Outcome::unknown),
        error(Fault::closed, "x")}) {
    ProducerBed bed;
    int asked = 0;
    bed.leader->script = [&](ProduceRequest& request) {
      ++asked;
      request.reply->done(why, std::move(request.batch));
      return true;
    };
    auto producer = bed.open({.linger = 0ms});
    const auto sent = producer.send({.topic = "t", .value = "0"});
    CHECK(producer.wait(*sent).status() == why);
    bed.env.advance(10s);
    CHECK(asked == 1);
  }
}

TEST_CASE("without an acknowledgement in time the outcome is unknown, and a late one is dropped") {
  ProducerBed bed;
  std::vector<ProduceRequest> parked;
  bed.leader->script = [&](ProduceRequest& request) {
    parked.push_back(std::move(request));
    return true;
  };
  std::vector<Delivery> told;
  auto producer =
      bed.open({.linger = 0ms, .delivery_timeout = 60s, .on_delivery = [&](const Delivery& each) {
                  told.push_back(each);
                }});
  const auto sent = producer.send({.topic = "t", .partition = p0, .value = "0", .tag = 7});
  bed.env.advance(59s);
  CHECK(told.empty());
  bed.env.advance(1s);
  REQUIRE(told.size() == 1);
  CHECK(told[0].tag == 7);
  const absl::Status status = producer.wait(*sent).status();
  CHECK(fault(status) == Fault::timed_out);
  CHECK(outcome(status) == Outcome::unknown);
  bed.leader->accept(std::move(parked.at(0)));
  CHECK(told.size() == 1);
  CHECK_FALSE(producer.wait(*sent).ok());
}

TEST_CASE("each batch is told at its own delivery.timeout.ms, in whatever order they were sent") {
  ProducerBed bed;
  std::vector<ProduceRequest> parked;
  bed.leader->script = [&](ProduceRequest& request) {
    parked.push_back(std::move(request));
    return true;
  };
  std::map<PartitionId, SteadyTime> told;
  auto producer = bed.open({.linger = 80s, .on_delivery = [&](const Delivery& each) {
                              told[each.partition] = bed.world.steady_now();
                            }});
  const SteadyTime begin = bed.world.steady_now();
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "0"}).ok());
  bed.env.advance(50s);
  const auto second = producer.send({.topic = "t", .partition = PartitionId(1), .value = "0"});
  CHECK(fault(producer.wait(*second, 0ms).status()) == Fault::timed_out);
  bed.env.advance(5min);
  CHECK(told[p0] - begin == 120s);
  CHECK(told[PartitionId(1)] - begin == 170s);
}

TEST_CASE("a batch that waits to be sent again while others expire is told in time") {
  ProducerBed bed;
  std::vector<ProduceRequest> parked;
  int refusals = 1;
  bed.leader->script = [&](ProduceRequest& request) {
    if (request.partition == p0 && refusals > 0) {
      --refusals;
      request.reply->done(error(ErrorCode::not_enough_replicas, "x"), std::move(request.batch));
    } else {
      parked.push_back(std::move(request));
    }
    return true;
  };
  std::map<PartitionId, SteadyTime> told;
  auto producer = bed.open({.linger = 0ms,
                            .delivery_timeout = 31s,
                            .retry_backoff = 20s,
                            .retry_backoff_max = 20s,
                            .on_delivery = [&](const Delivery& each) {
                              told[each.partition] = bed.world.steady_now();
                            }});
  const SteadyTime begin = bed.world.steady_now();
  REQUIRE(producer.send({.topic = "t", .partition = PartitionId(1), .value = "0"}).ok());
  bed.env.advance(16s);
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "0"}).ok());
  bed.env.advance(4s);
  REQUIRE(producer.send({.topic = "t", .partition = PartitionId(2), .value = "0"}).ok());
  bed.env.advance(5min);
  CHECK(parked.size() == 3);
  CHECK(told[PartitionId(1)] - begin == 31s);
  CHECK(told[p0] - begin == 47s);
  CHECK(told[PartitionId(2)] - begin == 51s);
}

TEST_CASE("delivery.timeout.ms as it is by default leaves a batch that lingered its answer") {
  ProducerBed bed;
  std::vector<ProduceRequest> parked;
  bed.leader->script = [&](ProduceRequest& request) {
    parked.push_back(std::move(request));
    return true;
  };
  std::vector<absl::Status> told;
  const auto on_delivery = [&](const Delivery& each) { told.push_back(each.offset.status()); };
  auto producer = bed.open({.linger = 3min, .on_delivery = on_delivery});
  REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "0"}).ok());
  REQUIRE(producer.send({.topic = "t", .partition = PartitionId(1), .value = "0"}).ok());
  bed.env.advance(3min + 29s);
  REQUIRE(parked.size() == 2);
  CHECK(told.empty());
  bed.leader->accept(std::move(parked[0]));
  bed.env.advance(1s);
  REQUIRE(told.size() == 2);
  CHECK(told[0].ok());
  CHECK_THAT(std::string(told[1].message()), Catch::Contains("(210000)"));
  const auto set =
      StringProducer::open(FakeHost{bed.leader}, {.linger = 3min, .delivery_timeout = 200s});
  CHECK(error_code(set.status()) == ErrorCode::invalid_config);
  CHECK(StringProducer::open(FakeHost{bed.leader},
                             {.linger = std::chrono::milliseconds::max(),
                              .delivery_timeout = std::chrono::milliseconds(INT32_MAX)})
            .ok());
}

TEST_CASE("a topic that was made anew is found by its new id") {
  ProducerBed bed;
  auto producer = bed.open({.linger = 0ms});
  const TopicId old = bed.leader->topic_id("t");
  bed.leader->script = [&](ProduceRequest& request) {
    if (request.topic_id != old) return false;
    bed.leader->set_topic("t", 0);
    bed.leader->set_topic("t", 3);
    request.reply->done(error(ErrorCode::unknown_topic_id, "x"), std::move(request.batch));
    return true;
  };
  const auto sent = producer.send({.topic = "t", .partition = p0, .value = "new"});
  CHECK(producer.wait(*sent).ok());
  CHECK(bed.leader->topic_id("t") != old);
  CHECK(bed.leader->values("t", 0) == std::vector<std::string>{"new"});
}

TEST_CASE("a batch that is too large goes on as smaller ones, and each record knows its place") {
  for (const CompressionType codec : {CompressionType::none, CompressionType::gzip}) {
    if (!check_codec(codec).ok()) continue;
    ProducerBed bed;
    int refusals = 0;
    std::vector<std::uint64_t> told;
    auto producer =
        bed.open({.linger = 1h,
                  .batch_size = 4'000,
                  .compression = codec,
                  .on_delivery = [&](const Delivery& each) {
                    CHECK(each.offset.value() == Offset(static_cast<std::int64_t>(each.tag)));
                    told.push_back(each.tag);
                  }});
    bed.leader->script = too_large_above(codec == CompressionType::none ? 600 : 100, refusals);
    std::vector<Receipt> receipts;
    for (int i = 0; i < 40; ++i) {
      receipts.push_back(producer
                             .send({.topic = "t",
                                    .partition = p0,
                                    .value = std::to_string(i) + std::string(20, 'v'),
                                    .tag = static_cast<std::uint64_t>(i)})
                             .value());
    }
    REQUIRE(producer.flush().ok());
    CHECK(refusals > 0);
    CHECK(receipts.back().batch == receipts.front().batch);
    const auto values = bed.leader->values("t", 0);
    REQUIRE(values.size() == 40);
    for (std::size_t i = 0; i < 40; ++i) {
      CHECK(values[i] == std::to_string(i) + std::string(20, 'v'));
      CHECK(producer.wait(receipts[i])->offset == Offset(static_cast<std::int64_t>(i)));
      CHECK(told.at(i) == i);
    }
  }
}

TEST_CASE("a single record that is too large fails, and its neighbours in the batch do not") {
  ProducerBed bed;
  int refusals = 0;
  auto producer = bed.open({.linger = 1h});
  bed.leader->script = too_large_above(400, refusals);
  const auto before = producer.send({.topic = "t", .partition = p0, .value = "a"});
  const auto large = producer.send({.topic = "t", .partition = p0, .value = std::string(500, 'x')});
  const auto behind = producer.send({.topic = "t", .partition = p0, .value = "b"});
  CHECK(error_code(producer.flush()) == ErrorCode::message_too_large);
  CHECK(producer.wait(*before)->offset == Offset(0));
  CHECK(error_code(producer.wait(*large).status()) == ErrorCode::message_too_large);
  CHECK(producer.wait(*behind)->offset == Offset(1));
  CHECK(bed.leader->values("t", 0) == std::vector<std::string>{"a", "b"});
}

TEST_CASE("one partition that does not answer keeps no batch of another in memory") {
  ProducerBed bed;
  std::vector<ProduceRequest> parked;
  bed.leader->script = [&](ProduceRequest& request) {
    if (request.partition != p0) return false;
    parked.push_back(std::move(request));
    return true;
  };
  auto producer = bed.open({.linger = 0ms});
  const auto stuck = producer.send({.topic = "t", .partition = p0, .value = "0"});
  for (std::size_t i = 0; i < BatchOutcomes::remembered + 100; ++i) {
    REQUIRE(producer.send({.topic = "t", .partition = PartitionId(1), .value = "x"}).ok());
  }
  CHECK(fault(producer.flush(1s)) == Fault::timed_out);
  bed.leader->script = {};
  bed.leader->accept(std::move(parked.at(0)));
  CHECK(producer.flush().ok());
  CHECK(fault(producer.wait(*stuck).status()) == Fault::not_found);
}
