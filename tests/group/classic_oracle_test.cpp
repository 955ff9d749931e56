// SPDX-License-Identifier: Apache-2.0
//
// Traces of Kafka's group coordinator. Generated member ids are M1, M2, ... there in the order of
// their first appearance in an answer. A leader that is no more is followed by one that Kafka picks
// from a hash map of ids, and we by the order of the ids: a trace in which the two differ is run
// again with other ids. Every run is compared up to its end, or to where another leader takes over.
#include <map>
#include <set>
#include <string>

#include "tests/group/kept_coordinator.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

namespace {

using namespace ottla;
using nlohmann::json;

std::optional<std::string> text_of(const json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<std::string>());
}

class Trace {
 public:
  Trace(const json& trace, int life) : trace_(trace), kept_(config_of(trace), life) {}

  struct Counts {
    int steps = 0;
    bool complete = false;
  };

  Counts run() {
    Counts counts;
    for (const json& step : trace_["steps"]) {
      INFO(trace_["name"] << " step " << step["step"] << ": " << step.dump());
      if (step.contains("advance_ms")) {
        kept_.advance(step["advance_ms"].get<std::int64_t>());
        records_ = kept_.take_written_by_timers();
      } else {
        const RequestId id = kept_.ask(request_of(step));
        step_of_[id] = step["step"].get<int>();
        check_immediate(step, id);
        records_ = kept_.written();
      }
      check_completed(step);
      if (!check_leader(step["group"]["leader"])) {
        return counts;
      }
      check_group(step["group"]);
      check_records(step["records"]);
      ++counts.steps;
    }
    counts.complete = true;
    return counts;
  }

 private:
  static GroupConfig config_of(const json& trace) {
    const json& config = trace["config"];
    return {.initial_rebalance_delay = std::chrono::milliseconds(
                config["group.initial.rebalance.delay.ms"].get<std::int64_t>()),
            .max_size = config["group.max.size"].get<std::int32_t>(),
            .new_member_join_timeout = std::chrono::milliseconds(
                config["new_member_join_timeout_ms"].get<std::int64_t>())};
  }

  /// Ours for a name in the trace; names that were never given stay as they are.
  std::string real(const json& member) const {
    const auto found = real_.find(member.get<std::string>());
    return found == real_.end() ? member.get<std::string>() : found->second;
  }

  GroupCoordinator::Request request_of(const json& step) const {
    const std::string api = step["request"];
    const std::string member = real(step["member"]);
    const auto instance = text_of(step["instance"]);
    if (api == "JoinGroup") {
      JoinGroupRequest request{
          .version = step["api_version"].get<std::int16_t>(),
          .client = {.id = "client"},
          .group = "g",
          .member_id = member,
          .instance_id = instance,
          .session_timeout =
              std::chrono::milliseconds(step["session_timeout_ms"].get<std::int64_t>()),
          .rebalance_timeout =
              std::chrono::milliseconds(step["rebalance_timeout_ms"].get<std::int64_t>()),
          .protocol_type = "consumer"};
      for (const json& protocol : step["protocols"]) {
        request.protocols.push_back(
            {.name = protocol[0], .metadata = golden::from_hex(protocol[1].get<std::string>())});
      }
      return request;
    }
    if (api == "LeaveGroup") {
      return LeaveGroupRequest{.group = "g",
                               .members = {{.member_id = member, .instance_id = instance}}};
    }
    const Generation generation(step["generation"].get<std::int32_t>());
    if (api == "Heartbeat") {
      return HeartbeatRequest{
          .group = "g", .generation = generation, .member_id = member, .instance_id = instance};
    }
    SyncGroupRequest request{.group = "g",
                             .generation = generation,
                             .member_id = member,
                             .instance_id = instance,
                             .protocol_type = "consumer",
                             .protocol = text_of(step["protocol_name"])};
    for (const json& assignment : step["assignments"]) {
      request.assignments.push_back(
          {.member_id = real(assignment[0]),
           .assignment = golden::from_hex(assignment[1].get<std::string>())});
    }
    return request;
  }

