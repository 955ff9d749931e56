// SPDX-License-Identifier: Apache-2.0
#include "tests/support/catch.hpp"
#include "tests/support/fake_connection.hpp"

using namespace ottla;
using namespace test;
using namespace std::chrono_literals;

namespace {

using Reader = Consumer<std::string, std::string>;

const TopicPartition first{"orders", PartitionId(0)};

/// A stand-alone consumer that has read records 0 to 9, and the commits that reach the coordinator.
struct Committing {
  explicit Committing(ConsumerConfig config = {}) {
    host.connection->append_records(0, 1, 10);
    host.connection->on_commit = [this](OffsetCommitRequest request,
                                        Reply<OffsetCommitResponse> reply) {
      requests.push_back(std::move(request));
      replies.push_back(std::move(reply));
      if (!held) answer(replies.size() - 1);
    };
    config.group = "g";
    config.offset_reset = OffsetReset::earliest;
    consumer.emplace(*Reader::open(host, std::move(config)));
    REQUIRE(consumer->assign({first}).ok());
    REQUIRE(consumer->poll(0ms)->count() == 10);
  }

  void answer(std::size_t request, ErrorCode code = ErrorCode::none) {
    OffsetCommitResponse response;
    for (const auto& each : requests[request].partitions) {
      response.partitions.push_back({each.partition, code});
    }
    std::exchange(replies[request], nullptr)(std::move(response));
  }
  MemoryEnv& env() { return host.connection->env; }

  FakeHost host;
  std::vector<OffsetCommitRequest> requests;
  std::vector<Reply<OffsetCommitResponse>> replies;
  bool held = false;
  std::optional<Reader> consumer;
};

}  // namespace

TEST_CASE("a commit names the next record to read, and the epoch of the last one read") {
  Committing it({.auto_commit = false});
  REQUIRE(it.consumer->commit().ok());
  REQUIRE(it.requests.size() == 1);
  const OffsetCommitRequest& request = it.requests[0];
  CHECK(request.group == "g");
  CHECK(request.generation == Generation(-1));
  CHECK(request.member_id.empty());
  REQUIRE(request.partitions.size() == 1);
  CHECK(request.partitions[0].offset == Offset(10));
  CHECK(request.partitions[0].leader_epoch == LeaderEpoch(3));
  CHECK(request.partitions[0].topic_id == it.host.connection->topics["orders"]);
}

TEST_CASE("a position that was committed keeps its epoch until something behind it is read") {
  FakeHost host;
  FakeConnection& broker = *host.connection;
  broker.append_records(0, 2, 10);
  broker.on_offset_fetch = [](const OffsetFetchRequest& request, Reply<OffsetFetchResponse> reply) {
    OffsetFetchResponse response;
    for (const TopicPartition& partition : *request.partitions) {
      response.partitions.push_back(
          {.partition = partition, .offset = Offset(10), .leader_epoch = LeaderEpoch(2)});
    }
    reply(std::move(response));
  };
  std::vector<OffsetCommitRequest::Partition> commits;
  broker.on_commit = [&](const OffsetCommitRequest& request, Reply<OffsetCommitResponse> reply) {
    commits.insert(commits.end(), request.partitions.begin(), request.partitions.end());
    reply(OffsetCommitResponse{});
  };
  auto consumer = *Reader::open(host, {.group = "g", .auto_commit = false});
  REQUIRE(consumer.assign({first}).ok());
  REQUIRE(consumer.position(first).ok());
  REQUIRE(consumer.commit().ok());
  REQUIRE(consumer.poll(0ms)->count() == 10);
  REQUIRE(consumer.commit().ok());
  REQUIRE(consumer.seek(first, Offset(10)).ok());
  REQUIRE(consumer.commit().ok());
  REQUIRE(commits.size() == 3);
  CHECK(commits[0].offset == Offset(10));
  CHECK(commits[0].leader_epoch == LeaderEpoch(2));
  CHECK(commits[1].leader_epoch == LeaderEpoch(3));
  CHECK(commits[2].leader_epoch == no_leader_epoch);
}

TEST_CASE("asynchronous commits are told in the order of the calls, by the thread that polls") {
  Committing it({.auto_commit = false});
  it.held = true;
  std::vector<std::string> told;
  const auto note = [&](std::string name) {
    return [&told, name](const absl::Status& status) {
      told.push_back(name + (status.ok() ? " ok" : " failed"));
    };
  };
  REQUIRE(it.consumer->commit_async({{first, {Offset(1)}}}, note("a")).ok());
  REQUIRE(it.consumer->commit_async({{first, {Offset(2)}}}, note("b")).ok());
  it.answer(1);
  REQUIRE(it.consumer->poll(0ms).ok());
  CHECK(told.empty());
  it.answer(0, ErrorCode::not_coordinator);
  CHECK(told.empty());
  REQUIRE(it.consumer->poll(0ms).ok());
  CHECK(told == std::vector<std::string>{"a failed", "b ok"});
  CHECK(it.requests.size() == 2);  // asynchronous ones are not tried again
}

