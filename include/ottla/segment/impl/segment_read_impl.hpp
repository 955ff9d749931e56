// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/segment/segment.hpp>

namespace ottla::inline OTTLA_ABI {

template <File FileT>
absl::Status BasicSegment<FileT>::damaged(const Scan& scan) const {
  if (scan.verdict() == BatchVerdict::whole) {
    return misplaced(scan.position(), scan.header());
  }
  return batch_error(scan.verdict(), name(), static_cast<std::uint64_t>(scan.position()));
}

template <File FileT>
absl::Status BasicSegment<FileT>::misplaced(std::int64_t position,
                                            const BatchHeader& header) const {
  return damaged(position, absl::StrCat("a batch header that does not belong here, offset ",
                                        header.base_offset.value()));
}

/// Whether the fields outside the checksum can be those of a batch behind one whose last offset is
/// `before`.
template <File FileT>
bool BasicSegment<FileT>::plausible(const BatchHeader& header, Offset before) const {
  return header.base_offset > before && header.last_offset_delta >= 0 &&
         header.base_offset - base_offset_ <= std::int64_t{INT32_MAX} - header.last_offset_delta;
}

/// Above all offsets, where it is known.
template <File FileT>
Offset BasicSegment<FileT>::offset_limit() const {
  const SegmentEnd end = this->end();
  return end.size > 0 && end.next_offset == base_offset_ ? Offset(INT64_MAX) : end.next_offset;
}

/// What looking something up in an index answered: where it is damaged, or could not be read, that
/// is noted, and the log has it all.
template <File FileT>
absl::Status BasicSegment<FileT>::do_without(absl::Status looked_up) const {
  if (fault(looked_up) == Fault::corrupt) {
    damage_index();
  } else if (fault(looked_up) == Fault::io) {
    indexes_unread_.store(true, std::memory_order_relaxed);
  } else {
    return looked_up;
  }
  return absl::OkStatus();
}

/// At the first batch whose last offset is `target` or above, or at the end. An index entry is
/// believed only where the log confirms it: a batch that ends at its offset.
template <File FileT>
auto BasicSegment<FileT>::scan_to(Offset target, MutableBytes window,
                                  std::optional<std::int64_t>& before) const
    -> absl::StatusOr<Scan> {
  const auto entry = offset_index_.lookup(target);
  OTTLA_TRY(do_without(entry.status()));
  // After the look-up: a batch that has an entry is published.
  const std::int64_t end = size();
  if (entry.ok() && entry->position > 0 && entry->position < end) {
    Scan scan(log_, entry->position, end, window);
    OTTLA_ASSIGN(const bool found, scan.next());
    if (found && plausible(scan.header(), base_offset_ - 1) &&
        scan.header().last_offset() <= entry->offset) {
      const absl::Status reached = skip_below(entry->offset, scan, before);
      if (!reached.ok() && fault(reached) != Fault::corrupt) {
        return reached;
      }
      if (reached.ok() && scan.header().last_offset() == entry->offset) {
        OTTLA_TRY(skip_below(target, scan, before));
        return scan;
      }
    }
  }
  if (entry.ok() && entry->position > 0) {
    damage_index();
  }
  before.reset();
  Scan scan(log_, 0, end, window);
  OTTLA_ASSIGN(const bool found, scan.next());
  if (found && plausible(scan.header(), base_offset_ - 1) &&
      scan.header().last_offset() < offset_limit()) {
    OTTLA_TRY(skip_below(target, scan, before));
  } else if (!scan.at_end()) {
    return damaged(scan);
  }
  return scan;
}

/// Moves on from a plausible batch to the first whose last offset is `target` or above, or to the
/// end. `before`: where the batch before that one is, of those that were passed.
template <File FileT>
absl::Status BasicSegment<FileT>::skip_below(Offset target, Scan& scan,
                                             std::optional<std::int64_t>& before) const {
  const Offset limit = offset_limit();
  while (scan.header().last_offset() < target) {
    const Offset last = scan.header().last_offset();
    before = scan.position();
    OTTLA_ASSIGN(const bool found, scan.next());
    if (scan.at_end()) {
      return absl::OkStatus();
    }
    if (!found || !plausible(scan.header(), last) || scan.header().last_offset() >= limit) {
      return damaged(scan);
    }
  }
  return absl::OkStatus();
}

template <File FileT>
absl::StatusOr<std::optional<BatchPlace>> BasicSegment<FileT>::find(Offset target) const {
  std::byte window[segment_impl::header_window];
  std::optional<std::int64_t> before;
  OTTLA_ASSIGN(const Scan scan, scan_to(target, window, before));
  if (scan.at_end()) {
    return std::nullopt;
  }
  if (before && scan.header().base_offset > target) {
    // Compaction leaves such a gap; so does a batch whose last offset is not what it was.
    OTTLA_TRY(read_batches(*before, batch_header_size).status());
  }
  return BatchPlace{scan.position(), scan.header()};
}

template <File FileT>
absl::Status BasicSegment<FileT>::each_batch(Offset from, const Visit& visit) const {
  std::byte window[segment_impl::header_window];
  std::optional<std::int64_t> passed;
  OTTLA_ASSIGN(Scan scan, scan_to(from, window, passed));
  const Offset limit = offset_limit();
  while (!scan.at_end()) {
    OTTLA_TRY(visit(scan.header(), scan.position()));
    const Offset before = scan.header().last_offset();
    OTTLA_ASSIGN(const bool found, scan.next());
    if (!scan.at_end() &&
        (!found || !plausible(scan.header(), before) || scan.header().last_offset() >= limit)) {
      return damaged(scan);
    }
  }
  return absl::OkStatus();
}

template <File FileT>
absl::StatusOr<SharedBytes> BasicSegment<FileT>::read(std::int64_t position, std::size_t max_bytes,
                                                      Buffer into) const {
  const std::int64_t left = size() - position;
  if (position < 0 || left < 0) {
    return error(Fault::invalid_argument, absl::StrCat(name(), " of ", left + position,
                                                       " bytes: no reading from byte ", position));
  }
  const std::size_t wanted = std::min(max_bytes, static_cast<std::size_t>(left));
  if (into.capacity() < wanted || !into) {
    into = Buffer::allocate(wanted);
    if (!into) {
      return error(Fault::no_memory,
                   absl::StrCat("no memory to read ", wanted, " bytes of ", name()));
    }
  }
  OTTLA_ASSIGN(const std::size_t got, log_.read(position, into.bytes().first(wanted)));
  if (got != wanted) {
    return error(Fault::io, absl::StrCat(name(), " ends before byte ",
                                         position + static_cast<std::int64_t>(wanted),
                                         ", which it had: did another program cut it?"));
  }
  return std::move(into).share(wanted);
}

template <File FileT>
bool BasicSegment<FileT>::verified(std::int64_t position, std::int64_t size) const {
  if (followed_) {
    return false;
  }
  const std::int64_t to = verified_to_.load(std::memory_order_relaxed);
  return position >= built_from_ || position + size <= to || to >= built_from_;
}

template <File FileT>
void BasicSegment<FileT>::mark_verified(std::int64_t position, std::int64_t end) const {
  std::int64_t to = verified_to_.load(std::memory_order_relaxed);
  while (position <= to && end > to &&
         !verified_to_.compare_exchange_weak(to, end, std::memory_order_relaxed)) {
  }
}

/// With a whole batch at the front; empty at the end.
template <File FileT>
absl::StatusOr<SharedBytes> BasicSegment<FileT>::read_whole(std::int64_t position,
                                                            std::size_t max_bytes,
                                                            Buffer into) const {
  OTTLA_ASSIGN(SharedBytes bytes,
               read(position, std::max(max_bytes, batch_header_size), std::move(into)));
  if (bytes.empty()) {
    return bytes;
  }
  const ScannedBatch first =
      scan_batch(bytes.bytes(), static_cast<std::uint64_t>(size() - position));
  if (first.verdict != BatchVerdict::whole) {
    return batch_error(first.verdict, name(), static_cast<std::uint64_t>(position));
  }
  return first.size > bytes.size() ? read(position, first.size) : std::move(bytes);
}

template <File FileT>
absl::StatusOr<SharedBytes> BasicSegment<FileT>::read_batches(std::int64_t position,
                                                              std::size_t max_bytes, Buffer into,
                                                              OffsetRange* within) const {
  OTTLA_ASSIGN(SharedBytes bytes, read_whole(position, max_bytes, std::move(into)));
  if (bytes.empty()) {
    return bytes;
  }
  OffsetRange any;
  OffsetRange& range = within != nullptr ? *within : any;
  // Checksums once a process; offsets, which they do not cover, each time: somebody else may have
  // written there since.
  const bool known = verified(position, static_cast<std::int64_t>(bytes.size()));
  OTTLA_ASSIGN(const std::size_t good, check_batches(position, bytes.bytes(), range,
                                                     known ? CheckCrc::skip : CheckCrc::verify));
  mark_verified(position, position + static_cast<std::int64_t>(good));
  return bytes.slice(0, good);
}

template <File FileT>
absl::StatusOr<SharedBytes> BasicSegment<FileT>::check_again(std::int64_t position,
                                                             std::size_t max_bytes, Buffer into,
                                                             OffsetRange* within) const {
  OTTLA_ASSIGN(const SharedBytes bytes, read_whole(position, max_bytes, std::move(into)));
  if (bytes.empty()) {
    return bytes;
  }
  OffsetRange any;
  OTTLA_ASSIGN(
      const std::size_t good,
      check_batches(position, bytes.bytes(), within != nullptr ? *within : any, CheckCrc::verify));
  return bytes.slice(0, good);
}

/// How many of the bytes at `position` are batches that pass: their checksums, and what those do
/// not cover, their offsets, beside the neighbours. Of two that contradict each other the first one
/// is believed only where it continues the one before it, or begins as the file's name says.
template <File FileT>
absl::StatusOr<std::size_t> BasicSegment<FileT>::check_batches(std::int64_t position, Bytes bytes,
                                                               OffsetRange& within,
                                                               CheckCrc check) const {
  const Offset limit = std::min(within.below, offset_limit());
  BatchCursor batches(bytes, "a segment", check);
  std::size_t good = 0;
  std::size_t last_size = 0;          // of the batch that ends at `good`
  Offset before_last = within.above;  // the last offset before it; -1: not known
  Offset last = within.above;         // of it
  bool continues = false;             // it, the one before it
  std::optional<Offset> next;         // where the one behind it begins
  while (const BatchView* batch = batches.next()) {
    const BatchHeader& header = batch->header();
    next = header.base_offset;
    if (header.last_offset() >= limit || header.base_offset <= last) {
      break;
    }
    continues = last >= Offset(0) ? header.base_offset == last + 1
                                  : position == 0 && header.base_offset == base_offset_;
    before_last = std::exchange(last, header.last_offset());
    last_size = header.size();
    good = batches.position();
    next.reset();
  }
  if (!next) {
    OTTLA_ASSIGN(next, offset_at(position, bytes, good));
  }
  if (good > 0 && next && *next <= last && !continues) {
    good -= last_size;
    last = before_last;
  }
  if (good > 0) {
    within.above = last;
    return good;
  }
  return batches.ok() ? misplaced(position, BatchHeader::parse(bytes))
                      : unreadable(position, bytes, batches.status());
}

/// What is said of the batch that `bytes` begin with. A whole one tells which offset follows it.
template <File FileT>
absl::Status BasicSegment<FileT>::unreadable(std::int64_t position, Bytes bytes,
                                             const absl::Status& why) const {
  std::string text = absl::StrCat(name(), " at byte ", position, ": ", why.message());
  if (scan_batch(bytes, bytes.size()).verdict == BatchVerdict::whole) {
    const BatchHeader header = BatchHeader::parse(bytes);
    if (plausible(header, base_offset_ - 1)) {
      absl::StrAppend(&text, "; seek to ", header.next_offset().value(), " to go on behind it");
    }
  }
  return error(error_code(why), fault(why), text, outcome(why));
}

/// Where the batch begins that lies behind the first `good` of the bytes at `position`; nothing
/// where there is no whole one.
template <File FileT>
absl::StatusOr<std::optional<Offset>> BasicSegment<FileT>::offset_at(std::int64_t position,
                                                                     Bytes bytes,
                                                                     std::size_t good) const {
  const std::int64_t at = position + static_cast<std::int64_t>(good);
  const std::int64_t left = size() - at;
  std::byte own[batch_scan_size];
  Bytes head = bytes.subspan(good);
  if (head.size() < batch_scan_size && left >= std::int64_t{batch_scan_size}) {
    OTTLA_ASSIGN(const std::size_t read, log_.read(at, own));
    head = Bytes(own, read);
  }
  const bool whole =
      scan_batch(head, static_cast<std::uint64_t>(std::max<std::int64_t>(left, 0))).verdict ==
      BatchVerdict::whole;
  return whole ? std::optional(Offset(load_big_endian<std::int64_t>(head.data()))) : std::nullopt;
}

template <File FileT>
absl::StatusOr<std::optional<TimestampOffset>> BasicSegment<FileT>::find_timestamp(
    Timestamp target, Offset from, Decompressor& decompressor) const {
  Offset start = from;
  const auto entry = time_index_.lookup(target);
  OTTLA_TRY(do_without(entry.status()));
  bool holds = true;
  if (entry.ok() && entry->timestamp != no_timestamp && entry->offset > from) {
    OTTLA_ASSIGN(holds, time_entry_holds(*entry));
    start = holds ? entry->offset : from;
  }
  if (!holds) {
    damage_index();
  }
  std::optional<TimestampOffset> answer;
  const absl::Status found = absl::CancelledError();  // ends the walk
  const absl::Status walked =
      each_batch(start, [&](const BatchHeader& header, std::int64_t position) -> absl::Status {
        if (header.max_timestamp < target) {
          return absl::OkStatus();
        }
        OTTLA_ASSIGN(answer, first_record({position, header}, target, from, decompressor));
        return answer ? found : absl::OkStatus();
      });
  if (!walked.ok() && !answer) {
    return walked;
  }
  return answer;
}

/// Whether the log agrees that the batch at `entry.offset` has that timestamp as its largest.
template <File FileT>
absl::StatusOr<bool> BasicSegment<FileT>::time_entry_holds(const TimestampOffset& entry) const {
  const auto place = find(entry.offset);
  if (!place.ok()) {
    return fault(place.status()) == Fault::corrupt ? absl::StatusOr<bool>(false) : place.status();
  }
  return *place && (*place)->header.base_offset <= entry.offset &&
         (*place)->header.max_timestamp == entry.timestamp;
}

template <File FileT>
absl::StatusOr<std::optional<TimestampOffset>> BasicSegment<FileT>::first_record(
    const BatchPlace& place, Timestamp target, Offset from, Decompressor& decompressor) const {
  OTTLA_ASSIGN(const SharedBytes bytes, read_batches(place.position, place.header.size()));
  const BatchView batch(bytes.bytes());
  RecordCursor records = batch.records(decompressor);
  while (const RecordView* record = records.next()) {
    if (record->timestamp() >= target && record->offset() >= from) {
      return TimestampOffset{record->timestamp(), record->offset()};
    }
  }
  if (!records.ok()) {
    return annotate(records.status(), absl::StrCat(name(), " at byte ", place.position));
  }
  return std::nullopt;
}

template <File FileT>
absl::StatusOr<std::optional<Offset>> BasicSegment<FileT>::upper_bound(std::int64_t position,
                                                                       std::int64_t size) const {
  const auto entry = offset_index_.upper_bound(position, size);
  OTTLA_TRY(do_without(entry.status()));
  return entry.ok() && *entry ? std::optional((*entry)->offset) : std::nullopt;
}

}  // namespace ottla::inline OTTLA_ABI
