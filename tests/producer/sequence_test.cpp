// SPDX-License-Identifier: Apache-2.0
//
// Numbered batches, against a leader that asks of them what a partition does.
#include <map>
#include <vector>

#include <ottla/log/producer_state.hpp>

#include "producer_bed.hpp"

using namespace ottla;
using namespace std::chrono_literals;

namespace {

constexpr PartitionId p0{0};

struct Numbered {
  std::int64_t producer;
  int epoch;
  int sequence;
  bool operator==(const Numbered&) const = default;
};

/// Refuses what does not follow, as a partition.
struct StrictBed : ProducerBed {
  ProducerState producers;
  std::int64_t end = 0;
  std::vector<ProduceRequest> parked;
  /// What is done with a request before it is judged; true: it was taken over.
  std::function<bool(ProduceRequest&)> before = [](ProduceRequest&) { return false; };

  StrictBed() {
    leader->script = [this](ProduceRequest& request) {
      if (before(request)) {
        return true;
      }
      BatchHeader header = BatchHeader::parse(request.batch.bytes());
      const auto checked = producers.check(header, AppendOrigin::client);
      if (!checked.ok()) {
        request.reply->done(checked.status(), std::move(request.batch));
        return true;
      }
      header.base_offset = Offset(end);
      end += header.record_count;
      producers.append(header);
      return false;
    };
  }
  std::vector<Numbered> log(std::int32_t partition = 0) {
    std::vector<Numbered> all;
    for (const SharedBytes& bytes : leader->log("t", partition)) {
      const BatchView batch = BatchView::parse(bytes.bytes()).value();  // its checksum, too
      all.push_back({batch.header().producer_id.value(), batch.header().producer_epoch.value(),
                     batch.header().base_sequence});
    }
    return all;
  }
  absl::StatusOr<Receipt> send(StringProducer& producer, const std::string& value) {
    return producer.send({.topic = "t", .partition = p0, .value = value});
  }
};

std::vector<std::string> numbers(int n) {
  std::vector<std::string> all;
  for (int i = 0; i < n; ++i) {
    all.push_back(std::to_string(i));
  }
  return all;
}

}  // namespace

