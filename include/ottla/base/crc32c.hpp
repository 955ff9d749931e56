// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C (Castagnoli), as in each record batch: reflected 0x82F63B78, initial value and final xor all ones. The kernel
// is chosen by CPU at first use and by size at each call.
#pragma once

#include <cstdint>
#include <ottla/base/bytes.hpp>

namespace ottla::inline OTTLA_ABI {

/// The checksum of `bytes`; with the checksum of what precedes them as `before`, that of both together.
std::uint32_t crc32c(Bytes bytes, std::uint32_t before = 0);

/// The same by table, on any CPU: what the kernels are tested against.
std::uint32_t crc32c_portable(Bytes bytes, std::uint32_t before = 0);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/base/impl/crc32c.ipp>
#endif
