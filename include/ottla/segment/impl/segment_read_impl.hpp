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

/// At the first batch whose last offset is `target` or above, or at the end. An index entry is
/// believed only where the log confirms it.
template <File FileT>
auto BasicSegment<FileT>::scan_to(Offset target, MutableBytes window) const
    -> absl::StatusOr<Scan> {
  const auto entry = offset_index_.lookup(target);
  if (!entry.ok() && fault(entry.status()) != Fault::corrupt) {
    return entry.status();
  }
  // After the look-up: a batch that has an entry is published.
  const std::int64_t end = size();
  if (entry.ok() && entry->position > 0 && entry->position < end) {
    Scan scan(log_, entry->position, end, window);
    OTTLA_ASSIGN(const bool found, scan.next());
    if (found && plausible(scan.header(), base_offset_ - 1) &&
        scan.header().last_offset() <= entry->offset) {
      OTTLA_TRY(skip_below(target, scan));
      return scan;
    }
  }
  if (!entry.ok() || entry->position > 0) {
    damage_index();
  }
  Scan scan(log_, 0, end, window);
  OTTLA_ASSIGN(const bool found, scan.next());
  if (found && plausible(scan.header(), base_offset_ - 1)) {
    OTTLA_TRY(skip_below(target, scan));
  } else if (!scan.at_end()) {
    return damaged(scan);
  }
  return scan;
}

/// Moves on from a plausible batch to the first whose last offset is `target` or above, or to the
/// end.
template <File FileT>
absl::Status BasicSegment<FileT>::skip_below(Offset target, Scan& scan) const {
  while (scan.header().last_offset() < target) {
    const Offset before = scan.header().last_offset();
    OTTLA_ASSIGN(const bool found, scan.next());
    if (scan.at_end()) {
      return absl::OkStatus();
    }
    if (!found || !plausible(scan.header(), before)) {
      return damaged(scan);
    }
  }
  return absl::OkStatus();
}

template <File FileT>
absl::StatusOr<std::optional<BatchPlace>> BasicSegment<FileT>::find(Offset target) const {
  std::byte window[segment_impl::header_window];
  OTTLA_ASSIGN(const Scan scan, scan_to(target, window));
  return scan.at_end() ? std::nullopt : std::optional(BatchPlace{scan.position(), scan.header()});
}

template <File FileT>
absl::Status BasicSegment<FileT>::each_batch(Offset from, const Visit& visit) const {
  std::byte window[segment_impl::header_window];
  OTTLA_ASSIGN(Scan scan, scan_to(from, window));
  while (!scan.at_end()) {
    OTTLA_TRY(visit(scan.header(), scan.position()));
    const Offset before = scan.header().last_offset();
    OTTLA_ASSIGN(const bool found, scan.next());
    if (!scan.at_end() && (!found || !plausible(scan.header(), before))) {
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

template <File FileT>
absl::StatusOr<SharedBytes> BasicSegment<FileT>::read_batches(std::int64_t position,
                                                              std::size_t max_bytes, Buffer into,
                                                              Offset below) const {
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
  if (first.size > bytes.size()) {
    OTTLA_ASSIGN(bytes, read(position, first.size));
  }
  const bool known = verified(position, static_cast<std::int64_t>(bytes.size()));
  BatchCursor batches(bytes.bytes(), "a segment", known ? CheckCrc::skip : CheckCrc::verify);
  std::size_t good = 0;
  Offset before = base_offset_ - 1;
  const BatchView* batch = batches.next();
  for (; batch != nullptr && plausible(batch->header(), before) &&
         batch->header().last_offset() < below;
       batch = batches.next()) {
    before = batch->header().last_offset();
    good = batches.position();
  }
  if (good == 0 && batch != nullptr) {
    return misplaced(position, batch->header());
  }
  if (good == 0) {
    return annotate(batches.status(), absl::StrCat(name(), " from byte ", position));
  }
  if (!known) {
    mark_verified(position, position + static_cast<std::int64_t>(good));
  }
  return bytes.slice(0, good);
}

template <File FileT>
absl::StatusOr<std::optional<TimestampOffset>> BasicSegment<FileT>::find_timestamp(
    Timestamp target, Offset from, Decompressor& decompressor) const {
  Offset start = from;
  const auto entry = time_index_.lookup(target);
  if (!entry.ok() && fault(entry.status()) != Fault::corrupt) {
    return entry.status();
  }
  bool holds = entry.ok();
  if (holds && entry->timestamp != no_timestamp && entry->offset > from) {
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
  if (!entry.ok()) {
    if (fault(entry.status()) != Fault::corrupt) {
      return entry.status();
    }
    damage_index();
    return std::nullopt;
  }
  return *entry ? std::optional((*entry)->offset) : std::nullopt;
}

}  // namespace ottla::inline OTTLA_ABI
