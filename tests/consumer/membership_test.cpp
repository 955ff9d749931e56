// SPDX-License-Identifier: Apache-2.0
#include "tests/consumer/fake_coordinator.hpp"

using namespace ottla;
using namespace test;
using namespace std::chrono_literals;

TEST_CASE("the first poll joins, with the id that the coordinator gives") {
  Coordinator group;
  group.join_error = ErrorCode::member_id_required;
  Member member = group.member({.client_id = "me"});
  CHECK(member.assignment()->empty());
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.take_told() == Told{"join -", "join m", "sync 1", "assigned 2"});
  CHECK(member.assignment()->size() == 2);
  const JoinGroupRequest& join = group.joins.back();
  CHECK(join.client.id == "me");
  CHECK(join.session_timeout == 45'000ms);
  CHECK(join.rebalance_timeout == 300'000ms);
  CHECK(join.protocol_type == "consumer");
  REQUIRE(join.protocols.size() == 2);
  CHECK(join.protocols[0].name == "range");
  CHECK(decode_consumer_subscription(join.protocols[0].metadata)->topics ==
        std::vector<std::string>{"orders"});
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.take_told().empty());
}

TEST_CASE("a leader assigns, of the topics that exist") {
  Coordinator group;
  group.leads = true;
  Member member = group.member({.topics = {"orders", "missing"}});
  REQUIRE(member.poll(0ms).ok());
  REQUIRE(group.syncs.back().assignments.size() == 1);
  CHECK(member.assignment()->size() == 2);
  group.host.connection->add_topic("missing", 3);
  REQUIRE(member.poll(0ms).ok());
  CHECK(member.assignment()->size() == 5);
}

TEST_CASE("only the leader begins a rebalance when topics change, and only when they concern it") {
  Coordinator group;
  group.leads = GENERATE(true, false);
  Member member = group.member();
  REQUIRE(member.poll(0ms).ok());
  group.host.connection->add_topic("other", 1);
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.joins.size() == 1);
  group.host.connection->logs["orders"].resize(3);
  ++group.host.connection->version;
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.joins.size() == (group.leads ? 2U : 1U));
}

TEST_CASE("heartbeats go out each interval while nobody polls, and end with the consumer") {
  Coordinator group;
  {
    Member member = group.member({.heartbeat_interval = 3s});
    REQUIRE(member.poll(0ms).ok());
    group.env().advance(30s);
    CHECK(group.heartbeats == 10);
  }
  group.env().advance(30s);
  CHECK(group.heartbeats == 10);
  CHECK(group.told.back() == "leave m");
}

TEST_CASE("one heartbeat is under way at most") {
  Coordinator group;
  std::vector<Reply<HeartbeatResponse>> unanswered;
  group.host.connection->on_heartbeat = [&](const HeartbeatRequest&,
                                            Reply<HeartbeatResponse> reply) {
    unanswered.push_back(std::move(reply));
  };
  Member member = group.member({.heartbeat_interval = 100ms});
  REQUIRE(member.poll(0ms).ok());
  group.env().advance(10s);
  REQUIRE(unanswered.size() == 1);
  unanswered[0](HeartbeatResponse{});
  group.env().advance(10s);
  CHECK(unanswered.size() == 2);
  REQUIRE(member.enforce_rebalance().ok());
  REQUIRE(member.poll(0ms).ok());
  group.env().advance(10s);
  CHECK(unanswered.size() == 3);  // of the new generation
}

TEST_CASE("an eager member gives everything back before it joins again, committed") {
  Coordinator group;
  Member member = group.member();
  group.host.connection->append_records(0, 1, 5);
  REQUIRE(member.poll(0ms)->count() == 5);
  group.take_told();
  group.heartbeat_error = ErrorCode::rebalance_in_progress;
  group.env().advance(3s);
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.take_told() == Told{"commit 2 in 1", "revoked 2", "join m", "sync 2", "assigned 2"});
}

