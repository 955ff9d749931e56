// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>

#include <cxxabi.h>

#include <ottla/sim/impl/fiber.hpp>

// There when the program is built with the sanitizer, null else.
// NOLINTBEGIN(readability-identifier-naming): their names are not ours.
extern "C" {
__attribute__((weak)) void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom,
                                                          std::size_t size);
__attribute__((weak)) void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom,
                                                           std::size_t* size);
__attribute__((weak)) void __asan_poison_memory_region(void const volatile* start,
                                                       std::size_t size);
__attribute__((weak)) void __asan_unpoison_memory_region(void const volatile* start,
                                                         std::size_t size);
__attribute__((weak)) void* __tsan_get_current_fiber(void);
__attribute__((weak)) void* __tsan_create_fiber(unsigned flags);
__attribute__((weak)) void __tsan_destroy_fiber(void* fiber);
__attribute__((weak)) void __tsan_switch_to_fiber(void* fiber, unsigned flags);
__attribute__((weak)) void __lsan_ignore_object(const void* object);
}
// NOLINTEND(readability-identifier-naming)

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

OTTLA_INLINE bool leaks_are_checked() { return __lsan_ignore_object != nullptr; }

// Frames have red zones between their variables.
__attribute__((no_sanitize("address"))) OTTLA_INLINE std::vector<void*> pointers_in(
    std::span<const std::byte> stack) {
  std::vector<void*> words(stack.size() / sizeof(void*));
  const auto* from = reinterpret_cast<void* const*>(stack.data());
  for (void*& word : words) {
    word = *from++;
  }
  return words;
}

OTTLA_INLINE void expect_leak(const void* object) {
  if (leaks_are_checked()) {
    __lsan_ignore_object(object);
  }
}

OTTLA_INLINE Fiber::Fiber(std::size_t stack_bytes, Entry entry, void* argument)
    : bytes_(guard_bytes + (stack_bytes + alignment - 1) / alignment * alignment),
      entry_(entry),
      argument_(argument) {
  memory_ = static_cast<std::byte*>(::operator new(bytes_, std::align_val_t(alignment)));
  std::fill_n(memory_ + guard_bytes - checked_bytes, checked_bytes, guard_byte);
  void* const frame[] = {reinterpret_cast<void*>(&begin), nullptr};
  position_ = memory_ + bytes_ - sizeof frame;
  std::memcpy(position_, frame, sizeof frame);
  bottom_ = memory_ + guard_bytes;
  size_ = bytes_ - guard_bytes;
  if (__asan_poison_memory_region != nullptr) {
    __asan_poison_memory_region(memory_, guard_bytes - checked_bytes);
  }
  if (__tsan_create_fiber != nullptr) {
    thread_ = __tsan_create_fiber(0);
  }
}

OTTLA_INLINE Fiber::~Fiber() {
  if (memory_ == nullptr) {
    return;
  }
  if (__tsan_destroy_fiber != nullptr) {
    __tsan_destroy_fiber(thread_);
  }
  if (__asan_unpoison_memory_region != nullptr) {
    __asan_unpoison_memory_region(memory_, bytes_);  // the frames of one that was given up
  }
  ::operator delete(memory_, std::align_val_t(alignment));
}

OTTLA_INLINE bool Fiber::intact() const {
  const std::byte* checked = memory_ + guard_bytes - checked_bytes;
  return memory_ == nullptr ||
         (checked[0] == guard_byte && std::memcmp(checked, checked + 1, checked_bytes - 1) == 0);
}

OTTLA_INLINE std::span<const std::byte> Fiber::in_use() const {
  const auto* from = static_cast<const std::byte*>(position_);
  return {from, static_cast<std::size_t>(memory_ + bytes_ - from)};
}

// Keeps what a call must keep (the compiler saves the registers named as overwritten), puts the
// address to go on at on top, and takes the other's. `self` is the argument of a new one's entry.
OTTLA_INLINE void Fiber::jump(void** save, void* to, Fiber* self) {
#if defined(__x86_64__)
  asm volatile(
      "leaq -128(%%rsp), %%rsp\n\t"  // the red zone
      "pushq %%rbp\n\t"
      "pushq %%rbx\n\t"
      "leaq 1f(%%rip), %%rax\n\t"
      "pushq %%rax\n\t"
      "movq %%rsp, (%%rdx)\n\t"
      "movq %%rsi, %%rsp\n\t"
      "popq %%rax\n\t"
      "jmpq *%%rax\n"
      "1:\n\t"
      "popq %%rbx\n\t"
      "popq %%rbp\n\t"
      "leaq 128(%%rsp), %%rsp"
      : "+D"(self), "+S"(to), "+d"(save)
      :
      : "rax", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
#elif defined(__aarch64__)
  register Fiber* x0 asm("x0") = self;
  register void* x1 asm("x1") = to;
  register void** x2 asm("x2") = save;
  asm volatile(
      "stp x29, x30, [sp, #-32]!\n\t"
      "str x19, [sp, #16]\n\t"
      "adr x9, 1f\n\t"
      "str x9, [sp, #-16]!\n\t"
      "mov x9, sp\n\t"
      "str x9, [x2]\n\t"
      "mov sp, x1\n\t"
      "ldr x9, [sp], #16\n\t"
      "mov x29, xzr\n\t"
      "mov x30, xzr\n\t"
      "br x9\n"
      "1:\n\t"
      "ldr x19, [sp, #16]\n\t"
      "ldp x29, x30, [sp], #32"
      : "+r"(x0), "+r"(x1), "+r"(x2)
      :
      : "x9", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "d8", "d9", "d10",
        "d11", "d12", "d13", "d14", "d15", "memory", "cc");
#endif
}

OTTLA_INLINE void Fiber::change(Fiber& from, Fiber& to, bool for_good) {
  to.came_from_ = &from;
  from.held_ = Mutex::held();
  Mutex::held() = to.held_;
  static_assert(sizeof(Exceptions) == 2 * sizeof(void*));
  void* const exceptions = abi::__cxa_get_globals();
  std::memcpy(&from.exceptions_, exceptions, sizeof(Exceptions));
  std::memcpy(exceptions, &to.exceptions_, sizeof(Exceptions));
  if (__sanitizer_start_switch_fiber != nullptr) {
    __sanitizer_start_switch_fiber(for_good ? nullptr : &from.fake_stack_, to.bottom_, to.size_);
  }
  if (__tsan_switch_to_fiber != nullptr) {
    if (from.thread_ == nullptr) {
      from.thread_ = __tsan_get_current_fiber();
    }
    __tsan_switch_to_fiber(to.thread_, 0);
  }
  // Not to be seen through: registers that a call may overwrite are overwritten.
  void (*volatile through)(void**, void*, Fiber*) = &jump;
  through(&from.position_, to.position_, &to);
  from.arrived();
}

OTTLA_INLINE void Fiber::arrived() {
  if (__sanitizer_finish_switch_fiber != nullptr) {
    __sanitizer_finish_switch_fiber(fake_stack_, &came_from_->bottom_, &came_from_->size_);
  }
}

OTTLA_INLINE void Fiber::begin(Fiber* self) {
  self->arrived();
  self->entry_(self->argument_);
  __builtin_unreachable();
}

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI
