// SPDX-License-Identifier: Apache-2.0
//
// What the members of a group say they own, and whose claim counts.
#pragma once

#include <vector>

#include <ottla/group/impl/assignment_index.hpp>

namespace ottla::inline OTTLA_ABI::group_impl {

struct StickyClaims {
  /// Of each member: all that it says, and what of it counts.
  std::vector<std::vector<Index>> said;
  std::vector<std::vector<Index>> counted;
  /// Claimed twice in one generation.
  std::vector<bool> disputed;
  std::int32_t newest_generation = -1;

  explicit StickyClaims(const AssignmentIndex& index)
      : counted(index.members()), disputed(index.partitions()) {
    std::vector<Index> claimed_by(index.partitions(), none);
    std::vector<Index> owner(index.partitions(), none);
    const auto generation = [&index](Index member) { return index.member(member).generation; };
    for (Index member = 0; member < index.members(); ++member) {
      said.push_back(index.owned_by(member));
      newest_generation = std::max(newest_generation, generation(member).value());
      for (const Index partition : said.back()) {
        const Index other = claimed_by[partition];
        if (other == none || generation(member) > generation(other)) {
          owner[partition] = member;
          claimed_by[partition] = member;
        } else if (generation(member) == generation(other)) {
          owner[partition] = none;
          claimed_by[partition] = member;
          disputed[partition] = true;
        }
      }
    }
    for (Index member = 0; member < index.members(); ++member) {
      for (const Index partition : said[member]) {
        if (owner[partition] == member) {
          counted[member].push_back(partition);
        }
      }
    }
  }
};

}  // namespace ottla::inline OTTLA_ABI::group_impl
