// SPDX-License-Identifier: Apache-2.0
//
// ListOffsets: each partition answers for itself.
#pragma once

#include <utility>

#include <ottla/base/guard.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI::handlers {

template <class Core>
void handle(Core& core, const ListOffsetsRequest& request, Reply<ListOffsetsResponse> reply) {
  reply(guarded([&]() -> absl::StatusOr<ListOffsetsResponse> {
    ListOffsetsResponse response;
    for (const ListOffsetsRequest::Partition& wanted : request.partitions) {
      const auto topic = core.topics().find(wanted.partition.topic);
      const auto index = static_cast<std::size_t>(wanted.partition.partition.value());
      if (!topic || wanted.partition.partition.value() < 0 || index >= topic->partitions.size()) {
        response.partitions.push_back(
            {.partition = wanted.partition, .error = ErrorCode::unknown_topic_or_partition});
      } else if (!topic->partitions[index]) {
        response.partitions.push_back(
            {.partition = wanted.partition, .error = ErrorCode::kafka_storage_error});
      } else {
        response.partitions.push_back(
            topic->partitions[index]->list_offsets(wanted, request.isolation));
      }
    }
    return response;
  }));
}

}  // namespace ottla::inline OTTLA_ABI::handlers
