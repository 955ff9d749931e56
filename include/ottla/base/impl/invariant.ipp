// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/invariant.hpp>
#include <ottla/base/status.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE void on_broken_invariant() {
#if OTTLA_CHECKED
  __builtin_trap();
#endif
}

OTTLA_INLINE absl::Status broken_invariant(std::string_view promise) {
  return error(Fault::internal, absl::StrCat("internal error, please report it: ", av(promise)),
               Outcome::unknown);
}

}  // namespace ottla::inline OTTLA_ABI
