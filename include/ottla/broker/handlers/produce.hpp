// SPDX-License-Identifier: Apache-2.0
//
// Produce: to the partition, whose thread of work it is.
#pragma once

#include <utility>

#include <ottla/base/status.hpp>
#include <ottla/broker/produce_rules.hpp>
#include <ottla/protocol/produce.hpp>

namespace ottla::inline OTTLA_ABI::handlers {

template <class Core>
void handle(Core& core, ProduceRequest request) {
  absl::Status refused = core.usable();
  if (refused.ok()) {
    if (const auto partition = core.topics().find(request.topic_id, request.partition)) {
      partition->produce(std::move(request), BatchOrigin::here);
      return;
    }
    refused = error(ErrorCode::unknown_topic_id,
                    "the topic was deleted, or has fewer partitions; look it up again");
  }
  if (request.reply) {
    request.reply->done(std::move(refused), std::move(request.batch));
  }
}

}  // namespace ottla::inline OTTLA_ABI::handlers
