// SPDX-License-Identifier: Apache-2.0
//
// Memory that cannot be had, on demand, in a program one of whose files includes replaced_new.hpp.
// Under sanitizers, whose operator new has to stay, OTTLA_TEST_SANITIZED is defined instead: tests
// that need this are skipped.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OTTLA_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define OTTLA_TEST_SANITIZED 1
#endif
#endif

#ifndef OTTLA_TEST_SANITIZED

namespace test {

inline thread_local int allocations = 0;

/// Of this thread, while it lives: the k-th allocation from now on fails, counted from 0; or that
/// and all that come after it.
class FailingMemory {
 public:
  enum class How { once, for_good };

  explicit FailingMemory(int k, How how = How::once) {
    left_ = k;
    for_good_ = how == How::for_good;
  }
  FailingMemory(const FailingMemory&) = delete;
  FailingMemory& operator=(const FailingMemory&) = delete;
  ~FailingMemory() { left_ = never; }

  /// Whether it came to that.
  bool reached() const { return left_ == passed || (for_good_ && left_ == 0); }

  static bool refuses() {
    ++allocations;
    if (left_ == 0) {
      left_ = for_good_ ? 0 : passed;
      return true;
    }
    left_ -= left_ > 0 ? 1 : 0;
    return false;
  }

 private:
  static constexpr int never = -1;
  static constexpr int passed = -2;
  static inline thread_local int left_ = never;
  static inline thread_local bool for_good_ = false;
};

}  // namespace test

#endif
