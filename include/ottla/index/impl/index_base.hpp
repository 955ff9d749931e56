// SPDX-License-Identifier: Apache-2.0
//
// Offsets of 32 bits above a base offset, without overflow.
#pragma once

#include <cstdint>

#include <absl/status/status.h>

#include <ottla/base/ids.hpp>

namespace ottla::inline OTTLA_ABI::index_impl {

/// `invalid_argument` where an offset of 32 bits above `base_offset` would overflow, or `max_bytes`
/// is negative.
absl::Status check_base(Offset base_offset, std::int64_t max_bytes);

/// -1 where `offset` lies below `base_offset`.
inline std::int64_t relative(Offset offset, Offset base_offset) {
  return offset < base_offset ? -1 : offset - base_offset;
}

}  // namespace ottla::inline OTTLA_ABI::index_impl

#ifndef OTTLA_COMPILED
#include <ottla/index/impl/index_base.ipp>
#endif
