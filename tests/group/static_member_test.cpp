// SPDX-License-Identifier: Apache-2.0
//
// Members with an instance id: they come back under a new id and keep their place.
#include "tests/group/member.hpp"
#include "tests/support/catch.hpp"

using namespace member;

namespace {

/// Two static members, "x" who leads, and "y".
std::vector<JoinGroupResponse> stable_static_group(KeptCoordinator& kept) {
  const RequestId joining_x = kept.ask(join_static("x"));
  const RequestId joining_y = kept.ask(join_static("y"));
  kept.run_due();
  std::vector<JoinGroupResponse> joined = {*kept.take<JoinGroupResponse>(joining_x),
                                           *kept.take<JoinGroupResponse>(joining_y)};
  kept.ask(sync(joined[0], {{joined[0].member_id, bytes("0")}, {joined[1].member_id, bytes("1")}}));
  kept.answers().clear();
  REQUIRE(kept.group().state() == GroupState::stable);
  return joined;
}

HeartbeatRequest heartbeat_of(const std::string& instance, const JoinGroupResponse& joined) {
  HeartbeatRequest request = heartbeat(joined);
  request.instance_id = instance;
  return request;
}

}  // namespace

TEST_CASE("a static member that comes back keeps its assignment, and nobody joins again") {
  KeptCoordinator kept;
  const auto joined = stable_static_group(kept);
  const auto back = kept.answer_to<JoinGroupResponse>(join_static("y"));
  CHECK(back.error == ErrorCode::none);
  CHECK(back.member_id != joined[1].member_id);
  CHECK(back.member_id.starts_with("y-"));
  CHECK(back.generation == Generation(1));
  CHECK_FALSE(back.skip_assignment);
  CHECK(back.members.empty());
  CHECK(kept.group().state() == GroupState::stable);
  CHECK(kept.answer_to<SyncGroupResponse>(sync(back)).assignment == bytes("1"));
  const auto value = decode_group_value(*kept.log().back().value);
  REQUIRE(value.ok());
  CHECK(*value == kept.group().record());
}

TEST_CASE("a leader that comes back is told to leave the assignment as it is") {
  KeptCoordinator kept;
  const auto joined = stable_static_group(kept);
  SECTION("a client that understands it") {
    const auto back = kept.answer_to<JoinGroupResponse>(join_static("x"));
    CHECK(back.skip_assignment);
    CHECK(back.leader == back.member_id);
    CHECK(back.members.size() == 2);
  }
  SECTION("an older client does not learn that it leads") {
    JoinGroupRequest request = join_static("x");
    request.version = 8;
    const auto back = kept.answer_to<JoinGroupResponse>(request);
    CHECK_FALSE(back.skip_assignment);
    CHECK(back.leader == joined[0].member_id);
    CHECK(back.members.empty());
  }
}

TEST_CASE("who was replaced is fenced, wherever it asks") {
  KeptCoordinator kept;
  const auto joined = stable_static_group(kept);
  kept.answer_to<JoinGroupResponse>(join_static("y"));
  CHECK(kept.answer_to<HeartbeatResponse>(heartbeat_of("y", joined[1])).error ==
        ErrorCode::fenced_instance_id);
  OffsetCommitRequest late = commit(5, joined[1]);
  late.instance_id = "y";
  CHECK(kept.answer_to<OffsetCommitResponse>(late).partitions[0].error ==
        ErrorCode::fenced_instance_id);
  CHECK(beat(kept, joined[1]) == ErrorCode::unknown_member_id);
  CHECK(kept.answer_to<HeartbeatResponse>(heartbeat_of("z", joined[1])).error ==
        ErrorCode::unknown_member_id);
}

TEST_CASE("a request of the replaced member that waits is fenced") {
  KeptCoordinator kept;
  const auto joined = stable_static_group(kept);
  kept.ask(join(joined[0].member_id));  // a leader that joins again begins a rebalance
  const RequestId waiting = kept.ask(join_static("x"));
  const RequestId again = kept.ask(join_static("x"));
  CHECK(kept.take<JoinGroupResponse>(waiting)->error == ErrorCode::fenced_instance_id);
  CHECK_FALSE(kept.take<JoinGroupResponse>(again));
}

TEST_CASE("a static member that comes back with other protocols causes a rebalance") {
  KeptCoordinator kept;
  const RequestId joining = kept.ask(join_static("x"));
  kept.run_due();
  const auto joined = *kept.take<JoinGroupResponse>(joining);
  kept.ask(sync(joined));
  JoinGroupRequest request = join_static("x");
  request.protocols = {protocol("sticky"), protocol("range")};
  const RequestId back = kept.ask(request);
  const auto answer = kept.take<JoinGroupResponse>(back);
  REQUIRE(answer);
  CHECK(answer->generation == Generation(2));
  CHECK(answer->protocol == "sticky");
}

TEST_CASE("what a static member's return would change stays when it cannot be written") {
  KeptCoordinator kept;
  const auto joined = stable_static_group(kept);
  kept.fail_next(ErrorCode::not_coordinator);
  CHECK(kept.answer_to<JoinGroupResponse>(join_static("y")).error == ErrorCode::not_coordinator);
  CHECK(kept.answer_to<HeartbeatResponse>(heartbeat_of("y", joined[1])).error == ErrorCode::none);
}

TEST_CASE("a static member stays while others join, until its session ends") {
  KeptCoordinator kept;
  const auto joined = stable_static_group(kept);
  const RequestId late = kept.ask(join_static("z"));
  kept.ask(join(joined[0].member_id));
  kept.advance(9'500);
  CHECK(kept.group().members().size() == 3);
  kept.advance(500);
  CHECK(kept.group().members().size() == 2);
  CHECK(kept.take<JoinGroupResponse>(late)->generation == Generation(2));
}

TEST_CASE("an administrator removes a static member by its instance id") {
  KeptCoordinator kept;
  const auto joined = stable_static_group(kept);
  const auto response = kept.answer_to<LeaveGroupResponse>(
      LeaveGroupRequest{.group = "g", .members = {{.instance_id = "y"}, {.instance_id = "z"}}});
  CHECK(response.members[0].error == ErrorCode::none);
  CHECK(response.members[1].error == ErrorCode::unknown_member_id);
  CHECK(kept.group().members().size() == 1);
  CHECK(beat(kept, joined[1]) == ErrorCode::unknown_member_id);
}