TEST_CASE("a cooperative member keeps what it owns, and joins once more for what it gave back") {
  Coordinator group;
  Member member = group.member({.auto_commit = false, .assignors = {"cooperative-sticky"}});
  REQUIRE(member.poll(0ms).ok());
  group.take_told();
  group.assigned = {{"orders", {PartitionId(1)}}};
  group.heartbeat_error = ErrorCode::rebalance_in_progress;
  group.env().advance(3s);
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.take_told() ==
        Told{"join m", "sync 2", "revoked 1", "assigned 0", "join m", "sync 3", "assigned 0"});
  const auto told = decode_consumer_subscription(group.joins[1].protocols[0].metadata);
  CHECK(told->owned ==
        std::vector<PartitionsOfTopic>{{"orders", {PartitionId(0), PartitionId(1)}}});
  CHECK(told->generation == Generation(1));
  CHECK(*member.assignment() == std::vector<TopicPartition>{{"orders", PartitionId(1)}});
}

TEST_CASE("a member that the coordinator does not know any more has lost everything") {
  Coordinator group;
  Member member = group.member();
  REQUIRE(member.poll(0ms).ok());
  group.take_told();
  SECTION("its id too") {
    group.heartbeat_error = ErrorCode::unknown_member_id;
    group.env().advance(3s);
    REQUIRE(member.poll(0ms).ok());
    CHECK(group.take_told() == Told{"lost 2", "join -", "sync 2", "assigned 2"});
  }
  SECTION("its generation") {
    group.heartbeat_error = ErrorCode::illegal_generation;
    group.env().advance(3s);
    REQUIRE(member.poll(0ms).ok());
    CHECK(group.take_told() == Told{"lost 2", "join m", "sync 2", "assigned 2"});
  }
  SECTION("it was fenced: that is the program's to know") {
    group.heartbeat_error = ErrorCode::fenced_instance_id;
    group.env().advance(3s);
    CHECK(error_code(member.poll(0ms).status()) == ErrorCode::fenced_instance_id);
    CHECK(group.take_told() == Told{"lost 2"});
    CHECK(error_code(member.commit({{{"orders", PartitionId(0)}, {Offset(1)}}})) ==
          ErrorCode::unknown_member_id);
  }
}

TEST_CASE("a member says since which generation it has its assignment, an eager one too") {
  Coordinator group;
  Member member = group.member({.auto_commit = false});
  REQUIRE(member.poll(0ms).ok());
  group.sync_error = ErrorCode::coordinator_load_in_progress;
  REQUIRE(member.enforce_rebalance().ok());
  REQUIRE(member.poll(0ms).ok());
  group.env().advance(1s);
  REQUIRE(member.poll(0ms).ok());
  REQUIRE(group.joins.size() == 3);
  CHECK(*decode_consumer_subscription(group.joins[1].protocols[0].metadata) ==
        ConsumerSubscription{.topics = {"orders"}, .generation = Generation(1)});
  CHECK(group.joins[0].protocols != group.joins[1].protocols);
  CHECK(group.joins[1].protocols == group.joins[2].protocols);  // as nobody has synchronized
  SECTION("who has left begins anew") {
    REQUIRE(member.unsubscribe().ok());
    REQUIRE(member.subscribe({"orders"}).ok());
  }
  SECTION("who is unknown, too") {
    group.heartbeat_error = ErrorCode::unknown_member_id;
    group.env().advance(3s);
  }
  REQUIRE(member.poll(0ms).ok());
  REQUIRE(group.joins.size() == 4);
  CHECK(group.joins[3].protocols == group.joins[0].protocols);
}

