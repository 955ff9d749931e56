// SPDX-License-Identifier: Apache-2.0
//
// A segment's `.txnindex`: the transactions that were aborted by a marker in it. Entries of 34
// bytes, nothing else:
//   INT16 version (0) | INT64 producer id | INT64 first offset | INT64 last offset (the marker) |
//   INT64 last stable offset
// Last offsets ascend. The file exists only where there is an entry. It is derived, but a missing
// entry would show aborted records: an index that does not pass is rebuilt, never taken for empty.
//
// Threads: one writer, and readers (`collect`, `entries`) beside it without a lock; `truncate_to`
// and `close` alone.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/status.hpp>
#include <ottla/env/any_file_system.hpp>

namespace ottla::inline OTTLA_ABI {

struct AbortedTransaction {
  static constexpr std::size_t encoded_size = 34;

  ProducerId producer_id;
  Offset first_offset;        ///< of its first batch in this partition
  Offset last_offset;         ///< of its abort marker
  Offset last_stable_offset;  ///< of the partition just after the marker
  bool operator==(const AbortedTransaction&) const = default;

  void write(std::byte* to) const;
  /// UNSUPPORTED_VERSION for another version than 0. Before: `encoded_size` bytes.
  static absl::StatusOr<AbortedTransaction> parse(const std::byte* from);
};

/// Movable while nobody else uses it.
template <File FileT>
class BasicTransactionIndex {
 public:
  /// Takes over `file`, which may be empty, and reads all of it. `corrupt` unless it holds whole
  /// entries whose last offsets ascend from the base offset.
  static absl::StatusOr<BasicTransactionIndex> open(FileT file, Offset base_offset);

  BasicTransactionIndex(BasicTransactionIndex&& other) noexcept : file_(std::move(other.file_)) {
    take(other);
  }
  BasicTransactionIndex& operator=(BasicTransactionIndex&& other) noexcept {
    file_ = std::move(other.file_);
    take(other);
    return *this;
  }

  /// Of the last entry, by its marker. The writer's.
  std::optional<Offset> last_offset() const { return last_offset_; }
  std::size_t entries() const { return count_.load(std::memory_order_acquire); }

  /// Written at once. `invalid_argument` unless its last offset lies above that of the last entry;
  /// after an error of the file the entry is not there.
  absl::Status append(const AbortedTransaction& aborted, IoReason why = IoReason::index_append);

  /// Adds to `found` the transactions that overlap [`from`, `upper_bound`), ascending. True when no
  /// later segment can hold more of them.
  absl::StatusOr<bool> collect(Offset from, Offset upper_bound,
                               std::vector<AbortedTransaction>& found) const;

  /// Drops the entries from the first one whose last offset is `offset` or above. Alone.
  absl::Status truncate_to(Offset offset, IoReason why = IoReason::truncate);
  absl::Status sync(IoReason why = IoReason::flush) { return file_.sync(why); }
  /// Lets go of the descriptor until it is used again (`File::rest`). Thread-safe.
  void rest() { file_.rest(); }
  absl::Status close() { return file_.close(); }

 private:
  BasicTransactionIndex(FileT file, Offset base_offset)
      : file_(std::move(file)), base_offset_(base_offset) {}
  void take(BasicTransactionIndex& other) noexcept {
    count_.store(other.count_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    base_offset_ = other.base_offset_;
    last_offset_ = other.last_offset_;
  }
  bool may_append(Offset last_offset) const {
    return last_offset >= base_offset_ && (!last_offset_ || last_offset > *last_offset_);
  }
  static std::int64_t bytes(std::size_t entries) {
    return static_cast<std::int64_t>(entries * AbortedTransaction::encoded_size);
  }
  /// Calls `visit(entry, index)` for the first `end` entries until it answers false.
  template <class Visit>
  absl::Status each(std::size_t end, Visit visit) const;

  FileT file_;
  std::atomic<std::size_t> count_{0};
  Offset base_offset_;
  std::optional<Offset> last_offset_;  // the writer's
};

using TransactionIndex = BasicTransactionIndex<AnyFile>;

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/index/impl/transaction_index_impl.hpp>
#ifndef OTTLA_COMPILED
#include <ottla/index/impl/transaction_index.ipp>
#endif
#ifdef OTTLA_COMPILED
namespace ottla::inline OTTLA_ABI {
extern template class BasicTransactionIndex<AnyFile>;
}
#endif
