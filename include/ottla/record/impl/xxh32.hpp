// SPDX-License-Identifier: Apache-2.0
//
// The 32-bit hash of LZ4's frames, from xxHash.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <ottla/base/bytes.hpp>

namespace ottla::inline OTTLA_ABI::record_impl {

inline std::uint32_t xxh32(Bytes bytes) { return XXH32(bytes.data(), bytes.size(), 0); }

}  // namespace ottla::inline OTTLA_ABI::record_impl
