// SPDX-License-Identifier: Apache-2.0
//
// Members of the classic protocol: joining, leaving, dying.
#include "tests/group/member.hpp"
#include "tests/support/catch.hpp"

using namespace member;

static_assert(RuleMachine<GroupCoordinator>);

TEST_CASE("a new group waits for nobody, and its first member leads") {
  KeptCoordinator kept;
  const std::string id = ask_for_id(kept);
  CHECK(id.starts_with("client-00000000-"));
  CHECK(kept.group().is_pending(id));
  const RequestId joining = kept.ask(join(id));
  CHECK_FALSE(kept.take<JoinGroupResponse>(joining));
  kept.run_due();
  const auto joined = kept.take<JoinGroupResponse>(joining);
  REQUIRE(joined);
  CHECK(joined->generation == Generation(1));
  CHECK(joined->leader == id);
  CHECK(joined->protocol == "range");
  REQUIRE(joined->members.size() == 1);
  CHECK(joined->members[0].metadata == protocol("range").metadata);
  const auto synced = kept.answer_to<SyncGroupResponse>(sync(*joined, {{id, bytes("all")}}));
  CHECK(synced.assignment == bytes("all"));
  CHECK(kept.group().state() == GroupState::stable);
}

TEST_CASE("a client of an old version becomes a member at once") {
  KeptCoordinator kept;
  JoinGroupRequest request = join();
  request.version = 3;
  const RequestId joining = kept.ask(request);
  kept.run_due();
  CHECK(kept.take<JoinGroupResponse>(joining)->generation == Generation(1));
}

TEST_CASE("assignments are handed out when the leader's has been written, to all at once") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 3);
  const auto value = decode_group_value(*kept.log().back().value);
  REQUIRE(value.ok());
  CHECK(*value == kept.group().record());
  CHECK(value->members.size() == 3);
  CHECK(kept.answer_to<SyncGroupResponse>(sync(joined[2])).assignment == bytes("2"));
}

TEST_CASE("a stable group has no timers but its members' sessions") {
  KeptCoordinator kept;
  stable_group(kept, 3);
  std::size_t sessions = 0;
  for (const auto& [timer, deadline] : kept.timers()) {
    if (timer.group != "g") continue;
    CHECK(timer.kind == GroupTimer::Kind::session);
    ++sessions;
  }
  CHECK(sessions == 3);
}

TEST_CASE("when the assignment cannot be written all are told, and join again") {
  KeptCoordinator kept;
  const std::string a = ask_for_id(kept);
  const std::string b = ask_for_id(kept);
  const RequestId joining_a = kept.ask(join(a));
  const RequestId joining_b = kept.ask(join(b));
  kept.run_due();
  const auto joined_a = kept.take<JoinGroupResponse>(joining_a);
  const auto joined_b = kept.take<JoinGroupResponse>(joining_b);
  const RequestId syncing = kept.ask(sync(*joined_b));
  CHECK_FALSE(kept.take<SyncGroupResponse>(syncing));
  const std::size_t written = kept.log().size();
  kept.fail_next(ErrorCode::coordinator_not_available);
  CHECK(kept.answer_to<SyncGroupResponse>(sync(*joined_a, {{a, bytes("x")}})).error ==
        ErrorCode::coordinator_not_available);
  CHECK(kept.take<SyncGroupResponse>(syncing)->error == ErrorCode::coordinator_not_available);
  CHECK(kept.group().state() == GroupState::preparing_rebalance);
  CHECK(kept.log().size() == written);
  kept.ask(join(a));
  kept.ask(join(b));
  CHECK(kept.group().state() == GroupState::completing_rebalance);
  CHECK(kept.group().generation() == Generation(2));
}

