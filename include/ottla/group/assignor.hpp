// SPDX-License-Identifier: Apache-2.0
//
// Which member of a group reads which partitions: an assignor is a name and a pure function of
// topics and members, so all that run it see one answer. A program's own is made the same way:
//   Assignor first_takes_all{.name = "first", .assign = [](const GroupToAssign& group) { ... }};
// Source: spec groups.md section 6.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <ottla/base/ids.hpp>
#include <ottla/group/partitions_of_topic.hpp>

namespace ottla::inline OTTLA_ABI {

struct TopicToAssign {
  std::string name;
  std::int32_t partitions = 0;
  /// Of the replicas of each partition; empty, or too short: not known.
  std::vector<std::vector<std::string>> racks = {};
};

struct MemberToAssign {
  std::string id;
  std::optional<std::string> instance_id = {};
  std::optional<std::string> rack = {};
  std::vector<std::string> topics = {};       ///< subscribed
  std::vector<PartitionsOfTopic> owned = {};  ///< what it still reads, by its own word
  Generation generation{-1};                  ///< when it got them; -1: never, or not told
  std::vector<std::byte> user_data = {};
};

/// Topics and members in any order, each name and id once. Topics that are missing here do not
/// exist.
struct GroupToAssign {
  std::vector<TopicToAssign> topics;
  std::vector<MemberToAssign> members;
};

struct MemberAssignment {
  std::vector<PartitionsOfTopic> partitions = {};  ///< topics and partitions ascending
  std::vector<std::byte> user_data = {};

  bool operator==(const MemberAssignment&) const = default;
};

/// One for each member, in the order in which they were given.
using GroupAssignment = std::vector<MemberAssignment>;

enum class RebalanceProtocol : std::uint8_t {
  eager,        ///< members give up everything before they join again
  cooperative,  ///< members keep reading what they are not asked to give up
};

struct Assignor {
  std::string name;                                       ///< by which members agree on one
  RebalanceProtocol protocol = RebalanceProtocol::eager;  ///< the most that it supports
  std::function<GroupAssignment(const GroupToAssign&)> assign;
  /// What a member tells the leader besides its subscription; `last`: the generation of its
  /// assignment, or -1.
  std::function<std::vector<std::byte>(Generation last)> user_data = {};
};

/// The protocol of a member with these: the most that all of them support.
inline RebalanceProtocol rebalance_protocol(std::span<const Assignor> assignors) {
  const bool all = std::all_of(assignors.begin(), assignors.end(), [](const Assignor& assignor) {
    return assignor.protocol == RebalanceProtocol::cooperative;
  });
  return all && !assignors.empty() ? RebalanceProtocol::cooperative : RebalanceProtocol::eager;
}

}  // namespace ottla::inline OTTLA_ABI
