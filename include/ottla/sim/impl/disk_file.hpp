// SPDX-License-Identifier: Apache-2.0
//
// The two images of one simulated file: what processes see (`content`), what the device holds
// (`durable`), and between them what is pending: each version that a sector of 512 bytes has had
// since the device last got it, and each size. Plain data without faults or chance: what a crash
// makes of it is for durable_states.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include <ottla/base/bytes.hpp>
#include <ottla/base/time.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

inline constexpr std::int64_t sector_size = 512;
inline constexpr std::int64_t page_size = 4096;  // of the page cache, and of allocation
using Sector = std::array<std::byte, sector_size>;

/// Of changes, over all files and directories of a disk, ascending from 1.
using ChangeNumber = std::uint64_t;
inline constexpr ChangeNumber all_changes = ~ChangeNumber{0};

struct SectorVersion {
  ChangeNumber change;
  Sector bytes;
};

struct SizeChange {
  ChangeNumber change;
  std::int64_t size;
};

/// What a byte holds that lies behind what is stored: zero.
Sector sector_of(const std::vector<std::byte>& bytes, std::int64_t sector);

class DiskFile {
 public:
  std::int64_t size() const { return static_cast<std::int64_t>(content_.size()); }
  const std::vector<std::byte>& content() const { return content_; }

  /// From what processes see, and from what the device holds. Before: `position` is not negative.
  std::size_t read(std::int64_t position, MutableBytes into) const;
  std::size_t read_durable(std::int64_t position, MutableBytes into) const;
  /// How many of the `bytes` from `position` on there are; 0 where that is negative.
  std::int64_t bytes_from(std::int64_t position, std::int64_t bytes) const {
    return position < 0 ? 0 : std::max<std::int64_t>(0, std::min(bytes, size() - position));
  }
  /// Whether the device holds others than processes see.
  bool is_stale(std::int64_t position, std::int64_t bytes) const;
  void write(std::int64_t position, Bytes bytes, ChangeNumber change);
  void truncate(std::int64_t size, ChangeNumber change);

  /// The device has all changes up to `upto`.
  void settle(ChangeNumber upto);
  /// The device will never get what is pending, and pages say that it has.
  void lose_pending();
  /// As `lose_pending`, and processes see what the device holds.
  void revert();
  /// After a crash, when the device held `content`; its bad sectors are still bad.
  DiskFile restarted(std::vector<std::byte> content) const;

  /// Flips bits on the device; readers see it where nothing newer is in memory.
  void rot(std::int64_t position, std::byte bits);
  void spoil(std::int64_t sector) { bad_.insert(sector); }
  void heal() { bad_.clear(); }
  /// Whether a sector of [position, position + bytes) cannot be read.
  bool spoiled(std::int64_t position, std::size_t bytes) const;
  /// Whether a sector that is to be written to the device cannot be.
  bool spoiled_pending() const;

  // For durable_states.hpp.
  const std::vector<std::byte>& durable() const { return durable_; }
  std::int64_t durable_size() const { return durable_size_; }
  const std::map<std::int64_t, std::vector<SectorVersion>>& pending() const { return pending_; }
  const std::vector<SizeChange>& sizes() const { return sizes_; }

  Timestamp modified = no_timestamp;
  bool fails_next_sync = false;
  std::uint64_t spared_handle = 0;  // which that does not meet
  bool fails_next_sync_through(std::uint64_t handle) const {
    return fails_next_sync && spared_handle != handle;
  }

 private:
  /// Beyond these, the older half of what is pending goes to the device, as a kernel does it.
  static constexpr std::size_t most_pending = 4096;
  static constexpr std::size_t most_versions = 8;

  void note_sectors(std::int64_t begin, std::int64_t end, ChangeNumber change);
  void note_sector(std::int64_t sector, ChangeNumber change);
  void note_size(ChangeNumber change);
  void write_back(ChangeNumber change);

  std::vector<std::byte> content_;
  std::vector<std::byte> durable_;  // may be longer than the size: blocks without a size yet
  std::int64_t durable_size_ = 0;
  std::map<std::int64_t, std::vector<SectorVersion>> pending_;  // by number of sector
  std::vector<SizeChange> sizes_;
  std::set<std::int64_t> lost_;  // in memory other than on the device, and not pending
  std::set<std::int64_t> bad_;
};

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/sim/impl/disk_file.ipp>
#endif