TEST_CASE("members that the leader forgot get an empty assignment") {
  KeptCoordinator kept;
  const std::string a = ask_for_id(kept);
  const RequestId joining = kept.ask(join(a));
  kept.run_due();
  const auto joined = kept.take<JoinGroupResponse>(joining);
  const auto synced = kept.answer_to<SyncGroupResponse>(sync(*joined, {{"nobody", bytes("x")}}));
  CHECK(synced.error == ErrorCode::none);
  CHECK(synced.assignment.empty());
}

TEST_CASE("a member that joins late makes the others join again") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 1);
  const RequestId late = kept.ask(join(ask_for_id(kept)));
  CHECK(kept.group().state() == GroupState::preparing_rebalance);
  CHECK(beat(kept, joined[0]) == ErrorCode::rebalance_in_progress);
  CHECK_FALSE(kept.take<JoinGroupResponse>(late));
  const auto again = kept.answer_to<JoinGroupResponse>(join(joined[0].member_id));
  CHECK(again.generation == Generation(2));
  CHECK(again.members.size() == 2);
  const auto joined_late = kept.take<JoinGroupResponse>(late);
  REQUIRE(joined_late);
  CHECK(joined_late->leader == again.member_id);
  CHECK(joined_late->members.empty());
  CHECK(beat(kept, joined[0]) == ErrorCode::illegal_generation);
  CHECK(beat(kept, again) == ErrorCode::none);
}

TEST_CASE("who does not join again in time is no member any more") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 2);
  const RequestId late = kept.ask(join(ask_for_id(kept)));
  const RequestId again = kept.ask(join(joined[1].member_id));
  for (int i = 0; i < 3; ++i) {
    kept.advance(6'000);
    CHECK(beat(kept, joined[0]) == ErrorCode::rebalance_in_progress);
    CHECK_FALSE(kept.take<JoinGroupResponse>(late));
  }
  kept.advance(2'000);
  CHECK(kept.take<JoinGroupResponse>(late)->generation == Generation(2));
  CHECK(kept.take<JoinGroupResponse>(again)->error == ErrorCode::none);
  CHECK(kept.group().members().size() == 2);
  CHECK(beat(kept, joined[0]) == ErrorCode::unknown_member_id);
}

TEST_CASE("a member without heartbeats is removed after its session, and the others go on") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 2);
  kept.advance(6'000);
  CHECK(beat(kept, joined[1]) == ErrorCode::none);
  kept.advance(4'000);
  CHECK(kept.group().state() == GroupState::preparing_rebalance);
  CHECK(kept.group().members().size() == 1);
  CHECK(kept.group().leader() == joined[1].member_id);
  const auto again = kept.answer_to<JoinGroupResponse>(join(joined[1].member_id));
  CHECK(again.generation == Generation(2));
  CHECK(again.members.size() == 1);
}

TEST_CASE("when the last member leaves the group is written empty, in a new generation") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 2);
  CHECK(kept.answer_to<LeaveGroupResponse>(leave(joined[0].member_id)).error == ErrorCode::none);
  CHECK(kept.group().state() == GroupState::preparing_rebalance);
  CHECK(kept.answer_to<LeaveGroupResponse>(leave(joined[1].member_id)).error == ErrorCode::none);
  CHECK(kept.group().state() == GroupState::empty);
  const auto value = decode_group_value(*kept.log().back().value);
  REQUIRE(value.ok());
  CHECK(*value == GroupValue{.protocol_type = "consumer",
                             .generation = Generation(2),
                             .state_time = Timestamp(kept.now_ms())});
  CHECK(beat(kept, joined[0]) == ErrorCode::unknown_member_id);
  for (const auto& [timer, deadline] : kept.timers()) {
    CHECK(timer.group != "g");
  }
}

TEST_CASE("leaving and dying are undone when that cannot be written, and tried again") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 1);
  kept.fail_next(ErrorCode::not_coordinator);
  CHECK(kept.answer_to<LeaveGroupResponse>(leave(joined[0].member_id)).error ==
        ErrorCode::not_coordinator);
  CHECK(kept.group().state() == GroupState::stable);
  CHECK(beat(kept, joined[0]) == ErrorCode::none);
  kept.fail_next(ErrorCode::not_coordinator);
  kept.advance(10'000);
  CHECK(kept.group().state() == GroupState::stable);
  kept.advance(500);
  CHECK(kept.group().state() == GroupState::empty);
}

