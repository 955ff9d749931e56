// SPDX-License-Identifier: Apache-2.0
//
// Everything about groups: to the coordinator of the group.
#pragma once

#include <algorithm>
#include <map>
#include <utility>

#include <ottla/group/group_coordinator.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI::handlers {

/// A request that changes something, to the coordinator of `group`.
template <class Core, class Request, class Response>
void ask_coordinator(Core& core, std::string_view group, Request request, Reply<Response> reply) {
  auto keeper = core.coordinator(group);
  if (!keeper.ok()) {
    reply(std::move(keeper).status());
    return;
  }
  (*keeper)->submit(
      [&](RequestId id) {
        return GroupCoordinator::Event(
            GroupCoordinator::Asked{id, std::move(request), core.fresh_uuid()});
      },
      [reply = std::move(reply)](absl::StatusOr<GroupResponse> answer) mutable {
        if (answer.ok()) {
          reply(std::get<Response>(*std::move(answer)));
        } else {
          reply(std::move(answer).status());
        }
      });
}

template <class Core>
void handle(Core& core, OffsetFetchRequest request, Reply<OffsetFetchResponse> reply) {
  auto keeper = core.coordinator(request.group);
  if (!keeper.ok()) {
    reply(std::move(keeper).status());
    return;
  }
  reply((*keeper)->query([&](const GroupCoordinator& groups) { return groups.answer(request); }));
}

template <class Core>
void handle(Core& core, const ListGroupsRequest& request, Reply<ListGroupsResponse> reply) {
  ListGroupsResponse all;
  auto keepers = core.all_coordinators();
  if (!keepers.ok()) {
    reply(std::move(keepers).status());
    return;
  }
  for (const auto& keeper : *keepers) {
    auto some =
        keeper->query([&](const GroupCoordinator& groups) { return groups.answer(request); });
    for (ListGroupsResponse::Group& group : some.groups) {
      all.groups.push_back(std::move(group));
    }
  }
  std::sort(all.groups.begin(), all.groups.end(),
            [](const auto& a, const auto& b) { return a.group < b.group; });
  reply(std::move(all));
}

template <class Core>
void handle(Core& core, const DescribeGroupsRequest& request, Reply<DescribeGroupsResponse> reply) {
  DescribeGroupsResponse all;
  for (const std::string& group : request.groups) {
    auto keeper = core.coordinator(group);
    if (!keeper.ok()) {
      reply(std::move(keeper).status());
      return;
    }
    auto one = (*keeper)->query([&](const GroupCoordinator& groups) {
      return groups.answer(DescribeGroupsRequest{.groups = {group}});
    });
    for (DescribeGroupsResponse::Group& described : one.groups) {
      all.groups.push_back(std::move(described));
    }
  }
  reply(std::move(all));
}

}  // namespace ottla::inline OTTLA_ABI::handlers
