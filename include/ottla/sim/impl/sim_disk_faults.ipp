// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ottla/sim/sim_disk_faults.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::string_view name(SimFault fault) {
  static constexpr std::string_view names[] = {
      "none",           "io",      "bad_sector", "no_space",      "no_descriptors",
      "read_only",      "denied",  "cut_write",  "lost_write",    "misdirected_write",
      "stale_read",     "bit_rot", "sync_keeps", "sync_reverts",  "sync_late",
      "sync_elsewhere", "delay",   "hang",       "process_crash", "power_crash"};
  static_assert(std::size(names) == sim_faults);
  return names[static_cast<std::size_t>(fault)];
}

OTTLA_INLINE bool carries_reason(IoOperation operation) {
  switch (operation) {
    case IoOperation::open:
    case IoOperation::write:
    case IoOperation::truncate:
    case IoOperation::sync:
    case IoOperation::reserve:
    case IoOperation::create_directory:
    case IoOperation::rename:
    case IoOperation::remove:
    case IoOperation::remove_directory:
    case IoOperation::sync_directory:
      return true;
    default:
      return false;
  }
}

OTTLA_INLINE bool applies(SimFault fault, IoOperation operation) {
  const bool opens = operation == IoOperation::open || operation == IoOperation::lock;
  const bool changes = (carries_reason(operation) && operation != IoOperation::reserve) ||
                       operation == IoOperation::set_modified || operation == IoOperation::lock;
  switch (fault) {
    case SimFault::none:
      return false;
    case SimFault::cut_write:
    case SimFault::lost_write:
    case SimFault::misdirected_write:
      return operation == IoOperation::write;
    case SimFault::io:  // a sync that failed left something behind: the kinds below
      return operation != IoOperation::sync && operation != IoOperation::reserve;
    case SimFault::bad_sector:
    case SimFault::stale_read:
    case SimFault::bit_rot:
      return operation == IoOperation::read;
    case SimFault::no_space:
      return operation != IoOperation::remove && operation != IoOperation::remove_directory &&
             operation != IoOperation::truncate && (changes || operation == IoOperation::close);
    case SimFault::no_descriptors:
      return opens || operation == IoOperation::list || operation == IoOperation::sync_directory;
    case SimFault::read_only:
    case SimFault::denied:
      return changes && operation != IoOperation::write && operation != IoOperation::sync &&
             operation != IoOperation::sync_directory;
    case SimFault::sync_keeps:
    case SimFault::sync_reverts:
    case SimFault::sync_late:
    case SimFault::sync_elsewhere:
      return operation == IoOperation::sync;
    case SimFault::delay:
    case SimFault::hang:
    case SimFault::process_crash:
    case SimFault::power_crash:
      return true;
  }
  return false;
}

OTTLA_INLINE std::uint64_t SimFaultTable::fired(IoOperation operation, SimFault fault) const {
  std::uint64_t sum = 0;
  for (int reason = 0; reason < io_reasons; ++reason) {
    sum += at(static_cast<int>(operation), reason, fault);
  }
  return sum;
}

OTTLA_INLINE std::uint64_t SimFaultTable::fired(IoReason reason, SimFault fault) const {
  std::uint64_t sum = 0;
  for (int operation = 0; operation < operations; ++operation) {
    if (carries_reason(static_cast<IoOperation>(operation))) {
      sum += at(operation, static_cast<int>(reason), fault);
    }
  }
  return sum;
}

OTTLA_INLINE std::uint64_t SimFaultTable::fired(IoOperation operation, IoReason reason,
                                                SimFault fault) const {
  return at(static_cast<int>(operation), static_cast<int>(reason), fault);
}

OTTLA_INLINE SimFaultTable& SimFaultTable::operator+=(const SimFaultTable& other) {
  for (std::size_t operation = 0; operation < counts_.size(); ++operation) {
    for (std::size_t reason = 0; reason < counts_[operation].size(); ++reason) {
      for (std::size_t fault = 0; fault < counts_[operation][reason].size(); ++fault) {
        counts_[operation][reason][fault] += other.counts_[operation][reason][fault];
      }
    }
  }
  return *this;
}

}  // namespace ottla::inline OTTLA_ABI
