// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/index/impl/index_base.hpp>

namespace ottla::inline OTTLA_ABI::index_impl {

OTTLA_INLINE absl::Status check_base(Offset base_offset, std::int64_t max_bytes) {
  if (base_offset.value() < 0 || base_offset.value() > INT64_MAX - INT32_MAX || max_bytes < 0) {
    return error(
        Fault::invalid_argument,
        absl::StrCat("an index of ", max_bytes, " bytes at most from offset ", base_offset.value(),
                     ": both must be 0 or more, and the offset at most ", INT64_MAX - INT32_MAX));
  }
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI::index_impl
