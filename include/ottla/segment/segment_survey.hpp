// SPDX-License-Identifier: Apache-2.0
//
// Reads a segment's data file from its start to its end though a part of it is damaged, so that
// what is good can be told from what is not. It judges no batch: its owner does.
//   OTTLA_ASSIGN(auto survey, SegmentSurvey<F>::begin(file));
//   while (!survey.at_end()) if (!good(survey)) survey.pass_bad(least, most);
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include <absl/status/statusor.h>

#include <ottla/base/ids.hpp>
#include <ottla/base/shared_bytes.hpp>
#include <ottla/segment/impl/batch_scan.hpp>
#include <ottla/segment/impl/following_batch.hpp>

namespace ottla::inline OTTLA_ABI {

/// Not thread-safe.
template <File FileT>
class SegmentSurvey {
 public:
  /// Before: `file` outlives it, and is not written.
  static absl::StatusOr<SegmentSurvey> begin(const FileT& file) {
    SegmentSurvey survey(file);
    OTTLA_ASSIGN(survey.size_, file.size());
    survey.window_ = Buffer::allocate(segment_impl::data_window);
    survey.second_window_ = Buffer::allocate(segment_impl::data_window);
    if (!survey.window_ || !survey.second_window_) {
      return error(Fault::no_memory, "no memory to read a damaged segment");
    }
    survey.go_to(0);
    return survey;
  }

  std::int64_t size() const { return size_; }
  /// Bytes from the start: of what `next` found, or of where it found nothing.
  std::int64_t position() const { return scan_->position(); }
  bool at_end() const { return scan_->position() == size_; }
  /// Before: `next` found it.
  const BatchHeader& header() const { return scan_->header(); }
  absl::StatusOr<bool> checksum_matches() { return scan_->checksum_matches(); }

  /// Moves on to the next batch, at first to the first one. False where no whole one stands.
  absl::StatusOr<bool> next() { return scan_->next(); }

  /// What stands here is bad: moves on to the first batch behind it that is of the log, so that
  /// `next` finds that, or to the end. Of the log is one with offsets from `least` to `most` whose
  /// checksum holds and that the end, or another one, may follow. The length that stands here is
  /// believed where it leads to such a batch, or to the end; else each byte is looked at.
  /// `limit_reached` where too many places look like batches to tell.
  absl::Status pass_bad(Offset least, Offset most);

 private:
  using Scan = segment_impl::BatchScan<FileT>;

  explicit SegmentSurvey(const FileT& file) : file_(&file) {}
  void go_to(std::int64_t position) { scan_.emplace(*file_, position, size_, window_.bytes()); }
  absl::StatusOr<bool> follows(std::int64_t position, segment_impl::OffsetRange range) {
    Scan scan(*file_, position, size_, second_window_.bytes());
    OTTLA_ASSIGN(const bool found, scan.next());
    return found && range.holds(scan.header()) ? segment_impl::stands_in_a_log(scan, range, size_)
                                               : absl::StatusOr<bool>(false);
  }

  const FileT* file_;
  std::int64_t size_ = 0;
  Buffer window_;
  Buffer second_window_;
  std::optional<Scan> scan_;
};

template <File FileT>
absl::Status SegmentSurvey<FileT>::pass_bad(Offset least, Offset most) {
  const segment_impl::OffsetRange range{least.value(), most.value()};
  const std::int64_t bad = position();
  std::byte head[batch_length_end];
  OTTLA_ASSIGN(const std::size_t read, file_->read(bad, head));
  const std::int64_t length =
      read < sizeof head ? 0 : load_big_endian<std::int32_t>(head + batch_position::batch_length);
  const auto next = bad + static_cast<std::int64_t>(batch_length_end) + length;
  if (length >= static_cast<std::int64_t>(batch_header_size - batch_length_end) && next <= size_) {
    OTTLA_ASSIGN(const bool leads,
                 next == size_ ? absl::StatusOr<bool>(true) : follows(next, range));
    if (leads) {
      go_to(next);
      return absl::OkStatus();
    }
  }
  OTTLA_ASSIGN(const auto at,
               segment_impl::find_following(*file_, bad, size_, range, window_.bytes(),
                                            second_window_.bytes()));
  if (!at) {
    return error(Fault::limit_reached,
                 absl::StrCat("behind byte ", bad,
                              " too many places look like batches to tell where the log goes on"));
  }
  go_to(*at);
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
