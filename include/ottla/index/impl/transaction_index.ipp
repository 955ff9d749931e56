// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/index/transaction_index.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE void AbortedTransaction::write(std::byte* to) const {
  store_big_endian(to, std::int16_t{0});
  store_big_endian(to + 2, producer_id.value());
  store_big_endian(to + 10, first_offset.value());
  store_big_endian(to + 18, last_offset.value());
  store_big_endian(to + 26, last_stable_offset.value());
}

OTTLA_INLINE absl::StatusOr<AbortedTransaction> AbortedTransaction::parse(const std::byte* from) {
  if (const auto version = load_big_endian<std::int16_t>(from); version != 0) {
    return error(ErrorCode::unsupported_version, Fault::corrupt,
                 absl::StrCat("a transaction index entry of version ", version, ", expected 0"));
  }
  return AbortedTransaction{ProducerId(load_big_endian<std::int64_t>(from + 2)),
                            Offset(load_big_endian<std::int64_t>(from + 10)),
                            Offset(load_big_endian<std::int64_t>(from + 18)),
                            Offset(load_big_endian<std::int64_t>(from + 26))};
}

}  // namespace ottla::inline OTTLA_ABI
