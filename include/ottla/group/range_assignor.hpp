// SPDX-License-Identifier: Apache-2.0
//
// "range": each topic by itself, its partitions in consecutive ranges over its subscribers, the
// first ones one more where it does not divide. Subscribers in the order: instance ids ascending,
// then the others by member id. Where members name their racks and partitions differ in theirs,
// partitions go to members of a rack that has them first, as far as the sizes allow; topics with
// the same subscribers and count stay alike. Source: spec groups.md section 6.1.
#pragma once

#include <ottla/group/assignor.hpp>

namespace ottla::inline OTTLA_ABI {

Assignor range_assignor();

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/group/impl/range_assignor.ipp>
#endif
