// SPDX-License-Identifier: Apache-2.0
//
// Names of directories in a log directory (spec storage.md section 8):
//   <topic>-<partition>                       a partition
//   <topic>-<partition>.<32 hex>-delete       one that is being deleted, or not made completely yet
//   <topic>-<partition>.<32 hex>-future       Kafka's: a replica that moves here
//   <topic>-<partition>.<32 hex>-stray        Kafka's: not assigned to its broker
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <ottla/base/topic_partition.hpp>

namespace ottla::inline OTTLA_ABI {

enum class DirectoryKind : std::uint8_t { partition, deleted, future, stray, other };

/// `partition` only for names that Kafka would give.
DirectoryKind directory_kind(std::string_view name);

/// For `-delete`, with a random `id`. Of a long topic the end is left out: at most 255 bytes.
std::string deleted_directory_name(const TopicPartition& partition, const Uuid& id);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/directory_name.ipp>
#endif