TEST_CASE("leaving is answered for each member by itself") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 1);
  const std::string pending = ask_for_id(kept);
  const auto response = kept.answer_to<LeaveGroupResponse>(
      LeaveGroupRequest{.group = "g",
                        .members = {{.member_id = "nobody"},
                                    {.member_id = pending},
                                    {},
                                    {.member_id = joined[0].member_id}}});
  REQUIRE(response.members.size() == 4);
  CHECK(response.members[0].error == ErrorCode::unknown_member_id);
  CHECK(response.members[1].error == ErrorCode::none);
  CHECK(response.members[2].error == ErrorCode::unknown_member_id);
  CHECK(response.members[3].error == ErrorCode::none);
  CHECK(kept.group().pending() == 0);
  CHECK(kept.answer_to<LeaveGroupResponse>(LeaveGroupRequest{.group = "other"}).error ==
        ErrorCode::unknown_member_id);
}

TEST_CASE("an id that is given back before it has joined disturbs nobody") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 2);
  const Generation generation = kept.group().generation();
  kept.ask(leave(ask_for_id(kept)));
  CHECK(kept.group().pending() == 0);
  CHECK(kept.group().state() == GroupState::stable);
  CHECK(kept.group().generation() == generation);

  const std::string pending = ask_for_id(kept);
  const RequestId first = kept.ask(join(joined[0].member_id));
  const RequestId second = kept.ask(join(joined[1].member_id));
  CHECK_FALSE(kept.take<JoinGroupResponse>(first));
  kept.ask(leave(pending));
  CHECK(kept.take<JoinGroupResponse>(first));
  CHECK(kept.take<JoinGroupResponse>(second));
}

TEST_CASE("a member that leaves while it waits is answered, or known to have left") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 1);
  const std::string late = ask_for_id(kept);
  const RequestId joining = kept.ask(join(late));
  kept.ask(leave(late));
  CHECK(kept.take<JoinGroupResponse>(joining)->error == ErrorCode::unknown_member_id);
  const RequestId other = kept.ask(join(ask_for_id(kept)));
  kept.ask(join(joined[0].member_id));
  const auto follower = kept.take<JoinGroupResponse>(other);
  REQUIRE(follower);
  const RequestId syncing = kept.ask(sync(*follower));
  kept.ask(leave(follower->member_id));
  CHECK(kept.superseded() == std::vector{syncing});
}

TEST_CASE("who got an id and does not join with it holds the group up no longer than its session") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 1);
  ask_for_id(kept);
  const RequestId joining = kept.ask(join(joined[0].member_id));
  kept.advance(9'500);
  CHECK_FALSE(kept.take<JoinGroupResponse>(joining));
  kept.advance(500);
  CHECK(kept.take<JoinGroupResponse>(joining)->generation == Generation(2));
}

