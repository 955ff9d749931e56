// SPDX-License-Identifier: Apache-2.0
//
// Marks a thread as being inside a user's callback, so that calls which would wait there for what
// only this thread can bring answer `would_deadlock` instead.
#pragma once

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

class CallbackScope {
 public:
  CallbackScope() { ++depth(); }
  ~CallbackScope() { --depth(); }
  CallbackScope(const CallbackScope&) = delete;
  CallbackScope& operator=(const CallbackScope&) = delete;

  /// Whether this thread runs a callback.
  static bool active() { return depth() != 0; }

 private:
  static int& depth() {
    thread_local constinit int callbacks = 0;
    return callbacks;
  }
};

}  // namespace ottla::inline OTTLA_ABI
