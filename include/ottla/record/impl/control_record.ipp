// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/control_record.hpp>

namespace ottla::inline OTTLA_ABI {
namespace record_impl {

inline absl::Status bad_control(std::string_view what) {
  return error(ErrorCode::invalid_record, Fault::corrupt,
               absl::StrCat("malformed control record: ", av(what)));
}

inline Uuid read_uuid(ByteReader& reader) {
  Uuid id;
  const Bytes bytes = reader.bytes(id.bytes.size());
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id;
}

inline void read_voters(ByteReader& reader, bool with_directory,
                        std::vector<LeaderChange::Voter>& voters) {
  const std::size_t least_size = with_directory ? 21 : 5;
  const std::size_t count = reader.compact_array_count(least_size);
  voters.reserve(count);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    LeaderChange::Voter& voter = voters.emplace_back();
    voter.id = reader.integer<std::int32_t>();
    if (with_directory) {
      voter.directory = read_uuid(reader);
    }
    reader.skip_tagged_fields();
  }
}

inline void write_voters(ByteWriter& writer, bool with_directory,
                         const std::vector<LeaderChange::Voter>& voters) {
  writer.compact_array_count(voters.size());
  for (const LeaderChange::Voter& voter : voters) {
    writer.integer(voter.id);
    if (with_directory) {
      writer.bytes(voter.directory.bytes);
    }
    writer.no_tagged_fields();
  }
}

inline KRaftVoters::Voter read_voter(ByteReader& reader) {
  constexpr std::size_t least_endpoint = 5;
  KRaftVoters::Voter voter;
  voter.id = reader.integer<std::int32_t>();
  voter.directory = read_uuid(reader);
  const std::size_t endpoints = reader.compact_array_count(least_endpoint);
  voter.endpoints.reserve(endpoints);
  for (std::size_t i = 0; i < endpoints && reader.ok(); ++i) {
    KRaftVoters::Endpoint& endpoint = voter.endpoints.emplace_back();
    endpoint.name = reader.compact_string();
    endpoint.host = reader.compact_string();
    endpoint.port = reader.integer<std::uint16_t>();
    reader.skip_tagged_fields();
  }
  voter.min_kraft_version = reader.integer<std::int16_t>();
  voter.max_kraft_version = reader.integer<std::int16_t>();
  reader.skip_tagged_fields();
  reader.skip_tagged_fields();
  return voter;
}

template <class Record>
absl::StatusOr<Record> checked(ByteReader& reader, Record record, std::string_view what) {
  reader.skip_tagged_fields();
  if (!reader.ok()) {
    return bad_control(what);
  }
  return record;
}

}  // namespace record_impl

OTTLA_INLINE std::string_view name(ControlType type) {
  constexpr std::string_view names[] = {"ABORT",           "COMMIT",          "LEADER_CHANGE",
                                        "SNAPSHOT_HEADER", "SNAPSHOT_FOOTER", "KRAFT_VERSION",
                                        "KRAFT_VOTERS"};
  const auto number = static_cast<std::int16_t>(type);
  return number >= 0 && number <= 6 ? names[number] : std::string_view("UNKNOWN");
}

OTTLA_INLINE absl::StatusOr<ControlType> parse_control_type(std::optional<Bytes> key) {
  ByteReader reader(key.value_or(Bytes()));
  const auto version = reader.integer<std::int16_t>();
  const auto type = reader.integer<std::int16_t>();
  if (!reader.ok()) {
    return record_impl::bad_control("its key has less than 4 bytes");
  }
  if (version < 0) {
    return record_impl::bad_control("its key has a negative version");
  }
  return type >= 0 && type <= 6 ? static_cast<ControlType>(type) : ControlType::unknown;
}

OTTLA_INLINE std::array<std::byte, 4> control_key(ControlType type) {
  std::array<std::byte, 4> key{};
  store_big_endian(key.data() + 2, static_cast<std::int16_t>(type));
  return key;
}

OTTLA_INLINE absl::StatusOr<EndTransactionMarker> parse_marker(const RecordView& record) {
  OTTLA_ASSIGN(const ControlType type, parse_control_type(record.key()));
  if (type != ControlType::abort && type != ControlType::commit) {
    return record_impl::bad_control("it is no transaction marker");
  }
  ByteReader reader(record.value().value_or(Bytes()));
  const auto version = reader.integer<std::int16_t>();
  const auto epoch = reader.integer<std::int32_t>();
  if (!reader.ok()) {
    return record_impl::bad_control("a marker's value has less than 6 bytes");
  }
  if (version < 0) {
    return record_impl::bad_control("a marker's value has a negative version");
  }
  return EndTransactionMarker{type, epoch};
}

OTTLA_INLINE absl::StatusOr<SealedBatch> marker_batch(const MarkerFields& fields,
                                                      const EndTransactionMarker& marker) {
  if (marker.type != ControlType::abort && marker.type != ControlType::commit) {
    return error(ErrorCode::invalid_record, "a transaction ends by ABORT or COMMIT");
  }
  constexpr std::size_t marker_size = 78;
  const auto key = control_key(marker.type);
  std::array<std::byte, 6> value{};
  store_big_endian(value.data() + 2, marker.coordinator_epoch);
  BatchBuilder builder({.base_offset = fields.base_offset,
                        .leader_epoch = fields.leader_epoch,
                        .is_transactional = true,
                        .is_control = true,
                        .producer_id = fields.producer_id,
                        .producer_epoch = fields.producer_epoch},
                       Buffer::allocate(marker_size + max_varint_size));
  OTTLA_TRY(
      builder.append({.timestamp = fields.timestamp, .key = Bytes(key), .value = Bytes(value)}));
  return builder.seal();
}

