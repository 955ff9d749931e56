// SPDX-License-Identifier: Apache-2.0
//
// A coordinator beyond what members do: commits, queries, deletion, expiry, restarts.

#include "tests/group/member.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace member;

namespace {

constexpr std::int64_t day = 24 * 60 * 60 * 1000;

ErrorCode committed(KeptCoordinator& kept, const OffsetCommitRequest& request) {
  return kept.answer_to<OffsetCommitResponse>(request).partitions.at(0).error;
}

std::int64_t offset_of(const KeptCoordinator& kept) {
  const CommittedOffset* found = kept.coordinator().offsets().find("g", {"t", PartitionId(0)});
  return found == nullptr ? -1 : found->offset.value();
}

ErrorCode deleted(KeptCoordinator& kept, const std::string& group = "g") {
  return kept.answer_to<DeleteGroupsResponse>(DeleteGroupsRequest{.groups = {group}})
      .groups.at(0)
      .error;
}

}  // namespace

TEST_CASE("members commit in their generation, and what they committed survives a restart") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 1);
  CHECK(committed(kept, commit(7, joined[0])) == ErrorCode::none);
  CHECK(offset_of(kept) == 7);
  kept.reload();
  CHECK(offset_of(kept) == 7);
  CHECK(kept.group().generation() == Generation(1));
  CHECK(committed(kept, commit(8, joined[0])) == ErrorCode::none);
}

TEST_CASE("a commit of somebody who is no member of this generation is refused") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 1);
  CHECK(committed(kept, commit(1)) == ErrorCode::unknown_member_id);
  JoinGroupResponse other = joined[0];
  other.member_id = "nobody";
  CHECK(committed(kept, commit(1, other)) == ErrorCode::unknown_member_id);
  other = joined[0];
  other.generation = Generation(0);
  CHECK(committed(kept, commit(1, other)) == ErrorCode::illegal_generation);
  CHECK(offset_of(kept) == -1);
}

TEST_CASE("members commit while others join, but not between join and sync") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 2);
  const RequestId again = kept.ask(join(joined[0].member_id));
  CHECK(committed(kept, commit(5, joined[1])) == ErrorCode::none);
  const auto follower = kept.answer_to<JoinGroupResponse>(join(joined[1].member_id));
  REQUIRE(kept.take<JoinGroupResponse>(again));
  CHECK(committed(kept, commit(6, follower)) == ErrorCode::rebalance_in_progress);
  CHECK(offset_of(kept) == 5);
}

TEST_CASE("who commits is alive") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 1);
  for (int i = 0; i < 4; ++i) {
    kept.advance(6'000);
    CHECK(committed(kept, commit(i, joined[0])) == ErrorCode::none);
  }
  CHECK(kept.group().state() == GroupState::stable);
}

TEST_CASE("a consumer without a group membership commits to a simple group") {
  KeptCoordinator kept;
  CHECK(committed(kept, commit(3)) == ErrorCode::none);
  CHECK(kept.group().state() == GroupState::empty);
  CHECK_FALSE(kept.group().protocol_type());
  OffsetCommitRequest late = commit(4);
  late.group = "other";
  late.generation = Generation(2);
  CHECK(committed(kept, late) == ErrorCode::group_id_not_found);
  late.version = 8;
  CHECK(committed(kept, late) == ErrorCode::illegal_generation);
  stable_group(kept, 1);
  CHECK(offset_of(kept) == 3);
}

TEST_CASE("a commit that cannot be written is not seen, and its client is told") {
  KeptCoordinator kept;
  CHECK(committed(kept, commit(3)) == ErrorCode::none);
  kept.fail_next(ErrorCode::coordinator_not_available);
  CHECK(committed(kept, commit(4)) == ErrorCode::coordinator_not_available);
  CHECK(offset_of(kept) == 3);
}

