// SPDX-License-Identifier: Apache-2.0
//
// What can go wrong with a simulated disk, which calls it can happen to, and how often it did.
// Short I/O and EINTR are below the contract of File: what they come to there is a write that is
// cut (`cut_write`).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/io_reason.hpp>

namespace ottla::inline OTTLA_ABI {

enum class SimFault : std::uint8_t {
  none,
  io,                 ///< the call fails; a name may have been changed all the same
  bad_sector,         ///< a sector that is read fails, then and for good (EIO, sticky)
  no_space,           ///< of a write some first bytes are there; of a sync nothing more is
  no_descriptors,     ///< nothing was opened
  read_only,          ///< nothing was changed
  denied,             ///< EACCES: nothing was opened or changed
  cut_write,          ///< the write ends at any byte, then fails
  lost_write,         ///< answers ok; the size is right, the bytes are what was there before
  misdirected_write,  ///< answers ok; the bytes are in other sectors of the file
  stale_read,         ///< the read answers what the device holds, not what was written since
  bit_rot,            ///< a bit of a sector that is read has changed on the device
  sync_keeps,         ///< the sync fails; pages are clean and keep what the device never gets
  sync_reverts,       ///< the sync fails; the file is what the device holds
  sync_late,          ///< as `sync_keeps`, but it answers ok and the file's next sync fails
  sync_elsewhere,     ///< as `sync_late`, but only a sync through another File does
  delay,              ///< the call takes up to `max_delay`
  hang,               ///< the call does not return before somebody ends it
  process_crash,      ///< the process dies in the middle of the call
  power_crash,        ///< the machine does
};
inline constexpr int sim_faults = static_cast<int>(SimFault::power_crash) + 1;

/// Short text, e.g. "lost_write".
std::string_view name(SimFault fault);
/// Whether calls of this kind can meet the fault.
bool applies(SimFault fault, IoOperation operation);
/// Whether calls of this kind say why they are made.
bool carries_reason(IoOperation operation);

/// Which faults met which calls. Rows are the reasons of calls that carry one, and the kinds of
/// calls.
class SimFaultTable {
 public:
  static constexpr int operations = static_cast<int>(IoOperation::volume) + 1;

  void count_call(IoOperation operation, IoReason reason) { ++cell(operation, reason, {}); }
  /// In addition to `count_call`.
  void count(IoOperation operation, IoReason reason, SimFault fault) {
    ++cell(operation, reason, fault);
  }

  /// How often a call met `fault`; of `none`: how many calls there were.
  std::uint64_t fired(IoOperation operation, SimFault fault) const;
  std::uint64_t fired(IoReason reason, SimFault fault) const;
  std::uint64_t fired(IoOperation operation, IoReason reason, SimFault fault) const;

  /// Adds what another run counted.
  SimFaultTable& operator+=(const SimFaultTable& other);

 private:
  std::uint64_t& cell(IoOperation operation, IoReason reason, SimFault fault) {
    return counts_[static_cast<std::size_t>(operation)][static_cast<std::size_t>(reason)]
                  [static_cast<std::size_t>(fault)];
  }
  std::uint64_t at(int operation, int reason, SimFault fault) const {
    return counts_[static_cast<std::size_t>(operation)][static_cast<std::size_t>(reason)]
                  [static_cast<std::size_t>(fault)];
  }

  std::array<std::array<std::array<std::uint64_t, sim_faults>, io_reasons>, operations> counts_{};
};

/// How likely each fault is to meet a call that it applies to: of a million.
struct SimFaultRates {
  std::array<std::uint32_t, sim_faults> per_million{};

  std::uint32_t& operator[](SimFault fault) { return per_million[static_cast<std::size_t>(fault)]; }
  std::uint32_t operator[](SimFault fault) const {
    return per_million[static_cast<std::size_t>(fault)];
  }
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/sim/impl/sim_disk_faults.ipp>
#endif
