// SPDX-License-Identifier: Apache-2.0
//
// The sticky core: balance first, then as many partitions as possible stay with the member that
// owns them. Where all subscribe to the same topics sizes differ by one at most; else the general,
// slower way balances as far as the subscriptions allow. Where Kafka leaves the order to a hash
// map: members ascend by id, and of several partitions that could be moved back the smallest is.
// Source: spec groups.md section 6.3.
#pragma once

#include <ottla/group/assignor.hpp>

namespace ottla::inline OTTLA_ABI {

/// What is done with a partition that moves from a member that still owns it.
enum class Transfers : std::uint8_t {
  at_once,   ///< the new member gets it: all have given up everything before (eager)
  withheld,  ///< nobody gets it in this generation (cooperative)
};

/// Owned partitions that do not exist are ignored; of two claims the newer generation's counts, of
/// two in one generation neither.
GroupAssignment sticky_assignment(const GroupToAssign& group, Transfers transfers);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/group/impl/sticky_assignment.ipp>
#endif
