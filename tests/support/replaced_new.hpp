// SPDX-License-Identifier: Apache-2.0
//
// A program's own operator new, which refuses what failing_memory.hpp says: for one file of it.
#pragma once

#include "tests/support/failing_memory.hpp"

#ifndef OTTLA_TEST_SANITIZED

#include <cstddef>
#include <cstdlib>
#include <new>

namespace test {

inline void* allocate(std::size_t size, std::size_t alignment) {
  if (FailingMemory::refuses()) return nullptr;
  return alignment <= alignof(std::max_align_t)
             ? std::malloc(size)
             : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}
inline void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  void* memory = allocate(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
inline constexpr std::size_t plain = alignof(std::max_align_t);

}  // namespace test

[[gnu::noinline]] void* operator new(std::size_t size) {
  return test::allocate_or_throw(size, test::plain);
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return test::allocate(size, test::plain);
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return test::allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

#endif
