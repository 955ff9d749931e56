// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include <absl/strings/str_cat.h>

#include <ottla/index/sparse_index.hpp>

namespace ottla::inline OTTLA_ABI {

template <File FileT, IndexFormat Format>
absl::StatusOr<BasicSparseIndex<FileT, Format>> BasicSparseIndex<FileT, Format>::open(
    FileT file, IndexLoad load) {
  BasicSparseIndex index(std::move(file));
  if (load == IndexLoad::none) {
    index.checked_.store(Checked::bad, std::memory_order_relaxed);
    return index;
  }
  OTTLA_ASSIGN(const std::int64_t size, index.file_.size());
  std::size_t entries =
      static_cast<std::size_t>(std::min<std::int64_t>(size, INT32_MAX)) / entry_size;
  OTTLA_TRY(index.drop_zeros(entries));
  bool good = size <= INT32_MAX && size % std::int64_t{entry_size} == 0;
  if (load == IndexLoad::prefix) {
    const std::size_t all = entries;
    OTTLA_ASSIGN(entries, index.good_entries(all));
    index.cut_ = !good || entries != all;
    good = true;
  }
  if (good && entries > 0) {
    OTTLA_ASSIGN(index.last_, index.in_file(entries - 1));
    good = Format::valid_first(*index.last_);
  }
  index.longer_ = bytes(entries) != size;
  if (good) {
    index.opened_ = entries;
    index.count_.store(entries, std::memory_order_relaxed);
    index.written_.store(entries, std::memory_order_relaxed);
  } else {
    index.last_.reset();
    index.longer_ = true;
  }
  const Checked checked = load == IndexLoad::prefix ? Checked::good : Checked::no;
  index.checked_.store(good ? checked : Checked::bad, std::memory_order_relaxed);
  return index;
}

template <File FileT, IndexFormat Format>
void BasicSparseIndex<FileT, Format>::take(BasicSparseIndex& other) noexcept {
  const auto relaxed = std::memory_order_relaxed;
  count_.store(other.count_.load(relaxed), relaxed);
  written_.store(other.written_.load(relaxed), relaxed);
  checked_.store(other.checked_.load(relaxed), relaxed);
  opened_ = other.opened_;
  longer_ = other.longer_;
  cut_ = other.cut_;
  last_ = other.last_;
  std::move(std::begin(other.slots_), std::end(other.slots_), std::begin(slots_));
}

// The slots of a group lie in four blocks that end at 8, 32, 128 and 512, so that an index of few
// entries stays small.
template <File FileT, IndexFormat Format>
auto BasicSparseIndex<FileT, Format>::slot(std::size_t index) const -> Slot* {
  const std::size_t in_group = index % index_group;
  const auto block = static_cast<std::size_t>(std::bit_width(in_group / 8) + 1) / 2;
  return slots_[block].get() + (block == 0 ? in_group : in_group - (std::size_t{2} << (2 * block)));
}

template <File FileT, IndexFormat Format>
bool BasicSparseIndex<FileT, Format>::make_slot(std::size_t index) {
  constexpr std::size_t sizes[] = {8, 24, 96, 384};
  const auto block = static_cast<std::size_t>(std::bit_width(index % index_group / 8) + 1) / 2;
  if (slots_[block] == nullptr) {
    slots_[block].reset(new (std::nothrow) Slot[sizes[block]]);
  }
  return slots_[block] != nullptr;
}

template <File FileT, IndexFormat Format>
SparseEntry BasicSparseIndex<FileT, Format>::in_memory(std::size_t index) const {
  std::array<std::uint32_t, entry_size / 4> words;
  const Slot& from = *slot(index);
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = from[i].load(std::memory_order_acquire);
  }
  return Format::decode(reinterpret_cast<const std::byte*>(words.data()));
}

template <File FileT, IndexFormat Format>
absl::Status BasicSparseIndex<FileT, Format>::read_entries(std::size_t index, std::size_t n,
                                                           std::byte* to) const {
  OTTLA_ASSIGN(const std::size_t read, file_.read(bytes(index), MutableBytes(to, n * entry_size)));
  if (read != n * entry_size) {
    return error(Fault::corrupt,
                 absl::StrCat(av(Format::name), " became shorter; rebuild it from its log"));
  }
  return absl::OkStatus();
}

template <File FileT, IndexFormat Format>
absl::StatusOr<SparseEntry> BasicSparseIndex<FileT, Format>::in_file(std::size_t index) const {
  std::byte entry[entry_size];
  OTTLA_TRY(read_entries(index, 1, entry));
  return Format::decode(entry);
}

