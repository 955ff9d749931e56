// SPDX-License-Identifier: Apache-2.0
//
// DeleteRecords: each partition answers for itself.
#pragma once

#include <string>
#include <utility>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI::handlers {

template <class Core>
void handle(Core& core, const DeleteRecordsRequest& request, Reply<DeleteRecordsResponse> reply) {
  reply(guarded([&]() -> absl::StatusOr<DeleteRecordsResponse> {
    DeleteRecordsResponse response;
    for (const DeleteRecordsRequest::Partition& asked : request.partitions) {
      auto& answer = response.partitions.emplace_back();
      answer.partition = asked.partition;
      const auto begins = core.delete_records(asked.partition, asked.before);
      if (begins.ok()) {
        answer.low_watermark = *begins;
      } else {
        answer.error = error_code(begins.status());
        answer.message = std::string(sv(begins.status().message()));
      }
    }
    return response;
  }));
}

}  // namespace ottla::inline OTTLA_ABI::handlers
