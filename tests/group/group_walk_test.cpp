// SPDX-License-Identifier: Apache-2.0
//
// Groups on random walks: members of all kinds do what they like, clocks run, writes fail. After
// each step what must always hold is checked.
#include <algorithm>
#include <random>
#include <set>

#include "tests/group/member.hpp"
#include "tests/support/catch.hpp"

using namespace member;

namespace {

class Walk {
 public:
  explicit Walk(unsigned seed)
      : random_(seed),
        kept_({.initial_rebalance_delay = std::chrono::milliseconds(seed % 2 == 0 ? 0 : 3'000),
               .max_size = 4}) {}

  std::map<GroupState, int> visits;

  void step() {
    if (chance(15)) {
      kept_.fail_next(ErrorCode::not_coordinator);
    }
    switch (random_() % 12) {
      case 0:
      case 1:
        ask_to_join(chance(4) ? join_static("i" + std::to_string(random_() % 2)) : join());
        break;
      case 2:
      case 3:
        ask_to_join(join(somebody()));
        break;
      case 4:
      case 5:
      case 10:
      case 11:
        ask_to_sync();
        break;
      case 6:
        track(kept_.ask(
            HeartbeatRequest{.group = "g", .generation = generation(), .member_id = somebody()}));
        break;
      case 7:
        track(kept_.ask(leave(somebody())));
        break;
      case 8:
        track(kept_.ask(commit(1, {.generation = generation(), .member_id = somebody()})));
        break;
      default:
        kept_.advance(static_cast<std::int64_t>(random_() % 20) * 500);
    }
    take_answers();
    check();
  }

  /// Nobody says anything any more.
  void end() {
    kept_.advance(1'200'000);
    take_answers();
    check();
    if (const ClassicGroup* group = kept_.coordinator().find("g")) {
      CHECK(group->state() == GroupState::empty);
      CHECK(group->members().empty());
    }
    CHECK(open_.empty());
    CHECK(kept_.timers().empty());
  }

 private:
  bool chance(unsigned one_in) { return random_() % one_in == 0; }
  void track(RequestId id) { open_.insert(id); }

  std::string somebody() {
    const ClassicGroup* group = kept_.coordinator().find("g");
    if (group != nullptr && !group->members().empty() && !chance(4)) {
      return chance(2) ? *group->leader()
                       : group->members()[random_() % group->members().size()].id();
    }
    return known_.empty() || chance(20) ? "nobody" : known_[random_() % known_.size()];
  }
  Generation generation() {
    const ClassicGroup* group = kept_.coordinator().find("g");
    return group == nullptr || chance(10) ? Generation(0) : group->generation();
  }

  void ask_to_join(JoinGroupRequest request) {
    request.version = chance(3) ? 3 : 9;
    if (chance(4)) {
      request.protocols = {protocol("b", {"other"}), protocol("range")};
    }
    if (!request.member_id.empty() && chance(6)) {
      request.instance_id = "i" + std::to_string(random_() % 2);
    }
    track(kept_.ask(std::move(request)));
  }

  void ask_to_sync() {
    JoinGroupResponse as{.generation = generation(), .member_id = somebody()};
    std::vector<SyncGroupRequest::Assignment> assignments;
    for (const std::string& id : known_) {
      assignments.push_back({id, bytes(id)});
    }
    track(kept_.ask(sync(as, assignments)));
  }

  void take_answers() {
    for (const auto& [id, response] : kept_.answers()) {
      REQUIRE(open_.erase(id) == 1);
      if (const auto* join = std::get_if<JoinGroupResponse>(&response)) {
        if (!join->member_id.empty() && (known_.empty() || known_.back() != join->member_id)) {
          known_.push_back(join->member_id);
        }
      }
    }
    kept_.answers().clear();
    for (; superseded_ < kept_.superseded().size(); ++superseded_) {
      REQUIRE(open_.erase(kept_.superseded()[superseded_]) == 1);
    }
    if (known_.size() > 8) {
      known_.erase(known_.begin(), known_.end() - 8);
    }
  }

  void check() {
    const ClassicGroup* group = kept_.coordinator().find("g");
    if (group == nullptr) {
      CHECK(open_.empty());
      return;
    }
    std::set<RequestId> waiting;
    for (const ClassicMember& member : group->members()) {
      for (const auto& id : {member.joining, member.syncing}) {
        if (id) {
          CHECK(waiting.insert(*id).second);
        }
      }
      CHECK_FALSE(group->is_pending(member.id()));
      CHECK_FALSE((member.joining && group->state() != GroupState::preparing_rebalance));
      CHECK_FALSE((member.syncing && group->state() != GroupState::completing_rebalance));
      CHECK((member.joining || member.syncing ||
             kept_.timers().count(
                 {.kind = GroupTimer::Kind::session, .group = "g", .member = member.id()}) == 1));
    }
    CHECK(waiting == open_);
    ++visits[group->state()];
    check_order(*group);
    check_log(*group);
  }

  void check_order(const ClassicGroup& group) {
    CHECK(std::is_sorted(group.members().begin(), group.members().end(),
                         [](const auto& a, const auto& b) { return a.id() < b.id(); }));
    CHECK(group.leader().has_value() == !group.members().empty());
    CHECK((!group.leader() || group.find(*group.leader()) != nullptr));
    CHECK(group.generation() >= last_generation_);
    last_generation_ = group.generation();
    if (group.state() == GroupState::empty) {
      CHECK(group.members().empty());
    }
  }

  /// What is settled is what the log tells.
  void check_log(const ClassicGroup& group) {
    if (group.state() != GroupState::stable && group.state() != GroupState::empty) {
      return;
    }
    for (auto record = kept_.log().rbegin(); record != kept_.log().rend(); ++record) {
      if (*record->key == encode_group_key("g")) {
        GroupValue ours = group.record();
        const auto written = decode_group_value(*record->value);
        REQUIRE(written.ok());
        if (group.state() == GroupState::stable) {
          ours.state_time = written->state_time;  // the record is of the moment before
        }
        CHECK(ours == *written);
        return;
      }
    }
  }

  std::mt19937 random_;
  KeptCoordinator kept_;
  std::set<RequestId> open_;
  std::size_t superseded_ = 0;
  std::vector<std::string> known_;
  Generation last_generation_{0};
};

}  // namespace

TEST_CASE("whatever members do, each is answered once and what is settled is in the log") {
  std::map<GroupState, int> visits;
  for (unsigned seed = 1; seed <= 100; ++seed) {
    INFO("seed " << seed);
    Walk walk(seed);
    for (int i = 0; i < 300; ++i) {
      INFO("step " << i);
      walk.step();
    }
    walk.end();
    for (const auto& [state, n] : walk.visits) {
      visits[state] += n;
    }
  }
  for (const GroupState state : {GroupState::empty, GroupState::preparing_rebalance,
                                 GroupState::completing_rebalance, GroupState::stable}) {
    INFO(name(state));
    CHECK(visits[state] > 500);
  }
}
