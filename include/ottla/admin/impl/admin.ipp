// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/admin/admin.hpp>
#include <ottla/base/status.hpp>
#include <ottla/group/consumer_protocol.hpp>

namespace ottla::inline OTTLA_ABI {
namespace admin_impl {

/// Kafka's answers have no outcome: one that tells of the disk leaves open what became of it.
template <class Item>
absl::Status status_of(const Item& item) {
  if (item.error == ErrorCode::none) {
    return absl::OkStatus();
  }
  const bool of_disk =
      item.error == ErrorCode::kafka_storage_error || item.error == ErrorCode::unknown_server_error;
  return error(item.error, item.message, of_disk ? Outcome::unknown : Outcome::not_written);
}

/// The one item that was asked for.
template <class Item>
absl::StatusOr<Item> only(std::vector<Item> items) {
  if (items.size() != 1) {
    return error(Fault::internal,
                 absl::StrCat("the answer has ", items.size(), " items, one was asked for"));
  }
  return std::move(items[0]);
}

inline std::string_view remedy(ErrorCode code) {
  switch (code) {
    case ErrorCode::group_id_not_found:
      return "there is no such group";
    case ErrorCode::non_empty_group:
    case ErrorCode::unknown_member_id:
      return "it has members; close its consumers first";
    case ErrorCode::group_subscribed_to_topic:
      return "a member reads the topic; close its consumers first";
    case ErrorCode::invalid_group_id:
      return "no group has an empty name";
    case ErrorCode::unknown_topic_or_partition:
      return "there is no such partition";
    case ErrorCode::policy_violation:
      return "the broker has as many groups as it takes; delete some";
    case ErrorCode::invalid_request:
      return "the name of the group or of a topic is too long";
    default:
      return retriable(code) ? "try again" : "it was refused";
  }
}

inline absl::Status refused(ErrorCode code, std::string_view group) {
  return code == ErrorCode::none
             ? absl::OkStatus()
             : error(code, absl::StrCat("group '", av(group), "': ", av(remedy(code)), " (",
                                        av(name(code)), ")"));
}

/// The first that was refused.
template <class Partitions>
absl::Status first_refused(const Partitions& partitions, std::string_view group) {
  for (const auto& each : partitions) {
    if (each.error != ErrorCode::none) {
      return annotate(refused(each.error, group), each.partition.to_string());
    }
  }
  return absl::OkStatus();
}

/// A consumer's; what others tell each other is their own.
inline std::vector<TopicPartition> assignment_of(const std::vector<std::byte>& bytes) {
  std::vector<TopicPartition> all;
  if (const auto assigned = decode_consumer_assignment(bytes); assigned.ok()) {
    for (const PartitionsOfTopic& each : assigned->partitions) {
      for (const PartitionId partition : each.partitions) {
        all.push_back({each.topic, partition});
      }
    }
  }
  return all;
}

}  // namespace admin_impl

OTTLA_INLINE absl::StatusOr<Admin> Admin::open_on(Ref<Connection> connection, AdminConfig config) {
  OTTLA_TRY(usable_host(connection));
  if (config.timeout.count() < 0) {
    return error(
        ErrorCode::invalid_config, Fault::invalid_argument,
        absl::StrCat("default.api.timeout.ms=", config.timeout.count(), " must be at least 0"));
  }
  return Admin(std::move(connection), config);
}

template <class Response, class Request>
absl::StatusOr<Response> Admin::ask(Request request) const {
  if (!connection_) {
    return error(Fault::moved_from, "this admin was moved from; use the one it went to");
  }
  return ottla::ask<Response>(*connection_, std::move(request),
                              after(connection_->world().steady_now(), config_.timeout));
}

// ── topics ──────────────────────────────────────────────────────────────────────────────────────

OTTLA_INLINE absl::Status Admin::create_topic(TopicDefinition topic) const {
  return guarded([&]() -> absl::Status {
    CreateTopicsRequest request;
    request.topics.push_back({.name = std::move(topic.name),
                              .partitions = topic.partitions,
                              .configs = std::move(topic.configs)});
    OTTLA_ASSIGN(auto response, ask<CreateTopicsResponse>(std::move(request)));
    OTTLA_ASSIGN(const auto made, admin_impl::only(std::move(response.topics)));
    const bool fine = topic.if_not_exists && made.error == ErrorCode::topic_already_exists;
    return fine ? absl::OkStatus() : admin_impl::status_of(made);
  });
}

OTTLA_INLINE absl::Status Admin::delete_topic(std::string_view name) const {
  return guarded([&]() -> absl::Status {
    OTTLA_TRY(check_topic_name(name));
    DeleteTopicsRequest request;
    request.topics.push_back({.name = std::string(name), .id = {}});
    OTTLA_ASSIGN(auto response, ask<DeleteTopicsResponse>(std::move(request)));
    OTTLA_ASSIGN(const auto done, admin_impl::only(std::move(response.topics)));
    return admin_impl::status_of(done);
  });
}

OTTLA_INLINE absl::Status Admin::add_partitions(std::string_view name,
                                                std::int32_t partitions) const {
  return guarded([&]() -> absl::Status {
    OTTLA_TRY(check_topic_name(name));
    CreatePartitionsRequest request;
    request.topics.push_back({std::string(name), partitions});
    OTTLA_ASSIGN(auto response, ask<CreatePartitionsResponse>(std::move(request)));
    OTTLA_ASSIGN(const auto done, admin_impl::only(std::move(response.topics)));
    return admin_impl::status_of(done);
  });
}

OTTLA_INLINE absl::StatusOr<std::vector<std::string>> Admin::list_topics() const {
  return guarded([&]() -> absl::StatusOr<std::vector<std::string>> {
    OTTLA_ASSIGN(const auto response, ask<MetadataResponse>(MetadataRequest{}));
    std::vector<std::string> names;
    for (const MetadataResponse::Topic& topic : response.topics) {
      names.push_back(topic.name);
    }
    return names;
  });
}

OTTLA_INLINE absl::StatusOr<MetadataResponse::Topic> Admin::describe_topic(
    std::string_view name) const {
  return guarded([&]() -> absl::StatusOr<MetadataResponse::Topic> {
    OTTLA_TRY(check_topic_name(name));
    OTTLA_ASSIGN(auto response, ask<MetadataResponse>(MetadataRequest{
                                    .topics = std::vector<std::string>{std::string(name)}}));
    OTTLA_ASSIGN(auto topic, admin_impl::only(std::move(response.topics)));
    if (topic.error == ErrorCode::unknown_topic_or_partition) {
      return error(topic.error, Fault::not_found,
                   absl::StrCat("topic '", av(name), "' does not exist; create it first"));
    }
    if (topic.error != ErrorCode::none) {
      return error(topic.error, absl::StrCat("topic '", av(name), "' cannot be described now: ",
                                             av(ottla::name(topic.error)), "; try again"));
    }
    return topic;
  });
}

OTTLA_INLINE absl::StatusOr<Offset> Admin::delete_records(const TopicPartition& partition,
                                                          Offset before) const {
  return guarded([&]() -> absl::StatusOr<Offset> {
    OTTLA_TRY(check_topic_name(partition.topic));
    OTTLA_ASSIGN(auto response,
                 ask<DeleteRecordsResponse>(DeleteRecordsRequest{{{partition, before}}}));
    OTTLA_ASSIGN(const auto done, admin_impl::only(std::move(response.partitions)));
    OTTLA_TRY(admin_impl::status_of(done));
    return done.low_watermark;
  });
}

// ── groups ──────────────────────────────────────────────────────────────────────────────────────

OTTLA_INLINE absl::StatusOr<std::vector<ListGroupsResponse::Group>> Admin::list_groups() const {
  return guarded([&]() -> absl::StatusOr<std::vector<ListGroupsResponse::Group>> {
    OTTLA_ASSIGN(auto response, ask<ListGroupsResponse>(ListGroupsRequest{}));
    if (response.error != ErrorCode::none) {
      return error(response.error,
                   absl::StrCat("groups cannot be listed now: ", av(name(response.error))));
    }
    return std::move(response.groups);
  });
}

OTTLA_INLINE absl::StatusOr<GroupDescription> Admin::describe_group(std::string_view group) const {
  return guarded([&]() -> absl::StatusOr<GroupDescription> {
    OTTLA_ASSIGN(auto response, ask<DescribeGroupsResponse>(
                                    DescribeGroupsRequest{.groups = {std::string(group)}}));
    OTTLA_ASSIGN(auto found, admin_impl::only(std::move(response.groups)));
    OTTLA_TRY(admin_impl::refused(found.error, group));
    GroupDescription described{.group = std::move(found.group),
                               .state = std::move(found.state),
                               .protocol_type = std::move(found.protocol_type),
                               .protocol = std::move(found.protocol)};
    for (DescribeGroupsResponse::Member& member : found.members) {
      described.members.push_back({.member_id = std::move(member.member_id),
                                   .instance_id = std::move(member.instance_id),
                                   .client_id = std::move(member.client_id),
                                   .client_host = std::move(member.client_host)});
      if (described.protocol_type == consumer_protocol_type) {
        described.members.back().assignment = admin_impl::assignment_of(member.assignment);
      }
    }
    return described;
  });
}

OTTLA_INLINE absl::Status Admin::delete_group(std::string_view group) const {
  return guarded([&]() -> absl::Status {
    OTTLA_ASSIGN(auto response,
                 ask<DeleteGroupsResponse>(DeleteGroupsRequest{.groups = {std::string(group)}}));
    OTTLA_ASSIGN(const auto done, admin_impl::only(std::move(response.groups)));
    return admin_impl::refused(done.error, group);
  });
}

OTTLA_INLINE absl::StatusOr<std::vector<GroupOffset>> Admin::list_group_offsets(
    std::string_view group) const {
  return guarded([&]() -> absl::StatusOr<std::vector<GroupOffset>> {
    OTTLA_ASSIGN(auto fetched,
                 ask<OffsetFetchResponse>(OffsetFetchRequest{.group = std::string(group)}));
    OTTLA_TRY(admin_impl::refused(fetched.error, group));
    std::vector<GroupOffset> all;
    ListOffsetsRequest bounds;  // two of each
    for (OffsetFetchResponse::Partition& each : fetched.partitions) {
      OTTLA_TRY(admin_impl::refused(each.error, group));
      if (each.offset >= Offset(0)) {
        bounds.partitions.push_back({.partition = each.partition, .timestamp = at_earliest});
        bounds.partitions.push_back({.partition = each.partition, .timestamp = at_latest});
        all.push_back({.partition = std::move(each.partition),
                       .offset = each.offset,
                       .metadata = std::move(each.metadata)});
      }
    }
    OTTLA_ASSIGN(const auto found, ask<ListOffsetsResponse>(std::move(bounds)));
    for (std::size_t i = 0; i < std::min(all.size(), found.partitions.size() / 2); ++i) {
      const ListOffsetsResponse::Partition& begin = found.partitions[2 * i];
      const ListOffsetsResponse::Partition& end = found.partitions[2 * i + 1];
      if (begin.error == ErrorCode::none && end.error == ErrorCode::none) {
        all[i].begin = begin.offset;
        all[i].end = end.offset;
      }
    }
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return a.partition < b.partition; });
    return all;
  });
}

