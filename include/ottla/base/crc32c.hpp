// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C (Castagnoli), as in each record batch: reflected 0x82F63B78, initial value and final xor
// all ones. The kernel is chosen by CPU and by size at each call.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <ottla/base/bytes.hpp>

namespace ottla::inline OTTLA_ABI {

/// The checksum of `bytes`; with the checksum of what precedes them as `before`, that of both
/// together.
std::uint32_t crc32c(Bytes bytes, std::uint32_t before = 0);

/// The same by tables, on any CPU.
std::uint32_t crc32c_portable(Bytes bytes, std::uint32_t before = 0);

/// One way to compute it.
struct Crc32cKernel {
  std::string_view name;
  std::uint32_t (*crc32c)(Bytes bytes, std::uint32_t before);
};

/// Those that this CPU can run, the portable one first: what tests compare and benchmarks measure.
std::span<const Crc32cKernel> crc32c_kernels();

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/base/impl/crc32c.ipp>
#endif
