// SPDX-License-Identifier: Apache-2.0
//
// What lies in a partition's directory, by name. Names that are not ours or Kafka's are not looked
// at.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ottla/env/file_system.hpp>
#include <ottla/log/impl/text_lines.hpp>
#include <ottla/log/log_flush.hpp>
#include <ottla/log/log_recovery.hpp>
#include <ottla/log/manifest.hpp>
#include <ottla/log/partition_metadata.hpp>
#include <ottla/log/producer_snapshot.hpp>
#include <ottla/segment/segment_name.hpp>

namespace ottla::inline OTTLA_ABI::log_impl {

inline constexpr std::string_view cleaned_suffix = ".cleaned";
inline constexpr std::string_view swap_suffix = ".swap";
/// Of a log that is being copied (W5), and of what recovery cut off.
inline constexpr std::string_view rewrite_suffix = ".rewrite";
/// Of a small file's new content, until it takes the name.
inline constexpr std::string_view temporary_suffix = ".tmp";
inline constexpr std::string_view cut_infix = ".log.cut-";

/// `name` without `suffix`; nothing where it does not end so.
inline std::optional<std::string_view> without(std::string_view name, std::string_view suffix) {
  return name.ends_with(suffix) ? std::optional(name.substr(0, name.size() - suffix.size()))
                                : std::nullopt;
}

/// A file of a segment: whose, and which.
struct SegmentFile {
  Offset base;
  std::string_view suffix;
};
inline std::optional<SegmentFile> segment_file(std::string_view name) {
  for (const std::string_view suffix :
       {log_suffix, offset_index_suffix, time_index_suffix, transaction_index_suffix}) {
    if (const auto base = offset_of_file_name(name, suffix); base) {
      return SegmentFile{*base, suffix};
    }
  }
  return std::nullopt;
}

/// The number of "<20 digits>.log.cut-<number>".
inline std::optional<std::int64_t> cut_number(std::string_view name) {
  const std::size_t at = name.find(cut_infix);
  if (at == std::string_view::npos || !offset_of_file_name(name.substr(0, at), "")) {
    return std::nullopt;
  }
  return decimal(name.substr(at + cut_infix.size()));
}

struct LogFiles {
  std::vector<Offset> logs;  // ascending, as the others
  std::vector<Offset> offset_indexes;
  std::vector<Offset> time_indexes;
  std::vector<Offset> transaction_indexes;
  std::vector<Offset> snapshots;
  std::vector<std::string> deleted;  // names, with the suffix; likewise
  std::vector<std::string> cleaned;
  std::vector<std::string> swaps;
  std::vector<std::string> rewrites;
  std::vector<std::string> cuts;
  std::vector<std::string> temporaries;  // of small files that were about to be replaced
  bool damaged = false;                  // an earlier opening said so

  explicit LogFiles(const std::vector<DirectoryEntry>& entries) {
    for (const DirectoryEntry& entry : entries) {
      if (entry.kind == FileKind::file) {
        add(entry.name);
      }
    }
  }

  static bool has(const std::vector<Offset>& bases, Offset base) {
    return std::binary_search(bases.begin(), bases.end(), base);
  }

 private:
  void add(const std::string& name) {
    if (const auto file = segment_file(name); file) {
      (file->suffix == log_suffix            ? logs
       : file->suffix == offset_index_suffix ? offset_indexes
       : file->suffix == time_index_suffix   ? time_indexes
                                             : transaction_indexes)
          .push_back(file->base);
    } else if (const auto end = offset_of_file_name(name, producer_snapshot_suffix); end) {
      snapshots.push_back(*end);
    } else if (name.ends_with(deleted_suffix)) {
      deleted.push_back(name);
    } else if (const auto new_one = without(name, cleaned_suffix);
               new_one && segment_file(*new_one)) {
      cleaned.push_back(name);
    } else if (const auto swapped = without(name, swap_suffix); swapped && segment_file(*swapped)) {
      swaps.push_back(name);
    } else if (const auto copy = without(name, rewrite_suffix); copy && segment_file(*copy)) {
      rewrites.push_back(name);
    } else if (cut_number(name)) {
      cuts.push_back(name);
    } else if (const auto small = without(name, temporary_suffix);
               small == epoch_checkpoint_file || small == manifest_file ||
               small == partition_metadata_file || small == damage_file) {
      temporaries.push_back(name);
    } else if (name == damage_file) {
      damaged = true;
    }
  }
};

}  // namespace ottla::inline OTTLA_ABI::log_impl
