// SPDX-License-Identifier: Apache-2.0
//
// Topics, the beginnings of partitions, groups and their offsets. Names and errors are those of
// Kafka's Admin (spec api.md section 4).
//   auto admin = ottla::Admin::open(*broker);
//   auto begins = admin->delete_records({"orders", PartitionId(0)}, Offset(1'000));
//   for (const auto& at : *admin->list_group_offsets("billing")) print(at.partition, at.lag());
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/protocol/connection.hpp>
#include <ottla/protocol/delete_records.hpp>
#include <ottla/protocol/host.hpp>

namespace ottla::inline OTTLA_ABI {

struct AdminConfig {
  std::chrono::milliseconds timeout{60'000};  ///< default.api.timeout.ms: of each call
};

struct TopicDefinition {
  std::string name = {};
  std::int32_t partitions = -1;                                   ///< -1: the broker's default
  std::vector<std::pair<std::string, std::string>> configs = {};  ///< by Kafka's keys
  bool if_not_exists = false;  ///< an existing topic is fine, whatever it is like
};

struct GroupDescription {
  struct Member {
    std::string member_id = {};
    std::optional<std::string> instance_id = {};
    std::string client_id = {};
    std::string client_host = {};
    std::vector<TopicPartition> assignment = {};  ///< empty where it is not a consumer's
  };
  std::string group = {};
  std::string state = {};          ///< Kafka's name: "Stable", "Empty", ...
  std::string protocol_type = {};  ///< "consumer" of consumers
  std::string protocol = {};       ///< the assignor's name
  std::vector<Member> members = {};
};

/// How far a group has read a partition.
struct GroupOffset {
  TopicPartition partition = {};
  Offset offset = {};         ///< the next record to read
  std::string metadata = {};  ///< what was committed with it
  Offset begin{0};            ///< of the partition now: what lies below was deleted
  Offset end{-1};             ///< likewise; -1: not known, it may be gone
  /// Offsets that are still there and not read yet; nothing where the end is not known.
  std::optional<std::int64_t> lag() const {
    return end < Offset(0)
               ? std::nullopt
               : std::optional(std::max<std::int64_t>(0, end - std::max(offset, begin)));
  }
};

/// A handle, cheap to copy and thread-safe. It may outlive its broker, and is answered `closed`
/// from then on. `timed_out` (outcome unknown) where no answer came within `timeout`; what a broker
/// in this process does in the caller's thread, its disk, may take longer.
class Admin {
 public:
  template <Host H>
  static absl::StatusOr<Admin> open(const H& host, AdminConfig config = {}) {
    return guarded([&] { return open_on(host.connect(), config); });
  }

  // ── topics ────────────────────────────────────────────────────────────────────────────────────

  /// TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_PARTITIONS, INVALID_CONFIG. Where the
  /// disk fails: why, `not_written` where nothing is changed; KAFKA_STORAGE_ERROR, of an unknown
  /// outcome, where it is, and the topic's files could not be made.
  absl::Status create_topic(TopicDefinition topic) const;
  /// It is gone for clients when this answers; its files go by and by.
  absl::Status delete_topic(std::string_view name) const;
  /// `partitions`: the new total, or the present one where some could not be opened, to have that
  /// tried again.
  absl::Status add_partitions(std::string_view name, std::int32_t partitions) const;
  /// Ascending.
  absl::StatusOr<std::vector<std::string>> list_topics() const;
  absl::StatusOr<MetadataResponse::Topic> describe_topic(std::string_view name) const;
  /// The partition begins at `before` from now on (or at the high watermark:
  /// before_high_watermark); answers where it begins. Never back. What lies below cannot be read
  /// any more when this answers; its files go once whole segments lie there. A group that committed
  /// below goes on by its `auto.offset.reset`. OFFSET_OUT_OF_RANGE above the high watermark;
  /// POLICY_VIOLATION where the topic's cleanup.policy has no "delete".
  absl::StatusOr<Offset> delete_records(const TopicPartition& partition, Offset before) const;

  // ── groups ────────────────────────────────────────────────────────────────────────────────────

  /// Ascending.
  absl::StatusOr<std::vector<ListGroupsResponse::Group>> list_groups() const;
  /// GROUP_ID_NOT_FOUND.
  absl::StatusOr<GroupDescription> describe_group(std::string_view group) const;
  /// With its offsets. GROUP_ID_NOT_FOUND; NON_EMPTY_GROUP while it has members.
  absl::Status delete_group(std::string_view group) const;
  /// Of each partition with a commit, ascending; none for a group that is not there.
  absl::StatusOr<std::vector<GroupOffset>> list_group_offsets(std::string_view group) const;
  /// Where the group goes on, whether records are there or not; makes the group where it is not
  /// there. UNKNOWN_MEMBER_ID while it has members; UNKNOWN_TOPIC_OR_PARTITION (then the others of
  /// `offsets` were taken); INVALID_REQUEST below 0 (then none).
  absl::Status alter_group_offsets(std::string_view group,
                                   const std::map<TopicPartition, Offset>& offsets) const;
  /// GROUP_ID_NOT_FOUND; GROUP_SUBSCRIBED_TO_TOPIC while a member reads the topic.
  absl::Status delete_group_offsets(std::string_view group,
                                    std::vector<TopicPartition> partitions) const;

 private:
  Admin(Ref<Connection> connection, AdminConfig config)
      : connection_(std::move(connection)), config_(config) {}
  static absl::StatusOr<Admin> open_on(Ref<Connection> connection, AdminConfig config);
  template <class Response, class Request>
  absl::StatusOr<Response> ask(Request request) const;

  Ref<Connection> connection_;
  AdminConfig config_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/admin/impl/admin.ipp>
#endif
