// SPDX-License-Identifier: Apache-2.0
//
// What a clean stop leaves in a log directory (write-ordering rule W11): `.ottla_clean`, which says
// where each partition's log ended, and then Kafka's `.kafka_cleanshutdown`. Both together: nothing
// touched the directory since we stopped. Either alone, or Kafka's with a content that is not ours:
// Kafka was here meanwhile. Both are removed before anything else is written.
//   ottla clean 1 / boot <id> / device <n> / run <32 hex> / partitions <n> / then one line each:
//   <directory> <end offset> <last segment> <its size> <position of its last batch> <digest, 8 hex>
//   and sum <8 hex>. The digest is the CRC-32C of the last batch's 61-byte header; where the
//   segment is empty the position is -1. A log without a segment has -1 for segment, size and
//   position.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ottla/base/ids.hpp>
#include <ottla/base/uuid.hpp>
#include <ottla/env/file_system.hpp>

namespace ottla::inline OTTLA_ABI {

inline constexpr std::string_view clean_stop_file = ".ottla_clean";
inline constexpr std::string_view kafka_clean_stop_file = ".kafka_cleanshutdown";
/// Kafka's words for "the broker's epoch is not known".
inline constexpr std::string_view kafka_clean_stop_text = R"({"version":0,"brokerEpoch":-1})";

/// Where a log ended.
struct CleanEnd {
  Offset end;
  Offset segment{-1};               ///< base offset of the last one
  std::int64_t size = -1;           ///< of its file in bytes
  std::int64_t last_position = -1;  ///< of its last batch
  std::uint32_t digest = 0;         ///< CRC-32C of that batch's header
  bool operator==(const CleanEnd&) const = default;
};

struct CleanStop {
  struct Partition {
    std::string directory;
    CleanEnd end;
    bool operator==(const Partition&) const = default;
  };
  VolumeId volume;
  Uuid run;
  std::vector<Partition> partitions;
  bool operator==(const CleanStop&) const = default;
};

std::string format_clean_stop(const CleanStop& stop);
/// Nothing when malformed: as if it were not there.
std::optional<CleanStop> parse_clean_stop(std::string_view text);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/clean_stop.ipp>
#endif
