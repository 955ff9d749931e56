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
    return error(
        ErrorCode::corrupt_message, Fault::corrupt,
        absl::StrCat(
            damage_->file, " is damaged at byte ", damage_->position, ", where offset ",
            damage_->offset.value(), " should be: ", damage_->why,
            "; repair it (Broker::repair), restore the file from a backup, or delete the topic"));
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
  return segment.gone() == LogSegment::Gone::deleted
             ? error(ErrorCode::offset_out_of_range,
                     absl::StrCat("offset ", offset.value(), " was deleted meanwhile"))
             : error(ErrorCode::offset_not_available,
                     absl::StrCat("the log was cut back or compacted while offset ", offset.value(),
                                  " was read; ask again"));
}

template <FileSystem Fs>
auto BasicLogView<Fs>::open(const log_impl::Pin<Fs>& pin, LogSegment& entry, Offset offset) const
    -> absl::StatusOr<const Segment*> {
  if (!pin) {
    return gone(entry, offset);
  }
  auto segment = entry.segment();
  if (!segment.ok() && entry.gone() != LogSegment::Gone::no) {
    return gone(entry, offset);  // renamed before it was opened
  }
  return segment;
}

template <FileSystem Fs>
absl::StatusOr<LogRead> BasicLogView<Fs>::read(const LogReadRequest& request,
                                               ReadBuffers& buffers) const {
  OTTLA_TRY(check_range(request.offset));
  const Offset limit = std::min(request.limit, end_);
  if (request.offset >= limit) {
    return LogRead();
  }
  if (skipped_ != nullptr) {
    const auto next = std::find_if(skipped_->begin(), skipped_->end(),
                                   [&](const auto& range) { return range.next > request.offset; });
    if (next != skipped_->end() && next->first < limit) {
      return read_beside(*next, request, buffers);
    }
  }
  return read_on(request, buffers);
}

/// Up to what a repair took out. Where a file was restored since, what is there is answered.
template <FileSystem Fs>
absl::StatusOr<LogRead> BasicLogView<Fs>::read_beside(const SkippedRange& range,
                                                      const LogReadRequest& request,
                                                      ReadBuffers& buffers) const {
  if (request.offset < range.first) {
    LogReadRequest before = request;
    before.limit = range.first;
    OTTLA_ASSIGN(LogRead read, read_on(before, buffers));
    if (read.bytes > 0 || !request.at_least_one) {
      return read;
    }
  }
  OTTLA_ASSIGN(const std::optional<Offset> next, next_batch(request.offset));
  if (next && *next < range.next) {
    return read_on(request, buffers);
  }
  return records_skipped(
      range, range.next,
      absl::StrCat("offsets ", range.first.value(), " to ", range.next.value() - 1,
                   " were damaged, and a repair took them out; reading goes on at ",
                   range.next.value()));
}

/// Where the first batch begins that has `offset`, or lies above it.
template <FileSystem Fs>
absl::StatusOr<std::optional<Offset>> BasicLogView<Fs>::next_batch(Offset offset) const {
  const auto& segments = list_->segments;
  for (std::size_t i = list_->find(offset); i < segments.size(); ++i) {
    const log_impl::Pin<Fs> pin(*segments[i]);
    OTTLA_ASSIGN(const auto* opened, open(pin, *segments[i], offset));
    OTTLA_ASSIGN(const auto place, opened->find(offset));
    if (place) {
      return place->header.base_offset;
    }
  }
  return std::nullopt;
}

template <FileSystem Fs>
absl::StatusOr<LogRead> BasicLogView<Fs>::read_on(const LogReadRequest& request,
                                                  ReadBuffers& buffers) const {
  LogRead read;
  const auto& segments = list_->segments;
  for (std::size_t i = list_->find(request.offset); i < segments.size(); ++i) {
    LogSegment& segment = *segments[i];
    if (segment.base() >= request.limit) {
      break;
    }
    const log_impl::Pin<Fs> pin(segment);
    OTTLA_ASSIGN(const auto* opened, open(pin, segment, request.offset));
    OTTLA_ASSIGN(const bool found, read_segment(*opened, i, request, buffers, read));
    if (found) {
      break;
    }
  }
  return read;
}

