// SPDX-License-Identifier: Apache-2.0
//
// Fetch: partition by partition in the request's order; the waiter stays where nothing came.
#pragma once

#include <algorithm>
#include <optional>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/base/wakeups.hpp>
#include <ottla/broker/handlers/not_open.hpp>
#include <ottla/protocol/fetch.hpp>

namespace ottla::inline OTTLA_ABI::handlers {

/// One pass; how many bytes. An error counts as something to tell.
template <class Core>
std::size_t fetch_once(Core& core, const FetchRequest& request, FetchResponse& into, bool& failed) {
  std::size_t bytes = 0;
  into.partitions.resize(request.partitions.size());
  for (std::size_t i = 0; i < request.partitions.size(); ++i) {
    const FetchPartition& wanted = request.partitions[i];
    FetchedPartition& answer = into.partitions[i];
    answer.topic_id = wanted.topic_id;
    answer.partition = wanted.partition;
    answer.status = absl::OkStatus();
    answer.slices.clear();
    const auto partition = core.topics().find(wanted.topic_id, wanted.partition);
    if (!partition) {
      answer.status = not_open(core, wanted.topic_id, wanted.partition);
      failed = true;
      continue;
    }
    const auto all = static_cast<std::size_t>(std::max(request.max_bytes, 0));
    bytes +=
        partition->fetch(wanted, all - std::min(all, bytes), bytes == 0, answer, request.isolation);
    failed = failed || !answer.status.ok();
  }
  return bytes;
}

template <class Core>
absl::Status fetch(Core& core, const FetchRequest& request, FetchResponse& into,
                   const Ref<Wakeable>& waiter) {
  for (;;) {
    OTTLA_TRY(core.usable());
    bool failed = false;
    const std::size_t bytes = fetch_once(core, request, into, failed);
    const auto least = static_cast<std::size_t>(std::max(request.min_bytes, 1));
    if (failed || bytes >= least || !waiter) {
      return absl::OkStatus();
    }
    // Of several partitions each may bring a part of what is missing.
    const std::int64_t more =
        request.partitions.size() == 1 ? static_cast<std::int64_t>(least - bytes) : 1;
    bool kept = true;
    for (std::size_t i = 0; kept && i < request.partitions.size(); ++i) {
      const FetchPartition& wanted = request.partitions[i];
      const auto partition = core.topics().find(wanted.topic_id, wanted.partition);
      const FetchedPartition& seen = into.partitions[i];
      const bool committed = request.isolation == IsolationLevel::read_committed;
      kept = partition && partition->add_waiter(
                              waiter, seen.high_watermark, more,
                              committed ? std::optional(seen.last_stable_offset) : std::nullopt);
    }
    if (kept || bytes > 0) {
      return absl::OkStatus();
    }
    // Something came between looking and waiting: look again.
  }
}

template <class Core>
absl::Status handle(Core& core, const FetchRequest& request, FetchResponse& into,
                    const Ref<Wakeable>& waiter) {
  return guarded([&] { return fetch(core, request, into, waiter); });
}

}  // namespace ottla::inline OTTLA_ABI::handlers