  /// Heartbeat and LeaveGroup.
  void check_immediate(const json& step, RequestId id) {
    if (step["request"] == "Heartbeat") {
      const auto response = kept_.take<HeartbeatResponse>(id);
      REQUIRE(response);
      CHECK(name(response->error) == step.value("error", step.value("response", "")));
    } else if (step["request"] == "LeaveGroup") {
      const auto response = kept_.take<LeaveGroupResponse>(id);
      REQUIRE(response);
      if (step.contains("error")) {
        CHECK(name(response->error) == step["error"].get<std::string>());
        return;
      }
      CHECK(name(response->error) == step["response"]["error"].get<std::string>());
      json members = json::array();
      for (const auto& member : response->members) {
        members.push_back(std::string(name(member.error)));
      }
      CHECK(members == step["response"]["members"]);
    }
  }

  void check_completed(const json& step) {
    std::map<int, json> expected;
    for (const json& one : step["completed"]) {
      REQUIRE(expected.emplace(one["of_step"].get<int>(), one).second);
    }
    std::set<int> completed;
    for (auto& [id, response] : kept_.answers()) {
      const int of_step = step_of_.at(id);
      INFO("answer to step " << of_step);
      REQUIRE(expected.count(of_step) == 1);
      if (const auto* join = std::get_if<JoinGroupResponse>(&response)) {
        check_join(expected[of_step], *join);
      } else {
        check_sync(expected[of_step], std::get<SyncGroupResponse>(response));
      }
      completed.insert(of_step);
    }
    CHECK(completed.size() == expected.size());
    kept_.answers().clear();
  }

  void check_join(const json& expected, const JoinGroupResponse& response) {
    CHECK(name(response.error) == expected["error"].get<std::string>());
    if (const std::string member = expected["member"];
        !member.empty() && real_.count(member) == 0 &&
        response.error != ErrorCode::unknown_member_id) {
      real_[member] = response.member_id;
    }
    CHECK(response.member_id == real(expected["member"]));
    CHECK(response.generation.value() == expected["generation"].get<std::int32_t>());
    if (response.error != ErrorCode::none) {
      return;
    }
    CHECK(response.protocol_type == text_of(expected["protocol_type"]));
    CHECK(response.protocol == text_of(expected["protocol_name"]));
    CHECK(response.skip_assignment == expected["skip_assignment"].get<bool>());
    joins_.emplace_back(expected, response);
  }

  void check_sync(const json& expected, const SyncGroupResponse& response) {
    CHECK(name(response.error) == expected["error"].get<std::string>());
    if (response.error == ErrorCode::none) {
      CHECK(response.protocol_type == text_of(expected["protocol_type"]));
      CHECK(response.protocol == text_of(expected["protocol_name"]));
      CHECK(golden::to_hex(response.assignment) == expected["assignment"].get<std::string>());
    }
  }

  /// Whether the trace goes on. A leader that took over in this step may be another one here: some
  /// member, by any rule.
  bool is_leader_shared(const json& leader, const std::string& ours) {
    const std::string theirs = leader.is_null() ? "" : leader.get<std::string>();
    if (real(leader.is_null() ? json("") : leader) == ours) {
      leader_ = theirs;
      return true;
    }
    REQUIRE(theirs != leader_);
    REQUIRE_FALSE(ours.empty());
    return false;
  }

  bool check_leader(const json& expected) {
    for (const auto& [join, response] : joins_) {
      if (!is_leader_shared(join["leader"], response.leader)) {
        return false;
      }
      json members = json::array();
      for (const json& member : join["members"]) {
        members.push_back({real(member[0]), member[1], member[2]});
      }
      json ours = json::array();
      for (const auto& member : response.members) {
        ours.push_back({member.member_id,
                        member.instance_id ? json(*member.instance_id) : json(nullptr),
                        golden::to_hex(member.metadata)});
      }
      std::sort(members.begin(), members.end());
      CHECK(ours == members);
    }
    joins_.clear();
    // Members whose JoinGroup is not answered yet have no name in the trace so far.
    const std::string leader = kept_.group().leader().value_or("");
    const bool unnamed = !expected.is_null() && real_.count(expected.get<std::string>()) == 0;
    return unnamed ? !leader.empty() : is_leader_shared(expected, leader);
  }

