// SPDX-License-Identifier: Apache-2.0
//
// What opening a log is told of the last stop, and what it tells about what it found.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>
#include <ottla/log/clean_stop.hpp>
#include <ottla/log/log_repair.hpp>

namespace ottla::inline OTTLA_ABI {

/// How the directory was left. After `system_crash` an opening syncs the log and its directory, so
/// that what it cut off, or one before it that died, does not come back.
enum class LastStop : std::uint8_t {
  clean,          ///< everything is on the device; a bad end is damage
  process_crash,  ///< the kernel lived on: all that was written is there, but for a torn last write
  system_crash,   ///< above the durable point anything may be missing, stale or torn
};

struct LogOpening {
  LastStop last_stop = LastStop::system_crash;
  /// Where the log ended at our own clean stop; nothing after Kafka's.
  std::optional<CleanEnd> clean_end = {};
  /// Of the directory (run_record.hpp). A log that was not in use in it yet has seen whatever ended
  /// the last one: `process_crash` is `system_crash` there.
  std::optional<Uuid> era = {};
  Offset recovery_point{0};  ///< by its checkpoint: all below is on the device
  Offset log_start{0};       ///< likewise; the log begins there at the earliest
  Timestamp now = no_timestamp;
  /// A sync may have failed in this directory before the era: of a log that was not in use in it
  /// yet, what lies above the durable point is copied to new files, since the page cache may hold
  /// what the device does not (W5).
  bool rewrite_tail = false;
  /// Somebody else was the last to write here: in a log without a manifest, which may have been
  /// compacted, a segment may end anywhere before the next one begins.
  bool foreign = false;
  /// The directory of this partition is not in its parent for sure until that is synced.
  bool entry_synced = false;
  /// Mends the log first, if it is damaged; if it is not, opening fails with `invalid_argument` and
  /// nothing is changed. To be treated as after `system_crash`.
  std::optional<Repair> repair = {};
  /// Something is known to be damaged: what looks like a torn tail is taken for that, too.
  bool never_cut = false;
};

/// In a partition's directory while its log is damaged, for people to read: where, why, what to do.
/// While it is there no opening cuts anything, whatever the last stop was; the one that finds the
/// log whole removes it. Whoever removes it leaves the verdict to the next opening.
inline constexpr std::string_view damage_file = "ottla_damaged";

/// A place where the log is not what was written. Nothing is cut there without the owner's choice.
struct Damage {
  std::string file;           ///< its path
  std::int64_t position = 0;  ///< bytes from its start
  Offset offset;              ///< of the first record that may be missing
  std::string why;
};

struct RecoveryReport {
  enum class Kind : std::uint8_t {
    cut,               ///< a torn tail; `bytes` were cut off and kept as `saved_as`
    damage,            ///< the log is read-only from there on
    index_rebuilt,     ///< an index was missing
    snapshot_dropped,  ///< a producer snapshot was malformed
    epochs_rebuilt,    ///< leader-epoch-checkpoint was missing, malformed or not ours
    manifest_dropped,  ///< ottla_manifest was malformed, or another partition's
    leftover,          ///< of an interrupted change: finished, or removed
    not_copied,        ///< no room for the copy that follows a failed sync: it is read-only
    segments_missing,  ///< at the start of the log: it begins later than its checkpoint says
  };
  struct Finding {
    Kind kind;
    std::string file;
    std::int64_t position = 0;
    std::int64_t bytes = 0;
    std::string why;
    std::string saved_as = {};  ///< empty: nothing but zeros was cut, or there was no room
  };

  /// What it was for this log: a clean stop whose marker does not match counts as a system crash,
  /// so does the death of a process that had not recovered it from one, and so does any stop of a
  /// log that was damaged. Unless it is `clean`,
  /// the partition begins a new leader epoch.
  LastStop last_stop = LastStop::clean;
  /// The greatest leader epoch that was noted, also one of records that are lost.
  std::optional<LeaderEpoch> latest_epoch = {};
  std::int64_t scanned_bytes = 0;  ///< of logs, batch by batch
  std::vector<Finding> findings;
  std::vector<Repaired> repaired;  ///< ascending

  bool has(Kind kind) const {
    for (const Finding& finding : findings) {
      if (finding.kind == kind) {
        return true;
      }
    }
    return false;
  }
};

}  // namespace ottla::inline OTTLA_ABI
