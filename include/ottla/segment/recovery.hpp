// SPDX-License-Identifier: Apache-2.0
//
// What recovery of a segment is asked, and what it answers. It judges bytes, not crashes: whether a
// bad end is a torn tail to be cut or damage to be kept depends on what was known durable, which
// the log above knows.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <absl/status/status.h>

#include <ottla/base/ids.hpp>
#include <ottla/record/batch_header.hpp>

namespace ottla::inline OTTLA_ABI {

/// Called with the header of a batch that is good so far, and its position in bytes.
using SegmentVisit = std::function<absl::Status(const BatchHeader& header, std::int64_t position)>;

struct BatchPlace {
  std::int64_t position = 0;  ///< bytes from the start of the data file
  BatchHeader header;
};

/// How far a reader has come in a file that another process appends to.
struct FollowedEnd {
  std::optional<BatchPlace> last = {};  ///< the last batch; none where there is none yet
  std::string problem = {};             ///< what stands behind it; empty where the file ends there
  std::int64_t file_size = 0;           ///< bytes
  bool begun = false;
};

struct RecoveryOptions {
  /// After the death of the process alone: index entries were written after their batches, so the
  /// scan begins at the last one that the log confirms. Else, or where none is confirmed, it begins
  /// at the start and makes both indexes anew.
  bool trust_indexes = false;
  /// Offsets below it were on the device before the crash: headers are checked there, checksums are
  /// not computed.
  std::optional<Offset> durable_end = std::nullopt;
};

struct SegmentRecovery {
  std::int64_t scanned_from = 0;  ///< bytes; 0 unless an index entry was trusted
  std::int64_t valid_end =
      0;               ///< bytes: the end of the last good batch, and of the segment from now on
  Offset next_offset;  ///< after that batch
  std::int64_t file_size = 0;  ///< more than valid_end where something else follows
  std::string problem;         ///< what is wrong at valid_end; empty where nothing follows
  /// A whole good batch, followed by another or by the end of the file, lies somewhere behind
  /// valid_end: a write that was cut short cannot leave that.
  bool batch_follows = false;

  bool clean() const { return valid_end == file_size; }
};

}  // namespace ottla::inline OTTLA_ABI
