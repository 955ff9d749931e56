// SPDX-License-Identifier: Apache-2.0
//
// A descriptor that is closed with its owner; and a sync that no signal ends.
#pragma once

#include <cerrno>
#include <utility>

#include <unistd.h>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

class OwnedDescriptor {
 public:
  explicit OwnedDescriptor(int descriptor) : descriptor_(descriptor) {}
  OwnedDescriptor(OwnedDescriptor&& other) noexcept : descriptor_(other.release()) {}
  OwnedDescriptor& operator=(OwnedDescriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~OwnedDescriptor() {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
  }
  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

/// Calls again what a signal interrupted. `call` answers -1 and errno on failure, as system calls
/// do.
template <class Call>
auto uninterrupted(Call call) {
  auto answer = call();
  while (answer == -1 && errno == EINTR) {
    answer = call();
  }
  return answer;
}

}  // namespace env_impl
}  // namespace ottla::inline OTTLA_ABI
