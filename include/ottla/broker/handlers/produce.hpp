// SPDX-License-Identifier: Apache-2.0
//
// Produce: to the partition, whose thread of work it is.
#pragma once

#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/handlers/not_open.hpp>
#include <ottla/broker/produce_rules.hpp>
#include <ottla/metadata/metadata_machine.hpp>
#include <ottla/protocol/produce.hpp>

namespace ottla::inline OTTLA_ABI::handlers {

template <class Core>
void handle(Core& core, ProduceRequest request) {
  absl::Status refused = core.usable();
  if (refused.ok()) {
    const auto partition = core.topics().find(request.topic_id, request.partition);
    if (partition && !is_internal_topic(partition->partition().topic)) {
      partition->produce(std::move(request), BatchOrigin::here);
      return;
    }
    refused = guarded([&] {
      return partition ? error(ErrorCode::invalid_topic_exception,
                               absl::StrCat(partition->partition().topic,
                                            " is the broker's own; commit offsets instead"))
                       : not_open(core, request.topic_id, request.partition);
    });
  }
  if (request.reply) {
    request.reply->done(std::move(refused), std::move(request.batch));
  }
}

}  // namespace ottla::inline OTTLA_ABI::handlers