/// False where the segment ends below the offset.
template <FileSystem Fs>
absl::StatusOr<bool> BasicLogView<Fs>::read_segment(const Segment& segment, std::size_t index,
                                                    const LogReadRequest& request,
                                                    ReadBuffers& buffers, LogRead& into) const {
  const bool last = index + 1 == list_->segments.size();
  OTTLA_ASSIGN(const auto place, segment.find(request.offset));
  const Offset limit = std::min(request.limit, end_);
  if (!place) {
    return false;
  }
  // The checksum does not cover offsets: what cannot be of this segment is not passed over.
  const Offset below = last ? end_ : list_->segments[index + 1]->base();
  OTTLA_TRY(place->header.last_offset() < below
                ? absl::OkStatus()
                : segment.misplaced(place->position, place->header));
  if (place->header.last_offset() >= limit ||
      (!request.at_least_one && place->header.size() > request.max_bytes)) {
    return true;
  }
  // Behind it batches may reach the limit: the last segment may have more than this view knows.
  const std::int64_t whole_end = last ? end_position_ : segment.size();
  const std::int64_t sure_end = limit >= below ? whole_end : 0;
  OffsetRange within{.below = last ? Offset(INT64_MAX) : below};
  std::int64_t position = place->position;
  std::size_t left = request.max_bytes;
  // Where one batch is larger than a piece, the next ones may be, too: each is read at once.
  const std::size_t piece_size = std::max(place->header.size(), ReadBuffers::block_size);
  do {
    std::size_t wanted = std::min(left, piece_size);
    if (sure_end > position) {
      wanted = std::min(wanted, static_cast<std::size_t>(sure_end - position));
    }
    if (into.pieces.empty()) {
      wanted = std::max(wanted, place->header.size());
    }
    auto piece = segment.read_batches(
        position, wanted, wanted > ReadBuffers::block_size ? Buffer() : buffers.take(), &within);
    if (!piece.ok() && into.pieces.empty()) {
      return piece.status();
    }
    if (!piece.ok()) {
      break;  // what is before it is good
    }
    const std::size_t whole = piece->size();
    position += static_cast<std::int64_t>(whole);
    SharedBytes kept =
        position <= sure_end ? *std::move(piece) : below_limit(*std::move(piece), limit);
    if (kept.empty() || (!into.pieces.empty() && kept.size() > left)) {
      break;  // the first batch of a later piece comes whole, however large
    }
    const bool ended = kept.size() < whole || position == segment.size() || position == sure_end;
    left -= std::min(left, kept.size());
    into.bytes += kept.size();
    into.pieces.push_back(std::move(kept));
    if (ended) {
      break;
    }
  } while (left >= least_piece);
  return true;
}

/// The batches whose last offset is below `limit`.
template <FileSystem Fs>
SharedBytes BasicLogView<Fs>::below_limit(const SharedBytes& piece, Offset limit) const {
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
absl::StatusOr<std::optional<FoundOffset>> BasicLogView<Fs>::find_in(
    const Segment& segment, Timestamp target, Offset from, Offset limit,
    Decompressor& decompressor) const {
  OTTLA_ASSIGN(const auto found, segment.find_timestamp(target, from, decompressor));
  if (!found || found->offset >= limit) {
    return std::nullopt;
  }
  OTTLA_ASSIGN(const auto place, segment.find(found->offset));
  return FoundOffset{found->timestamp, found->offset,
                     place ? place->header.leader_epoch : no_leader_epoch};
}

template <FileSystem Fs>
absl::StatusOr<std::optional<FoundOffset>> BasicLogView<Fs>::find_timestamp(
    Timestamp target, Offset limit, Decompressor& decompressor) const {
  // As in Kafka, a segment below the start ends the search, too, where it has the timestamp.
  const auto& segments = list_->segments;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const log_impl::Pin<Fs> pin(*segments[i]);
    const auto opened = open(pin, *segments[i], segments[i]->base());
    if (!opened.ok() && segments[i]->gone() == LogSegment::Gone::deleted) {
      continue;
    }
    OTTLA_ASSIGN(const auto* segment, opened);
    if (segment->largest_timestamp() < target) {
      continue;
    }
    return find_in(*segment, target, start_, std::min(limit, end_), decompressor);
  }
  return std::nullopt;
}

