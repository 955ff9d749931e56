// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/segment/impl/following_batch.hpp>
#include <ottla/segment/segment.hpp>

namespace ottla::inline OTTLA_ABI {

namespace segment_impl {
/// What a scan of recovery brings together before anything is changed.
struct RecoveredEntries {
  std::vector<OffsetPosition> offsets;
  std::vector<TimestampOffset> times;
  TimestampOffset largest;
  std::int64_t last_position = 0;  // of the last offset entry
  std::int64_t checked_from = 0;   // checksums were computed from there on
};
}  // namespace segment_impl

/// An empty time index beside a log, both whole, is one that Kafka's cleaning left: it goes by the
/// modification time then.
template <File FileT>
absl::Status BasicSegment<FileT>::find_end(Timestamp largest) {
  const TimestampOffset last = time_index_.last();
  bool holds = largest == no_timestamp || last.timestamp == largest;
  if (holds && last.timestamp != no_timestamp) {
    OTTLA_ASSIGN(holds, time_entry_holds(last));
  }
  if (!holds) {
    damage_index();
    return find_end({no_timestamp, base_offset_}, true, false);
  }
  return find_end(last, last.timestamp != no_timestamp || indexes_damaged(), true);
}

template <File FileT>
absl::Status BasicSegment<FileT>::find_end(TimestampOffset largest, bool with_timestamps,
                                           bool from_entry) {
  SegmentEnd end{size(), base_offset_, largest};
  std::byte window[segment_impl::header_window];
  std::int64_t start = 0;
  if (const auto entry = offset_index_.last(); entry && from_entry) {
    OTTLA_ASSIGN(const bool holds, offset_entry_holds(*entry, window));
    start = holds ? entry->position : 0;
    if (!holds) {
      damage_index();
    }
  }
  Scan scan(log_, start, end.size, window);
  Offset before = base_offset_ - 1;
  for (;;) {
    OTTLA_ASSIGN(const bool found, scan.next());
    if (scan.at_end()) {
      break;
    }
    if (!found || !plausible(scan.header(), before)) {
      return damaged(scan);
    }
    before = scan.header().last_offset();
    if (with_timestamps && scan.header().max_timestamp > end.largest.timestamp) {
      end.largest = {scan.header().max_timestamp, before};
    }
  }
  end.next_offset = before + 1;
  end_.store(end);
  since_last_entry_ = 0;  // Kafka's rule for a segment that is opened
  tail_ = Tail::clean;
  return absl::OkStatus();
}

/// Whether the batch that an index entry points to is there.
template <File FileT>
absl::StatusOr<bool> BasicSegment<FileT>::offset_entry_holds(const OffsetPosition& entry,
                                                             MutableBytes window) const {
  if (entry.position >= size()) {
    return false;
  }
  Scan scan(log_, entry.position, size(), window);
  OTTLA_ASSIGN(const bool found, scan.next());
  return found && plausible(scan.header(), base_offset_ - 1) &&
         scan.header().last_offset() == entry.offset;
}

/// The last index entry that log and time index confirm; nothing where there is none.
template <File FileT>
absl::StatusOr<std::optional<OffsetPosition>> BasicSegment<FileT>::trusted_start(
    MutableBytes window) const {
  std::optional<OffsetPosition> entry = offset_index_.last();
  if (!offset_index_.check().ok() || !time_index_.check().ok() || !entry) {
    return std::nullopt;
  }
  if (time_index_.cut()) {
    OTTLA_ASSIGN(entry, offset_index_.lookup(time_index_.last().offset));
  }
  OTTLA_ASSIGN(const TimestampOffset time, time_index_.last_up_to(entry->offset));
  // Looking at a header must not read a whole window.
  OTTLA_ASSIGN(bool holds, offset_entry_holds(*entry, window.first(segment_impl::header_window)));
  if (holds && time.timestamp != no_timestamp) {
    OTTLA_ASSIGN(holds, time_entry_holds(time));
  }
  if (!holds || entry->position == 0) {
    return std::nullopt;
  }
  Scan scan(log_, entry->position, size(), window);
  OTTLA_TRY(scan.next().status());
  OTTLA_ASSIGN(holds, scan.checksum_matches());
  return holds ? entry : std::nullopt;
}

template <File FileT>
absl::StatusOr<SegmentRecovery> BasicSegment<FileT>::recover(const RecoveryOptions& options,
                                                             const Visit& visit) {
  return guarded([&] { return recover_guarded(options, visit); });
}

template <File FileT>
absl::StatusOr<SegmentRecovery> BasicSegment<FileT>::recover_guarded(const RecoveryOptions& options,
                                                                     const Visit& visit) {
  Buffer window = Buffer::allocate(segment_impl::data_window);
  if (!window) {
    return error(Fault::no_memory, absl::StrCat("no memory to recover ", name()));
  }
  SegmentRecovery report;
  OTTLA_ASSIGN(report.file_size, log_.size());
  std::optional<OffsetPosition> trusted;
  if (options.trust_indexes) {
    OTTLA_ASSIGN(trusted, trusted_start(window.bytes()));
  }
  segment_impl::RecoveredEntries entries;
  entries.largest = {no_timestamp, base_offset_};
  if (trusted) {
    report.scanned_from = entries.last_position = entries.checked_from = trusted->position;
    OTTLA_ASSIGN(entries.largest, time_index_.last_up_to(trusted->offset));
  }
  OTTLA_TRY(scan_all(options, visit, window.bytes(), report, entries));
  if (!report.clean()) {
    Buffer second = Buffer::allocate(segment_impl::data_window);
    if (!second) {
      return error(Fault::no_memory, absl::StrCat("no memory to recover ", name()));
    }
    const segment_impl::OffsetRange range{report.next_offset.value(),
                                          base_offset_.value() + INT32_MAX};
    OTTLA_ASSIGN(report.batch_follows,
                 segment_impl::batch_follows(log_, report.valid_end, report.file_size, range,
                                             window.bytes(), second.bytes()));
  }
  end_.store({report.valid_end, report.next_offset, entries.largest});
  since_last_entry_ = report.valid_end - entries.last_position;
  tail_ = report.clean() ? Tail::clean : Tail::undecided;
  first_batch_timestamp_.reset();
  built_from_ = entries.checked_from;
  verified_to_.store(0, std::memory_order_relaxed);
  index_status_ = replace_entries(trusted, entries);
  indexes_damaged_.store(!index_status_.ok(), std::memory_order_relaxed);
  indexes_unread_.store(false, std::memory_order_relaxed);
  return report;
}

// In this order: whenever it is interrupted, the time index reaches as far as the offset index
// does.
template <File FileT>
absl::Status BasicSegment<FileT>::replace_entries(const std::optional<OffsetPosition>& trusted,
                                                  const segment_impl::RecoveredEntries& entries) {
  constexpr IoReason why = IoReason::index_rebuild;
  OTTLA_TRY(trusted ? offset_index_.truncate_to(trusted->offset + 1, why)
                    : offset_index_.clear(why));
  OTTLA_TRY(trusted ? time_index_.truncate_to(trusted->offset + 1, why) : time_index_.clear(why));
  for (const TimestampOffset& entry : entries.times) {
    if (time_index_.full()) {
      break;
    }
    OTTLA_TRY(time_index_.append(entry.timestamp, entry.offset, false, why).status());
  }
  OTTLA_TRY(time_index_.flush(why));
  for (const OffsetPosition& entry : entries.offsets) {
    if (offset_index_.full()) {
      break;
    }
    OTTLA_TRY(offset_index_.append(entry.offset, entry.position, why));
  }
  return offset_index_.flush(why);
}

/// What is wrong with the whole batch at hand; empty where nothing is.
template <File FileT>
absl::StatusOr<std::string> BasicSegment<FileT>::judge(
    Scan& scan, Offset before, LeaderEpoch epoch, std::optional<Offset> durable_end,
    segment_impl::RecoveredEntries& entries) const {
  const BatchHeader& header = scan.header();
  if (!plausible(header, before)) {
    return absl::StrCat(name(), " at byte ", scan.position(), ": a batch with offsets ",
                        header.base_offset.value(), " to ", header.last_offset().value(),
                        " behind offset ", before.value());
  }
  if (header.leader_epoch != no_leader_epoch && header.leader_epoch < epoch) {
    return absl::StrCat(name(), " at byte ", scan.position(), ": leader epoch ",
                        header.leader_epoch.value(), " behind ", epoch.value());
  }
  if (durable_end && header.last_offset() < *durable_end) {
    entries.checked_from = scan.position() + static_cast<std::int64_t>(header.size());
    return std::string();
  }
  OTTLA_ASSIGN(const bool matches, scan.checksum_matches());
  return matches ? std::string()
                 : absl::StrCat(name(), " at byte ", scan.position(), ": the batch at offset ",
                                header.base_offset.value(), " does not match its checksum");
}

/// Judges the batches from `report.scanned_from` on, and notes the index entries that they get.
template <File FileT>
absl::Status BasicSegment<FileT>::scan_all(const RecoveryOptions& options, const Visit& visit,
                                           MutableBytes window, SegmentRecovery& report,
                                           segment_impl::RecoveredEntries& entries) const {
  Scan scan(log_, report.scanned_from, report.file_size, window);
  Offset before = base_offset_ - 1;
  LeaderEpoch epoch = no_leader_epoch;
  for (;;) {
    OTTLA_ASSIGN(const bool found, scan.next());
    if (scan.at_end()) {
      break;
    }
    if (found) {
      OTTLA_ASSIGN(report.problem, judge(scan, before, epoch, options.durable_end, entries));
    } else {
      report.problem = std::string(sv(damaged(scan).message()));
    }
    if (report.problem.empty() && visit) {
      const absl::Status refused = visit(scan.header(), scan.position());
      if (!refused.ok() && fault(refused) != Fault::corrupt) {
        return refused;
      }
      report.problem = std::string(sv(refused.message()));
    }
    if (!report.problem.empty()) {
      break;
    }
    const BatchHeader& header = scan.header();
    before = header.last_offset();
    epoch = std::max(epoch, header.leader_epoch);
    if (header.max_timestamp > entries.largest.timestamp) {
      entries.largest = {header.max_timestamp, before};
    }
    if (scan.position() - entries.last_position > index_interval_bytes_) {
      entries.last_position = scan.position();
      entries.offsets.push_back({before, static_cast<std::int32_t>(scan.position())});
      if (entries.largest.timestamp != no_timestamp) {
        entries.times.push_back(entries.largest);
      }
    }
  }
  report.valid_end = scan.position();
  report.next_offset = before + 1;
  return absl::OkStatus();
}

/// The index first: a batch that has an entry is in the log.
template <File FileT>
absl::StatusOr<bool> BasicSegment<FileT>::follow(FollowedEnd& at, MutableBytes window,
                                                 const RecoveryOptions& options,
                                                 const Visit& visit) {
  if (!followed_) {  // the first time: nobody reads yet
    followed_ = true;
  }
  for (const absl::Status& taken : {offset_index_.take_in(), time_index_.take_in()}) {
    OTTLA_TRY(fault(taken) == Fault::io ? do_without(taken) : taken);
  }
  SegmentEnd end = this->end();
  OTTLA_ASSIGN(const std::int64_t file_size, log_.size());
  std::int64_t position = at.last ? at.last->position : 0;
  if (!at.begun) {
    std::optional<OffsetPosition> trusted;
    if (options.trust_indexes && !indexes_unread()) {
      OTTLA_ASSIGN(trusted, trusted_start(window));
    }
    end = {0, base_offset_, {no_timestamp, base_offset_}};
    if (trusted) {
      position = end.size = trusted->position;
      OTTLA_ASSIGN(end.largest, time_index_.last_up_to(trusted->offset));
    }
  } else if (file_size < end.size) {
    return false;
  }
  Scan scan(log_, position, file_size, window);
  FollowedEnd next = at;
  next.file_size = file_size;
  if (at.last) {
    OTTLA_ASSIGN(const bool found, scan.next());
    if (!found || scan.header() != at.last->header) {
      return false;
    }
  }
  OTTLA_TRY(follow_scan(scan, options, visit, next, end));
  next.begun = true;
  end_.store(end);
  at = std::move(next);
  return true;
}

/// Takes the batches behind that of `next` in.
template <File FileT>
absl::Status BasicSegment<FileT>::follow_scan(Scan& scan, const RecoveryOptions& options,
                                              const Visit& visit, FollowedEnd& next,
                                              SegmentEnd& end) const {
  segment_impl::RecoveredEntries unused;
  Offset before = next.last ? next.last->header.last_offset() : base_offset_ - 1;
  LeaderEpoch epoch = next.last ? next.last->header.leader_epoch : no_leader_epoch;
  for (;;) {
    OTTLA_ASSIGN(const bool found, scan.next());
    next.problem.clear();
    if (found) {
      OTTLA_ASSIGN(next.problem, judge(scan, before, epoch, options.durable_end, unused));
    } else if (!scan.at_end()) {
      next.problem = std::string(sv(damaged(scan).message()));
    }
    if (found && next.problem.empty() && visit) {
      next.problem = std::string(sv(visit(scan.header(), scan.position()).message()));
    }
    if (!found || !next.problem.empty()) {
      end.size = scan.position();
      return absl::OkStatus();
    }
    const BatchHeader& header = scan.header();
    next.last = BatchPlace{scan.position(), header};
    before = header.last_offset();
    epoch = std::max(epoch, header.leader_epoch);
    end.next_offset = before + 1;
    if (header.max_timestamp > end.largest.timestamp) {
      end.largest = {header.max_timestamp, before};
    }
  }
}

template <File FileT>
absl::StatusOr<std::int64_t> BasicSegment<FileT>::truncate_to(Offset target, IoReason why) {
  OTTLA_ASSIGN(const std::optional<BatchPlace> place, find(target));
  if (!place) {
    return 0;
  }
  SegmentEnd end = end_.load();
  const std::int64_t cut = end.size - place->position;
  OTTLA_TRY(log_.truncate(place->position, why));
  end.size = place->position;
  end_.store(end);
  built_from_ = std::min(built_from_, end.size);
  verified_to_.store(std::min(verified_to_.load(std::memory_order_relaxed), end.size),
                     std::memory_order_relaxed);
  if (end.size == 0) {
    first_batch_timestamp_.reset();
  }
  for (const absl::Status& index :
       {offset_index_.truncate_to(target, why), time_index_.truncate_to(target, why)}) {
    if (!index.ok()) {
      index_status_ = index;
      damage_index();
    }
  }
  OTTLA_TRY(find_end(time_index_.last(), true, true));
  const auto last = offset_index_.last();
  since_last_entry_ = end.size - (last ? last->position : 0);
  return cut;
}

}  // namespace ottla::inline OTTLA_ABI
