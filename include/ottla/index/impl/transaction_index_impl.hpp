// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/index/transaction_index.hpp>

namespace ottla::inline OTTLA_ABI {

template <File FileT>
template <class Visit>
absl::Status BasicTransactionIndex<FileT>::each(std::size_t end, Visit visit) const {
  constexpr std::size_t size = AbortedTransaction::encoded_size;
  constexpr std::size_t group = 120;  // 4 KiB
  std::byte entries[group * size];
  for (std::size_t at = 0; at < end; at += group) {
    const std::size_t n = std::min(group, end - at);
    OTTLA_ASSIGN(const std::size_t read, file_.read(bytes(at), MutableBytes(entries, n * size)));
    if (read != n * size) {
      return error(Fault::corrupt, "a transaction index became shorter; rebuild it from its log");
    }
    for (std::size_t i = 0; i < n; ++i) {
      OTTLA_ASSIGN(const AbortedTransaction entry, AbortedTransaction::parse(entries + i * size));
      if (!visit(entry, at + i)) {
        return absl::OkStatus();
      }
    }
  }
  return absl::OkStatus();
}

template <File FileT>
absl::StatusOr<BasicTransactionIndex<FileT>> BasicTransactionIndex<FileT>::open(
    FileT file, Offset base_offset) {
  BasicTransactionIndex index(std::move(file), base_offset);
  OTTLA_ASSIGN(const std::int64_t size, index.file_.size());
  const auto entries = static_cast<std::size_t>(size) / AbortedTransaction::encoded_size;
  bool ascending = bytes(entries) == size;
  OTTLA_TRY(index.each(entries, [&](const AbortedTransaction& entry, std::size_t) {
    ascending = ascending && index.may_append(entry.last_offset);
    index.last_offset_ = entry.last_offset;
    return ascending;
  }));
  if (!ascending) {
    return error(
        Fault::corrupt,
        absl::StrCat("a transaction index of ", size,
                     " bytes with a cut entry, or with last offsets that do not ascend from "
                     "its base offset; rebuild it from its log"));
  }
  index.count_.store(entries, std::memory_order_relaxed);
  return index;
}

template <File FileT>
absl::Status BasicTransactionIndex<FileT>::append(const AbortedTransaction& aborted, IoReason why) {
  if (!may_append(aborted.last_offset)) {
    return error(
        Fault::invalid_argument,
        absl::StrCat("a transaction index from offset ", base_offset_.value(),
                     " whose last entry lies at ", last_offset_.value_or(Offset(-1)).value(),
                     ": no entry at ", aborted.last_offset.value(), " after it"));
  }
  std::byte entry[AbortedTransaction::encoded_size];
  aborted.write(entry);
  const Bytes piece(entry);
  const std::size_t index = entries();
  if (absl::Status written = file_.write(bytes(index), {&piece, 1}, why); !written.ok()) {
    // What is left of it is written over by the next one; a file that stays so is rebuilt.
    (void)file_.truncate(bytes(index), IoReason::undo_append);
    return written;
  }
  last_offset_ = aborted.last_offset;
  count_.store(index + 1, std::memory_order_release);
  return absl::OkStatus();
}

template <File FileT>
absl::StatusOr<bool> BasicTransactionIndex<FileT>::collect(
    Offset from, Offset upper_bound, std::vector<AbortedTransaction>& found) const {
  bool complete = false;
  OTTLA_TRY(each(entries(), [&](const AbortedTransaction& entry, std::size_t) {
    if (entry.last_offset >= from && entry.first_offset < upper_bound) {
      found.push_back(entry);
    }
    complete = entry.last_stable_offset >= upper_bound;
    return !complete;
  }));
  return complete;
}

template <File FileT>
absl::Status BasicTransactionIndex<FileT>::truncate_to(Offset offset, IoReason why) {
  std::size_t keep = 0;
  std::optional<Offset> last;
  OTTLA_TRY(each(entries(), [&](const AbortedTransaction& entry, std::size_t) {
    if (entry.last_offset >= offset) {
      return false;
    }
    last = entry.last_offset;
    ++keep;
    return true;
  }));
  if (keep == entries()) {
    return absl::OkStatus();
  }
  OTTLA_TRY(file_.truncate(bytes(keep), why));
  last_offset_ = last;
  count_.store(keep, std::memory_order_release);
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
