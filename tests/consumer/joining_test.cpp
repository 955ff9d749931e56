// SPDX-License-Identifier: Apache-2.0
//
// A member whose join is answered while it works, between its polls.
#include "tests/consumer/fake_coordinator.hpp"

using namespace ottla;
using namespace test;
using namespace std::chrono_literals;

namespace {

/// Its coordinator answers a join when `answer` is called, once `park` was.
struct Parking : Coordinator {
  Parking() {
    host.connection->on_heartbeat = [this](HeartbeatRequest request,
                                           Reply<HeartbeatResponse> reply) {
      beats.push_back(std::move(request));
      reply(HeartbeatResponse{});
    };
  }
  void park() {
    host.connection->on_join = [this](const JoinGroupRequest&, Reply<JoinGroupResponse> reply) {
      parked = std::move(reply);
    };
  }
  void answer() {
    parked(JoinGroupResponse{.generation = Generation(7),
                             .protocol = "cooperative-sticky",
                             .leader = "other",
                             .member_id = "m7"});
  }

  Reply<JoinGroupResponse> parked;
  std::vector<HeartbeatRequest> beats;
  const ConsumerConfig config{.auto_commit = false,
                              .heartbeat_interval = 3s,
                              .assignors = {"cooperative-sticky"},
                              .instance_id = "one"};

  /// A member whose second join waits.
  Member rejoining() {
    Member one = member(config);
    REQUIRE(one.poll(0ms).ok());
    park();
    REQUIRE(one.enforce_rebalance().ok());
    REQUIRE(one.poll(0ms).ok());
    return one;
  }
};

}  // namespace

TEST_CASE("who works while its join is answered lives on as the member that it has become") {
  Parking group;
  Member member = group.rejoining();
  group.env().advance(3s);
  REQUIRE(group.beats.size() == 1);
  CHECK(group.beats[0].generation == Generation(1));
  group.answer();
  group.env().advance(3s);
  REQUIRE(group.beats.size() == 2);
  CHECK(group.beats[1].group == "g");
  CHECK(group.beats[1].generation == Generation(7));
  CHECK(group.beats[1].member_id == "m7");
  CHECK(group.beats[1].instance_id == "one");
  group.take_told();
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.take_told() == Told{"sync 7", "assigned 0"});
}

TEST_CASE("who joins for the first time lives until it has not polled for too long") {
  Parking group;
  ConsumerConfig config = group.config;
  config.max_poll_interval = 20s;
  Member member = group.member(config);
  group.park();
  REQUIRE(member.poll(0ms).ok());
  group.env().advance(6s);
  CHECK(group.beats.empty());
  group.answer();
  group.env().advance(60s);
  CHECK(group.beats.size() == 4);
}

TEST_CASE("a join that is answered when its member has gone brings no heartbeats") {
  Parking group;
  {
    Member member = group.member(group.config);
    group.park();
    REQUIRE(member.poll(0ms).ok());
  }
  group.answer();
  group.env().advance(60s);
  CHECK(group.beats.empty());
}

TEST_CASE("a commit between join and sync names the generation that was joined") {
  Parking group;
  Member member = group.rejoining();
  group.take_told();
  REQUIRE(member.commit().ok());
  group.answer();
  REQUIRE(member.commit().ok());
  CHECK(group.take_told() == Told{"commit 2 in 1", "commit 2 in 7"});
}
