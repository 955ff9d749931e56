// SPDX-License-Identifier: Apache-2.0
//
// `.ottla_run`: who opened the log directory for writing, and when this machine was started.
// Written at each open. A later open that finds the same boot and device knows that the kernel kept
// all that was written since the era began: the process died, not the machine. What lay there when
// it began is known for a partition whose manifest names the era, too: it was recovered in it. Also
// names the holder of a locked directory.
// A sync that fails takes it away: the kernel's pages count for nothing any more (W5).
//   ottla run 1 / pid 4711 / boot <id> / device 2049 / run <32 hex> / era <32 hex> / rewrite 0 /
//   sum <8 hex>, a line each
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <ottla/base/uuid.hpp>
#include <ottla/env/file_system.hpp>

namespace ottla::inline OTTLA_ABI {

inline constexpr std::string_view run_record_file = ".ottla_run";

struct RunRecord {
  std::uint64_t process = 0;  ///< pid
  VolumeId volume;
  Uuid run;  ///< random, of this opening
  Uuid era;  ///< of the first opening since which the machine lived, and nobody else wrote here
  /// A sync may have failed before the era began.
  bool rewrite_tail = false;
  bool operator==(const RunRecord&) const = default;
};

std::string format_run_record(const RunRecord& record);
/// Nothing when malformed: then it is not known who was here.
std::optional<RunRecord> parse_run_record(std::string_view text);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/run_record.ipp>
#endif
