// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/group/assignors.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE absl::StatusOr<Assignor> assignor_named(std::string_view name) {
  for (Assignor (*const make)() : {&range_assignor, &cooperative_sticky_assignor}) {
    Assignor assignor = make();
    if (assignor.name == name) {
      return assignor;
    }
  }
  return error(ErrorCode::unsupported_assignor,
               absl::StrCat("no assignor is called '", av(name),
                            "'; use range, cooperative-sticky, or give one of your own"));
}

}  // namespace ottla::inline OTTLA_ABI
