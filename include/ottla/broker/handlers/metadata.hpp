// SPDX-License-Identifier: Apache-2.0
//
// Metadata: what is open, by name.
#pragma once

#include <utility>

#include <ottla/base/guard.hpp>
#include <ottla/metadata/metadata_machine.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI::handlers {

template <class Core>
MetadataResponse::Topic describe(Core& core, const typename Core::Topic& topic) {
  MetadataResponse::Topic answer{.name = topic.name,
                                 .id = topic.id,
                                 .internal = is_internal_topic(topic.name),
                                 .partitions = {}};
  const BrokerId self(core.config().node_id);
  for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
    const auto& partition = topic.partitions[i];
    answer.partitions.push_back(
        {.partition = PartitionId(static_cast<std::int32_t>(i)),
         .error = partition ? ErrorCode::none : ErrorCode::kafka_storage_error,
         .leader = self,
         .leader_epoch = partition ? partition->epoch() : no_leader_epoch,
         .replicas = {self},
         .in_sync_replicas = {self}});
  }
  return answer;
}

template <class Core>
void handle(Core& core, const MetadataRequest& request, Reply<MetadataResponse> reply) {
  reply(guarded([&]() -> absl::StatusOr<MetadataResponse> {
    MetadataResponse response{.cluster_id = core.cluster_id(),
                              .controller = BrokerId(core.config().node_id),
                              .topics = {}};
    if (!request.topics) {
      for (const auto& topic : core.topics().all()) {
        response.topics.push_back(describe(core, *topic));
      }
      return response;
    }
    for (const std::string& name : *request.topics) {
      if (const auto topic = core.topics().find(name)) {
        response.topics.push_back(describe(core, *topic));
      } else {
        response.topics.push_back({.name = name,
                                   .id = {},
                                   .error = check_topic_name(name).ok()
                                                ? ErrorCode::unknown_topic_or_partition
                                                : ErrorCode::invalid_topic_exception,
                                   .partitions = {}});
      }
    }
    return response;
  }));
}

}  // namespace ottla::inline OTTLA_ABI::handlers