TEST_CASE("who does not synchronize is removed after the rebalance timeout") {
  KeptCoordinator kept;
  const std::string a = ask_for_id(kept);
  const std::string b = ask_for_id(kept);
  const RequestId joining_a = kept.ask(join(a));
  const RequestId joining_b = kept.ask(join(b));
  kept.run_due();
  const auto joined_a = *kept.take<JoinGroupResponse>(joining_a);
  const auto joined_b = *kept.take<JoinGroupResponse>(joining_b);
  REQUIRE(kept.answer_to<SyncGroupResponse>(sync(joined_a)).error == ErrorCode::none);
  for (int i = 0; i < 3; ++i) {
    kept.advance(6'000);
    CHECK(beat(kept, joined_a) == ErrorCode::none);
    CHECK(beat(kept, joined_b) == ErrorCode::none);
  }
  kept.advance(2'000);
  CHECK(kept.group().members().size() == 1);
  CHECK(beat(kept, joined_a) == ErrorCode::rebalance_in_progress);
  CHECK(beat(kept, joined_b) == ErrorCode::unknown_member_id);
}

TEST_CASE("while a member waits for an answer its session does not end") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 2);
  const RequestId joining = kept.ask(join(joined[0].member_id));
  for (int i = 0; i < 3; ++i) {
    kept.advance(6'000);
    CHECK(beat(kept, joined[1]) == ErrorCode::rebalance_in_progress);
  }
  CHECK(kept.group().members().size() == 2);
  kept.advance(2'000);
  const auto again = kept.take<JoinGroupResponse>(joining);
  REQUIRE(again);
  CHECK(again->error == ErrorCode::none);
  CHECK(again->members.size() == 1);
}

TEST_CASE("a new member that was never answered is given up after five minutes") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 1);
  JoinGroupRequest slow = join(joined[0].member_id);
  slow.rebalance_timeout = std::chrono::hours(1);
  slow.session_timeout = std::chrono::minutes(20);
  slow.protocols[0].metadata = bytes("other");
  const RequestId again = kept.ask(slow);
  REQUIRE(kept.take<JoinGroupResponse>(again));
  const RequestId joining = kept.ask(join(ask_for_id(kept)));
  kept.advance(299'500);
  CHECK_FALSE(kept.take<JoinGroupResponse>(joining));
  kept.advance(500);
  CHECK(kept.take<JoinGroupResponse>(joining)->error == ErrorCode::unknown_member_id);
}

TEST_CASE("a second JoinGroup or SyncGroup of a member takes the first one's place") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 2);
  const RequestId first = kept.ask(join(joined[0].member_id));
  const RequestId second = kept.ask(join(joined[0].member_id));
  CHECK(kept.superseded() == std::vector{first});
  const RequestId third = kept.ask(join(joined[1].member_id));
  CHECK_FALSE(kept.take<JoinGroupResponse>(first));
  CHECK(kept.take<JoinGroupResponse>(second));
  const auto follower = kept.take<JoinGroupResponse>(third);
  REQUIRE(follower);
  const RequestId fourth = kept.ask(sync(*follower));
  kept.ask(sync(*follower));
  CHECK(kept.superseded() == std::vector{first, fourth});
}

TEST_CASE("a follower that joins a stable group again unchanged learns its generation") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 2);
  CHECK(kept.answer_to<JoinGroupResponse>(join(joined[1].member_id)).generation == Generation(1));
  CHECK(kept.group().state() == GroupState::stable);
  JoinGroupRequest changed = join(joined[1].member_id);
  changed.protocols = {protocol("range", {"other"})};
  kept.ask(changed);
  CHECK(kept.group().state() == GroupState::preparing_rebalance);
}

TEST_CASE("a leader that joins a stable group again wants a rebalance") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 2);
  kept.ask(join(joined[0].member_id));
  CHECK(kept.group().state() == GroupState::preparing_rebalance);
}

TEST_CASE("a JoinGroup whose answer was lost is answered again") {
  KeptCoordinator kept;
  const RequestId joining = kept.ask(join(ask_for_id(kept)));
  kept.run_due();
  const auto joined = *kept.take<JoinGroupResponse>(joining);
  const auto again = kept.answer_to<JoinGroupResponse>(join(joined.member_id));
  CHECK(again.generation == joined.generation);
  CHECK(again.members.size() == 1);
}

