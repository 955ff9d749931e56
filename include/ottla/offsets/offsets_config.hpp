// SPDX-License-Identifier: Apache-2.0
//
// What a broker is told about committed offsets.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include <ottla/base/config_table.hpp>

namespace ottla::inline OTTLA_ABI {

struct OffsetsConfig {
  std::chrono::minutes retention{7 * 24 * 60};
  std::chrono::milliseconds retention_check_interval{600'000};
  std::int32_t metadata_max_bytes = 4096;  ///< in UTF-16 units, as Kafka counts
};

template <>
inline constexpr auto config_table<OffsetsConfig> = std::array{
    config_key<&OffsetsConfig::retention>(
        "offsets.retention.minutes", at_least(1),
        "How long the offsets of a group without members, or of a topic that its members no longer "
        "read, are kept."),
    config_key<&OffsetsConfig::retention_check_interval>(
        "offsets.retention.check.interval.ms", at_least(1), "How often that is looked at."),
    config_key<&OffsetsConfig::metadata_max_bytes>(
        "offset.metadata.max.bytes", between(0, 32'767),
        "The longest text that may be committed with an offset."),
};

}  // namespace ottla::inline OTTLA_ABI
