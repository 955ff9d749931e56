// SPDX-License-Identifier: Apache-2.0
//
// What the bytes of an answered call survive.
#pragma once

#include <cstdint>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

enum class Durability : std::uint8_t {
  written,  ///< with the kernel: the death of the process
  durable,  ///< on the device: the death of the machine
};

}  // namespace ottla::inline OTTLA_ABI
