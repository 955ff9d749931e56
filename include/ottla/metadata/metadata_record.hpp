// SPDX-License-Identifier: Apache-2.0
//
// Kafka's metadata records: what topics, partitions, configs and brokers there are, as a log tells
// it. The value of each record (its key is null):
//   UVARINT frame version = 1 · UVARINT record type · UVARINT version · body in the flexible
//   encoding
// Types that are not listed here are skipped. Source: spec replication.md section 14.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/topic_partition.hpp>

namespace ottla::inline OTTLA_ABI {

/// Type 2.
struct TopicRecord {
  std::string name;
  TopicId id;
  bool operator==(const TopicRecord&) const = default;
};

/// Type 3; written as version 1, versions 0 to 2 are read.
struct PartitionRecord {
  PartitionId partition;
  TopicId topic;
  std::vector<BrokerId> replicas;
  std::vector<BrokerId> in_sync_replicas;
  std::vector<BrokerId> removing_replicas;
  std::vector<BrokerId> adding_replicas;
  BrokerId leader{-1};
  LeaderEpoch leader_epoch{0};
  std::int32_t partition_epoch = 0;
  std::vector<Uuid> directories;  ///< the log directory of each replica
  bool operator==(const PartitionRecord&) const = default;
};

/// Type 4.
struct ConfigRecord {
  enum class Resource : std::int8_t { topic = 2, broker = 4, group = 32 };
  Resource resource = Resource::topic;
  std::string resource_name;
  std::string name;
  std::optional<std::string> value;  ///< nothing: the config is removed
  bool operator==(const ConfigRecord&) const = default;
};

/// Type 5; written as version 0. Only what changed is there.
struct PartitionChangeRecord {
  PartitionId partition;
  TopicId topic;
  std::optional<std::vector<BrokerId>> in_sync_replicas;
  std::optional<BrokerId> leader;  ///< also the same one again: the leader epoch grows by one
  bool operator==(const PartitionChangeRecord&) const = default;
};

/// Type 9.
struct RemoveTopicRecord {
  TopicId topic;
  bool operator==(const RemoveTopicRecord&) const = default;
};

/// Type 15: ids below `next` were given, or are a broker's to give.
struct ProducerIdsRecord {
  BrokerId broker{-1};
  std::int64_t broker_epoch = -1;
  ProducerId next{0};
  bool operator==(const ProducerIdsRecord&) const = default;
};

/// A record of another type: its number, to be skipped.
struct OtherMetadataRecord {
  std::uint32_t type = 0;
  bool operator==(const OtherMetadataRecord&) const = default;
};

using MetadataRecord =
    std::variant<TopicRecord, PartitionRecord, ConfigRecord, PartitionChangeRecord,
                 RemoveTopicRecord, ProducerIdsRecord, OtherMetadataRecord>;

/// The value of a record in the metadata log. Before: not an OtherMetadataRecord.
std::vector<std::byte> encode(const MetadataRecord& record);

/// From a record's value; `corrupt` when it is malformed, `unsupported` for a version of a known
/// type that is not known.
absl::StatusOr<MetadataRecord> decode_metadata_record(Bytes value);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/metadata/impl/metadata_record.ipp>
#endif
