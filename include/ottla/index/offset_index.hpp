// SPDX-License-Identifier: Apache-2.0
//
// A segment's `.index`: where in its log to begin looking for an offset. Entries of 8 bytes,
// nothing else:
//   INT32 offset - base offset | INT32 position of the batch whose last offset that is
// Both fields ascend. Not every batch has an entry: a lookup answers the nearest one below, and the
// log is scanned on from there. Threads as in sparse_index.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <absl/status/statusor.h>

#include <ottla/base/endian.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/env/any_file_system.hpp>
#include <ottla/index/impl/index_base.hpp>
#include <ottla/index/sparse_index.hpp>

namespace ottla::inline OTTLA_ABI {

struct OffsetPosition {
  Offset offset;
  std::int32_t position = 0;  ///< bytes from the start of the log file
  bool operator==(const OffsetPosition&) const = default;
};

struct OffsetIndexFormat {
  static constexpr std::size_t entry_size = 8;
  static constexpr std::string_view name = "an offset index";
  static void encode(const SparseEntry& entry, std::byte* to) {
    store_big_endian(to, static_cast<std::int32_t>(entry.first));
    store_big_endian(to + 4, entry.second);
  }
  static SparseEntry decode(const std::byte* from) {
    return {load_big_endian<std::int32_t>(from), load_big_endian<std::int32_t>(from + 4)};
  }
  static bool valid_first(const SparseEntry& entry) {
    return entry.first >= 0 && entry.first <= INT32_MAX && entry.second >= 0;
  }
  static bool may_follow(const SparseEntry& before, const SparseEntry& after) {
    return after.first > before.first && after.first <= INT32_MAX && after.second > before.second;
  }
};

template <File FileT>
class BasicOffsetIndex {
 public:
  /// Takes over `file`, which may be empty. `max_bytes`: segment.index.bytes.
  static absl::StatusOr<BasicOffsetIndex> open(FileT file, Offset base_offset,
                                               std::int64_t max_bytes = default_index_bytes,
                                               IndexLoad load = IndexLoad::strict) {
    OTTLA_TRY(index_impl::check_base(base_offset, max_bytes));
    OTTLA_ASSIGN(auto entries, Entries::open(std::move(file), load));
    return BasicOffsetIndex(std::move(entries), base_offset, max_bytes);
  }

  Offset base_offset() const { return base_offset_; }
  std::size_t entries() const { return entries_.size(); }
  std::size_t max_entries() const { return max_entries_; }
  /// The segment must roll before it gets more data.
  bool full() const { return entries() >= max_entries_; }
  /// The writer's.
  std::optional<OffsetPosition> last() const {
    return entries_.last() ? std::optional(of(*entries_.last())) : std::nullopt;
  }
  /// The base offset while there is none. The writer's.
  Offset last_offset() const { return last().value_or(OffsetPosition{base_offset_, 0}).offset; }
  std::size_t unwritten() const { return entries_.unwritten(); }

  /// `limit_reached` when full; `invalid_argument` unless `offset` lies above the last one and at
  /// most INT32_MAX above the base offset, and `position` above the last one.
  absl::Status append(Offset offset, std::int32_t position, IoReason why = IoReason::index_append) {
    if (full()) {
      return error(Fault::limit_reached, "an offset index is full; roll the segment");
    }
    return entries_.append({index_impl::relative(offset, base_offset_), position}, why);
  }

  /// The greatest entry whose offset is at most `target`; (base offset, 0) where there is none.
  absl::StatusOr<OffsetPosition> lookup(Offset target) const {
    OTTLA_ASSIGN(const auto found, entries_.search([&](const SparseEntry& entry) {
      return of(entry).offset <= target;
    }));
    return found.before ? of(*found.before) : OffsetPosition{base_offset_, 0};
  }

  /// The first entry at or behind the end of `size` bytes read from `position`: an offset above all
  /// of them. Nothing where the index ends before.
  absl::StatusOr<std::optional<OffsetPosition>> upper_bound(std::int64_t position,
                                                            std::int64_t size) const {
    OTTLA_ASSIGN(const auto found, entries_.search([&](const SparseEntry& entry) {
      return entry.second - position < size;
    }));
    return found.after ? std::optional(of(*found.after)) : std::nullopt;
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
  using Entries = BasicSparseIndex<FileT, OffsetIndexFormat>;
  BasicOffsetIndex(Entries entries, Offset base_offset, std::int64_t max_bytes)
      : entries_(std::move(entries)),
        base_offset_(base_offset),
        max_entries_(static_cast<std::size_t>(max_bytes) / OffsetIndexFormat::entry_size) {}
  OffsetPosition of(const SparseEntry& entry) const {
    return {base_offset_ + entry.first, entry.second};
  }

  Entries entries_;
  Offset base_offset_;
  std::size_t max_entries_;
};

using OffsetIndex = BasicOffsetIndex<AnyFile>;

}  // namespace ottla::inline OTTLA_ABI
#ifdef OTTLA_COMPILED
namespace ottla::inline OTTLA_ABI {
extern template class BasicOffsetIndex<AnyFile>;
}
#endif
