// SPDX-License-Identifier: Apache-2.0
//
// Random numbers from a key that the system gave: one atomic addition each. Good for ids and
// jitter, not for secrets; in a child of fork, a new one has to be made.
#pragma once

#include <atomic>

#include <ottla/env/random.hpp>

namespace ottla::inline OTTLA_ABI {

class PosixRandom {
 public:
  PosixRandom();

  std::uint64_t next() {
    const std::uint64_t n = count_.fetch_add(1, std::memory_order_relaxed);
    return mixed(mixed(n + key_[0]) ^ key_[1]);
  }

 private:
  std::uint64_t key_[2];
  std::atomic<std::uint64_t> count_{0};
};
static_assert(Random<PosixRandom>);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/env/impl/posix_random.ipp>
#endif
