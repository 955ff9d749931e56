// SPDX-License-Identifier: Apache-2.0
//
// Records that are not in a log any more because its owner had a damaged range taken out of it
// (log/log_repair.hpp). Whoever comes to read there is told once, and goes on behind:
//   if (const auto skipped = skipped_range(status)) lost(skipped->first, skipped->next);
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <absl/strings/cord.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/endian.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/status.hpp>

namespace ottla::inline OTTLA_ABI {

/// Offsets from `first` on, below `next`. Before the damage there may have been less records.
struct SkippedRange {
  Offset first;
  Offset next;
  bool operator==(const SkippedRange&) const = default;
};

namespace base_impl {
inline constexpr char skipped_url[] = "ottla/skipped";
}

/// CORRUPT_MESSAGE, `corrupt`, with the range.
inline absl::Status records_skipped(const SkippedRange& range, std::string_view message) {
  absl::Status status = error(ErrorCode::corrupt_message, Fault::corrupt, message);
  std::byte bytes[16];
  store_big_endian(bytes, range.first.value());
  store_big_endian(bytes + 8, range.next.value());
  status.SetPayload(base_impl::skipped_url, absl::Cord(av(as_string_view(bytes))));
  return status;
}

/// The range of such an error, also of one with more text; nothing where it is another one.
inline std::optional<SkippedRange> skipped_range(const absl::Status& status) {
  const auto cord = status.GetPayload(base_impl::skipped_url);
  const std::string text = cord ? std::string(*cord) : std::string();
  if (text.size() != 16) {
    return std::nullopt;
  }
  const std::byte* bytes = as_bytes(text).data();
  return SkippedRange{Offset(load_big_endian<std::int64_t>(bytes)),
                      Offset(load_big_endian<std::int64_t>(bytes + 8))};
}

}  // namespace ottla::inline OTTLA_ABI
