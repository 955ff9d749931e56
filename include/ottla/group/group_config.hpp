// SPDX-License-Identifier: Apache-2.0
//
// What a broker is told about groups.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include <ottla/base/config_table.hpp>
#include <ottla/offsets/offsets_config.hpp>

namespace ottla::inline OTTLA_ABI {

struct GroupConfig {
  std::chrono::milliseconds min_session_timeout{6'000};
  std::chrono::milliseconds max_session_timeout{1'800'000};
  /// Kafka waits 3 s for members of the same program that start together; here they need no time.
  std::chrono::milliseconds initial_rebalance_delay{0};
  std::int32_t max_size = 1'000;     ///< members of one group; Kafka: no limit
  std::int32_t max_groups = 10'000;  ///< of one coordinator; Kafka: no limit
  /// Of one member, in bytes, for each of the protocols that it offers; Kafka: no limit.
  std::int32_t max_member_metadata = 65'536;
  std::int32_t max_protocols = 16;  ///< that a member offers; Kafka: no limit
  /// How long a JoinGroup of a new member, who cannot send heartbeats yet, waits at most.
  std::chrono::milliseconds new_member_join_timeout{300'000};
  /// Of a batch with what is only tidied up; the log takes at least that: max.message.bytes.
  std::int32_t max_batch_bytes = 1'048'588;
  OffsetsConfig offsets = {};
};

template <>
inline constexpr auto config_table<GroupConfig> = std::array{
    config_key<&GroupConfig::min_session_timeout>("group.min.session.timeout.ms",
                                                  between(0, INT32_MAX),
                                                  "The shortest session a member may ask for."),
    config_key<&GroupConfig::max_session_timeout>("group.max.session.timeout.ms",
                                                  between(0, INT32_MAX),
                                                  "The longest session a member may ask for."),
    config_key<&GroupConfig::initial_rebalance_delay>(
        "group.initial.rebalance.delay.ms", between(0, INT32_MAX),
        "How long a new group waits for more members before its first assignment."),
    config_key<&GroupConfig::max_size>("group.max.size", at_least(1), "Members of one group."),
};

}  // namespace ottla::inline OTTLA_ABI