TEST_CASE("an assignment of topics that are not subscribed is not taken, and its member joins") {
  Coordinator group;
  const std::string assignor = GENERATE("range", "cooperative-sticky");
  Member member = group.member({.auto_commit = false, .assignors = {assignor}});
  const auto mine = std::exchange(group.assigned, {{"other", {PartitionId(0)}}});
  REQUIRE(member.poll(0ms).ok());
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.take_told() == Told{"join -", "sync 1"});  // no poll is endless
  CHECK(member.assignment()->empty());
  REQUIRE(member.poll(1s).ok());
  REQUIRE(group.joins.size() > 2);
  CHECK(group.joins.size() < 20);
  CHECK(group.joins[0].protocols != group.joins[1].protocols);
  CHECK(group.joins[1].protocols != group.joins[2].protocols);
  group.assigned = mine;
  group.env().advance(1s);
  group.take_told();
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.take_told().back() == "assigned 2");
  CHECK(member.assignment()->size() == 2);
}

TEST_CASE("a rebalance between join and sync begins it anew") {
  Coordinator group;
  group.sync_error = ErrorCode::rebalance_in_progress;
  Member member = group.member();
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.take_told() == Told{"join -", "sync 1", "join m", "sync 2", "assigned 2"});
}

TEST_CASE("a coordinator that loads is asked again after a while, by a poll that waits") {
  Coordinator group;
  group.join_error = ErrorCode::coordinator_load_in_progress;
  group.host.connection->append_records(0, 1, 1);
  Member member = group.member();
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.joins.size() == 1);
  CHECK(member.poll(1s)->count() == 1);
  CHECK(group.joins.size() == 2);
}

TEST_CASE("a refusal to join is told, and the next poll tries again") {
  Coordinator group;
  group.join_error = ErrorCode::group_max_size_reached;
  Member member = group.member();
  CHECK(error_code(member.poll(0ms).status()) == ErrorCode::group_max_size_reached);
  REQUIRE(member.poll(0ms).ok());
  CHECK(member.assignment()->size() == 2);
}

TEST_CASE("an event loop that was told of a refusal is told when to try again") {
  Coordinator group;
  Member member = group.member();
  int told = 0;
  REQUIRE(member.on_ready([&] { ++told; }).ok());
  group.broken = error(Fault::io, "the disk failed");
  CHECK(fault(member.poll(0ms).status()) == Fault::io);
  told = 0;
  group.broken = absl::OkStatus();
  group.env().advance(1s);
  CHECK(told > 0);
  REQUIRE(member.poll(0ms).ok());
  CHECK(member.assignment()->size() == 2);
}

TEST_CASE("an assignment that cannot be read is an error, and the member joins again") {
  Coordinator group;
  Member member = group.member();
  const auto well = group.host.connection->on_sync;
  group.host.connection->on_sync = [](const SyncGroupRequest&, Reply<SyncGroupResponse> reply) {
    reply(SyncGroupResponse{.assignment = {std::byte{0}, std::byte{0}, std::byte{0x7f}}});
  };
  CHECK(fault(member.poll(0ms).status()) == Fault::corrupt);
  group.host.connection->on_sync = well;
  REQUIRE(member.poll(0ms).ok());
  CHECK(member.assignment()->size() == 2);
}

TEST_CASE("who does not poll for max.poll.interval leaves; a static member falls silent") {
  Coordinator group;
  const bool is_static = GENERATE(false, true);
  Member member = group.member(
      {.max_poll_interval = 10s, .heartbeat_interval = 3s, .instance_id = is_static ? "i" : ""});
  REQUIRE(member.poll(0ms).ok());
  group.take_told();
  group.env().advance(60s);
  CHECK(group.heartbeats == 3);
  CHECK(group.take_told() == (is_static ? Told{} : Told{"leave m"}));
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.take_told() == Told{"lost 2", "join -", "sync 2", "assigned 2"});
}

TEST_CASE("a poll that waits longer than max.poll.interval is no absence") {
  Coordinator group;
  Member member = group.member({.auto_commit = false, .max_poll_interval = 10s});
  REQUIRE(member.poll(60s)->empty());
  CHECK(group.take_told() == Told{"join -", "sync 1", "assigned 2"});
  CHECK(group.heartbeats > 15);
}

