// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ottla/group/impl/sticky_constrained.hpp>
#include <ottla/group/impl/sticky_general.hpp>
#include <ottla/group/sticky_assignment.hpp>

namespace ottla::inline OTTLA_ABI {
namespace group_impl {

/// Takes away what a member gets and another one said it has and does not keep.
inline void withhold_moving(const StickyClaims& claims, std::vector<std::vector<Index>>& assigned) {
  std::vector<Index> owner(claims.disputed.size(), none);
  for (Index member = 0; member < assigned.size(); ++member) {
    for (const Index partition : assigned[member]) {
      owner[partition] = member;
    }
  }
  std::vector<bool> had_it(owner.size());
  std::vector<bool> has_to_give(owner.size());
  for (Index member = 0; member < assigned.size(); ++member) {
    for (const Index partition : claims.said[member]) {
      (owner[partition] == member ? had_it : has_to_give)[partition] = true;
    }
  }
  for (std::vector<Index>& partitions : assigned) {
    std::erase_if(partitions, [&](Index p) { return has_to_give[p] && !had_it[p]; });
  }
}

}  // namespace group_impl

OTTLA_INLINE GroupAssignment sticky_assignment(const GroupToAssign& group, Transfers transfers) {
  if (group.members.empty()) {
    return {};
  }
  const group_impl::AssignmentIndex index(group);
  const group_impl::StickyClaims claims(index);
  std::vector<std::vector<group_impl::Index>> assigned;
  if (index.equal_subscriptions()) {
    group_impl::StickyConstrained constrained(index, claims);
    assigned = constrained.assign();
    for (auto& partitions : assigned) {
      std::erase_if(partitions, [&](group_impl::Index p) {
        return transfers == Transfers::withheld && constrained.moves(p);
      });
    }
  } else {
    assigned = group_impl::StickyGeneral(index, claims).assign();
    if (transfers == Transfers::withheld) {
      group_impl::withhold_moving(claims, assigned);
    }
  }
  return index.in_words(std::move(assigned));
}

}  // namespace ottla::inline OTTLA_ABI
