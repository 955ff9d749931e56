// SPDX-License-Identifier: Apache-2.0
//
// `ottla_manifest`, our own file in a partition's directory: what was true of the partition's other
// files when the line was written, so that damage is told from a torn tail, and a file from
// elsewhere is noticed. Text, only ever appended to; the last field of each line is the CRC-32C of
// the line before it, in 8 hex digits.
//   ottla 1 <topic id> <partition>     whose it is; the first line
//   segment <base> <last> <size> <largest timestamp> <digest>
//                                      written once that segment is on the device, complete and
//                                      closed; the digest is the CRC-32C of all its batch headers
//                                      one after the other, `-` where it is not known
//   synced <offset>                    all below is on the device
//   gap <offset> <base>                a segment ends at <offset>, the next one begins at <base>,
//                                      and nothing was lost; written, and synced, before the next
//   sparse <from> <to>                 between these offsets there may be gaps within a segment;
//                                      written, and synced, before the first one
//   others <offset>                    below it somebody else may have written: there may be gaps
//                                      anywhere, also between segments; written, and synced, by the
//                                      opening that learns of them: of the directory, with no end,
//                                      while there is other evidence of them, then of the log
//   epochs <crc>                       written before leader-epoch-checkpoint gets that CRC-32C
//   era <id>                           the log was recovered in this era (run_record.hpp), or found
//                                      whole; written with the first append of the era
//   replaced <base> <offset>           the segments from that base to that offset are about to be
//                                      compacted, or were: written, and synced, before
//   skipped <first> <next>             a repair is about to take out what is damaged between these
//                                      offsets, or did: there is a gap then, and those who read are
//                                      told of it; written, and synced, before
//   cut <offset>                       written, and synced, before the log is cut back to there;
//                                      until something is said to be on the device later, the cut
//                                      may have been interrupted
// Lines are lost with the machine, never wrong: nothing is synced for them, but where it says so,
// and where a file that has such lines is written anew.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ottla/base/ids.hpp>
#include <ottla/base/skipped_range.hpp>
#include <ottla/base/time.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/base/uuid.hpp>

namespace ottla::inline OTTLA_ABI {

inline constexpr std::string_view manifest_file = "ottla_manifest";

struct SealedSegment {
  Offset base;
  Offset last{-1};        ///< offset; -1 where it has no batch
  std::int64_t size = 0;  ///< bytes
  Timestamp largest = no_timestamp;
  std::optional<std::uint32_t> digest = {};
  /// Where its batches end: at its base where it has none.
  Offset end() const { return last < base ? base : last + 1; }
  bool operator==(const SealedSegment&) const = default;
};

/// Not thread-safe.
class Manifest {
 public:
  struct Owner {
    TopicId topic_id;
    PartitionId partition;
    bool operator==(const Owner&) const = default;
  };

  /// `set_others`, where it is not known how far they came.
  static constexpr Offset anywhere{std::numeric_limits<std::int64_t>::max()};

  explicit Manifest(const Owner& owner) : owner_(owner) {}
  /// What can be read: everything before the first malformed line. Nothing when that is the first.
  static std::optional<Manifest> parse(std::string_view text);

  const Owner& owner() const { return owner_; }
  const std::map<Offset, SealedSegment>& segments() const { return segments_; }
  std::optional<Offset> synced() const {
    return synced_ < Offset(0) ? std::nullopt : std::optional(synced_);
  }
  /// Whether a segment that begins at `next` may follow one that ends at `end`.
  bool has_gap(Offset end, Offset next) const {
    const auto found = gaps_.find(next);
    return found != gaps_.end() && found->second == end;
  }
  /// Where the segment before the one that begins at `next` ends; nothing where that is not known,
  /// as where compaction was interrupted: another segment may stand before it now.
  std::optional<Offset> end_before(Offset next) const {
    if (!is_dense_at(next - 1)) {
      return std::nullopt;
    }
    const auto gap = gaps_.find(next);
    return gap != gaps_.end() ? gap->second : next;
  }
  /// Whether the batch that begins at `offset` follows the one before it in its segment without a
  /// gap: neither a leader left it out nor compaction, and nobody else wrote it.
  bool is_dense_at(Offset offset) const {
    return !is_of_others(offset) && (offset < sparse_from_ || offset >= sparse_to_);
  }
  /// What repairs took out, ascending.
  const std::vector<SkippedRange>& skipped() const { return skipped_; }
  /// Somebody else may have written it.
  bool is_of_others(Offset offset) const { return offset < others_; }
  /// The greatest offset below which all is known to be on the device.
  std::optional<Offset> durable_end() const;
  /// Whether leader-epoch-checkpoint may have that CRC-32C; true where nothing is known of it.
  bool may_be_epochs(std::uint32_t crc) const {
    return !epochs_[1] || crc == epochs_[0] || crc == epochs_[1];
  }

  /// Where the log was being cut back to, when that was the last thing said of its end.
  std::optional<Offset> cut_at() const {
    return cut_ < Offset(0) ? std::nullopt : std::optional(cut_);
  }
  std::optional<Uuid> era() const { return era_; }
  /// Without what it says recovery would take a whole log for a torn one.
  bool has_to_last() const {
    return !gaps_.empty() || !skipped_.empty() || sparse_from_ < sparse_to_ || others_ > Offset(0);
  }

  // Each changes this, and answers the line to append to the file.
  std::string add(const SealedSegment& segment);
  std::string set_synced(Offset end);
  /// leader-epoch-checkpoint, of CRC-32C `current` (0 where it is missing), is about to get `next`.
  std::string set_epochs(std::uint32_t current, std::uint32_t next);
  /// Of segments whose bases are at or above `base` and below `end`; all below is on the device.
  std::string replace(Offset base, Offset end);
  std::string cut(Offset end);
  /// Closed segments that it touches are not what they were. Before: an earlier cut is on the
  /// device.
  std::string skip(const SkippedRange& range);
  std::string add_gap(Offset end, Offset next);
  /// Together with what was said before, as one range.
  std::string add_sparse(Offset from, Offset to);
  std::string set_era(const Uuid& era);
  std::string set_others(Offset end);
  /// Forgets segments below `start`, at the next `whole_text`.
  void drop_below(Offset start);

  /// Everything that is still true, as a file.
  std::string whole_text() const;

 private:
  bool apply(std::string_view line);
  bool apply(std::string_view what, Offset offset);
  bool apply_range(std::string_view line);
  std::string add_epochs(std::uint32_t crc);
  std::string sparse_line() const;

  Owner owner_;
  std::map<Offset, SealedSegment> segments_;
  std::map<Offset, Offset> gaps_;  // by where they end
  std::vector<SkippedRange> skipped_;
  Offset sparse_from_{0};
  Offset sparse_to_{0};  // `sparse_from_`: nowhere
  Offset others_{0};
  Offset synced_{-1};
  Offset cut_{-1};
  std::array<std::optional<std::uint32_t>, 2> epochs_;  // the last two
  std::optional<Uuid> era_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/manifest.ipp>
#endif