TEST_CASE("closing revokes, commits and leaves; unsubscribing too") {
  Coordinator group;
  Member member = group.member();
  group.host.connection->append_records(0, 1, 5);
  REQUIRE(member.poll(0ms)->count() == 5);
  group.take_told();
  SECTION("close") { REQUIRE(member.close().ok()); }
  SECTION("unsubscribe") {
    REQUIRE(member.unsubscribe().ok());
    CHECK(member.assignment()->empty());
    CHECK(member.subscription()->empty());
    REQUIRE(member.assign({{"orders", PartitionId(0)}}).ok());
    CHECK(member.poll(0ms)->count() == 5);
  }
  CHECK(group.take_told() == Told{"commit 2 in 1", "revoked 2", "leave m"});
  group.env().advance(30s);
  CHECK(group.heartbeats == 0);
}

TEST_CASE("closing leaves in time though no commit is answered, a listener's neither") {
  Coordinator group;
  std::vector<Reply<OffsetCommitResponse>> unanswered;
  group.host.connection->on_commit = [&](const OffsetCommitRequest&,
                                         Reply<OffsetCommitResponse> reply) {
    unanswered.push_back(std::move(reply));
  };
  std::optional<Member> member;
  ConsumerConfig config{.auto_commit = GENERATE(true, false), .close_timeout = 1s};
  const bool by_call = GENERATE(true, false);
  config.rebalance.revoked = [&](const std::vector<TopicPartition>& partitions) {
    CHECK_FALSE(member->commit({{partitions[0], {Offset(0)}}}).ok());
    CHECK(member->committed(partitions).ok());
  };
  member.emplace(group.member(std::move(config)));
  REQUIRE(member->poll(0ms).ok());
  const SteadyTime start = group.env().clock().steady_now();
  group.take_told();
  if (by_call) member->close(1s).IgnoreError();
  member.reset();
  CHECK(group.env().clock().steady_now() - start <= 1s);
  CHECK(group.take_told() == Told{"leave m"});
}

TEST_CASE("closing says that it leaves though its time is over") {
  Coordinator group;
  Member member = group.member({.auto_commit = false});
  REQUIRE(member.poll(0ms).ok());
  group.take_told();
  member.close(GENERATE(0ms, -1ms)).IgnoreError();
  CHECK(group.take_told() == Told{"revoked 2", "leave m"});
}

TEST_CASE("a static member stays in its group when it closes") {
  Coordinator group;
  Member member = group.member({.auto_commit = false, .instance_id = "i"});
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.joins.back().instance_id == "i");
  group.take_told();
  REQUIRE(member.close().ok());
  CHECK(group.take_told() == Told{"revoked 2"});
}

TEST_CASE("a listener may seek, commit and look; what would turn the poll inside out it may not") {
  Coordinator group;
  std::optional<Member> member;
  std::vector<absl::Status> answers;
  ConsumerConfig config{.auto_commit = false};
  config.rebalance.assigned = [&](const std::vector<TopicPartition>& partitions) {
    answers.push_back(member->seek(partitions.at(0), Offset(3)));
    answers.push_back(member->commit({{partitions.at(0), {Offset(3)}}}));
    answers.push_back(member->assignment().status());
    answers.push_back(member->poll(0ms).status());
    answers.push_back(member->close());
    answers.push_back(member->unsubscribe());
    answers.push_back(member->subscribe({"orders"}));
  };
  member.emplace(group.member(config));
  group.host.connection->append_records(0, 1, 5);
  CHECK(member->poll(0ms)->count() == 2);
  REQUIRE(answers.size() == 7);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    CHECK(fault(answers[i]) == (i < 3 ? Fault::none : Fault::would_deadlock));
  }
}

