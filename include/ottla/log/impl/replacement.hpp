// SPDX-License-Identifier: Apache-2.0
//
// Ends a replacement of segments that was interrupted (write-ordering rule W10, spec storage.md
// section 23 rules 1 and 2): new segments that are not complete go, complete ones take the place of
// the old. What a new segment holds is looked at before any old one goes.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/log/impl/log_files.hpp>
#include <ottla/log/impl/log_segment.hpp>
#include <ottla/log/log_recovery.hpp>
#include <ottla/record/batch_view.hpp>

namespace ottla::inline OTTLA_ABI::log_impl {

/// The offset behind the last batch of a file whose batches are all whole and good, nothing where
/// they are not.
template <File FileT>
absl::StatusOr<std::optional<Offset>> next_offset_of(const FileT& file, Offset base) {
  OTTLA_ASSIGN(const std::int64_t size, file.size());
  Buffer window = Buffer::allocate(std::size_t{1} << 20);
  std::int64_t at = 0;
  Offset next = base;
  while (at < size) {
    if (!window) {
      return error(Fault::no_memory, "no memory to look at a segment");
    }
    OTTLA_ASSIGN(const std::size_t read, file.read(at, window.bytes()));
    BatchCursor batches(Bytes(window.data(), read));
    while (const BatchView* batch = batches.next()) {
      const BatchHeader& header = batch->header();
      if (header.base_offset < next || header.last_offset_delta < 0) {
        return std::nullopt;
      }
      next = header.next_offset();
    }
    if (batches.position() == 0) {
      const std::size_t wanted = batches.partial_size();
      if (!batches.ok() || wanted <= window.capacity() ||
          static_cast<std::int64_t>(wanted) > size - at) {
        return std::nullopt;
      }
      window = Buffer::allocate(wanted);
    }
    at += static_cast<std::int64_t>(batches.position());
  }
  return next;
}

template <FileSystem Fs>
class Replacement {
 public:
  Replacement(LogPlace<Fs>& place, const LogFiles& files, RecoveryReport& report)
      : place_(place), files_(files), report_(report) {}

  /// Whether names changed.
  absl::StatusOr<bool> finish() {
    OTTLA_TRY(choose());
    for (const std::string& name : dropped_) {
      OTTLA_TRY(note("unfinished: removed", name,
                     place_.files.remove(place_.path(name), IoReason::compaction)));
    }
    if (renamed_.empty()) {
      return !dropped_.empty();
    }
    for (const std::string& name : replaced_) {
      OTTLA_TRY(place_.files.rename(place_.path(name),
                                    place_.path(absl::StrCat(name, av(deleted_suffix))),
                                    IoReason::compaction));
    }
    OTTLA_TRY(place_.files.sync_directory(place_.directory, IoReason::compaction));
    for (const std::string& name : renamed_) {
      OTTLA_TRY(
          note("put in its place", name,
               place_.files.rename(place_.path(name), place_.path(*without(name, swap_suffix)),
                                   IoReason::compaction)));
    }
    OTTLA_TRY(place_.files.sync_directory(place_.directory, IoReason::compaction));
    return true;
  }

 private:
  static Offset base_of(const std::string& name, std::string_view suffix) {
    return segment_file(*without(name, suffix))->base;
  }

  absl::Status note(std::string_view what, const std::string& name, absl::Status status) {
    if (status.ok()) {
      report_.findings.push_back({RecoveryReport::Kind::leftover, place_.path(name), 0, 0,
                                  absl::StrCat("an interrupted replacement, ", av(what))});
    }
    return status;
  }

  /// Reads only.
  absl::Status choose() {
    std::optional<Offset> least_cleaned;
    for (const std::string& name : files_.cleaned) {
      const Offset base = base_of(name, cleaned_suffix);
      least_cleaned = std::min(least_cleaned.value_or(base), base);
      dropped_.push_back(name);
    }
    std::vector<std::pair<Offset, Offset>> ranges;
    std::vector<Offset> bad;
    bool incomplete = false;
    for (const std::string& name : files_.swaps) {
      const Offset base = base_of(name, swap_suffix);
      if (base >= least_cleaned.value_or(Offset(INT64_MAX))) {
        bad.push_back(base);
      } else if (segment_file(*without(name, swap_suffix))->suffix == log_suffix) {
        OTTLA_ASSIGN(const auto file,
                     place_.files.open(place_.path(name), OpenMode::read, IoReason::compaction));
        OTTLA_ASSIGN(const auto next, next_offset_of(file, base));
        incomplete = incomplete || !next;
        ranges.emplace_back(base, std::max(next.value_or(base), base + 1));
      }
    }
    if (incomplete) {
      // No old one goes for it; new ones whose old one has gone are all there is.
      ranges.clear();
      bad.insert(bad.end(), files_.logs.begin(), files_.logs.end());
    }
    for (const std::string& name : files_.swaps) {
      const bool is_bad =
          std::find(bad.begin(), bad.end(), base_of(name, swap_suffix)) != bad.end();
      (is_bad ? dropped_ : renamed_).push_back(name);
    }
    replace(ranges, files_.logs, log_suffix);
    replace(ranges, files_.offset_indexes, offset_index_suffix);
    replace(ranges, files_.time_indexes, time_index_suffix);
    replace(ranges, files_.transaction_indexes, transaction_index_suffix);
    return absl::OkStatus();
  }

  /// All that lies between the first and the last new one goes, as in Kafka.
  void replace(const std::vector<std::pair<Offset, Offset>>& ranges,
               const std::vector<Offset>& bases, std::string_view suffix) {
    for (const Offset base : bases) {
      if (!ranges.empty() && base >= ranges.front().first && base < ranges.back().second) {
        replaced_.push_back(offset_file_name(base, suffix));
      }
    }
  }

  LogPlace<Fs>& place_;
  const LogFiles& files_;
  RecoveryReport& report_;
  std::vector<std::string> dropped_;
  std::vector<std::string> renamed_;
  std::vector<std::string> replaced_;
};

}  // namespace ottla::inline OTTLA_ABI::log_impl