OTTLA_INLINE absl::StatusOr<LeaderChange> parse_leader_change(Bytes value) {
  ByteReader reader(value);
  LeaderChange record;
  record.version = reader.integer<std::int16_t>();
  record.leader = reader.integer<std::int32_t>();
  record_impl::read_voters(reader, record.version >= 1, record.voters);
  record_impl::read_voters(reader, record.version >= 1, record.granting_voters);
  return record_impl::checked(reader, std::move(record), "leader change");
}

OTTLA_INLINE absl::StatusOr<SnapshotHeader> parse_snapshot_header(Bytes value) {
  ByteReader reader(value);
  SnapshotHeader record;
  record.version = reader.integer<std::int16_t>();
  record.last_contained_log_timestamp = Timestamp(reader.integer<std::int64_t>());
  return record_impl::checked(reader, record, "snapshot header");
}

OTTLA_INLINE absl::StatusOr<SnapshotFooter> parse_snapshot_footer(Bytes value) {
  ByteReader reader(value);
  SnapshotFooter record;
  record.version = reader.integer<std::int16_t>();
  return record_impl::checked(reader, record, "snapshot footer");
}

OTTLA_INLINE absl::StatusOr<KRaftVersion> parse_kraft_version(Bytes value) {
  ByteReader reader(value);
  KRaftVersion record;
  record.version = reader.integer<std::int16_t>();
  record.kraft_version = reader.integer<std::int16_t>();
  return record_impl::checked(reader, record, "kraft version");
}

OTTLA_INLINE absl::StatusOr<KRaftVoters> parse_kraft_voters(Bytes value) {
  constexpr std::size_t least_voter = 27;
  ByteReader reader(value);
  KRaftVoters record;
  record.version = reader.integer<std::int16_t>();
  const std::size_t count = reader.compact_array_count(least_voter);
  record.voters.reserve(count);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    record.voters.push_back(record_impl::read_voter(reader));
  }
  return record_impl::checked(reader, std::move(record), "kraft voters");
}

OTTLA_INLINE std::vector<std::byte> encode(const LeaderChange& record) {
  std::vector<std::byte> out;
  out.reserve(64);
  ByteWriter writer(out);
  writer.integer(record.version);
  writer.integer(record.leader);
  record_impl::write_voters(writer, record.version >= 1, record.voters);
  record_impl::write_voters(writer, record.version >= 1, record.granting_voters);
  writer.no_tagged_fields();
  return out;
}

OTTLA_INLINE std::vector<std::byte> encode(const SnapshotHeader& record) {
  std::vector<std::byte> out;
  out.reserve(64);
  ByteWriter writer(out);
  writer.integer(record.version);
  writer.integer(record.last_contained_log_timestamp.value());
  writer.no_tagged_fields();
  return out;
}

OTTLA_INLINE std::vector<std::byte> encode(const SnapshotFooter& record) {
  std::vector<std::byte> out;
  out.reserve(64);
  ByteWriter writer(out);
  writer.integer(record.version);
  writer.no_tagged_fields();
  return out;
}

OTTLA_INLINE std::vector<std::byte> encode(const KRaftVersion& record) {
  std::vector<std::byte> out;
  out.reserve(64);
  ByteWriter writer(out);
  writer.integer(record.version);
  writer.integer(record.kraft_version);
  writer.no_tagged_fields();
  return out;
}

OTTLA_INLINE std::vector<std::byte> encode(const KRaftVoters& record) {
  std::vector<std::byte> out;
  out.reserve(64);
  ByteWriter writer(out);
  writer.integer(record.version);
  writer.compact_array_count(record.voters.size());
  for (const KRaftVoters::Voter& voter : record.voters) {
    writer.integer(voter.id);
    writer.bytes(voter.directory.bytes);
    writer.compact_array_count(voter.endpoints.size());
    for (const KRaftVoters::Endpoint& endpoint : voter.endpoints) {
      writer.compact_string(endpoint.name);
      writer.compact_string(endpoint.host);
      writer.integer(endpoint.port);
      writer.no_tagged_fields();
    }
    writer.integer(voter.min_kraft_version);
    writer.integer(voter.max_kraft_version);
    writer.no_tagged_fields();
    writer.no_tagged_fields();
  }
  writer.no_tagged_fields();
  return out;
}

OTTLA_INLINE absl::StatusOr<SealedBatch> quorum_batch(Offset base_offset, LeaderEpoch leader_epoch,
                                                      Timestamp timestamp, ControlType type,
                                                      Bytes value) {
  const auto key = control_key(type);
  BatchBuilder builder(
      {.base_offset = base_offset, .leader_epoch = leader_epoch, .is_control = true});
  OTTLA_TRY(builder.append({.timestamp = timestamp, .key = Bytes(key), .value = value}));
  return builder.seal();
}

}  // namespace ottla::inline OTTLA_ABI
