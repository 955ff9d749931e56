// SPDX-License-Identifier: Apache-2.0
//
// Why a partition takes no requests.
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/base/topic_partition.hpp>

namespace ottla::inline OTTLA_ABI::handlers {

/// UNKNOWN_TOPIC_ID, or KAFKA_STORAGE_ERROR where its topic is there and its directory could not be
/// opened. Before: it is not among the open ones.
template <class Core>
absl::Status not_open(Core& core, const TopicId& topic_id, PartitionId partition) {
  const auto topic = core.topics().find(topic_id);
  if (topic && partition.value() >= 0 &&
      static_cast<std::size_t>(partition.value()) < topic->partitions.size()) {
    return error(ErrorCode::kafka_storage_error, Fault::io,
                 absl::StrCat(topic->name, "-", partition.value(),
                              " could not be opened; the broker's events say why"));
  }
  return error(ErrorCode::unknown_topic_id,
               "the topic was deleted, or has fewer partitions; look it up again");
}

}  // namespace ottla::inline OTTLA_ABI::handlers
