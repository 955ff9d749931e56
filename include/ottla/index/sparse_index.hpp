// SPDX-License-Identifier: Apache-2.0
//
// What the offset and the time index share: fixed-size entries, ascending by their first field, in
// a File that holds nothing else. Appended entries stay in memory until 512 of them are written
// together, at rolls and at clean close; entries in the file are read where they lie. So an index
// takes at most 6 KiB of memory, and a few bytes when idle.
//
// Threads: one writer, and readers (`search`, `size`) beside it without a lock. Functions marked
// "alone" exclude both.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/status.hpp>
#include <ottla/env/file_system.hpp>

namespace ottla::inline OTTLA_ABI {

/// Entries written to the file at a time: 2 MiB of log at Kafka's default interval.
inline constexpr std::size_t index_group = 512;
/// Kafka's default for segment.index.bytes, which bounds each index of a segment.
inline constexpr std::int64_t default_index_bytes = 10 << 20;

/// The two fields of an entry, in the order in which they are compared and stored.
struct SparseEntry {
  std::int64_t first = 0;
  std::int32_t second = 0;
  bool operator==(const SparseEntry&) const = default;
};

/// How entries lie in the file, and which one may follow which.
template <class F>
concept IndexFormat = requires(std::byte* to, const std::byte* from, const SparseEntry& entry) {
  requires F::entry_size % 4 == 0;
  F::encode(entry, to);
  { F::decode(from) } -> std::same_as<SparseEntry>;
  { F::valid_first(entry) } -> std::same_as<bool>;
  { F::may_follow(entry, entry) } -> std::same_as<bool>;  // (before, after)
  { F::name } -> std::convertible_to<std::string_view>;
};

/// What to do with a file that is not exactly what a clean stop leaves.
enum class IndexLoad : std::uint8_t {
  strict,  ///< all of it is good or none, but zeros behind the last entry: a killed Kafka leaves
           ///< them
  prefix,  ///< the entries before the first bad one: after a crash
  none,    ///< none of it, as if it were damaged; the file is not read
};

/// Movable while nobody else uses it.
template <File FileT, IndexFormat Format>
class BasicSparseIndex {
 public:
  static constexpr std::size_t entry_size = Format::entry_size;

  /// Takes over `file`, which may be empty. Reads its size and its last entry only (`prefix`: all
  /// entries, without keeping them). Fails where the file does; what is in it is judged by `check`,
  /// at the first search at the latest.
  static absl::StatusOr<BasicSparseIndex> open(FileT file, IndexLoad load = IndexLoad::strict);

  BasicSparseIndex(BasicSparseIndex&& other) noexcept : file_(std::move(other.file_)) {
    take(other);
  }
  BasicSparseIndex& operator=(BasicSparseIndex&& other) noexcept {
    file_ = std::move(other.file_);
    take(other);
    return *this;
  }

  std::size_t size() const { return count_.load(std::memory_order_acquire); }
  /// Entries that are not in the file yet. The writer's.
  std::size_t unwritten() const { return size() - written_.load(std::memory_order_relaxed); }
  /// The writer's.
  const std::optional<SparseEntry>& last() const { return last_; }

  /// Opened as `prefix`, and something other than zeros followed the last good entry. The writer's.
  bool cut() const { return cut_; }

  /// Keeps the entry in memory; writes a group when `index_group` are there already, so that it may
  /// fail with the file's error, after which the entry was not added. `invalid_argument` where it
  /// may not follow the last one; `corrupt` as of `check`.
  absl::Status append(const SparseEntry& entry, IoReason why = IoReason::index_append);
  /// Writes what is in memory only. After: the file ends where its entries end. One that is known
  /// to be corrupt stays as it is.
  absl::Status flush(IoReason why = IoReason::index_append);
  /// Keeps the first `entries`; with 0 an index that is corrupt is good again. Alone.
  absl::Status truncate(std::size_t entries, IoReason why = IoReason::truncate);
  absl::Status sync(IoReason why) { return file_.sync(why); }
  /// As of File.
  void rest() { file_.rest(); }
  /// Writes nothing. Alone.
  absl::Status close() { return file_.close(); }
  /// Has the entries, too, that another process has appended to the file since, up to the first
  /// that may not follow. The writer's, of who writes nothing.
  absl::Status take_in();

  /// The neighbours of a place in the order of the entries.
  struct Neighbours {
    std::optional<SparseEntry> before;  ///< the last entry that lies before it
    std::optional<SparseEntry> after;   ///< the first one that does not
    std::size_t index = 0;              ///< of `after`, counted from 0
  };
  /// `lies_before(entry)` holds for some first entries and for none behind them. `corrupt` as of
  /// `check`.
  template <class LiesBefore>
  absl::StatusOr<Neighbours> search(LiesBefore lies_before) const;

  /// Reads all entries that the file had when it was opened, once. `corrupt` unless it held whole
  /// entries in ascending order: rebuild the index, which is a hint and never the truth.
  absl::Status check() const;

 private:
  explicit BasicSparseIndex(FileT file) : file_(std::move(file)) {}
  enum class Checked : std::uint8_t { no, good, bad };
  using Slot = std::array<std::atomic<std::uint32_t>, entry_size / 4>;  // as on disk

  void take(BasicSparseIndex& other) noexcept;
  Slot* slot(std::size_t index) const;
  bool make_slot(std::size_t index);
  SparseEntry in_memory(std::size_t index) const;
  absl::StatusOr<SparseEntry> in_file(std::size_t index) const;
  absl::Status read_entries(std::size_t index, std::size_t n, std::byte* to) const;
  template <class LiesBefore>
  Neighbours search_memory(std::size_t begin, std::size_t end, LiesBefore lies_before) const;
  template <class LiesBefore>
  absl::StatusOr<Neighbours> search_file(std::size_t end, LiesBefore lies_before) const;
  absl::StatusOr<std::size_t> good_entries(std::size_t end, std::size_t begin = 0) const;
  absl::Status drop_zeros(std::size_t& entries) const;
  static std::int64_t bytes(std::size_t entries) {
    return static_cast<std::int64_t>(entries * entry_size);
  }

  FileT file_;
  // Entries [written_, count_) are in the slots, index modulo index_group; [0, written_) in the
  // file. A slot is used again only after written_ passed the entry that it held: a reader that
  // finds written_ unchanged read no such slot.
  std::atomic<std::size_t> count_{0};
  std::atomic<std::size_t> written_{0};
  std::size_t opened_ = 0;  // entries found in the file, not made here
  mutable std::atomic<Checked> checked_{Checked::no};
  bool longer_ = false;  // the file may go on behind the entries
  bool cut_ = false;
  std::optional<SparseEntry> last_;
  std::unique_ptr<Slot[]> slots_[4];  // 8, 24, 96 and 384 of them, made when needed
};

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/index/impl/sparse_index_impl.hpp>
