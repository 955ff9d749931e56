// SPDX-License-Identifier: Apache-2.0
//
// How an object notices that it was copied into a child by fork: a page that the kernel wipes there
// (MADV_WIPEONFORK) holds the process's generation. It is read before any lock, without a system
// call; each object compares its own, so a child may open new ones. Where the kernel cannot wipe
// pages, getpid() is asked instead.
#pragma once

#include <atomic>
#include <cstdint>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

/// Differs between a process and its children. Never 0. Thread-safe.
std::uint64_t process_generation();

/// As the system numbers it, for those who look for who holds a lock.
std::uint64_t process_id();

/// The process that an object was made in. Thread-safe.
class ProcessMark {
 public:
  ProcessMark();

  /// Whether this is still that process.
  bool here() const {
    return page_ != nullptr ? page_->load(std::memory_order_relaxed) == generation_
                            : process_generation() == generation_;
  }

 private:
  const std::atomic<std::uint64_t>* page_;  // null where the kernel cannot wipe pages
  std::uint64_t generation_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/env/impl/process.ipp>
#endif
