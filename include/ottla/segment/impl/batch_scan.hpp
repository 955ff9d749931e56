// SPDX-License-Identifier: Apache-2.0
//
// Walks the batch headers of a file through a window that its owner lends, a read of the file for
// each windowful, or for each header of large batches.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/crc32c.hpp>
#include <ottla/base/status.hpp>
#include <ottla/env/file_system.hpp>
#include <ottla/record/batch_header.hpp>
#include <ottla/segment/segment_name.hpp>

namespace ottla::inline OTTLA_ABI::segment_impl {

/// Of a window for headers alone: most batches between two index entries come with one read.
inline constexpr std::size_t header_window = 4096;
/// Of a window for checksums.
inline constexpr std::size_t data_window = 256 << 10;

template <File FileT>
class BatchScan {
 public:
  /// Batches from `position` up to `end`. Before: the file is that long, and `window` holds a
  /// header at least.
  BatchScan(const FileT& file, std::int64_t position, std::int64_t end, MutableBytes window)
      : file_(file), window_(window), position_(position), end_(end) {}

  /// Moves on to the next batch, at first to the first one. False where there is no whole one.
  absl::StatusOr<bool> next() {
    position_ += size_;
    size_ = 0;
    const std::int64_t remaining = end_ - position_;
    OTTLA_ASSIGN(const Bytes head,
                 bytes(position_, std::min<std::int64_t>(remaining, batch_header_size)));
    const ScannedBatch scanned = scan_batch(head, static_cast<std::uint64_t>(remaining));
    verdict_ = scanned.verdict;
    if (verdict_ != BatchVerdict::whole) {
      header_ = BatchHeader();
      header_.base_offset =
          Offset(head.size() < batch_length_end ? -1 : load_big_endian<std::int64_t>(head.data()));
      return false;
    }
    header_ = BatchHeader::parse(head);
    size_ = static_cast<std::int64_t>(scanned.size);
    return true;
  }

  /// Of the batch that `next` found, or of the place where it found none.
  std::int64_t position() const { return position_; }
  bool at_end() const { return position_ == end_; }
  BatchVerdict verdict() const { return verdict_; }
  /// Where there is no whole batch, only the base offset says something, if that much was there.
  const BatchHeader& header() const { return header_; }

  /// Before: `next` found a batch.
  absl::StatusOr<bool> checksum_matches() {
    if (size_ <= static_cast<std::int64_t>(window_.size())) {
      OTTLA_ASSIGN(const Bytes batch, bytes(position_, size_));
      return ottla::checksum_matches(batch);
    }
    std::uint32_t crc = 0;
    const std::int64_t batch_end = position_ + size_;
    for (std::int64_t at = position_ + std::int64_t{batch_position::attributes}; at < batch_end;) {
      const std::int64_t n = std::min(batch_end - at, static_cast<std::int64_t>(window_.size()));
      OTTLA_ASSIGN(const Bytes piece, bytes(at, n));
      crc = crc32c(piece, crc);
      at += n;
    }
    return crc == header_.crc;
  }

 private:
  /// Bytes of the file, in the window until the next call. Before: they fit into it, and lie before
  /// the end.
  absl::StatusOr<Bytes> bytes(std::int64_t position, std::int64_t n) {
    if (position < window_at_ || position + n > window_at_ + window_size_) {
      const std::int64_t wanted = worth_reading(position, n);
      window_size_ = 0;
      OTTLA_ASSIGN(const std::size_t read,
                   file_.read(position, window_.first(static_cast<std::size_t>(wanted))));
      if (static_cast<std::int64_t>(read) != wanted) {
        return error(Fault::io, absl::StrCat("a log ends before byte ", position + wanted,
                                             ", which it had: did another program cut it?"));
      }
      window_at_ = position;
      window_size_ = wanted;
    }
    return Bytes(window_).subspan(static_cast<std::size_t>(position - window_at_),
                                  static_cast<std::size_t>(n));
  }

  /// How much to read from `position` on, where `n` bytes are needed: little at first and where the
  /// batches are so large that the next header lies outside anyway, else a windowful.
  std::int64_t worth_reading(std::int64_t position, std::int64_t n) const {
    const auto window = static_cast<std::int64_t>(window_.size());
    const bool far = position - (window_at_ + window_size_) > window / 4;
    const std::int64_t wanted = window_size_ == 0 ? std::max<std::int64_t>(n, 512)
                                : far             ? n
                                                  : window;
    return std::min({wanted, window, end_ - position});
  }

  const FileT& file_;
  MutableBytes window_;
  std::int64_t position_;
  std::int64_t end_;
  std::int64_t size_ = 0;  // of the batch at position_
  std::int64_t window_at_ = 0;
  std::int64_t window_size_ = 0;
  BatchVerdict verdict_ = BatchVerdict::partial;
  BatchHeader header_;
};

}  // namespace ottla::inline OTTLA_ABI::segment_impl
