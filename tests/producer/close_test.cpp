// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <sys/wait.h>
#include <unistd.h>

#include "tests/producer/producer_bed.hpp"

using namespace ottla;
using namespace std::chrono_literals;

namespace {

constexpr PartitionId p0{0};

FakeLeader::Script park(std::vector<ProduceRequest>& parked) {
  return [&parked](ProduceRequest& request) {
    parked.push_back(std::move(request));
    return true;
  };
}

}  // namespace

TEST_CASE("close sends what is left and waits for it") {
  ProducerBed bed;
  bed.leader->answer_on_write_out = true;
  auto producer = bed.open({.linger = 1h});
  const auto sent = producer.send({.topic = "t", .partition = p0, .value = "a"});
  CHECK(producer.close().ok());
  CHECK(bed.leader->values("t", 0) == std::vector<std::string>{"a"});
  CHECK(producer.wait(*sent)->offset == Offset(0));
}

TEST_CASE("close on a connection that is stuck ends in time, and tells what was dropped") {
  ProducerBed bed;
  std::vector<ProduceRequest> parked;
  bed.leader->script = park(parked);
  std::vector<absl::Status> told;
  auto producer = bed.open({.linger = 0ms, .on_delivery = [&](const Delivery& each) {
                              told.push_back(each.offset.status());
                            }});
  const auto sent = producer.send({.topic = "t", .partition = p0, .value = "a"});
  const SteadyTime begin = bed.world.steady_now();
  const absl::Status closed = producer.close(2s);
  CHECK(fault(closed) == Fault::timed_out);
  CHECK(closed.message().find("not acknowledged: 1;") != std::string::npos);
  CHECK(bed.world.steady_now() - begin <= 2s + 20ms);
  CHECK(producer.close(2s) == closed);  // what was not done is not done
  CHECK(bed.world.steady_now() - begin <= 2s + 20ms);
  REQUIRE(told.size() == 1);
  CHECK(fault(told[0]) == Fault::closed);
  CHECK(outcome(told[0]) == Outcome::unknown);
  CHECK(fault(producer.wait(*sent).status()) == Fault::closed);
  bed.leader->accept(std::move(parked.at(0)));
  CHECK(told.size() == 1);
}

TEST_CASE("close is not Ok after a record whose time was up, before it or meanwhile") {
  const bool before = GENERATE(true, false);
  const auto linger = GENERATE(0ms, 500ms);  // close hands it over where it lingers
  CAPTURE(before, linger.count());
  ProducerBed bed;
  std::vector<ProduceRequest> parked;
  bed.leader->script = park(parked);
  auto producer = bed.open({.linger = linger, .delivery_timeout = 1s, .request_timeout = 500ms});
  const SteadyTime begin = bed.world.steady_now();
  const auto sent = producer.send({.topic = "t", .partition = p0, .value = "a"});
  if (before) bed.env.advance(2s);
  const absl::Status closed = producer.close(5s);
  CHECK_THAT(std::string(closed.message()), Catch::Contains("delivery.timeout.ms"));
  CHECK(closed == producer.wait(*sent).status());
  CHECK(bed.world.steady_now() - begin <= (before ? 2s : 1s) + 20ms);
}

TEST_CASE("what waits to be sent again when the producer is closed was definitely not written") {
  ProducerBed bed;
  bed.leader->script = [](ProduceRequest& request) {
    request.reply->done(error(ErrorCode::not_enough_replicas, "x"), std::move(request.batch));
    return true;
  };
  auto producer = bed.open({.linger = 0ms});
  const auto sent = producer.send({.topic = "t", .partition = p0, .value = "a"});
  CHECK_FALSE(producer.close(0ms).ok());
  const absl::Status status = producer.wait(*sent).status();
  CHECK(fault(status) == Fault::closed);
  CHECK(outcome(status) == Outcome::not_written);
  bed.leader->script = {};
  bed.env.advance(10s);
  CHECK(bed.leader->log("t", 0).empty());
}

TEST_CASE("the destructor sends what is left, or tells what it dropped after close_timeout") {
  ProducerBed bed;
  std::vector<ProduceRequest> parked;
  int dropped = 0;
  {
    auto producer = bed.open({.linger = 1h});
    REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "a"}).ok());
  }
  CHECK(bed.leader->values("t", 0) == std::vector<std::string>{"a"});
  bed.leader->script = park(parked);
  const SteadyTime begin = bed.world.steady_now();
  {
    auto producer = bed.open({.linger = 1h,
                              .on_delivery =
                                  [&](const Delivery& each) {
                                    dropped += fault(each.offset.status()) == Fault::closed ? 1 : 0;
                                  },
                              .close_timeout = 3s});
    REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "a"}).ok());
    REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "b"}).ok());
  }
  CHECK(dropped == 2);
  CHECK(bed.world.steady_now() - begin <= 3s + 20ms);
}

TEST_CASE("a closed producer leaves no timer") {
  ProducerBed bed;
  {
    auto producer = bed.open();
    REQUIRE(producer.send({.topic = "t", .value = "a"}).ok());
    REQUIRE(producer.close().ok());
  }
  CHECK(bed.env.advance(1h) == 0);
}

