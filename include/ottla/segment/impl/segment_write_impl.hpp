// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/invariant.hpp>
#include <ottla/segment/segment.hpp>

namespace ottla::inline OTTLA_ABI {

template <File FileT>
BasicSegment<FileT>::BasicSegment(FileT log, BasicOffsetIndex<FileT> offset_index,
                                  BasicTimeIndex<FileT> time_index, Offset base_offset,
                                  const SegmentOptions& options, SegmentTimes times)
    : log_(std::move(log)),
      offset_index_(std::move(offset_index)),
      time_index_(std::move(time_index)),
      base_offset_(base_offset),
      index_interval_bytes_(options.index_interval_bytes),
      reserved_(options.reserve_bytes > 0),
      created_(times.created),
      modified_(times.modified) {}

template <File FileT>
BasicSegment<FileT>::BasicSegment(BasicSegment&& other) noexcept
    : log_(std::move(other.log_)),
      offset_index_(std::move(other.offset_index_)),
      time_index_(std::move(other.time_index_)),
      base_offset_(other.base_offset_),
      index_interval_bytes_(other.index_interval_bytes_),
      reserved_(other.reserved_),
      tail_(other.tail_),
      undone_(other.undone_),
      followed_(other.followed_),
      created_(other.created_),
      modified_(other.modified_.load(std::memory_order_relaxed)),
      first_batch_timestamp_(other.first_batch_timestamp_),
      since_last_entry_(other.since_last_entry_),
      end_(other.end_),
      index_status_(std::move(other.index_status_)),
      built_from_(other.built_from_),
      verified_to_(other.verified_to_.load(std::memory_order_relaxed)),
      indexes_damaged_(other.indexes_damaged_.load(std::memory_order_relaxed)),
      indexes_unread_(other.indexes_unread_.load(std::memory_order_relaxed)) {}

template <File FileT>
BasicSegment<FileT>& BasicSegment<FileT>::operator=(BasicSegment&& other) noexcept {
  if (this != &other) {
    std::destroy_at(this);
    std::construct_at(this, std::move(other));
  }
  return *this;
}

template <File FileT>
absl::StatusOr<BasicSegment<FileT>> BasicSegment<FileT>::open(SegmentFiles<FileT> files,
                                                              Offset base_offset,
                                                              const SegmentOptions& options,
                                                              SegmentTimes times, IndexLoad indexes,
                                                              std::optional<IndexLoad> time_index) {
  OTTLA_ASSIGN(const std::int64_t size, files.log.size());
  OTTLA_ASSIGN(auto offset_index,
               BasicOffsetIndex<FileT>::open(std::move(files.offset_index), base_offset,
                                             options.index_bytes, indexes));
  OTTLA_ASSIGN(auto times_of,
               BasicTimeIndex<FileT>::open(std::move(files.time_index), base_offset,
                                           options.index_bytes, time_index.value_or(indexes)));
  BasicSegment segment(std::move(files.log), std::move(offset_index), std::move(times_of),
                       base_offset, options, times);
  if (size > INT32_MAX) {
    return segment.damaged(INT32_MAX, "the log goes on behind the size that a segment can have");
  }
  segment.end_.store({size, base_offset, segment.time_index_.last()});
  segment.built_from_ = size;
  segment.tail_ = size == 0 ? Tail::clean : Tail::unknown;
  return segment;
}

template <File FileT>
absl::Status BasicSegment<FileT>::damaged(std::int64_t position, std::string_view what) const {
  return error(ErrorCode::corrupt_message, Fault::corrupt,
               absl::StrCat(name(), " at byte ", position, ": ", av(what)));
}

template <File FileT>
absl::Status BasicSegment<FileT>::ready_to_write() {
  switch (tail_) {
    case Tail::clean:
      return absl::OkStatus();
    case Tail::unknown:
      return error(
          Fault::invalid_argument,
          absl::StrCat(name(), ": where it ends is not known; find_end or recover before"));
    case Tail::undecided:
      return damaged(size(),
                     "other bytes follow the last good batch; cut them or keep them read-only");
    case Tail::garbage:
      break;
  }
  if (absl::Status cut = log_.truncate(size(), IoReason::undo_append); !cut.ok()) {
    return annotate(
        cut, absl::StrCat(name(), " cannot be written: what a failed write left behind byte ",
                          size(), " cannot be cut off"));
  }
  tail_ = Tail::clean;
  undone_ = true;
  return absl::OkStatus();
}

/// After a write that failed with `problem`. What is answered is `not_written` where nothing is
/// left of it.
template <File FileT>
absl::Status BasicSegment<FileT>::undo(const absl::Status& problem) {
  if (outcome(problem) == Outcome::not_written) {
    return problem;
  }
  const absl::Status cut = log_.truncate(size(), IoReason::undo_append);
  if (cut.ok()) {
    undone_ = true;
    return with_outcome(problem, Outcome::not_written);
  }
  tail_ = Tail::garbage;
  return error(error_code(problem), fault(problem),
               absl::StrCat(problem.message(), "; and what it left in ", name(),
                            " could not be cut off: ", cut.message()),
               Outcome::unknown);
}

template <File FileT>
absl::Status BasicSegment<FileT>::write_out(std::span<const Bytes> pieces,
                                            std::span<const BatchFacts> batches, IoReason why) {
  OTTLA_TRY(ready_to_write());
  SegmentEnd end = end_.load();
  const SegmentEnd before = end;
  std::int64_t bytes = 0;
  for (const Bytes piece : pieces) {
    bytes += static_cast<std::int64_t>(piece.size());
  }
  for (const BatchFacts& batch : batches) {
    if (batch.base_offset < end.next_offset || batch.last_offset < batch.base_offset ||
        batch.last_offset - base_offset_ > INT32_MAX || batch.size <= 0) {
      return error(
          Fault::invalid_argument,
          absl::StrCat(name(), " ends before offset ", end.next_offset.value(), ": no batch of ",
                       batch.size, " bytes with offsets ", batch.base_offset.value(), " to ",
                       batch.last_offset.value(), " after it"));
    }
    end.size += batch.size;
    end.next_offset = batch.last_offset + 1;
    if (batch.max_timestamp > end.largest.timestamp) {
      end.largest = {batch.max_timestamp, batch.last_offset};
    }
  }
  if (end.size - before.size != bytes || end.size > INT32_MAX) {
    return error(
        Fault::invalid_argument,
        absl::StrCat(name(), " of ", before.size, " bytes: batches of ", end.size - before.size,
                     " bytes that are ", bytes, " are too many, or not what they are said to be"));
  }
  if (batches.empty()) {
    return absl::OkStatus();
  }
  if (absl::Status written = log_.write(before.size, pieces, why); !written.ok()) {
    return undo(written);
  }
  if (before.size == 0) {
    first_batch_timestamp_ = batches.front().max_timestamp;
  }
  // In this order: a reader that finds an index entry finds its batch, too.
  end_.store(end);
  const IoReason index_why = why == IoReason::append ? IoReason::index_append : why;
  if (absl::Status added = guarded([&] { add_index_entries(batches, before, index_why); });
      !added.ok()) {
    index_status_ = std::move(added);
  }
  return absl::OkStatus();
}

/// Kafka's rule (README.md): before a batch that lies more than the interval behind the last
/// entry's.
template <File FileT>
void BasicSegment<FileT>::add_index_entries(std::span<const BatchFacts> batches, SegmentEnd at,
                                            IoReason why) {
  for (const BatchFacts& batch : batches) {
    if (batch.max_timestamp > at.largest.timestamp) {
      at.largest = {batch.max_timestamp, batch.last_offset};
    }
    if (since_last_entry_ > index_interval_bytes_) {
      if (absl::Status added = add_index_entry(batch.last_offset, at.size, at.largest, why);
          added.ok()) {
        since_last_entry_ = 0;
      } else {
        index_status_ = std::move(added);
      }
    }
    since_last_entry_ += batch.size;
    at.size += batch.size;
  }
}

// The time index is written first: whatever is lost with the process, it reaches as far as the
// offset index does.
template <File FileT>
absl::Status BasicSegment<FileT>::add_index_entry(Offset offset, std::int64_t position,
                                                  const TimestampOffset& largest, IoReason why) {
  if (offset_index_.unwritten() == index_group || time_index_.unwritten() == index_group) {
    OTTLA_TRY(flush_indexes(why));
  }
  if (offset_index_.full() || time_index_.full()) {
    return absl::OkStatus();  // the segment rolls before its next batch
  }
  if (largest.timestamp != no_timestamp) {
    OTTLA_TRY(time_index_.append(largest.timestamp, largest.offset).status());
  }
  return offset_index_.append(offset, static_cast<std::int32_t>(position));
}

template <File FileT>
absl::Status BasicSegment<FileT>::flush_indexes(IoReason why) {
  OTTLA_TRY(time_index_.flush(why));
  return offset_index_.flush(why);
}

namespace segment_impl {
/// In ms; of timestamps that may be anything.
inline std::int64_t elapsed(Timestamp from, Timestamp to) {
  std::int64_t ms;
  return __builtin_sub_overflow(to.value(), from.value(), &ms) ? (to > from ? INT64_MAX : INT64_MIN)
                                                               : ms;
}
}  // namespace segment_impl

template <File FileT>
absl::StatusOr<std::size_t> BasicSegment<FileT>::fitting(std::span<const BatchFacts> batches,
                                                         const RollLimits& limits) {
  const SegmentEnd end = end_.load();
  if (end.size > 0 && !first_batch_timestamp_) {
    std::byte header[batch_header_size];
    Scan scan(log_, 0, end.size, header);
    OTTLA_ASSIGN(const bool found, scan.next());
    if (!found) {
      return damaged(scan);
    }
    first_batch_timestamp_ = scan.header().max_timestamp;
  }
  std::int64_t size = end.size;
  Timestamp first = first_batch_timestamp_.value_or(no_timestamp);
  Timestamp largest = end.largest.timestamp;
  Timestamp last_indexed = time_index_.last().timestamp;
  std::int64_t since_entry = since_last_entry_;
  std::size_t offset_entries = offset_index_.entries();
  std::size_t time_entries = time_index_.entries();
  const std::int64_t max_bytes = std::min<std::int64_t>(limits.segment_bytes, INT32_MAX);
  std::size_t fit = 0;
  for (; fit < batches.size(); ++fit) {
    const BatchFacts& batch = batches[fit];
    const std::int64_t waited = first >= Timestamp(0)
                                    ? segment_impl::elapsed(first, batch.max_timestamp)
                                    : segment_impl::elapsed(created_, limits.now);
    const bool full = offset_entries >= offset_index_.max_entries() ||
                      time_entries + 1 >= time_index_.max_entries();
    if (batch.last_offset - base_offset_ > INT32_MAX ||
        (size > 0 && (size + batch.size > max_bytes || waited > limits.max_age.count() || full))) {
      break;
    }
    first = size == 0 ? batch.max_timestamp : first;
    largest = std::max(largest, batch.max_timestamp);
    if (since_entry > index_interval_bytes_) {
      since_entry = 0;
      ++offset_entries;
      time_entries += std::size_t{largest > last_indexed};
      last_indexed = std::max(largest, last_indexed);
    }
    since_entry += batch.size;
    size += batch.size;
  }
  return fit;
}

template <File FileT>
absl::Status BasicSegment<FileT>::become_inactive(IoReason why) {
  if (tail_ == Tail::garbage) {
    OTTLA_TRY(ready_to_write());
  }
  if (reserved_) {
    OTTLA_TRY(log_.truncate(size(), why));
    reserved_ = false;
  }
  const TimestampOffset largest = end_.load().largest;
  if (largest.timestamp > time_index_.last().timestamp) {
    const auto added = time_index_.append(largest.timestamp, largest.offset, true, why);
    // A full index has no slot left, and a damaged one is made anew by `recover`.
    if (!added.ok() && fault(added.status()) != Fault::limit_reached &&
        fault(added.status()) != Fault::corrupt) {
      return added.status();
    }
  }
  return flush_indexes(why);
}

template <File FileT>
absl::Status BasicSegment<FileT>::sync_indexes(IoReason why) {
  OTTLA_TRY(offset_index_.sync(why));
  return time_index_.sync(why);
}

template <File FileT>
absl::Status BasicSegment<FileT>::close() {
  absl::Status status = log_.close();
  status.Update(offset_index_.close());
  status.Update(time_index_.close());
  return status;
}

template <File FileT>
absl::Status BasicSegment<FileT>::cut_tail(IoReason why) {
  OTTLA_TRY(log_.truncate(size(), why));
  if (tail_ == Tail::undecided) {
    tail_ = Tail::clean;
  }
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
