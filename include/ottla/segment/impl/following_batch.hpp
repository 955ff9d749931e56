// SPDX-License-Identifier: Apache-2.0
//
// Looks behind a bad place for a batch that somebody wrote whole: byte by byte, since lengths are
// not to be believed there. What lies inside a value and looks like a batch is not taken for one:
// something of the log must follow.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include <absl/status/statusor.h>

#include <ottla/segment/impl/batch_scan.hpp>

namespace ottla::inline OTTLA_ABI::segment_impl {

/// The offsets that batches behind the bad place may have.
struct OffsetRange {
  std::int64_t least = 0;
  std::int64_t most = 0;
  bool holds(const BatchHeader& header) const {
    return header.base_offset.value() >= least && header.base_offset.value() <= most &&
           header.last_offset_delta >= 0 &&
           header.last_offset_delta <= most - header.base_offset.value();
  }
};

/// Whether the batch that `scan` found is good, and followed by the end, by what may be the next
/// one, whole or not, or by too few bytes to tell. Moves `scan` on.
template <File FileT>
absl::StatusOr<bool> stands_in_a_log(BatchScan<FileT>& scan, OffsetRange range, std::int64_t end) {
  OTTLA_ASSIGN(const bool matches, scan.checksum_matches());
  if (!matches) {
    return false;
  }
  range.least = scan.header().last_offset().value() + 1;
  OTTLA_ASSIGN(const bool found, scan.next());
  return found ? range.holds(scan.header())
               : scan.verdict() == BatchVerdict::partial &&
                     (end - scan.position() < static_cast<std::int64_t>(batch_length_end) ||
                      range.holds(scan.header()));
}

/// Where such a batch begins in (`bad`, `end`), and `end` where none does. Checksums of at most
/// `budget` bytes are computed; nothing where that is not enough.
template <File FileT>
absl::StatusOr<std::optional<std::int64_t>> find_following(const FileT& file, std::int64_t bad,
                                                           std::int64_t end, OffsetRange range,
                                                           MutableBytes window,
                                                           MutableBytes second_window) {
  std::int64_t budget = 4 * (end - bad) + (std::int64_t{16} << 20);
  std::int64_t at = bad + 1;
  while (end - at >= static_cast<std::int64_t>(batch_header_size)) {
    const auto n = std::min(end - at, static_cast<std::int64_t>(window.size()));
    OTTLA_ASSIGN(const std::size_t read, file.read(at, window.first(static_cast<std::size_t>(n))));
    if (static_cast<std::int64_t>(read) != n) {
      return error(Fault::io, "a log became shorter while it was recovered");
    }
    const std::int64_t starts = n - static_cast<std::int64_t>(batch_header_size) + 1;
    for (std::int64_t i = 0; i < starts; ++i) {
      const std::byte* head = window.data() + i;
      const auto offset = load_big_endian<std::int64_t>(head);
      if (offset < range.least || offset > range.most ||
          static_cast<std::int8_t>(head[batch_position::magic]) != batch_magic) {
        continue;
      }
      BatchScan<FileT> scan(file, at + i, end, second_window);
      OTTLA_ASSIGN(const bool found, scan.next());
      if (!found || !range.holds(scan.header())) {
        continue;
      }
      budget -= static_cast<std::int64_t>(scan.header().size());
      if (budget < 0) {
        return std::nullopt;
      }
      OTTLA_ASSIGN(const bool stands, stands_in_a_log(scan, range, end));
      if (stands) {
        return at + i;
      }
    }
    at += starts;
  }
  return end;
}

/// Whether there is one; true, too, where that cannot be told: it is not to be cut then.
template <File FileT>
absl::StatusOr<bool> batch_follows(const FileT& file, std::int64_t bad, std::int64_t end,
                                   OffsetRange range, MutableBytes window,
                                   MutableBytes second_window) {
  OTTLA_ASSIGN(const auto at, find_following(file, bad, end, range, window, second_window));
  return at != end;
}

}  // namespace ottla::inline OTTLA_ABI::segment_impl
