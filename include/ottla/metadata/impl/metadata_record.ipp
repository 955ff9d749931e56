// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iterator>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/metadata/metadata_record.hpp>

namespace ottla::inline OTTLA_ABI {
namespace metadata_impl {

inline constexpr std::uint32_t frame_version = 1;

inline void write_uuid(ByteWriter& out, const Uuid& id) { out.bytes(Bytes(id.bytes)); }

inline Uuid read_uuid(ByteReader& in) {
  Uuid id;
  const Bytes bytes = in.bytes(id.bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    id.bytes[i] = bytes[i];
  }
  return id;
}

inline void write_brokers(ByteWriter& out, const std::vector<BrokerId>& brokers) {
  out.compact_array_count(brokers.size());
  for (const BrokerId broker : brokers) {
    out.integer(broker.value());
  }
}

inline std::vector<BrokerId> read_brokers(ByteReader& in) {
  const std::size_t count = in.compact_array_count(sizeof(std::int32_t));
  std::vector<BrokerId> brokers;
  brokers.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    brokers.emplace_back(in.integer<std::int32_t>());
  }
  return brokers;
}

inline void write_body(ByteWriter& out, const TopicRecord& record) {
  out.compact_string(record.name);
  write_uuid(out, record.id);
  out.no_tagged_fields();
}

inline void write_body(ByteWriter& out, const PartitionRecord& record) {
  out.integer(record.partition.value());
  write_uuid(out, record.topic);
  write_brokers(out, record.replicas);
  write_brokers(out, record.in_sync_replicas);
  write_brokers(out, record.removing_replicas);
  write_brokers(out, record.adding_replicas);
  out.integer(record.leader.value());
  out.integer(record.leader_epoch.value());
  out.integer(record.partition_epoch);
  out.compact_array_count(record.directories.size());
  for (const Uuid& directory : record.directories) {
    write_uuid(out, directory);
  }
  out.no_tagged_fields();
}

inline void write_body(ByteWriter& out, const ConfigRecord& record) {
  out.integer(static_cast<std::int8_t>(record.resource));
  out.compact_string(record.resource_name);
  out.compact_string(record.name);
  out.nullable_compact_string(record.value);
  out.no_tagged_fields();
}

inline void write_body(ByteWriter& out, const PartitionChangeRecord& record) {
  out.integer(record.partition.value());
  write_uuid(out, record.topic);
  out.unsigned_varint((record.in_sync_replicas ? 1U : 0U) + (record.leader ? 1U : 0U));
  if (record.in_sync_replicas) {
    std::vector<std::byte> field;
    ByteWriter writer(field);
    write_brokers(writer, *record.in_sync_replicas);
    out.unsigned_varint(0);
    out.unsigned_varint(static_cast<std::uint32_t>(field.size()));
    out.bytes(field);
  }
  if (record.leader) {
    out.unsigned_varint(1);
    out.unsigned_varint(sizeof(std::int32_t));
    out.integer(record.leader->value());
  }
}

inline void write_body(ByteWriter& out, const RemoveTopicRecord& record) {
  write_uuid(out, record.topic);
  out.no_tagged_fields();
}

inline void write_body(ByteWriter& out, const ProducerIdsRecord& record) {
  out.integer(record.broker.value());
  out.integer(record.broker_epoch);
  out.integer(record.next.value());
  out.no_tagged_fields();
}

inline void write_body(ByteWriter&, const OtherMetadataRecord&) {}

/// Type and version of each alternative, in its order.
struct RecordKind {
  std::uint32_t type;
  std::uint32_t written_version;
  std::uint32_t newest_version;
};
inline constexpr RecordKind record_kinds[] = {{2, 0, 0}, {3, 1, 2}, {4, 0, 0},
                                              {5, 0, 2}, {9, 0, 0}, {15, 0, 0}};

inline TopicRecord read_topic(ByteReader& in) {
  TopicRecord record;
  record.name = std::string(in.compact_string());
  record.id = read_uuid(in);
  in.skip_tagged_fields();
  return record;
}

inline PartitionRecord read_partition(ByteReader& in, std::uint32_t version) {
  PartitionRecord record;
  record.partition = PartitionId(in.integer<std::int32_t>());
  record.topic = read_uuid(in);
  record.replicas = read_brokers(in);
  record.in_sync_replicas = read_brokers(in);
  record.removing_replicas = read_brokers(in);
  record.adding_replicas = read_brokers(in);
  record.leader = BrokerId(in.integer<std::int32_t>());
  record.leader_epoch = LeaderEpoch(in.integer<std::int32_t>());
  record.partition_epoch = in.integer<std::int32_t>();
  if (version >= 1) {
    const std::size_t count = in.compact_array_count(sizeof(Uuid));
    for (std::size_t i = 0; i < count; ++i) {
      record.directories.push_back(read_uuid(in));
    }
  }
  in.skip_tagged_fields();
  return record;
}

inline ConfigRecord read_config(ByteReader& in) {
  ConfigRecord record;
  record.resource = static_cast<ConfigRecord::Resource>(in.integer<std::int8_t>());
  record.resource_name = std::string(in.compact_string());
  record.name = std::string(in.compact_string());
  if (const auto value = in.nullable_compact_string()) {
    record.value = std::string(*value);
  }
  in.skip_tagged_fields();
  return record;
}

inline PartitionChangeRecord read_partition_change(ByteReader& in) {
  PartitionChangeRecord record;
  record.partition = PartitionId(in.integer<std::int32_t>());
  record.topic = read_uuid(in);
  const std::uint32_t fields = in.unsigned_varint();
  for (std::uint32_t i = 0; i < fields && in.ok(); ++i) {
    const std::uint32_t tag = in.unsigned_varint();
    ByteReader field(in.bytes(in.unsigned_varint()));
    if (tag == 0) {
      record.in_sync_replicas = read_brokers(field);
    } else if (tag == 1) {
      record.leader = BrokerId(field.integer<std::int32_t>());
    }
    if (!field.ok()) {
      in.fail();
    }
  }
  return record;
}

inline ProducerIdsRecord read_producer_ids(ByteReader& in) {
  ProducerIdsRecord record;
  record.broker = BrokerId(in.integer<std::int32_t>());
  record.broker_epoch = in.integer<std::int64_t>();
  record.next = ProducerId(in.integer<std::int64_t>());
  in.skip_tagged_fields();
  return record;
}

inline MetadataRecord read_body(ByteReader& in, std::uint32_t type, std::uint32_t version) {
  switch (type) {
    case 2:
      return read_topic(in);
    case 3:
      return read_partition(in, version);
    case 4:
      return read_config(in);
    case 5:
      return read_partition_change(in);
    case 15:
      return read_producer_ids(in);
    default: {
      RemoveTopicRecord record{read_uuid(in)};
      in.skip_tagged_fields();
      return record;
    }
  }
}

}  // namespace metadata_impl