  void check_group(const json& expected) {
    CHECK(name(kept_.group().state()) == expected["state"].get<std::string>());
    CHECK(kept_.group().generation().value() == expected["generation"].get<std::int32_t>());
    CHECK(kept_.group().members().size() == expected["members"].get<std::size_t>());
  }

  void check_records(const json& expected) {
    REQUIRE(records_.size() == expected.size());
    for (std::size_t i = 0; i < records_.size(); ++i) {
      CHECK(*decode_group_key(*records_[i].key) == expected[i]["key"]["group"]);
      const auto value = decode_group_value(*records_[i].value);
      REQUIRE(value.ok());
      const json& want = expected[i]["value"];
      CHECK(value->protocol_type == want["protocolType"]);
      CHECK(value->generation.value() == want["generation"].get<std::int32_t>());
      CHECK(value->protocol == text_of(want["protocol"]));
      CHECK(value->leader ==
            (want["leader"].is_null() ? std::nullopt : std::optional(real(want["leader"]))));
      CHECK(value->state_time.value() == want["currentStateTimestamp"].get<std::int64_t>());
      std::map<std::string, json> members;
      for (const json& member : want["members"]) {
        members[real(member["memberId"])] = member;
      }
      REQUIRE(members.size() == value->members.size());
      for (const auto& member : value->members) {
        const json& one = members.at(member.id);
        CHECK(member.instance_id == text_of(one["groupInstanceId"]));
        CHECK(member.client_id == one["clientId"]);
        CHECK(member.client_host == one["clientHost"]);
        CHECK(member.rebalance_timeout.count() == one["rebalanceTimeout"].get<std::int64_t>());
        CHECK(member.session_timeout.count() == one["sessionTimeout"].get<std::int64_t>());
        CHECK(base64(member.subscription) == one["subscription"]);
        CHECK(base64(member.assignment) == one["assignment"]);
      }
    }
  }

  static std::string base64(const std::vector<std::byte>& bytes) {
    const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
      unsigned group = 0;
      for (std::size_t j = 0; j < 3; ++j) {
        group = group << 8 | (i + j < bytes.size() ? std::to_integer<unsigned>(bytes[i + j]) : 0);
      }
      for (std::size_t j = 0; j < 4; ++j) {
        text += i + j > bytes.size() ? '=' : digits[group >> (18 - 6 * j) & 63];
      }
    }
    return text;
  }

  const json& trace_;
  KeptCoordinator kept_;
  std::map<std::string, std::string> real_;
  std::map<RequestId, int> step_of_;
  std::vector<MachineRecord> records_;
  std::vector<std::pair<json, JoinGroupResponse>> joins_;
  std::string leader_;  // as the trace names it, when we agreed last
};

}  // namespace

TEST_CASE("groups of the classic protocol go the way they go in Kafka") {
  const json oracle = golden::read_json(golden::dir() / "oracle" / "group_classic.json");
  std::map<std::string, int> count;
  for (const json& trace : oracle["cases"]) {
    const auto& steps = trace["steps"];
    const bool has_static = std::any_of(steps.begin(), steps.end(), [](const json& step) {
      return step.contains("instance") && !step["instance"].is_null();
    });
    Trace::Counts counts;
    for (int life = 0; !counts.complete && life < 64; ++life) {
      counts = Trace(trace, life).run();
    }
    const std::string kind = has_static ? "static" : "dynamic";
    ++count[kind];
    count[kind + " to the end"] += counts.complete ? 1 : 0;
    count[kind + " steps"] += counts.steps;
  }
  if (golden::is_full()) {
    CHECK(count["dynamic"] == 37);
    CHECK(count["dynamic to the end"] == 37);
    CHECK(count["dynamic steps"] == 773);
    CHECK(count["static"] == 13);
    CHECK(count["static to the end"] == 11);
    CHECK(count["static steps"] == 268);
  }
}
