// SPDX-License-Identifier: Apache-2.0
//
// A member whose join is answered while it works, between its polls.
#include <optional>
#include <utility>

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
  void answer(ErrorCode error = ErrorCode::none) {
    parked(JoinGroupResponse{.error = error,
                             .generation = Generation(7),
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

  ConsumerConfig dynamic() const {
    ConsumerConfig same = config;
    same.instance_id.clear();
    return same;
  }
  /// A dynamic member whose first join waits.
  Member joining() {
    Member one = member(dynamic());
    park();
    REQUIRE(one.poll(0ms).ok());
    return one;
  }
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

TEST_CASE("an id that is made for a member that has gone is given back") {
  Parking group;
  const bool is_static = GENERATE(false, true);
  const ErrorCode error = GENERATE(ErrorCode::member_id_required, ErrorCode::none);
  const bool answered_before = GENERATE(false, true);
  std::optional<Member> member = group.member(is_static ? group.config : group.dynamic());
  group.park();
  REQUIRE(member->poll(0ms).ok());
  if (answered_before) group.answer(error);
  CHECK(group.take_told().empty());
  SECTION("closed") { REQUIRE(member->close().ok()); }
  SECTION("unsubscribed") { REQUIRE(member->unsubscribe().ok()); }
  SECTION("destroyed") { member.reset(); }
  SECTION("closed without time") { member->close(0ms).IgnoreError(); }
  if (!answered_before) group.answer(error);
  CHECK(group.take_told() == (is_static ? Told{} : Told{"leave m7"}));
  group.env().advance(60s);
  CHECK(group.beats.empty());
}

TEST_CASE("who leaves while it joins with its id leaves once") {
  Parking group;
  Member member = group.joining();
  group.answer(ErrorCode::member_id_required);
  REQUIRE(member.poll(0ms).ok());
  const bool answered_before = GENERATE(false, true);
  if (answered_before) group.answer();
  REQUIRE(member.close().ok());
  if (!answered_before) group.answer();
  CHECK(group.take_told() == Told{"leave m7"});
}

TEST_CASE("who subscribes again while its first join waits keeps the id of the second") {
  Parking group;
  Member member = group.joining();
  Reply<JoinGroupResponse> first = std::move(group.parked);
  REQUIRE(member.unsubscribe().ok());
  REQUIRE(member.subscribe({"orders"}).ok());
  REQUIRE(member.poll(0ms).ok());
  group.answer();
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.take_told() == Told{"sync 7", "assigned 2"});
  first(JoinGroupResponse{.error = ErrorCode::member_id_required, .member_id = "m1"});
  CHECK(group.take_told() == Told{"leave m1"});
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
