// SPDX-License-Identifier: Apache-2.0
//
// Sizes in bytes: `using namespace ottla::units; auto budget = 32_MiB;`
#pragma once

#include <cstdint>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI::units {

consteval std::int64_t operator""_KiB(unsigned long long n) {
  return static_cast<std::int64_t>(n) << 10;
}
consteval std::int64_t operator""_MiB(unsigned long long n) {
  return static_cast<std::int64_t>(n) << 20;
}
consteval std::int64_t operator""_GiB(unsigned long long n) {
  return static_cast<std::int64_t>(n) << 30;
}

}  // namespace ottla::inline OTTLA_ABI::units
