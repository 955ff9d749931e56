// SPDX-License-Identifier: Apache-2.0
//
// What the owner of a damaged log decides, asked for by `LogOpening::repair` of an opening. The
// whole log is read, each checksum computed, and all that is damaged is mended at once:
//   auto log = BasicLog::open(files, directory, options, opening, health, report);
//   for (const Repaired& each : report.repaired) lost(each.offsets, each.saved_as);
// The length of a bad batch is believed only where it leads to the next good one. A closed segment
// that has other batches than it was closed with is bad as a whole; of one that is shorter, what it
// begins with is good. What is taken out stays beside the log as `<base>.log.cut-<n>`, on the
// device before it goes. A crash at any time, or an error, leaves the log damaged as before, or
// less so, and no good record is lost by it: repairing again is fine. A copy that an error stopped,
// and what was kept for it, are removed.
#pragma once

#include <cstdint>
#include <string>

#include <ottla/base/skipped_range.hpp>

namespace ottla::inline OTTLA_ABI {

enum class Repair : std::uint8_t {
  /// What is damaged is taken out; what is good stays where it is, at its offsets. Who comes to
  /// read a record that is gone is told once, with the range (`skipped_range`). New records begin
  /// behind all that is known to have been there.
  skip_range,
  /// The log ends where the damage begins, though good records may be behind it. Before: the
  /// recovery point's checkpoint is lowered to there, or to the log's start.
  truncate,
};

/// A piece of a file that a repair took out.
struct Repaired {
  SkippedRange offsets;       ///< that are gone by it
  std::string file;           ///< its path; of a segment that is missing the one before it
  std::int64_t position = 0;  ///< in the file as it was
  std::int64_t bytes = 0;     ///< 0: what was there was missing already
  std::string why;
  std::string saved_as;  ///< name of the file beside it that has the bytes
};

}  // namespace ottla::inline OTTLA_ABI