template <File FileT, IndexFormat Format>
absl::Status BasicSparseIndex<FileT, Format>::append(const SparseEntry& entry, IoReason why) {
  if (checked_.load(std::memory_order_relaxed) == Checked::bad) {
    return check();
  }
  if (last_ ? !Format::may_follow(*last_, entry) : !Format::valid_first(entry)) {
    return error(Fault::invalid_argument,
                 absl::StrCat(av(Format::name), ": entry (", entry.first, ", ", entry.second,
                              ") may not follow the last one"));
  }
  if (unwritten() == index_group) {
    OTTLA_TRY(flush(why));
  }
  const std::size_t index = count_.load(std::memory_order_relaxed);
  if (!make_slot(index)) {
    return error(Fault::no_memory, absl::StrCat("no memory for entries of ", av(Format::name)));
  }
  std::array<std::uint32_t, entry_size / 4> words;
  Format::encode(entry, reinterpret_cast<std::byte*>(words.data()));
  Slot& to = *slot(index);
  for (std::size_t i = 0; i < words.size(); ++i) {
    to[i].store(words[i], std::memory_order_release);
  }
  last_ = entry;
  count_.store(index + 1, std::memory_order_release);
  return absl::OkStatus();
}

template <File FileT, IndexFormat Format>
absl::Status BasicSparseIndex<FileT, Format>::flush(IoReason why) {
  if (checked_.load(std::memory_order_relaxed) == Checked::bad) {
    return absl::OkStatus();  // nothing was added, and what is there is for its owner to clear
  }
  const std::size_t begin = written_.load(std::memory_order_relaxed);
  const std::size_t n = unwritten();
  if (longer_) {
    OTTLA_TRY(file_.truncate(bytes(begin), why));
    longer_ = false;
  }
  if (n == 0) {
    return absl::OkStatus();
  }
  std::byte group[index_group * entry_size];
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t word = 0; word < entry_size / 4; ++word) {
      const std::uint32_t value = (*slot(begin + i))[word].load(std::memory_order_relaxed);
      std::memcpy(group + i * entry_size + word * 4, &value, 4);
    }
  }
  const Bytes piece(group, n * entry_size);
  if (absl::Status written = file_.write(bytes(begin), {&piece, 1}, why); !written.ok()) {
    longer_ = true;
    return written;
  }
  written_.store(begin + n, std::memory_order_release);
  return absl::OkStatus();
}

template <File FileT, IndexFormat Format>
absl::Status BasicSparseIndex<FileT, Format>::truncate(std::size_t entries, IoReason why) {
  if (entries >= size() && entries > 0) {
    return absl::OkStatus();
  }
  std::optional<SparseEntry> last;
  if (entries > written_.load(std::memory_order_relaxed)) {
    last = in_memory(entries - 1);
  } else {
    if (entries > 0) {
      OTTLA_ASSIGN(last, in_file(entries - 1));
    }
    OTTLA_TRY(file_.truncate(bytes(entries), why));
    longer_ = false;
    written_.store(entries, std::memory_order_release);
  }
  last_ = last;
  opened_ = std::min(opened_, entries);
  if (entries == 0) {
    checked_.store(Checked::good, std::memory_order_relaxed);
  }
  count_.store(entries, std::memory_order_release);
  return absl::OkStatus();
}

template <File FileT, IndexFormat Format>
template <class LiesBefore>
auto BasicSparseIndex<FileT, Format>::search(LiesBefore lies_before) const
    -> absl::StatusOr<Neighbours> {
  OTTLA_TRY(check());
  for (;;) {
    const std::size_t end = count_.load(std::memory_order_acquire);
    const std::size_t written = written_.load(std::memory_order_acquire);
    std::optional<SparseEntry> first_in_memory;
    if (written < end) {
      first_in_memory = in_memory(written);
      Neighbours found;
      const bool here = lies_before(*first_in_memory);
      if (here) {
        found = search_memory(written, end, lies_before);
      }
      if (written_.load(std::memory_order_acquire) != written) {
        continue;  // slots may have been used again meanwhile
      }
      if (here) {
        return found;
      }
    }
    const std::size_t in_files = std::min(written, end);
    OTTLA_ASSIGN(Neighbours found, search_file(in_files, lies_before));
    if (!found.after) {
      found.after = first_in_memory;
      found.index = in_files;
    }
    return found;
  }
}

template <File FileT, IndexFormat Format>
template <class LiesBefore>
auto BasicSparseIndex<FileT, Format>::search_memory(std::size_t begin, std::size_t end,
                                                    LiesBefore lies_before) const -> Neighbours {
  Neighbours found;
  found.index = end;
  while (begin < end) {
    const std::size_t middle = begin + (end - begin) / 2;
    const SparseEntry entry = in_memory(middle);
    if (lies_before(entry)) {
      found.before = entry;
      begin = middle + 1;
    } else {
      found.after = entry;
      found.index = middle;
      end = middle;
    }
  }
  return found;
}

