// SPDX-License-Identifier: Apache-2.0
//
// A stack of its own within one thread, and the switch between two of them: about 10 ns, without a
// system call. Address and thread sanitizers are told where they are present.
//   [guard][ ... stack, growing down ... ][entry][0]
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <vector>

#include <ottla/base/abi.hpp>
#include <ottla/base/mutex.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

/// What was on a stack that is given up is neither destroyed nor freed: see `in_use`.
class Fiber {
 public:
  using Entry = void (*)(void* argument);

  /// The stack that this thread is on.
  Fiber() = default;
  /// Calls `entry(argument)` when it is first switched to; that never returns.
  Fiber(std::size_t stack_bytes, Entry entry, void* argument);
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  /// Before: nobody is on it.
  ~Fiber();

  /// Leaves `from`, which this thread is on, and comes back when somebody switches to it, never
  /// where it leaves `for_good`. Each has its own `Mutex::held()` and exceptions being handled.
  static void change(Fiber& from, Fiber& to, bool for_good);

  /// False once the stack was too small.
  bool intact() const;
  /// The part that a suspended fiber uses.
  std::span<const std::byte> in_use() const;

 private:
  static constexpr std::size_t alignment = 64;
  static constexpr std::size_t guard_bytes = 4096;
  static constexpr std::size_t checked_bytes = 64;
  static constexpr std::byte guard_byte{0xa5};
  struct Exceptions {  // as the C++ ABI lays it out
    void* caught = nullptr;
    unsigned uncaught = 0;
  };

  static void begin(Fiber* self);
  static void jump(void** save, void* to, Fiber* self);
  void arrived();

  std::byte* memory_ = nullptr;  // the lowest address, of the guard
  std::size_t bytes_ = 0;        // with the guard
  void* position_ = nullptr;     // the stack pointer, while suspended
  Entry entry_ = nullptr;
  void* argument_ = nullptr;
  HeldLocks held_;
  Exceptions exceptions_;

  // For the sanitizers.
  Fiber* came_from_ = nullptr;
  const void* bottom_ = nullptr;
  std::size_t size_ = 0;
  void* fake_stack_ = nullptr;
  void* thread_ = nullptr;
};

/// Whether a leak check is part of this program.
bool leaks_are_checked();
/// A stack, in words: all that it may point to. Not looked at by the address sanitizer.
std::vector<void*> pointers_in(std::span<const std::byte> stack);
/// What only `object` leads to is no leak.
void expect_leak(const void* object);

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/sim/impl/fiber.ipp>
#endif
