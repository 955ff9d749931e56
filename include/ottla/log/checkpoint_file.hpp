// SPDX-License-Identifier: Apache-2.0
//
// Kafka's checkpoint files, text to the byte (spec storage.md section 22): line 1 the version, `0`;
// line 2 the number of entries; then an entry a line, its fields separated by one space.
//   leader-epoch-checkpoint                                 epoch startOffset, both ascending
//   recovery-point-, log-start-, replication-, cleaner-offset-checkpoint
//                                                           topic partition offset, any order
// An empty file has no entries. Parsing is strict: whatever the writer would not write is `corrupt`
// with the line, but fields may be separated by any blanks, as Kafka reads them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/ids.hpp>
#include <ottla/base/topic_partition.hpp>

namespace ottla::inline OTTLA_ABI {

/// The first offset written in a leader epoch.
struct EpochStart {
  LeaderEpoch epoch;
  Offset start;
  bool operator==(const EpochStart&) const = default;
};

struct PartitionOffset {
  TopicPartition partition;
  Offset offset;
  bool operator==(const PartitionOffset&) const = default;
};

std::string format_epoch_checkpoint(std::span<const EpochStart> entries);
/// `where`: what errors call the file.
absl::StatusOr<std::vector<EpochStart>> parse_epoch_checkpoint(std::string_view text,
                                                               std::string_view where);

std::string format_offset_checkpoint(std::span<const PartitionOffset> entries);
absl::StatusOr<std::vector<PartitionOffset>> parse_offset_checkpoint(std::string_view text,
                                                                     std::string_view where);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/checkpoint_file.ipp>
#endif