TEST_CASE("the protocol that most members like best is chosen, by name where they are even") {
  KeptCoordinator kept;
  std::vector<RequestId> joining;
  const std::vector<std::vector<std::string>> liked = {
      {"z", "b", "a"}, {"z", "a", "b"}, {"b", "a"}, {"a", "b"}};
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < liked.size(); ++i) {
    ids.push_back(ask_for_id(kept));
  }
  for (std::size_t i = 0; i < liked.size(); ++i) {
    JoinGroupRequest request = join(ids[i]);
    request.protocols.clear();
    for (const std::string& name : liked[i]) {
      request.protocols.push_back(protocol(name));
    }
    joining.push_back(kept.ask(request));
  }
  kept.run_due();
  CHECK(kept.take<JoinGroupResponse>(joining[0])->protocol == "a");
  JoinGroupRequest request = join(ids[3]);
  request.protocols = {protocol("b"), protocol("a")};
  kept.ask(request);
  for (std::size_t i = 0; i < 3; ++i) {
    request = join(ids[i]);
    request.protocols = {protocol("b"), protocol("a")};
    kept.ask(request);
  }
  CHECK(kept.group().protocol() == "b");
}

TEST_CASE("a member that supports nothing that all others do is refused") {
  KeptCoordinator kept;
  stable_group(kept, 1);
  JoinGroupRequest request = join();
  request.protocols = {protocol("other")};
  CHECK(kept.answer_to<JoinGroupResponse>(request).error == ErrorCode::inconsistent_group_protocol);
  request = join();
  request.protocol_type = "connect";
  CHECK(kept.answer_to<JoinGroupResponse>(request).error == ErrorCode::inconsistent_group_protocol);
  request = join();
  request.protocols.clear();
  CHECK(kept.answer_to<JoinGroupResponse>(request).error == ErrorCode::inconsistent_group_protocol);
}

TEST_CASE("a group takes no more members than it may have") {
  KeptCoordinator kept({.max_size = 2});
  const auto joined = stable_group(kept, 2);
  CHECK(kept.answer_to<JoinGroupResponse>(join()).error == ErrorCode::group_max_size_reached);
  CHECK(beat(kept, joined[0]) == ErrorCode::none);
}

TEST_CASE("who is turned away by a full group while it rebalances is not waited for") {
  KeptCoordinator kept({.max_size = 2});
  const auto joined = stable_group(kept, 1);
  const std::string b = ask_for_id(kept);
  const std::string c = ask_for_id(kept);
  const RequestId joining = kept.ask(join(b));
  std::string last = c;
  SECTION("a member") {
    kept.ask(join(c));
    last = joined[0].member_id;
  }
  SECTION("one that has its id only") { kept.ask(join(joined[0].member_id)); }
  CHECK_FALSE(kept.take<JoinGroupResponse>(joining));
  CHECK(kept.answer_to<JoinGroupResponse>(join(last)).error == ErrorCode::group_max_size_reached);
  const auto answer = kept.take<JoinGroupResponse>(joining);
  REQUIRE(answer);
  CHECK(answer->generation == Generation(2));
  CHECK(kept.group().members().size() == 2);
}

TEST_CASE("when the leader does not join again the first member that did leads") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 3);
  JoinGroupRequest changed = join(joined[2].member_id);
  changed.protocols = {protocol("range", {"other"})};
  const RequestId third = kept.ask(changed);
  const RequestId second = kept.ask(join(joined[1].member_id));
  for (int i = 0; i < 3; ++i) {
    kept.advance(6'000);
    CHECK(beat(kept, joined[0]) == ErrorCode::rebalance_in_progress);
  }
  kept.advance(2'000);
  CHECK(kept.take<JoinGroupResponse>(third)->leader == joined[1].member_id);
  CHECK(kept.take<JoinGroupResponse>(second)->members.size() == 2);
}

TEST_CASE("a member that asks for all the time in the world gets Kafka's 24 days") {
  KeptCoordinator kept;
  JoinGroupRequest patient = join(ask_for_id(kept));
  patient.rebalance_timeout = std::chrono::milliseconds::max();
  kept.ask(patient);
  CHECK(kept.group().rebalance_timeout() == std::chrono::milliseconds(INT32_MAX));
  kept.run_due();
  CHECK(kept.group().state() == GroupState::completing_rebalance);
}
