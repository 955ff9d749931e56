// SPDX-License-Identifier: Apache-2.0
//
// "cooperative-sticky": as balanced as can be, moving as little as possible; a partition that has
// to move is withheld until its owner gave it up and the group is balanced again. Source: spec
// groups.md section 6.4.
#pragma once

#include <ottla/group/assignor.hpp>

namespace ottla::inline OTTLA_ABI {

/// User data: INT32 generation, read of members whose subscription does not tell one.
Assignor cooperative_sticky_assignor();

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/group/impl/cooperative_sticky_assignor.ipp>
#endif