OTTLA_INLINE std::vector<std::byte> encode(const MetadataRecord& record) {
  std::vector<std::byte> value;
  ByteWriter out(value);
  if (record.index() < std::size(metadata_impl::record_kinds)) {
    const metadata_impl::RecordKind& kind = metadata_impl::record_kinds[record.index()];
    out.unsigned_varint(metadata_impl::frame_version);
    out.unsigned_varint(kind.type);
    out.unsigned_varint(kind.written_version);
    std::visit([&](const auto& body) { metadata_impl::write_body(out, body); }, record);
  }
  return value;
}

OTTLA_INLINE absl::StatusOr<MetadataRecord> decode_metadata_record(Bytes value) {
  ByteReader in(value);
  const std::uint32_t frame = in.unsigned_varint();
  const std::uint32_t type = in.unsigned_varint();
  const std::uint32_t version = in.unsigned_varint();
  if (!in.ok() || frame != metadata_impl::frame_version) {
    return error(Fault::corrupt, "metadata record: not a frame of version 1");
  }
  for (const metadata_impl::RecordKind& kind : metadata_impl::record_kinds) {
    if (kind.type != type) {
      continue;
    }
    if (version > kind.newest_version) {
      return error(Fault::unsupported,
                   absl::StrCat("metadata record of type ", type, " has version ", version,
                                ", newest known is ", kind.newest_version,
                                "; it was written by a newer release, open it with that"));
    }
    MetadataRecord record = metadata_impl::read_body(in, type, version);
    if (!in.exhausted()) {
      return error(Fault::corrupt, absl::StrCat("metadata record of type ", type, ": malformed"));
    }
    return record;
  }
  return OtherMetadataRecord{type};
}

}  // namespace ottla::inline OTTLA_ABI