// Single entries are read until one group is left, which takes one read more.
template <File FileT, IndexFormat Format>
template <class LiesBefore>
auto BasicSparseIndex<FileT, Format>::search_file(std::size_t end, LiesBefore lies_before) const
    -> absl::StatusOr<Neighbours> {
  Neighbours found;
  found.index = end;
  std::size_t begin = 0;
  while (end - begin > index_group) {
    const std::size_t middle = begin + (end - begin) / 2;
    OTTLA_ASSIGN(const SparseEntry entry, in_file(middle));
    if (lies_before(entry)) {
      found.before = entry;
      begin = middle + 1;
    } else {
      found.after = entry;
      found.index = middle;
      end = middle;
    }
  }
  std::byte group[index_group * entry_size];
  const std::size_t first = begin;
  OTTLA_TRY(read_entries(begin, end - begin, group));
  while (begin < end) {
    const std::size_t middle = begin + (end - begin) / 2;
    const SparseEntry entry = Format::decode(group + (middle - first) * entry_size);
    if (lies_before(entry)) {
      found.before = entry;
      begin = middle + 1;
    } else {
      found.after = entry;
      found.index = middle;
      end = middle;
    }
  }
  return found;
}

template <File FileT, IndexFormat Format>
absl::Status BasicSparseIndex<FileT, Format>::check() const {
  Checked checked = checked_.load(std::memory_order_acquire);
  if (checked == Checked::no) {
    OTTLA_ASSIGN(const std::size_t good, good_entries(opened_));
    checked = good == opened_ ? Checked::good : Checked::bad;
    checked_.store(checked, std::memory_order_release);
  }
  if (checked == Checked::bad) {
    return error(Fault::corrupt,
                 absl::StrCat(av(Format::name),
                              " is not whole entries in ascending order; rebuild it from its log"));
  }
  return absl::OkStatus();
}

template <File FileT, IndexFormat Format>
absl::Status BasicSparseIndex<FileT, Format>::take_in() {
  if (checked_.load(std::memory_order_relaxed) == Checked::bad) {
    return absl::OkStatus();
  }
  OTTLA_ASSIGN(const std::int64_t bytes_now, file_.size());
  std::size_t entries =
      static_cast<std::size_t>(std::min<std::int64_t>(bytes_now, INT32_MAX)) / entry_size;
  OTTLA_TRY(drop_zeros(entries));
  OTTLA_ASSIGN(const std::size_t good, good_entries(entries, size()));
  if (good > size()) {
    OTTLA_ASSIGN(last_, in_file(good - 1));
    written_.store(good, std::memory_order_release);  // first: readers look at it last
    count_.store(good, std::memory_order_release);
  }
  return absl::OkStatus();
}

/// How many of the first `end` entries in the file are in order, where the first `begin` are.
template <File FileT, IndexFormat Format>
absl::StatusOr<std::size_t> BasicSparseIndex<FileT, Format>::good_entries(std::size_t end,
                                                                          std::size_t begin) const {
  std::byte group[index_group * entry_size];
  std::optional<SparseEntry> before;
  if (begin > 0) {
    before = last_;
  }
  for (std::size_t at = begin; at < end; at += index_group) {
    const std::size_t n = std::min(index_group, end - at);
    OTTLA_TRY(read_entries(at, n, group));
    for (std::size_t i = 0; i < n; ++i) {
      const SparseEntry entry = Format::decode(group + i * entry_size);
      if (before ? !Format::may_follow(*before, entry) : !Format::valid_first(entry)) {
        return at + i;
      }
      before = entry;
    }
  }
  return end;
}

// A killed Kafka leaves its indexes at their full length, zeros behind the entries. Only the first
// entry may be all zeros, so where the last of several is, the zeros begin behind the last one that
// is not.
template <File FileT, IndexFormat Format>
absl::Status BasicSparseIndex<FileT, Format>::drop_zeros(std::size_t& entries) const {
  if (entries < 2) {
    return absl::OkStatus();
  }
  OTTLA_ASSIGN(const SparseEntry last, in_file(entries - 1));
  if (last != SparseEntry()) {
    return absl::OkStatus();
  }
  std::size_t begin = 0;
  while (begin < entries) {
    const std::size_t middle = begin + (entries - begin) / 2;
    OTTLA_ASSIGN(const SparseEntry entry, in_file(middle));
    if (entry != SparseEntry()) {
      begin = middle + 1;
    } else {
      entries = middle;
    }
  }
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