TEST_CASE("a commit that waits tells the earlier asynchronous ones before it returns") {
  Committing it({.auto_commit = false});
  it.held = true;
  int told = 0;
  REQUIRE(it.consumer->commit_async([&](const absl::Status&) { ++told; }).ok());
  it.env().executor().post_at(it.env().clock().steady_now() + 1s, [&] { it.answer(1); });
  it.env().executor().post_at(it.env().clock().steady_now() + 2s, [&] { it.answer(0); });
  REQUIRE(it.consumer->commit().ok());
  CHECK(told == 1);
}

TEST_CASE("a waiting poll ends for no callback, but runs it") {
  Committing it({.auto_commit = false});
  it.held = true;
  SteadyTime when;
  REQUIRE(
      it.consumer->commit_async([&](const absl::Status&) { when = it.env().clock().steady_now(); })
          .ok());
  const SteadyTime start = it.env().clock().steady_now();
  it.env().executor().post_at(start + 1s, [&] { it.answer(0); });
  CHECK(it.consumer->poll(3s)->empty());
  CHECK(when == start + 1s);
}

TEST_CASE(
    "a commit is tried again while the coordinator is not ready, and no longer than allowed") {
  Committing it({.auto_commit = false, .api_timeout = 1s});
  const auto code = GENERATE(ErrorCode::coordinator_load_in_progress, ErrorCode::not_coordinator,
                             ErrorCode::coordinator_not_available);
  int left = GENERATE(3, 1'000'000);
  it.host.connection->on_commit = [&](const OffsetCommitRequest& request,
                                      Reply<OffsetCommitResponse> reply) {
    OffsetCommitResponse response;
    response.partitions.push_back(
        {request.partitions[0].partition, left-- > 0 ? code : ErrorCode::none});
    reply(std::move(response));
  };
  const bool ends = left == 3;
  const auto done = it.consumer->commit();
  CHECK(done.ok() == ends);
  CHECK((ends || error_code(done) == code));
}

TEST_CASE("a commit that fails for good says why") {
  Committing it({.auto_commit = false});
  it.held = true;
  const auto code = GENERATE(ErrorCode::illegal_generation, ErrorCode::offset_metadata_too_large,
                             ErrorCode::rebalance_in_progress);
  it.env().executor().post([&] { it.answer(0, code); });
  CHECK(error_code(it.consumer->commit()) == code);
  CHECK(it.requests.size() == 1);
  it.held = false;
}

TEST_CASE("a commit without an answer ends with its time, its outcome unknown") {
  Committing it({.auto_commit = false, .api_timeout = 2s});
  it.held = true;
  const auto done = it.consumer->commit();
  CHECK(fault(done) == Fault::timed_out);
  CHECK(outcome(done) == Outcome::unknown);
}

TEST_CASE("a callback that commits tells the earlier ones, in the order of the calls") {
  Committing it({.auto_commit = false});
  std::vector<int> told;
  REQUIRE(it.consumer
              ->commit_async({{first, {Offset(1)}}},
                             [&](const absl::Status&) {
                               told.push_back(1);
                               REQUIRE(it.consumer
                                           ->commit_async(
                                               {{first, {Offset(3)}}},
                                               [&](const absl::Status&) { told.push_back(3); })
                                           .ok());
                               REQUIRE(it.consumer->commit().ok());
                             })
              .ok());
  REQUIRE(it.consumer->commit_async([&](const absl::Status&) { told.push_back(2); }).ok());
  REQUIRE(it.consumer->poll(0ms).ok());
  CHECK(told == std::vector<int>{1, 2, 3});
}