TEST_CASE("after a restart members go on in their sessions, or are known to be gone") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 2);
  SECTION("sessions begin anew") {
    kept.advance(6'000);
    kept.reload();
    kept.advance(9'500);
    CHECK(beat(kept, joined[0]) == ErrorCode::none);
    CHECK(kept.answer_to<SyncGroupResponse>(sync(joined[0])).assignment == bytes("0"));
    kept.advance(500);
    CHECK(kept.group().members().size() == 1);
  }
  SECTION("nobody can be alive") {
    kept.reload({.members_gone = true});
    CHECK(kept.group().state() == GroupState::empty);
    CHECK(kept.group().generation() == Generation(2));
    CHECK(*decode_group_value(*kept.log().back().value) == kept.group().record());
    const auto again = stable_group(kept, 1);
    CHECK(again[0].generation == Generation(3));
  }
}

TEST_CASE("groups whose members are gone need no timer to be deleted, committed to, or joined") {
  KeptCoordinator kept({.max_size = 1});
  stable_group(kept, 1);
  kept.reload({.members_gone = true});
  SECTION("deleted") { CHECK(deleted(kept) == ErrorCode::none); }
  SECTION("committed to by who assigns by hand") {
    CHECK(committed(kept, commit(3)) == ErrorCode::none);
  }
  SECTION("joined, with another protocol and though it was full") {
    JoinGroupRequest request = join();
    request.protocols = {{.name = "another", .metadata = bytes("")}};
    CHECK(kept.answer_to<JoinGroupResponse>(request).error == ErrorCode::member_id_required);
  }
}

TEST_CASE("the last generation that there can be is followed by the first") {
  KeptCoordinator kept;
  const GroupValue last{
      .protocol_type = "consumer", .generation = Generation(INT32_MAX), .members = {{.id = "m"}}};
  kept.write({{.key = encode_group_key("g"), .value = encode(last)}});
  kept.reload({.members_gone = true});
  CHECK(kept.group().generation() == Generation(1));
}

TEST_CASE("members that are gone are gone though nothing can be written") {
  KeptCoordinator kept;
  stable_group(kept, 2);
  kept.fail_next(ErrorCode::not_coordinator);
  kept.reload({.request = RequestId(99), .members_gone = true});
  CHECK(kept.take<OffsetDeleteResponse>(RequestId(99))->error == ErrorCode::none);
  CHECK(kept.written().empty());
  CHECK(kept.group().state() == GroupState::empty);
  const auto again = stable_group(kept, 1);
  CHECK(again[0].generation == Generation(3));
}

TEST_CASE("many groups whose members are gone are written a batch at a time") {
  KeptCoordinator kept({.max_batch_bytes = 1'000});
  for (int i = 0; i < 100; ++i) {
    const ClassicGroup group("g" + std::to_string(i),
                             GroupValue{.protocol_type = "consumer", .members = {{.id = "m"}}});
    kept.write({{.key = encode_group_key(group.id()), .value = encode(group.record())}});
  }
  kept.reload({.request = RequestId(1'000), .members_gone = true});
  std::uint64_t asked = 1;
  for (; kept.take<OffsetDeleteResponse>(RequestId(999 + asked))->error ==
         ErrorCode::coordinator_load_in_progress;
       ++asked) {
    std::size_t size = 0;
    for (const MachineRecord& record : kept.written()) {
      size += record.key->size() + record.value->size();
    }
    CHECK((size > 0 && size < 1'000));
    kept.decide(
        GroupCoordinator::Loaded{.request = RequestId(1'000 + asked), .members_gone = true});
  }
  CHECK((asked > 5 && asked < 50));
  CHECK(kept.log().size() == 200);
  CHECK(kept.coordinator().answer(ListGroupsRequest{.states = {"Empty"}}).groups.size() == 100);
}

TEST_CASE("a member that comes before the news of the load is not taken for gone") {
  KeptCoordinator before;
  stable_group(before, 1);
  KeptCoordinator kept({}, 1);
  kept.write(before.log());
  JoinGroupRequest request = join();
  request.version = 3;
  const RequestId joining = kept.ask(request);
  kept.decide(GroupCoordinator::Loaded{.members_gone = true});
  kept.run_due();
  const auto joined = kept.take<JoinGroupResponse>(joining);
  REQUIRE(joined);
  CHECK(joined->error == ErrorCode::none);
  CHECK(joined->members.size() == 1);
}

TEST_CASE("a group that is larger after a restart than it may be joins anew") {
  KeptCoordinator large;
  const auto joined = stable_group(large, 3);
  KeptCoordinator small({.max_size = 2});
  small.write(large.log());
  small.decide(GroupCoordinator::Loaded{});
  CHECK(small.group().state() == GroupState::preparing_rebalance);
  small.ask(join(joined[0].member_id));
  small.ask(join(joined[1].member_id));
  CHECK(small.answer_to<JoinGroupResponse>(join(joined[2].member_id)).error ==
        ErrorCode::group_max_size_reached);
}

TEST_CASE("groups are listed and described as they are") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 1);
  OffsetCommitRequest simple = commit(1);
  simple.group = "a";
  committed(kept, simple);
  const auto all = kept.coordinator().answer(ListGroupsRequest{}).groups;
  REQUIRE(all.size() == 2);
  CHECK(all[0].group == "a");
  CHECK(all[0].state == "Empty");
  CHECK(all[0].protocol_type.empty());
  CHECK(all[1].state == "Stable");
  CHECK(kept.coordinator().answer(ListGroupsRequest{.states = {"Stable"}}).groups.size() == 1);
  const auto described =
      kept.coordinator().answer(DescribeGroupsRequest{.groups = {"g", "nobody"}}).groups;
  CHECK(described[0].protocol == "range");
  REQUIRE(described[0].members.size() == 1);
  CHECK(described[0].members[0].member_id == joined[0].member_id);
  CHECK(described[0].members[0].client_id == "client");
  CHECK(described[0].members[0].assignment == bytes("0"));
  CHECK(described[1].error == ErrorCode::group_id_not_found);
  CHECK(described[1].state == "Dead");
}

TEST_CASE("a group with members is not deleted, an empty one goes with its offsets") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 1);
  committed(kept, commit(3, joined[0]));
  CHECK(deleted(kept) == ErrorCode::non_empty_group);
  CHECK(deleted(kept, "nobody") == ErrorCode::group_id_not_found);
  CHECK(deleted(kept, "") == ErrorCode::invalid_group_id);
  kept.ask(leave(joined[0].member_id));
  CHECK(deleted(kept) == ErrorCode::none);
  CHECK(kept.coordinator().find("g") == nullptr);
  CHECK(offset_of(kept) == -1);
  kept.reload();
  CHECK(kept.coordinator().find("g") == nullptr);
  CHECK(kept.coordinator().answer(ListGroupsRequest{}).groups.empty());
}

TEST_CASE("offsets of topics that members read are not deleted") {
  KeptCoordinator kept;
  const auto deletion = [&kept](const std::string& topic) {
    return kept.answer_to<OffsetDeleteResponse>(
        OffsetDeleteRequest{.group = "g", .partitions = {{topic, PartitionId(0)}}});
  };
  CHECK(deletion("t").error == ErrorCode::group_id_not_found);
  const auto joined = stable_group(kept, 1);
  committed(kept, commit(3, joined[0]));
  CHECK(deletion("t").partitions.at(0).error == ErrorCode::group_subscribed_to_topic);
  CHECK(deletion("other").partitions.at(0).error == ErrorCode::none);
  CHECK(offset_of(kept) == 3);
  kept.ask(leave(joined[0].member_id));
  CHECK(deletion("t").partitions.at(0).error == ErrorCode::none);
  CHECK(offset_of(kept) == -1);
}

TEST_CASE("of a group that is not of consumers no offset is deleted while it has members") {
  KeptCoordinator kept;
  JoinGroupRequest request = join();
  request.version = 3;
  request.protocol_type = "connect";
  kept.ask(request);
  CHECK(kept.answer_to<OffsetDeleteResponse>(
                OffsetDeleteRequest{.group = "g", .partitions = {{"t", PartitionId(0)}}})
            .error == ErrorCode::non_empty_group);
}

TEST_CASE("a member whose subscription cannot be read keeps all offsets of its group") {
  KeptCoordinator kept;
  JoinGroupRequest request = join(ask_for_id(kept));
  request.protocols = {{.name = "range", .metadata = bytes("?")}};
  kept.ask(request);
  kept.run_due();
  CHECK(kept.group().state() == GroupState::completing_rebalance);
  CHECK(kept.group().is_subscribed("anything"));
}

TEST_CASE("offsets of a deleted topic go in portions of a batch, and the answer lists them") {
  KeptCoordinator kept({.max_batch_bytes = 150});
  GroupCoordinator::OffsetsRevised event{.request = RequestId(1'000), .offsets = {}};
  for (const std::string group : {"g", "h", "i"}) {
    OffsetCommitRequest request = commit(3);
    request.group = group;
    committed(kept, request);
    event.offsets.push_back({group, {"t", PartitionId(0)}, std::nullopt});
  }
  kept.decide(event);
  CHECK(kept.written().size() == 2);
  CHECK(kept.take<OffsetDeleteResponse>(RequestId(1'000)).value().partitions.size() == 2);
  CHECK(offset_of(kept) == -1);
}

TEST_CASE("a group with more offsets than a batch holds is deleted by asking again") {
  KeptCoordinator kept({.max_batch_bytes = 150});
  for (int i = 0; i < 5; ++i) {
    OffsetCommitRequest request = commit(3);
    request.partitions[0].partition.partition = PartitionId(i);
    committed(kept, request);
  }
  const DeleteGroupsRequest request{.groups = {"g"}};
  int asked = 1;
  while (kept.answer_to<DeleteGroupsResponse>(request).groups.empty()) {
    REQUIRE(kept.coordinator().find("g") != nullptr);
    ++asked;
  }
  CHECK(asked == 3);
  CHECK(kept.coordinator().find("g") == nullptr);
}

TEST_CASE("a group that nobody needs goes a week after its last member, with its offsets") {
  KeptCoordinator kept;
  kept.decide(GroupCoordinator::Loaded{});
  const auto joined = stable_group(kept, 1);
  committed(kept, commit(3, joined[0]));
  kept.ask(leave(joined[0].member_id));
  kept.advance(7 * day - 1, 600'000);
  CHECK(offset_of(kept) == 3);
  kept.advance(600'001, 600'000);
  CHECK(kept.coordinator().find("g") == nullptr);
  CHECK(kept.log().back() == MachineRecord{.key = encode_group_key("g")});
}

TEST_CASE("expiry writes a thousand records at a time and goes on at once") {
  KeptCoordinator kept;
  OffsetCommitRequest many = commit(0);
  many.partitions.clear();
  for (int i = 0; i < 2'500; ++i) {
    many.partitions.push_back({.partition = {"t", PartitionId(i)}, .offset = Offset(1)});
  }
  committed(kept, many);
  kept.decide(GroupCoordinator::Loaded{});
  kept.move_clock(8 * day);
  kept.decide(GroupCoordinator::TimerDue{});
  CHECK(kept.written().size() == 1'000);
  kept.run_due();
  CHECK(kept.coordinator().find("g") == nullptr);
  CHECK_FALSE(kept.coordinator().offsets().has_offsets("g"));
  CHECK(kept.log().size() == 5'001);
}

TEST_CASE("requests that no record could hold, or no group may have, are refused") {
  KeptCoordinator kept({.max_groups = 1});
  const auto refused = [&kept](const JoinGroupRequest& request) {
    return kept.answer_to<JoinGroupResponse>(request).error;
  };
  JoinGroupRequest request = join();
  request.group = "";
  CHECK(refused(request) == ErrorCode::invalid_group_id);
  request.group = std::string(40'000, 'g');
  CHECK(refused(request) == ErrorCode::invalid_group_id);
  request = join();
  request.client.id = std::string(40'000, 'c');
  CHECK(refused(request) == ErrorCode::invalid_request);
  request = join();
  request.session_timeout = std::chrono::milliseconds(5'999);
  CHECK(refused(request) == ErrorCode::invalid_session_timeout);
  request.session_timeout = std::chrono::milliseconds(1'800'001);
  CHECK(refused(request) == ErrorCode::invalid_session_timeout);
  CHECK(refused(join("who")) == ErrorCode::unknown_member_id);
  request = join();
  request.protocols.back().metadata.resize(65'537);
  CHECK(refused(request) == ErrorCode::policy_violation);
  request.protocols.assign(17, protocol("range"));
  CHECK(refused(request) == ErrorCode::policy_violation);
  CHECK(kept.log().empty());
  request = join();
  request.protocols.back().metadata.resize(65'536);
  CHECK(refused(request) == ErrorCode::member_id_required);
  request = join();
  request.group = "second";
  CHECK(refused(request) == ErrorCode::policy_violation);
  OffsetCommitRequest second = commit(1);
  second.group = "second";
  CHECK(committed(kept, second) == ErrorCode::policy_violation);
}

TEST_CASE("records of other kinds of groups are left alone, damaged ones are reported") {
  GroupCoordinator coordinator;
  const auto apply = [&](const std::string& key, const std::string& value) {
    const std::vector<std::byte> k = golden::from_hex(key);
    const std::vector<std::byte> v = golden::from_hex(value);
    return coordinator.apply({.key = Bytes(k), .value = Bytes(v)});
  };
  CHECK(apply("000300026731", "00000000000700").ok());
  CHECK(apply("7fff00026731", "00").ok());
  CHECK_FALSE(apply("00", "00").ok());
  CHECK_FALSE(apply("0002000267", "00").ok());
  CHECK_FALSE(apply("000200026731", "0003").ok());
  CHECK(coordinator.answer(ListGroupsRequest{}).groups.empty());
}

TEST_CASE("deciding changes nothing") {
  KeptCoordinator kept;
  const auto joined = stable_group(kept, 2);
  const std::vector<GroupCoordinator::Request> requests = {join(),
                                                           join(joined[0].member_id),
                                                           sync(joined[1]),
                                                           heartbeat(joined[0]),
                                                           leave(joined[1].member_id),
                                                           commit(5, joined[0])};
  const GroupValue before = kept.group().record();
  for (const auto& request : requests) {
    const GroupCoordinator::Asked asked{.id = RequestId(99), .request = request};
    const GroupDecision first = kept.coordinator().decide(asked, kept.now());
    const GroupDecision second = kept.coordinator().decide(asked, kept.now());
    CHECK(first.records == second.records);
    CHECK(first.answers.size() == second.answers.size());
    CHECK(first.timers.size() == second.timers.size());
    CHECK(kept.group().record() == before);
    CHECK(kept.group().state() == GroupState::stable);
    CHECK(offset_of(kept) == -1);
  }
}