/// The largest timestamp of the batches of `segment` below `limit`.
template <FileSystem Fs>
absl::StatusOr<TimestampOffset> BasicLogView<Fs>::largest_below(const Segment& segment,
                                                                Offset limit) const {
  const SegmentEnd end = segment.end();
  if (end.next_offset <= limit) {
    return end.largest;
  }
  TimestampOffset largest{no_timestamp, segment.base_offset()};
  const absl::Status at_limit = absl::CancelledError();  // ends the walk
  const absl::Status walked = segment.each_batch(
      segment.base_offset(), [&](const BatchHeader& header, std::int64_t) -> absl::Status {
        if (header.last_offset() >= limit) {
          return at_limit;
        }
        if (header.max_timestamp > largest.timestamp) {
          largest = {header.max_timestamp, header.last_offset()};
        }
        return absl::OkStatus();
      });
  if (!walked.ok() && walked != at_limit) {
    return walked;
  }
  return largest;
}

template <FileSystem Fs>
absl::StatusOr<std::optional<FoundOffset>> BasicLogView<Fs>::find_max_timestamp(
    Offset limit, Decompressor& decompressor) const {
  TimestampOffset largest{no_timestamp, start_};
  std::optional<std::size_t> where;
  for (std::size_t i = 0; i < list_->segments.size(); ++i) {
    LogSegment& entry = *list_->segments[i];
    const log_impl::Pin<Fs> pin(entry);
    if (!pin || entry.base() >= end_) {
      continue;
    }
    OTTLA_ASSIGN(const auto* segment, open(pin, entry, entry.base()));
    OTTLA_ASSIGN(const TimestampOffset its, largest_below(*segment, end_));
    if (its.timestamp > largest.timestamp) {
      largest = its;
      where = i;
    }
  }
  if (!where) {
    return std::nullopt;
  }
  LogSegment& entry = *list_->segments[*where];
  const log_impl::Pin<Fs> pin(entry);
  OTTLA_ASSIGN(const auto* segment, open(pin, entry, largest.offset));
  return find_in(*segment, largest.timestamp, entry.base(), std::min(limit, end_), decompressor);
}

template <FileSystem Fs>
absl::StatusOr<std::vector<AbortedTransaction>> BasicLogView<Fs>::aborted_transactions(
    Offset from, Offset before) const {
  std::vector<AbortedTransaction> found;
  const auto& segments = list_->segments;
  for (std::size_t i = list_->find(from); i < segments.size(); ++i) {
    LogSegment& entry = *segments[i];
    if (!entry.has_aborted()) {
      continue;
    }
    const log_impl::Pin<Fs> pin(entry);
    if (!pin) {
      return gone(entry, from);
    }
    const auto opened = entry.aborted();
    if (!opened.ok() && entry.gone() != LogSegment::Gone::no) {
      return gone(entry, from);
    }
    OTTLA_ASSIGN(const auto* index, opened);
    OTTLA_ASSIGN(const bool complete, index->collect(from, before, found));
    if (complete) {
      break;
    }
  }
  return found;
}

template <FileSystem Fs>
void BasicLogView<Fs>::rest() const {
  for (const auto& entry : list_->segments) {
    const log_impl::Pin<Fs> pin(*entry);
    if (pin) {
      entry->rest();
    }
  }
}

template <FileSystem Fs>
auto BasicLogView<Fs>::segments() const -> absl::StatusOr<std::vector<SegmentSize>> {
  std::vector<SegmentSize> sizes;
  for (const auto& entry : list_->segments) {
    const log_impl::Pin<Fs> pin(*entry);
    if (pin) {
      OTTLA_ASSIGN(const auto* segment, open(pin, *entry, entry->base()));
      sizes.push_back({entry->base(), segment->size()});
    }
  }
  return sizes;
}

}  // namespace ottla::inline OTTLA_ABI