TEST_CASE("a commit begun by each callback holds up no poll") {
  Committing it({.auto_commit = false});
  int told = 0;
  std::function<void(const absl::Status&)> again = [&](const absl::Status&) {
    if (++told < 1'000) REQUIRE(it.consumer->commit_async(again).ok());
  };
  REQUIRE(it.consumer->commit_async(again).ok());
  REQUIRE(it.consumer->poll(0ms).ok());
  CHECK(told == 1);
  REQUIRE(it.consumer->commit().ok());
  CHECK(told == 2);
  REQUIRE(it.consumer->close().ok());  // nobody polls afterwards
  CHECK(told == 1'000);
}

TEST_CASE("a wakeup while a callback commits ends the poll") {
  Committing it({.auto_commit = false});
  REQUIRE(it.consumer
              ->commit_async([&](const absl::Status&) {
                it.consumer->wakeup();  // as another thread might, just now
                REQUIRE(it.consumer->commit().ok());
              })
              .ok());
  const SteadyTime start = it.env().clock().steady_now();
  CHECK(fault(it.consumer->poll(60s).status()) == Fault::woken);
  CHECK(it.env().clock().steady_now() == start);
}

TEST_CASE("positions are committed by themselves each interval, and when the consumer closes") {
  Committing it({.auto_commit_interval = 5s, .max_poll_records = 500});
  it.host.connection->append_records(0, 1, 5);
  REQUIRE(it.consumer->poll(0ms)->count() == 5);
  CHECK(it.requests.empty());
  it.env().advance(5s);
  REQUIRE(it.consumer->poll(0ms)->empty());
  REQUIRE(it.requests.size() == 1);
  CHECK(it.requests[0].partitions.at(0).offset == Offset(15));
  it.host.connection->append_records(0, 1, 1);
  REQUIRE(it.consumer->poll(4s)->count() == 1);
  CHECK(it.requests.size() == 1);
  SECTION("close") { REQUIRE(it.consumer->close().ok()); }
  SECTION("destructor") { it.consumer.reset(); }
  SECTION("other partitions are assigned") { REQUIRE(it.consumer->assign({}).ok()); }
  REQUIRE(it.requests.size() == 2);
  CHECK(it.requests[1].partitions.at(0).offset == Offset(16));
}

TEST_CASE("what a poll returns now is committed by a later poll, not by the same") {
  Committing it({.auto_commit_interval = 5s});
  it.env().advance(5s);
  it.host.connection->append_records(0, 1, 5);
  REQUIRE(it.consumer->poll(0ms)->count() == 5);
  REQUIRE(it.requests.size() == 1);
  CHECK(it.requests[0].partitions.at(0).offset == Offset(10));
}

TEST_CASE("an interval of nothing commits each position once, whether polls wait or not") {
  Committing it({.auto_commit_interval = 0ms});
  it.host.connection->on_commit = [&it, answer = it.host.connection->on_commit](
                                      OffsetCommitRequest request,
                                      Reply<OffsetCommitResponse> reply) {
    if (it.requests.size() == 100) it.consumer->wakeup();  // it would not end
    answer(std::move(request), std::move(reply));
  };
  CHECK(it.consumer->poll(3s).ok());
  for (int i = 0; i < 10; ++i) REQUIRE(it.consumer->poll(0ms)->empty());
  CHECK(it.requests.size() == 1);
  it.host.connection->append_records(0, 1, 5);
  REQUIRE(it.consumer->poll(0ms)->count() == 5);
  REQUIRE(it.consumer->poll(0ms)->empty());
  REQUIRE(it.requests.size() == 2);
  CHECK(it.requests[1].partitions.at(0).offset == Offset(15));
}

TEST_CASE("what has not moved is committed again where it failed, changed hands, or grows old") {
  Committing it({.auto_commit_interval = 5s});
  it.held = true;
  it.env().advance(5s);
  REQUIRE(it.consumer->poll(0ms)->empty());
  REQUIRE(it.requests.size() == 1);
  const auto commits_in = [&](std::chrono::seconds time) {
    const std::size_t before = it.requests.size();
    it.held = false;
    it.env().advance(time);
    REQUIRE(it.consumer->poll(0ms)->empty());
    return it.requests.size() - before;
  };
  SECTION("it has failed") {
    it.answer(0, ErrorCode::not_coordinator);
    CHECK(commits_in(5s) == 1);
    CHECK(commits_in(5s) == 0);
  }
  SECTION("something else was committed") {
    it.answer(0);
    it.held = false;
    REQUIRE(it.consumer->commit({{first, {Offset(3)}}}).ok());
    CHECK(commits_in(5s) == 1);
    CHECK(it.requests.back().partitions.at(0).offset == Offset(10));
  }
  SECTION("the partition was assigned anew") {
    it.answer(0);
    it.held = false;
    REQUIRE(it.consumer->assign({first}).ok());
    CHECK(commits_in(5s) == 1);
  }
  SECTION("much time has passed") {
    it.answer(0);
    CHECK(commits_in(5s) == 0);
    CHECK(commits_in(30s) == 1);  // or it would expire
  }
}

TEST_CASE("closing ends in time though the coordinator is silent") {
  Committing it({.auto_commit = true, .close_timeout = 3s});
  it.held = true;
  const SteadyTime start = it.env().clock().steady_now();
  CHECK(fault(it.consumer->close()) == Fault::timed_out);
  CHECK(it.env().clock().steady_now() - start == 3s);
  CHECK(fault(it.consumer->close()) == Fault::timed_out);  // what was not done is not done
  CHECK(it.env().clock().steady_now() - start == 3s);
}

TEST_CASE("offsets below 0 are not committed") {
  Committing it({.auto_commit = false});
  CHECK(fault(it.consumer->commit({{first, {Offset(-1)}}})) == Fault::invalid_argument);
  CHECK(fault(it.consumer->commit_async({{first, {Offset(-1)}}})) == Fault::invalid_argument);
  CHECK(it.requests.empty());
}