TEST_CASE(
    "each partition's batches are numbered without a gap, under an id of the producer's own") {
  StrictBed bed;
  auto producer = bed.open({.linger = 0ms});
  for (const std::string& value : numbers(3)) {
    REQUIRE(bed.send(producer, value).ok());
  }
  CHECK(bed.log() == std::vector<Numbered>{{1'000, 0, 0}, {1'000, 0, 1}, {1'000, 0, 2}});
  ProducerBed plain;
  auto unnumbered = plain.open({.acks = Acks::leader, .linger = 0ms});
  REQUIRE(unnumbered.send({.topic = "t", .partition = p0, .value = "0"}).ok());
  const auto batches = plain.leader->log("t", 0);
  REQUIRE(batches.size() == 1);
  CHECK_FALSE(BatchHeader::parse(batches[0].bytes()).has_producer_id());
}

TEST_CASE("no batch that was under way comes before one that is sent again") {
  StrictBed bed;
  bed.before = [&](ProduceRequest& request) {
    bed.parked.push_back(std::move(request));
    return true;
  };
  auto producer = bed.open({.linger = 0ms});
  for (const std::string& value : numbers(4)) {
    REQUIRE(bed.send(producer, value).ok());
  }
  REQUIRE(bed.parked.size() == 4);
  bed.before = [](ProduceRequest&) { return false; };
  // The first one is refused; the others arrive, each too early.
  bed.parked[0].reply->done(error(ErrorCode::kafka_storage_error, "x"),
                            std::move(bed.parked[0].batch));
  for (const std::size_t i : {1U, 2U, 3U}) {
    bed.parked[i].reply->done(error(ErrorCode::out_of_order_sequence_number, "x"),
                              std::move(bed.parked[i].batch));
  }
  bed.env.advance(1s);
  CHECK(bed.leader->values("t", 0) == numbers(4));
  CHECK(bed.log().back() == Numbered{1'000, 0, 3});
}

TEST_CASE("after a batch that failed for good the next one begins a new epoch") {
  StrictBed bed;
  auto producer = bed.open({.linger = 0ms});
  REQUIRE(bed.send(producer, "0").ok());
  bed.before = [&](ProduceRequest& request) {
    request.reply->done(error(ErrorCode::invalid_record, "x"), std::move(request.batch));
    return true;
  };
  const auto failed = bed.send(producer, "bad");
  CHECK(error_code(producer.wait(*failed).status()) == ErrorCode::invalid_record);
  bed.before = [](ProduceRequest&) { return false; };
  REQUIRE(bed.send(producer, "1").ok());
  REQUIRE(bed.send(producer, "2").ok());
  CHECK(bed.leader->values("t", 0) == numbers(3));
  CHECK(bed.log() == std::vector<Numbered>{{1'000, 0, 0}, {1'000, 1, 0}, {1'000, 1, 1}});
}

TEST_CASE("after its last epoch a partition goes on under a new producer id") {
  StrictBed bed;
  auto producer = bed.open({.linger = 0ms});
  REQUIRE(bed.send(producer, "0").ok());
  bed.before = [&](ProduceRequest& request) {
    request.reply->done(error(ErrorCode::invalid_record, "x"), std::move(request.batch));
    return true;
  };
  for (int i = 0; i <= INT16_MAX; ++i) {
    REQUIRE(bed.send(producer, "lost").ok());
  }
  SECTION("that is there at once") {
    bed.before = [](ProduceRequest&) { return false; };
    REQUIRE(bed.send(producer, "1").ok());
    REQUIRE(bed.send(producer, "2").ok());
  }
  SECTION("once it is given; until then batches wait, as long as delivery.timeout.ms allows") {
    bed.leader->gives_no_ids = true;
    bed.before = [](ProduceRequest&) { return false; };
    const auto late = bed.send(producer, "late");
    bed.env.advance(60s);
    REQUIRE(bed.send(producer, "1").ok());
    bed.env.advance(70s);
    const absl::Status told = producer.wait(*late, 0ms).status();
    CHECK(fault(told) == Fault::timed_out);
    CHECK(outcome(told) == Outcome::not_written);
    bed.leader->gives_no_ids = false;
    bed.env.advance(1s);
    REQUIRE(bed.send(producer, "2").ok());
  }
  CHECK(bed.leader->values("t", 0) == numbers(3));
  CHECK(bed.log() == std::vector<Numbered>{{1'000, 0, 0}, {1'001, 0, 0}, {1'001, 0, 1}});
}

TEST_CASE("a new epoch waits for what is under way, and numbers it anew in its order") {
  StrictBed bed;
  auto producer = bed.open({.linger = 0ms});
  bed.before = [&](ProduceRequest& request) {
    bed.parked.push_back(std::move(request));
    return true;
  };
  for (const char* value : {"bad", "0", "1"}) {
    REQUIRE(bed.send(producer, value).ok());
  }
  bed.before = [](ProduceRequest&) { return false; };
  bed.parked[0].reply->done(error(ErrorCode::invalid_record, "x"), std::move(bed.parked[0].batch));
  REQUIRE(bed.send(producer, "2").ok());
  CHECK(bed.log().empty());  // not before those two
  for (const std::size_t i : {1U, 2U}) {
    bed.parked[i].reply->done(error(ErrorCode::out_of_order_sequence_number, "x"),
                              std::move(bed.parked[i].batch));
  }
  bed.env.advance(2s);
  CHECK(bed.leader->values("t", 0) == numbers(3));
  CHECK(bed.log() == std::vector<Numbered>{{1'000, 1, 0}, {1'000, 1, 1}, {1'000, 1, 2}});
}

TEST_CASE("where the log lost what it had, numbers begin anew") {
  StrictBed bed;
  auto producer = bed.open({.linger = 0ms});
  for (const std::string& value : numbers(3)) {
    REQUIRE(bed.send(producer, value).ok());
  }
  BatchHeader first;
  first.producer_id = ProducerId(1'000);
  first.producer_epoch = ProducerEpoch(0);
  first.base_sequence = 0;
  bed.producers = ProducerState();
  bed.producers.append(first);  // of three batches, one is left
  REQUIRE(bed.send(producer, "3").ok());
  bed.env.advance(2s);
  CHECK(bed.leader->values("t", 0) == numbers(4));
  CHECK(bed.log().back() == Numbered{1'000, 1, 0});
}

TEST_CASE("the pieces of a batch that was too large keep its numbers") {
  StrictBed bed;
  int refusals = 1;
  bed.before = [&](ProduceRequest& request) {
    if (refusals-- > 0) {
      request.reply->done(error(ErrorCode::message_too_large, "x"), std::move(request.batch));
      return true;
    }
    return false;
  };
  auto producer = bed.open({.linger = 1s});
  for (int i = 0; i < 6; ++i) {
    REQUIRE(bed.send(producer, std::string(100, static_cast<char>('a' + i))).ok());
  }
  REQUIRE(producer.flush().ok());
  REQUIRE(bed.send(producer, "last").ok());
  REQUIRE(producer.flush().ok());
  CHECK(bed.leader->values("t", 0).size() == 7);
  const auto log = bed.log();
  REQUIRE(log.size() > 2);
  CHECK(log.front() == Numbered{1'000, 0, 0});
  CHECK(log.back() == Numbered{1'000, 0, 6});
}
