// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/log/log_view.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
absl::Status BasicLogView<Fs>::check_range(Offset offset) const {
  if (offset >= start_ && offset < end_) {
    return absl::OkStatus();
  }
  if (damage_ != nullptr && offset >= end_) {
    return error(ErrorCode::corrupt_message, Fault::corrupt,
                 absl::StrCat(damage_->file, " is damaged at byte ", damage_->position,
                              ", where offset ", damage_->offset.value(), " should be: ",
                              damage_->why, "; choose a repair for this partition"));
  }
  if (offset == end_) {
    return absl::OkStatus();
  }
  return error(ErrorCode::offset_out_of_range,
               absl::StrCat("offset ", offset.value(), " is not in the log, which has ",
                            start_.value(), " to ", end_.value()));
}

template <FileSystem Fs>
absl::Status BasicLogView<Fs>::gone(const LogSegment& segment, Offset offset) const {
  return segment.gone() == LogSegment::Gone::truncated
             ? error(ErrorCode::offset_not_available,
                     absl::StrCat("the log was cut back while offset ", offset.value(),
                                  " was read; ask again"))
             : error(ErrorCode::offset_out_of_range,
                     absl::StrCat("offset ", offset.value(), " was deleted meanwhile"));
}

template <FileSystem Fs>
absl::StatusOr<LogRead> BasicLogView<Fs>::read(const LogReadRequest& request,
                                               ReadBuffers& buffers) const {
  OTTLA_TRY(check_range(request.offset));
  LogRead read;
  if (request.offset >= std::min(request.limit, end_)) {
    return read;
  }
  const auto& segments = list_->segments;
  for (std::size_t i = list_->find(request.offset); i < segments.size(); ++i) {
    LogSegment& segment = *segments[i];
    if (segment.base() >= request.limit) {
      break;
    }
    const log_impl::Pin<Fs> pin(segment);
    if (!pin) {
      return gone(segment, request.offset);
    }
    const std::size_t before = read.pieces.size();
    OTTLA_TRY(read_segment(i, request, buffers, read));
    if (read.pieces.size() > before) {
      break;
    }
  }
  return read;
}

template <FileSystem Fs>
absl::Status BasicLogView<Fs>::read_segment(std::size_t index, const LogReadRequest& request,
                                            ReadBuffers& buffers, LogRead& into) const {
  const bool last = index + 1 == list_->segments.size();
  OTTLA_ASSIGN(const auto* segment, list_->segments[index]->segment());
  OTTLA_ASSIGN(const auto place, segment->find(request.offset));
  const Offset limit = std::min(request.limit, end_);
  if (!place || place->header.last_offset() >= limit ||
      (!request.at_least_one && place->header.size() > request.max_bytes)) {
    return absl::OkStatus();
  }
  // Behind it batches may reach the limit: the last segment may have more than this view knows.
  std::int64_t sure_end = segment->size();
  if (last) {
    sure_end = limit == end_ ? end_position_ : 0;
  } else if (limit < list_->segments[index + 1]->base()) {
    sure_end = 0;
  }
  std::int64_t position = place->position;
  while (into.bytes < request.max_bytes || into.pieces.empty()) {
    std::size_t wanted = request.max_bytes - std::min(request.max_bytes, into.bytes);
    wanted = std::min(wanted, ReadBuffers::block_size);
    if (sure_end > position) {
      wanted = std::min(wanted, static_cast<std::size_t>(sure_end - position));
    }
    auto piece = segment->read_batches(position, wanted, buffers.take());
    if (!piece.ok()) {
      return into.pieces.empty() ? piece.status() : absl::OkStatus();
    }
    const std::size_t whole = piece->size();
    const bool sure = position + static_cast<std::int64_t>(whole) <= sure_end;
    SharedBytes kept = sure ? *std::move(piece) : below_limit(*std::move(piece), limit);
    if (kept.empty() ||
        (!into.pieces.empty() && into.bytes + kept.size() > request.max_bytes)) {
      break;  // the first batch of a later piece comes whole, however large
    }
    into.bytes += kept.size();
    position += static_cast<std::int64_t>(kept.size());
    const bool ended = kept.size() < whole || position == segment->size() || position == sure_end;
    into.pieces.push_back(std::move(kept));
    if (ended) {
      break;
    }
  }
  return absl::OkStatus();
}

/// The batches whose last offset is below `limit`.
template <FileSystem Fs>
SharedBytes BasicLogView<Fs>::below_limit(SharedBytes piece, Offset limit) const {
  BatchCursor batches(piece.bytes(), "a segment", CheckCrc::skip);
  std::size_t end = 0;
  while (const BatchView* batch = batches.next()) {
    if (batch->header().last_offset() >= limit) {
      break;
    }
    end = batches.position();
  }
  return piece.slice(0, end);
}

template <FileSystem Fs>
absl::StatusOr<std::optional<TimestampOffset>> BasicLogView<Fs>::find_timestamp(
    Timestamp target, Offset limit, Decompressor& decompressor) const {
  const auto& segments = list_->segments;
  for (std::size_t i = list_->find(start_); i < segments.size(); ++i) {
    const log_impl::Pin<Fs> pin(*segments[i]);
    if (!pin) {
      if (segments[i]->gone() == LogSegment::Gone::deleted) {
        continue;
      }
      return gone(*segments[i], segments[i]->base());
    }
    OTTLA_ASSIGN(const auto* segment, segments[i]->segment());
    if (segment->largest_timestamp() < target || segment->size() == 0) {
      continue;
    }
    OTTLA_ASSIGN(const auto found, segment->find_timestamp(target, start_, decompressor));
    return found && found->offset < std::min(limit, end_) ? found : std::nullopt;
  }
  return std::nullopt;
}

template <FileSystem Fs>
absl::StatusOr<std::optional<TimestampOffset>> BasicLogView<Fs>::find_max_timestamp(
    Offset limit, Decompressor& decompressor) const {
  TimestampOffset largest{no_timestamp, start_};
  std::optional<std::size_t> where;
  for (std::size_t i = list_->find(start_); i < list_->segments.size(); ++i) {
    const log_impl::Pin<Fs> pin(*list_->segments[i]);
    if (pin) {
      OTTLA_ASSIGN(const auto* segment, list_->segments[i]->segment());
      if (segment->end().largest.timestamp > largest.timestamp) {
        largest = segment->end().largest;
        where = i;
      }
    }
  }
  if (!where) {
    return std::nullopt;
  }
  LogSegment& entry = *list_->segments[*where];
  const log_impl::Pin<Fs> pin(entry);
  if (!pin) {
    return gone(entry, largest.offset);
  }
  OTTLA_ASSIGN(const auto* segment, entry.segment());
  OTTLA_ASSIGN(const auto found, segment->find_timestamp(largest.timestamp, start_, decompressor));
  return found && found->offset < std::min(limit, end_) ? found : std::nullopt;
}

template <FileSystem Fs>
auto BasicLogView<Fs>::segments() const -> absl::StatusOr<std::vector<SegmentSize>> {
  std::vector<SegmentSize> sizes;
  for (const auto& entry : list_->segments) {
    const log_impl::Pin<Fs> pin(*entry);
    if (pin) {
      OTTLA_ASSIGN(const auto* segment, entry->segment());
      sizes.push_back({entry->base(), segment->size()});
    }
  }
  return sizes;
}

}  // namespace ottla::inline OTTLA_ABI
