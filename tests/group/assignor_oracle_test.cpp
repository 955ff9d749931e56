// SPDX-License-Identifier: Apache-2.0
//
// Traces computed by Kafka's assignors.
#include <map>
#include <set>

#include <ottla/group/cooperative_sticky_assignor.hpp>
#include <ottla/group/range_assignor.hpp>
#include <ottla/group/sticky_assignment.hpp>

#include "tests/group/assignment_text.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

namespace {

using nlohmann::json;

std::vector<ottla::PartitionsOfTopic> partitions(const json& by_topic) {
  std::vector<ottla::PartitionsOfTopic> result;
  for (const auto& [topic, numbers] : by_topic.items()) {
    result.push_back({topic, {}});
    for (const json& number : numbers) {
      result.back().partitions.emplace_back(number.get<std::int32_t>());
    }
  }
  return result;
}

std::optional<std::string> text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? std::nullopt
                                                   : std::optional(found->get<std::string>());
}

ottla::GroupToAssign group_of(const json& round) {
  ottla::GroupToAssign group;
  for (const auto& [name, count] : round["topics"].items()) {
    group.topics.push_back({.name = name, .partitions = count.get<std::int32_t>()});
    if (round.contains("partition_racks") && round["partition_racks"].contains(name)) {
      group.topics.back().racks = round["partition_racks"][name];
    }
  }
  for (const json& member : round["members"]) {
    group.members.push_back({.id = member["id"],
                             .instance_id = text_of(member, "instance"),
                             .rack = text_of(member, "rack"),
                             .topics = member["subscribes"],
                             .owned = partitions(member.value("owned", json::object()))});
    if (member.contains("generation") && !member["generation"].is_null()) {
      group.members.back().generation = ottla::Generation(member["generation"]);
    }
    // Eager sticky reads what a member owned, and when, from user data.
    if (member.value("user_data_form", "v1") == "none") {
      group.members.back().owned.clear();
      group.members.back().generation = ottla::Generation(-1);
    }
  }
  return group;
}

std::string expected_text(const json& expected) {
  std::string text;
  for (const auto& [member, by_topic] : expected.items()) {
    text += (text.empty() ? "" : "; ") + member + ":";
    for (const auto& [topic, numbers] : by_topic.items()) {
      for (const json& number : numbers) {
        text += " " + topic + "-" + std::to_string(number.get<int>());
      }
    }
  }
  return text;
}

/// Each partition of a subscribed topic at most once, and only to subscribers.
void check_invariants(const ottla::GroupToAssign& group, const ottla::GroupAssignment& assignment) {
  std::set<ottla::TopicPartition> seen;
  for (std::size_t i = 0; i < assignment.size(); ++i) {
    const auto& topics = group.members[i].topics;
    for (const auto& part : assignment[i].partitions) {
      CHECK(std::find(topics.begin(), topics.end(), part.topic) != topics.end());
      for (const ottla::PartitionId partition : part.partitions) {
        CHECK(seen.insert({part.topic, partition}).second);
      }
    }
  }
}

struct Counts {
  std::map<std::string, int> rounds;
  int traces = 0;
};

template <class Assign>
Counts check_traces(const char* file, Assign assign) {
  Counts counts;
  const json oracle = golden::read_json(golden::dir() / "oracle" / file);
  for (const json& trace : oracle["cases"]) {
    ++counts.traces;
    for (const json& round : trace["rounds"]) {
      const std::string compare = round["compare"];
      INFO(trace["name"] << " generation " << round["generation"] << " " << compare);
      const ottla::GroupToAssign group = group_of(round);
      const ottla::GroupAssignment assignment = assign(group);
      check_invariants(group, assignment);
      if (compare == "exact" || compare == "ascending") {
        CHECK(assignment_text::text(group, assignment) == expected_text(round["expected"]));
      }
      ++counts.rounds[compare];
    }
  }
  return counts;
}

}  // namespace

TEST_CASE("range assigns as Kafka's does") {
  const Counts counts = check_traces("assignor_range.json", ottla::range_assignor().assign);
  if (golden::is_full()) {
    CHECK(counts.traces == 60);
    CHECK(counts.rounds == std::map<std::string, int>{{"exact", 275}});
  }
}

TEST_CASE("cooperative-sticky assigns as Kafka's does") {
  const Counts counts =
      check_traces("assignor_cooperative_sticky.json", ottla::cooperative_sticky_assignor().assign);
  if (golden::is_full()) {
    CHECK(counts.traces == 80);
    CHECK(counts.rounds == std::map<std::string, int>{{"ascending", 4}, {"exact", 359}});
  }
}

TEST_CASE("the sticky core assigns as Kafka's sticky does") {
  if (golden::skip_without_full_data()) {
    return;
  }
  const Counts counts = check_traces("assignor_sticky.json", [](const ottla::GroupToAssign& group) {
    return ottla::sticky_assignment(group, ottla::Transfers::at_once);
  });
  CHECK(counts.traces == 80);
  CHECK(counts.rounds == std::map<std::string, int>{{"ascending", 6}, {"exact", 359}});
}
