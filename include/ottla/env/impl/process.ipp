// SPDX-License-Identifier: Apache-2.0
//
// One page per process, made at first use and never unmapped.
#pragma once

#include <new>

#include <sys/mman.h>
#include <unistd.h>

#include <ottla/env/posix/process.hpp>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

struct GenerationPage {
  using Word = std::atomic<std::uint64_t>;
  static_assert(Word::is_always_lock_free);

  GenerationPage() {
    const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
      return;
    }
    if (::madvise(page, size, MADV_WIPEONFORK) != 0) {
      ::munmap(page, size);
      return;
    }
    word = new (page) Word(0);
  }

  std::uint64_t generation() {
    if (word == nullptr) {
      return static_cast<std::uint64_t>(::getpid());
    }
    std::uint64_t now = word->load(std::memory_order_relaxed);
    if (now == 0) [[unlikely]] {
      // First use, or a child: `last` was copied by the fork, so what follows it was never a
      // generation before.
      const std::uint64_t next = last.fetch_add(1, std::memory_order_relaxed) + 1;
      now = word->compare_exchange_strong(now, next) ? next : now;
    }
    return now;
  }

  Word* word = nullptr;
  Word last{0};
};

inline GenerationPage& generation_page() {
  static GenerationPage page;
  return page;
}

}  // namespace env_impl

OTTLA_INLINE std::uint64_t process_id() { return static_cast<std::uint64_t>(::getpid()); }

OTTLA_INLINE std::uint64_t process_generation() { return env_impl::generation_page().generation(); }

OTTLA_INLINE ProcessMark::ProcessMark()
    : page_(env_impl::generation_page().word), generation_(process_generation()) {}

}  // namespace ottla::inline OTTLA_ABI
