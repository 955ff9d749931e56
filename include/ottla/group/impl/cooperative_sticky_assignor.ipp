// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ottla/base/bytes.hpp>
#include <ottla/group/cooperative_sticky_assignor.hpp>
#include <ottla/group/sticky_assignment.hpp>

namespace ottla::inline OTTLA_ABI {
namespace group_impl {

inline GroupAssignment assign_cooperative_sticky(const GroupToAssign& group) {
  GroupToAssign completed;
  const GroupToAssign* told = &group;
  for (std::size_t i = 0; i < group.members.size(); ++i) {
    const MemberToAssign& member = group.members[i];
    ByteReader in(member.user_data);
    const Generation generation(in.integer<std::int32_t>());
    if (member.generation.value() >= 0 || !in.ok() || generation.value() < 0) {
      continue;
    }
    if (told == &group) {
      completed = group;
      told = &completed;
    }
    completed.members[i].generation = generation;
  }
  return sticky_assignment(*told, Transfers::withheld);
}

}  // namespace group_impl

OTTLA_INLINE Assignor cooperative_sticky_assignor() {
  return {.name = "cooperative-sticky",
          .protocol = RebalanceProtocol::cooperative,
          .assign = &group_impl::assign_cooperative_sticky,
          .user_data = [](Generation last) {
            std::vector<std::byte> bytes(sizeof(std::int32_t));
            store_big_endian(bytes.data(), last.value());
            return bytes;
          }};
}

}  // namespace ottla::inline OTTLA_ABI
