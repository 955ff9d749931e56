// SPDX-License-Identifier: Apache-2.0
//
// What a crash leaves of a simulated disk. Source of the model: fdbrpc/AsyncFileNonDurable of
// FoundationDB (sectors kept, dropped or spoilt) and "All File Systems Are Not Created Equal" (no
// order between two changes that were not synced, not even in one file).
#pragma once

#include <cstdint>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

enum class CrashKind : std::uint8_t {
  process,  ///< what was written is there, but for the end of a write that was under way
  power,    ///< of what was not synced, anything may be there
};

/// Which states a power cut can leave.
enum class DiskMode : std::uint8_t {
  /// Each sector, size and name on its own. A name is no part of its file's sync, nor is a file of
  /// its directory's.
  adversarial,
  /// Names in the order of their changes, all of them with any sync (one journal). A size is there
  /// only with the data of the pages that it added (data=ordered); other sectors are on their own.
  /// A file that replaces another by a rename has its data first (auto_da_alloc).
  ext4_ordered,
  /// Names likewise; a size is there only with all sectors that it added bytes to. A rename does
  /// not wait for data: what replaced a file without a sync may be empty.
  xfs,
  /// The disk as it was after one change or another (checkpoints of the whole tree), but for what
  /// was synced later: a file with its names, or a directory. Renames as in ext4.
  btrfs,
};

/// Bytes of a sector that no write touched are never harmed (SQLite's "powersafe overwrite").
struct CrashModel {
  DiskMode mode = DiskMode::adversarial;
  bool torn = true;     ///< a sector may be new up to any byte, and old from there on
  bool garbage = true;  ///< adversarial only: a sector's written bytes may be anything
};

struct DurableStateCount {
  std::uint64_t visited = 0;
  bool all = false;  ///< each state once; else a sample, in which the same may appear twice
};

}  // namespace ottla::inline OTTLA_ABI
