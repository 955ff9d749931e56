// SPDX-License-Identifier: Apache-2.0
//
// The same numbers for the same seed.
#pragma once

#include <atomic>

#include <ottla/env/random.hpp>

namespace ottla::inline OTTLA_ABI {

class SeededRandom {
 public:
  explicit SeededRandom(std::uint64_t seed) : key_(mixed(seed)) {}

  std::uint64_t next() { return mixed(key_ + count_.fetch_add(1, std::memory_order_relaxed)); }

 private:
  std::uint64_t key_;
  std::atomic<std::uint64_t> count_{0};
};
static_assert(Random<SeededRandom>);

}  // namespace ottla::inline OTTLA_ABI
