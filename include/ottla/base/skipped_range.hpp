// SPDX-License-Identifier: Apache-2.0
//
// Records that are not in a log any more because its owner had what was damaged taken out of it, or
// cut off (log/log_repair.hpp). Whoever comes to read there is told once, and goes on elsewhere:
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

/// CORRUPT_MESSAGE, `corrupt`, with the range, and where reading goes on.
inline absl::Status records_skipped(const SkippedRange& range, Offset goes_on,
                                    std::string_view message) {
  absl::Status status = error(ErrorCode::corrupt_message, Fault::corrupt, message);
  std::byte bytes[24];
  store_big_endian(bytes, range.first.value());
  store_big_endian(bytes + 8, range.next.value());
  store_big_endian(bytes + 16, goes_on.value());
  status.SetPayload(base_impl::skipped_url, absl::Cord(av(as_string_view(bytes))));
  return status;
}

namespace base_impl {
inline std::optional<Offset> offset_in(const absl::Status& status, std::size_t position) {
  const auto cord = status.GetPayload(skipped_url);
  const std::string text = cord ? std::string(*cord) : std::string();
  return text.size() == 24 ? std::optional(Offset(
                                 load_big_endian<std::int64_t>(as_bytes(text).data() + position)))
                           : std::nullopt;
}
}  // namespace base_impl

/// The range of such an error, also of one with more text; nothing where it is another one.
inline std::optional<SkippedRange> skipped_range(const absl::Status& status) {
  const auto first = base_impl::offset_in(status, 0);
  return first ? std::optional(SkippedRange{*first, *base_impl::offset_in(status, 8)})
               : std::nullopt;
}
/// Likewise: the next offset to read.
inline std::optional<Offset> reading_goes_on(const absl::Status& status) {
  return base_impl::offset_in(status, 16);
}

}  // namespace ottla::inline OTTLA_ABI
