// SPDX-License-Identifier: Apache-2.0
//
// Records that steer the log instead of carrying data: transaction markers, and the quorum's own
// records in the metadata log. Key: INT16 version 0, INT16 type. They occupy an offset, and
// consumers never see them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>
#include <ottla/base/uuid.hpp>
#include <ottla/record/record_view.hpp>
#include <ottla/record/sealed_batch.hpp>

namespace ottla::inline OTTLA_ABI {

enum class ControlType : std::int16_t {
  unknown = -1,  ///< written by a later version; readers pass over it
  abort = 0,
  commit = 1,
  leader_change = 2,
  snapshot_header = 3,
  snapshot_footer = 4,
  kraft_version = 5,
  kraft_voters = 6,
};

/// "ABORT", "COMMIT", "LEADER_CHANGE", ...
std::string_view name(ControlType type);

/// From a control record's key: INVALID_RECORD when it is null, shorter than 4 bytes or of a
/// negative version. A higher version is read as version 0.
absl::StatusOr<ControlType> parse_control_type(std::optional<Bytes> key);
std::array<std::byte, 4> control_key(ControlType type);

// ── transactions ────────────────────────────────────────────────────────────────────────────────

struct EndTransactionMarker {
  ControlType type = ControlType::abort;  ///< abort or commit
  std::int32_t coordinator_epoch = 0;

  bool operator==(const EndTransactionMarker&) const = default;
};

/// INVALID_RECORD for another type, and for a value below 6 bytes or of a negative version. Longer
/// ones and higher versions are read as version 0.
absl::StatusOr<EndTransactionMarker> parse_marker(const RecordView& record);

/// What a marker's batch says besides: whose transaction ends, and where.
struct MarkerFields {
  Offset base_offset{0};
  LeaderEpoch leader_epoch = no_leader_epoch;
  Timestamp timestamp = no_timestamp;
  ProducerId producer_id = no_producer_id;
  ProducerEpoch producer_epoch = no_producer_epoch;
};

/// A batch of 78 bytes: transactional, control, one record, no sequence, never compressed.
/// INVALID_RECORD without a producer, or for a type that ends no transaction.
absl::StatusOr<SealedBatch> marker_batch(const MarkerFields& fields,
                                         const EndTransactionMarker& marker);

// ── the quorum's records: values in Kafka's flexible encoding ───────────────────────────────────

struct LeaderChange {
  struct Voter {
    std::int32_t id = 0;
    Uuid directory;  ///< version 1 and above; zero below

    bool operator==(const Voter&) const = default;
  };
  std::int16_t version = 0;
  std::int32_t leader = 0;
  std::vector<Voter> voters;
  std::vector<Voter> granting_voters;

  bool operator==(const LeaderChange&) const = default;
};

struct SnapshotHeader {
  std::int16_t version = 0;
  Timestamp last_contained_log_timestamp{0};

  bool operator==(const SnapshotHeader&) const = default;
};

struct SnapshotFooter {
  std::int16_t version = 0;

  bool operator==(const SnapshotFooter&) const = default;
};

struct KRaftVersion {
  std::int16_t version = 0;
  std::int16_t kraft_version = 0;

  bool operator==(const KRaftVersion&) const = default;
};

struct KRaftVoters {
  struct Endpoint {
    std::string name;
    std::string host;
    std::uint16_t port = 0;

    bool operator==(const Endpoint&) const = default;
  };
  struct Voter {
    std::int32_t id = 0;
    Uuid directory;
    std::vector<Endpoint> endpoints;
    std::int16_t min_kraft_version = 0;
    std::int16_t max_kraft_version = 0;

    bool operator==(const Voter&) const = default;
  };
  std::int16_t version = 0;
  std::vector<Voter> voters;

  bool operator==(const KRaftVoters&) const = default;
};

/// INVALID_RECORD for malformed values; fields that later versions append are passed over.
absl::StatusOr<LeaderChange> parse_leader_change(Bytes value);
absl::StatusOr<SnapshotHeader> parse_snapshot_header(Bytes value);
absl::StatusOr<SnapshotFooter> parse_snapshot_footer(Bytes value);
absl::StatusOr<KRaftVersion> parse_kraft_version(Bytes value);
absl::StatusOr<KRaftVoters> parse_kraft_voters(Bytes value);

std::vector<std::byte> encode(const LeaderChange& record);
std::vector<std::byte> encode(const SnapshotHeader& record);
std::vector<std::byte> encode(const SnapshotFooter& record);
std::vector<std::byte> encode(const KRaftVersion& record);
std::vector<std::byte> encode(const KRaftVoters& record);

/// A control batch of one record, as the quorum's leader writes it: not transactional, no producer.
absl::StatusOr<SealedBatch> quorum_batch(Offset base_offset, LeaderEpoch leader_epoch,
                                         Timestamp timestamp, ControlType type, Bytes value);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/record/impl/control_record.ipp>
#endif