#if OTTLA_EXCEPTIONS
TEST_CASE("what a listener throws is an error of that poll, once") {
  Coordinator group;
  ConsumerConfig config;
  config.rebalance.assigned = [](const std::vector<TopicPartition>&) {
    throw std::runtime_error("no room");
  };
  Member member = group.member(config);
  const auto failed = member.poll(0ms).status();
  CHECK(fault(failed) == Fault::internal);
  CHECK(sv(failed.message()).find("no room") != std::string_view::npos);
  CHECK(member.poll(0ms).ok());
}
#endif

TEST_CASE("assigning by hand and subscribing exclude each other") {
  Coordinator group;
  Member member = group.member();
  CHECK(fault(member.assign({{"orders", PartitionId(0)}})) == Fault::invalid_argument);
  REQUIRE(member.subscribe({}).ok());
  REQUIRE(member.assign({{"orders", PartitionId(0)}}).ok());
  CHECK(fault(member.subscribe({"orders"})) == Fault::invalid_argument);
  CHECK(fault(member.enforce_rebalance()) == Fault::invalid_argument);
}

TEST_CASE("enforce_rebalance joins with the next poll") {
  Coordinator group;
  Member member = group.member({.auto_commit = false});
  REQUIRE(member.poll(0ms).ok());
  REQUIRE(member.enforce_rebalance().ok());
  group.take_told();
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.take_told() == Told{"revoked 2", "join m", "sync 2", "assigned 2"});
}

TEST_CASE("a listener that enforces a rebalance does so once a poll, and no poll is endless") {
  Coordinator group;
  Member* whole = nullptr;
  int calls = 0;
  ConsumerConfig config{.auto_commit = false};
  config.rebalance.assigned = [&](const std::vector<TopicPartition>&) {
    ++calls;
    if (whole != nullptr) {
      CHECK(whole->enforce_rebalance().ok());
    }
  };
  Member member = group.member(std::move(config));
  whole = &member;
  for (int polls = 1; polls <= 3; ++polls) {
    REQUIRE(member.poll(0ms).ok());
    CHECK(calls == polls);
  }
}

TEST_CASE("what the coordinator refuses for good is told with what to do") {
  for (const auto& [code, remedy] :
       {std::pair(ErrorCode::invalid_session_timeout, "session.timeout.ms"),
        std::pair(ErrorCode::inconsistent_group_protocol, "assignor"),
        std::pair(ErrorCode::group_max_size_reached, "group.max.size"),
        std::pair(ErrorCode::policy_violation, "group_max_member_metadata"),
        std::pair(ErrorCode::invalid_request, "249")}) {
    Coordinator group;
    group.join_error = code;
    Member member = group.member();
    const absl::Status refused = member.poll(0ms).status();
    CHECK(error_code(refused) == code);
    CHECK(sv(refused.message()).find(remedy) != std::string_view::npos);
  }
}

TEST_CASE("a member whose request fails asks again after a pause") {
  Coordinator group;
  group.broken = error(Fault::no_space, "the disk is full");
  Member member = group.member();
  CHECK(fault(member.poll(0ms).status()) == Fault::no_space);
  for (int i = 0; i < 10; ++i) member.poll(0ms).IgnoreError();
  CHECK(group.joins.size() == 1);
  group.env().advance(1s);
  group.broken = absl::OkStatus();
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.joins.size() == 2);
  CHECK(group.take_told().back() == "assigned 2");
}

TEST_CASE("a member that is told by a commit that it is none gives up its partitions and joins") {
  Coordinator group;
  Member member = group.member({.auto_commit_interval = 0ms});
  REQUIRE(member.poll(0ms).ok());
  group.host.connection->on_commit = [](const OffsetCommitRequest& request,
                                        Reply<OffsetCommitResponse> reply) {
    OffsetCommitResponse response;
    response.partitions.push_back(
        {.partition = request.partitions.at(0).partition, .error = ErrorCode::unknown_member_id});
    reply(std::move(response));
  };
  REQUIRE(member.poll(0ms).ok());
  group.take_told();
  REQUIRE(member.poll(0ms).ok());
  CHECK(group.take_told() == Told{"lost 2", "join -", "sync 2", "assigned 2"});
}
