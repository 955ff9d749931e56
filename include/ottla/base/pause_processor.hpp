// SPDX-License-Identifier: Apache-2.0
//
// What a thread does between two looks when it waits by looking.
#pragma once

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

inline void pause_processor() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

}  // namespace ottla::inline OTTLA_ABI
