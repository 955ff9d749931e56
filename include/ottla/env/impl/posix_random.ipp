// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>

#include <sys/random.h>
#include <unistd.h>

#include <ottla/env/impl/owned_descriptor.hpp>
#include <ottla/env/posix/clock.hpp>
#include <ottla/env/posix/random.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE PosixRandom::PosixRandom() : key_{} {
  const auto fill = [this] { return ::getrandom(key_, sizeof key_, 0); };
  if (env_impl::uninterrupted(fill) != static_cast<ssize_t>(sizeof key_)) {
    // A kernel without it, or a sandbox: what differs between processes and moments is left.
    key_[0] = static_cast<std::uint64_t>(PosixClock().steady_now().time_since_epoch().count());
    key_[1] = mixed(static_cast<std::uint64_t>(PosixClock().wall_now().value())) ^
              static_cast<std::uint64_t>(::getpid());
  }
}

}  // namespace ottla::inline OTTLA_ABI
