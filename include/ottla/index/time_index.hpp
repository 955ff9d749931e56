// SPDX-License-Identifier: Apache-2.0
//
// A segment's `.timeindex`: where to begin looking for a timestamp. Entries of 12 bytes, nothing
// else:
//   INT64 timestamp | INT32 offset - base offset
// An entry (T, O) says that T is the largest timestamp up to offset O: what is newer than T lies
// behind O. Timestamps ascend, offsets do not descend. Threads as in sparse_index.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <ottla/base/endian.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>
#include <ottla/env/any_file_system.hpp>
#include <ottla/index/impl/index_base.hpp>
#include <ottla/index/sparse_index.hpp>

namespace ottla::inline OTTLA_ABI {

struct TimestampOffset {
  Timestamp timestamp = no_timestamp;
  Offset offset;
  bool operator==(const TimestampOffset&) const = default;
};

struct TimeIndexFormat {
  static constexpr std::size_t entry_size = 12;
  static constexpr std::string_view name = "a time index";
  static void encode(const SparseEntry& entry, std::byte* to) {
    store_big_endian(to, entry.first);
    store_big_endian(to + 8, entry.second);
  }
  static SparseEntry decode(const std::byte* from) {
    return {load_big_endian<std::int64_t>(from), load_big_endian<std::int32_t>(from + 8)};
  }
  static bool valid_first(const SparseEntry& entry) {
    return entry.first >= 0 && entry.second >= 0;
  }
  static bool may_follow(const SparseEntry& before, const SparseEntry& after) {
    return after.first > before.first && after.second >= before.second;
  }
};

template <File FileT>
class BasicTimeIndex {
 public:
  /// Takes over `file`, which may be empty. `max_bytes`: segment.index.bytes.
  static absl::StatusOr<BasicTimeIndex> open(FileT file, Offset base_offset,
                                             std::int64_t max_bytes = default_index_bytes,
                                             IndexLoad load = IndexLoad::strict) {
    OTTLA_TRY(index_impl::check_base(base_offset, max_bytes));
    OTTLA_ASSIGN(auto entries, Entries::open(std::move(file), load));
    return BasicTimeIndex(std::move(entries), base_offset, max_bytes);
  }

  Offset base_offset() const { return base_offset_; }
  std::size_t entries() const { return entries_.size(); }
  std::size_t max_entries() const { return max_entries_; }
  /// The segment must roll before it gets more data. One slot is left for the entry that an ending
  /// segment gets.
  bool full() const { return entries() + 1 >= max_entries_; }
  /// (no timestamp, base offset) while there is none. The writer's.
  TimestampOffset last() const {
    return entries_.last() ? of(*entries_.last()) : TimestampOffset{no_timestamp, base_offset_};
  }
  std::size_t unwritten() const { return entries_.unwritten(); }

  /// True when the entry was added, false when `timestamp` is the last one's, which adds nothing.
  /// `limit_reached` when full (`last_slot`: when not even the last slot is free);
  /// `invalid_argument` where timestamp or offset descend, or the offset is more than INT32_MAX
  /// above the base offset.
  absl::StatusOr<bool> append(Timestamp timestamp, Offset offset, bool last_slot = false,
                              IoReason why = IoReason::index_append);

  /// The greatest entry whose timestamp is at most `target`; (no timestamp, base offset) where
  /// there is none.
  absl::StatusOr<TimestampOffset> lookup(Timestamp target) const {
    OTTLA_ASSIGN(const auto found, entries_.search([&](const SparseEntry& entry) {
      return Timestamp(entry.first) <= target;
    }));
    return found.before ? of(*found.before) : TimestampOffset{no_timestamp, base_offset_};
  }

  /// The last entry whose offset is at most `offset`; (no timestamp, base offset) where there is
  /// none.
  absl::StatusOr<TimestampOffset> last_up_to(Offset offset) const {
    OTTLA_ASSIGN(const auto found, entries_.search([&](const SparseEntry& entry) {
      return of(entry).offset <= offset;
    }));
    return found.before ? of(*found.before) : TimestampOffset{no_timestamp, base_offset_};
  }

  /// Drops the entries with `offset` and above. Alone.
  absl::Status truncate_to(Offset offset, IoReason why = IoReason::truncate) {
    OTTLA_ASSIGN(const auto found, entries_.search([&](const SparseEntry& entry) {
      return of(entry).offset < offset;
    }));
    return entries_.truncate(found.index, why);
  }
  /// Drops all entries, also those of a file that is damaged. Alone.
  absl::Status clear(IoReason why = IoReason::index_rebuild) { return entries_.truncate(0, why); }

  bool cut() const { return entries_.cut(); }
  absl::Status check() const { return entries_.check(); }
  absl::Status flush(IoReason why = IoReason::index_append) { return entries_.flush(why); }
  absl::Status sync(IoReason why = IoReason::flush) { return entries_.sync(why); }
  absl::Status take_in() { return entries_.take_in(); }
  void rest() { entries_.rest(); }
  absl::Status close() { return entries_.close(); }

 private:
  using Entries = BasicSparseIndex<FileT, TimeIndexFormat>;
  BasicTimeIndex(Entries entries, Offset base_offset, std::int64_t max_bytes)
      : entries_(std::move(entries)),
        base_offset_(base_offset),
        max_entries_(static_cast<std::size_t>(max_bytes) / TimeIndexFormat::entry_size) {}
  TimestampOffset of(const SparseEntry& entry) const {
    return {Timestamp(entry.first), base_offset_ + entry.second};
  }

  Entries entries_;
  Offset base_offset_;
  std::size_t max_entries_;
};

template <File FileT>
absl::StatusOr<bool> BasicTimeIndex<FileT>::append(Timestamp timestamp, Offset offset,
                                                   bool last_slot, IoReason why) {
  if (last_slot ? entries() >= max_entries_ && timestamp > last().timestamp : full()) {
    return error(Fault::limit_reached, "a time index is full; roll the segment");
  }
  const std::int64_t relative = index_impl::relative(offset, base_offset_);
  if (timestamp < last().timestamp || offset < last().offset || relative > INT32_MAX) {
    return error(Fault::invalid_argument,
                 absl::StrCat("a time index ends at (", last().timestamp.value(), ", ",
                              last().offset.value(), "): no entry (", timestamp.value(), ", ",
                              offset.value(), ") after it"));
  }
  if (timestamp == last().timestamp) {
    return false;
  }
  OTTLA_TRY(entries_.append({timestamp.value(), static_cast<std::int32_t>(relative)}, why));
  return true;
}

using TimeIndex = BasicTimeIndex<AnyFile>;

}  // namespace ottla::inline OTTLA_ABI
#ifdef OTTLA_COMPILED
namespace ottla::inline OTTLA_ABI {
extern template class BasicTimeIndex<AnyFile>;
}
#endif