TEST_CASE("callbacks come once a record, in order, without a lock, with tag and place") {
  ProducerBed bed;
  std::vector<std::uint64_t> tags;
  auto producer =
      bed.open({.linger = 1h, .on_delivery = [&](const Delivery& each) {
                  Mutex::expect_none_held();
                  CHECK(each.topic == "t");
                  CHECK(each.partition == p0);
                  CHECK(each.offset.value() == Offset(static_cast<std::int64_t>(tags.size())));
                  tags.push_back(each.tag);
                }});
  for (std::uint64_t tag = 10; tag < 15; ++tag) {
    REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "v", .tag = tag}).ok());
  }
  REQUIRE(producer.flush().ok());
  CHECK(tags == std::vector<std::uint64_t>{10, 11, 12, 13, 14});
}

TEST_CASE("what was written is told in order, a batch that is refused at once may come before") {
  ProducerBed bed;
  bed.leader->answer_on_write_out = true;
  bed.leader->script = [](ProduceRequest& request) {
    const bool refuse = request.batch.size() > 1'000;
    if (refuse) {
      request.reply->done(error(ErrorCode::invalid_record, "x"), std::move(request.batch));
    }
    return refuse;
  };
  std::vector<std::uint64_t> written;
  std::vector<std::uint64_t> failed;
  auto producer = bed.open({.linger = 0ms, .on_delivery = [&](const Delivery& each) {
                              (each.offset.ok() ? written : failed).push_back(each.tag);
                            }});
  for (const std::uint64_t tag : {1U, 2U, 3U}) {
    const std::string value(tag == 2 ? 1'000 : 10, 'v');
    REQUIRE(producer.send({.topic = "t", .partition = p0, .value = value, .tag = tag}).ok());
  }
  CHECK(failed == std::vector<std::uint64_t>{2});
  CHECK_FALSE(producer.flush().ok());
  CHECK(written == std::vector<std::uint64_t>{1, 3});
  CHECK(failed == std::vector<std::uint64_t>{2});
}

TEST_CASE("what a callback throws is counted, and the others are called all the same") {
  ProducerBed bed;
  int called = 0;
  auto producer = bed.open({.linger = 1h, .on_delivery = [&](const Delivery&) {
                              ++called;
                              throw std::runtime_error("no");
                            }});
  for (int i = 0; i < 3; ++i) {
    REQUIRE(producer.send({.topic = "t", .partition = p0, .value = "v"}).ok());
  }
  REQUIRE(producer.flush().ok());
  CHECK(called == 3);
  CHECK(producer.callback_failures() == 3);
}

TEST_CASE("a callback may send, and what would wait there says so") {
  ProducerBed bed;
  std::unique_ptr<StringProducer> producer;
  std::vector<Fault> faults;
  Receipt unsent;
  const auto on_delivery = [&](const Delivery& each) {
    if (each.tag != 1) return;
    faults.push_back(fault(producer->flush()));
    faults.push_back(fault(producer->close()));
    const auto again =
        producer->send({.topic = "t", .partition = PartitionId(1), .value = "from callback"});
    REQUIRE(again.ok());
    faults.push_back(fault(producer->wait(*again).status()));
    unsent = *again;
  };
  producer = std::make_unique<StringProducer>(bed.open({.linger = 1h, .on_delivery = on_delivery}));
  REQUIRE(producer->send({.topic = "t", .partition = p0, .value = "a", .tag = 1}).ok());
  REQUIRE(producer->flush().ok());
  CHECK(faults == std::vector<Fault>(3, Fault::would_deadlock));
  CHECK(producer->wait(unsent).ok());
  CHECK(bed.leader->values("t", 1) == std::vector<std::string>{"from callback"});
}

TEST_CASE("a producer may be destroyed in its own callback") {
  ProducerBed bed;
  std::vector<std::uint64_t> told;
  std::unique_ptr<StringProducer> producer;
  const auto on_delivery = [&](const Delivery& each) {
    told.push_back(each.tag);
    producer.reset();
  };
  producer = std::make_unique<StringProducer>(
      bed.open({.linger = 1h, .batch_size = 200, .on_delivery = on_delivery}));
  REQUIRE(producer->send({.topic = "t", .partition = p0, .value = "a", .tag = 1}).ok());
  REQUIRE(producer->send({.topic = "t", .partition = PartitionId(1), .value = "b", .tag = 2}).ok());
  const std::string large(300, 'x');  // its batch is full, so the first one goes now
  CHECK(producer->send({.topic = "t", .partition = p0, .value = large, .tag = 3}).ok());
  CHECK(producer == nullptr);
  CHECK(told == std::vector<std::uint64_t>{1, 3, 2});
  CHECK(bed.leader->values("t", 0) == std::vector<std::string>{"a"});
}

TEST_CASE("in a child of fork a producer refuses everything, and ends without waiting") {
  ProducerBed bed;
  auto producer = std::make_unique<StringProducer>(bed.open({.linger = 1h}));
  const auto sent = producer->send({.topic = "t", .value = "a"});
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const bool refused =
        fault(producer->send({.topic = "t", .value = "b"}).status()) == Fault::forked &&
        fault(producer->flush()) == Fault::forked &&
        fault(producer->wait(*sent).status()) == Fault::forked &&
        fault(producer->close()) == Fault::forked;
    producer.reset();
    _exit(refused ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(producer->wait(*sent).ok());
}