OTTLA_INLINE absl::Status Admin::alter_group_offsets(
    std::string_view group, const std::map<TopicPartition, Offset>& offsets) const {
  return guarded([&]() -> absl::Status {
    OffsetCommitRequest request{.group = std::string(group)};
    for (const auto& [partition, offset] : offsets) {
      if (offset < Offset(0)) {
        return error(ErrorCode::invalid_request, Fault::invalid_argument,
                     absl::StrCat(partition.to_string(), ": a group cannot go on at offset ",
                                  offset.value(), "; offsets begin at 0"));
      }
      request.partitions.push_back({.partition = partition, .offset = offset});
    }
    OTTLA_ASSIGN(const auto response, ask<OffsetCommitResponse>(std::move(request)));
    return admin_impl::first_refused(response.partitions, group);
  });
}

OTTLA_INLINE absl::Status Admin::delete_group_offsets(
    std::string_view group, std::vector<TopicPartition> partitions) const {
  return guarded([&]() -> absl::Status {
    OTTLA_ASSIGN(const auto response,
                 ask<OffsetDeleteResponse>(OffsetDeleteRequest{
                     .group = std::string(group), .partitions = std::move(partitions)}));
    OTTLA_TRY(admin_impl::refused(response.error, group));
    return admin_impl::first_refused(response.partitions, group);
  });
}

}  // namespace ottla::inline OTTLA_ABI
