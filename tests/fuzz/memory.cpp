// SPDX-License-Identifier: Apache-2.0
#include "memory.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

#include "fuzz.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define FUZZ_HOOKS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FUZZ_HOOKS
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define FUZZ_UNCOUNTED
#endif

namespace {

std::atomic<std::size_t> live{0};
std::atomic<std::size_t> peak{0};

[[maybe_unused]] void add(std::size_t size) {
  const std::size_t now = live.fetch_add(size, std::memory_order_relaxed) + size;
  std::size_t most = peak.load(std::memory_order_relaxed);
  while (now > most && !peak.compare_exchange_weak(most, now, std::memory_order_relaxed)) {
  }
}
[[maybe_unused]] void subtract(std::size_t size) {
  live.fetch_sub(size, std::memory_order_relaxed);
}

}  // namespace

fuzz::MemoryBound::MemoryBound(std::size_t bytes) : bytes_(bytes), start_(live.load()) {
  peak.store(start_);
}
fuzz::MemoryBound::~MemoryBound() {
  if (peak.load() > start_ + bytes_) {
    fuzz::fail("more memory than the bound", std::to_string(peak.load() - start_));
  }
}

#if defined(FUZZ_HOOKS)

#include <sanitizer/allocator_interface.h>

namespace {
// What was allocated before the hooks were there may be freed under them: the count starts high.
[[maybe_unused]] const bool installed = [] {
  live = std::size_t{1} << 40;
  return __sanitizer_install_malloc_and_free_hooks(
             [](const volatile void*, std::size_t size) { add(size); },
             [](const volatile void* memory) {
               if (memory != nullptr) {
                 subtract(__sanitizer_get_allocated_size(memory));
               }
             }) != 0;
}();
}  // namespace

#elif !defined(FUZZ_UNCOUNTED)

#include <malloc.h>

namespace {
void* allocate(std::size_t size, std::size_t alignment) {
  void* memory =
      alignment <= alignof(std::max_align_t)
          ? std::malloc(size)
          : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  add(memory == nullptr ? 0 : malloc_usable_size(memory));
  return memory;
}
void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  void* memory = allocate(size, alignment);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}
void release(void* memory) {
  subtract(memory == nullptr ? 0 : malloc_usable_size(memory));
  std::free(memory);
}
constexpr std::size_t plain = alignof(std::max_align_t);
}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size) { return allocate_or_throw(size, plain); }
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size, plain);
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { release(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { release(memory); }
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept {
  release(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  release(memory);
}

#endif
