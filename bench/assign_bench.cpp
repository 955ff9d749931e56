// SPDX-License-Identifier: Apache-2.0
//
// `rebalance`: a group's assignment computed anew. Members x partitions (in topics of 100 at most);
// each assignor; the group at its start, and when one more member joins it. `moved`: partitions
// that change hands.
#include <cstdint>
#include <map>
#include <string>

#include <benchmark/benchmark.h>

#include <ottla/group/cooperative_sticky_assignor.hpp>
#include <ottla/group/range_assignor.hpp>
#include <ottla/group/sticky_assignment.hpp>

namespace {

using ottla::GroupToAssign;

std::string padded(const char* prefix, std::int64_t n) {
  std::string digits = std::to_string(n);
  return prefix + std::string(6 - digits.size(), '0') + digits;
}

enum class Subscriptions : std::uint8_t { equal, different, chain };

/// `different`: every other member leaves out every tenth topic; `chain`: each reads a few topics
/// that it shares with its neighbours only.
GroupToAssign group_of(std::int64_t members, std::int64_t partitions, Subscriptions kind) {
  GroupToAssign group;
  const std::int64_t per_topic = partitions < 100 ? partitions : 100;
  const std::int64_t topics = partitions / per_topic;
  for (std::int64_t t = 0; t < topics; ++t) {
    group.topics.push_back(
        {.name = padded("topic-", t), .partitions = static_cast<std::int32_t>(per_topic)});
  }
  for (std::int64_t m = 0; m < members; ++m) {
    group.members.push_back({.id = padded("member-", m)});
    for (std::int64_t t = 0; t < topics; ++t) {
      const std::int64_t place = t * members / topics;
      const bool reads = kind == Subscriptions::equal ||
                         (kind == Subscriptions::different && (m % 2 == 0 || t % 10 != 0)) ||
                         (kind == Subscriptions::chain && place >= m - 1 && place <= m + 1);
      if (reads) {
        group.members.back().topics.push_back(group.topics[static_cast<std::size_t>(t)].name);
      }
    }
  }
  return group;
}

void own(GroupToAssign& group, const ottla::GroupAssignment& assignment) {
  for (std::size_t i = 0; i < assignment.size(); ++i) {
    group.members[i].owned = assignment[i].partitions;
    group.members[i].generation = ottla::Generation(1);
  }
}

std::int64_t kept(const GroupToAssign& group, const ottla::GroupAssignment& assignment) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < assignment.size(); ++i) {
    std::map<std::string, std::size_t> owned;
    for (const auto& part : group.members[i].owned) {
      owned[part.topic] = part.partitions.size();
    }
    for (const auto& part : assignment[i].partitions) {
      count += static_cast<std::int64_t>(std::min(owned[part.topic], part.partitions.size()));
    }
  }
  return count;
}

void measure(benchmark::State& state, const ottla::Assignor& assignor, Subscriptions kind,
             bool joins) {
  GroupToAssign group = group_of(state.range(0), state.range(1), kind);
  if (joins) {
    GroupToAssign before = group;
    before.members.pop_back();
    own(group, ottla::sticky_assignment(before, ottla::Transfers::at_once));
  }
  ottla::GroupAssignment assignment;
  for (auto _ : state) {
    assignment = assignor.assign(group);
    benchmark::DoNotOptimize(assignment.data());
  }
  if (joins) {
    state.counters["moved"] = static_cast<double>(state.range(1) - kept(group, assignment));
  }
}

void add(const ottla::Assignor& assignor, const std::string& shape, Subscriptions kind) {
  for (const bool joins : {false, true}) {
    const std::string name =
        "rebalance/" + assignor.name + "/" + shape + (joins ? "/joins" : "/starts");
    auto* added = benchmark::RegisterBenchmark(name.c_str(),
                                               [assignor, kind, joins](benchmark::State& state) {
                                                 measure(state, assignor, kind, joins);
                                               });
    added->Unit(benchmark::kMillisecond);
    for (const std::int64_t members : {2, 100, 1000}) {
      for (const std::int64_t partitions : {10, 1000, 100'000}) {
        added->Args({members, partitions});
      }
    }
  }
}

const bool added = [] {
  const ottla::Assignor eager{.name = "sticky", .assign = [](const GroupToAssign& group) {
                                return ottla::sticky_assignment(group, ottla::Transfers::at_once);
                              }};
  for (const auto& assignor :
       {ottla::range_assignor(), ottla::cooperative_sticky_assignor(), eager}) {
    add(assignor, "equal", Subscriptions::equal);
    add(assignor, "different", Subscriptions::different);
    add(assignor, "chain", Subscriptions::chain);
  }
  return true;
}();

}  // namespace
