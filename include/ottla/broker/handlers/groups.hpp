// SPDX-License-Identifier: Apache-2.0
//
// Everything about groups: to the coordinator of the group.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <ottla/broker/handlers/answering.hpp>
#include <ottla/group/group_coordinator.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI::handlers {

/// A request that changes something, to the coordinator of `group`, which it may hold itself.
template <class Core, class Request, class Response>
void ask_coordinator(Core& core, std::string_view group, Request& request, Reply<Response> reply) {
  answer_later(std::move(reply), [&](const Ref<PendingReply<Response>>& pending) -> absl::Status {
    OTTLA_ASSIGN(const auto keeper, core.coordinator(group));
    keeper->submit(
        [&](RequestId id) {
          return GroupCoordinator::Event(
              GroupCoordinator::Asked{id, std::move(request), core.fresh_uuid()});
        },
        [pending](absl::StatusOr<GroupResponse> answer) {
          if (answer.ok()) {
            pending->give(std::get<Response>(*std::move(answer)));
          } else {
            pending->give(std::move(answer).status());
          }
        });
    return absl::OkStatus();
  });
}

/// Offsets of partitions that are not there are refused, the others go to the coordinator.
template <class Core>
void handle(Core& core, OffsetCommitRequest request, Reply<OffsetCommitResponse> reply) {
  const auto is_there = [&](const OffsetCommitRequest::Partition& one) {
    const auto topic = core.topics().find(one.partition.topic);
    return topic && one.partition.partition >= PartitionId(0) &&
           static_cast<std::size_t>(one.partition.partition.value()) < topic->partitions.size();
  };
  auto& asked = request.partitions;
  const auto missing = std::stable_partition(asked.begin(), asked.end(), is_there);
  if (missing == asked.end()) {
    ask_coordinator(core, request.group, request, std::move(reply));
    return;
  }
  answer_later(std::move(reply), [&](const Ref<PendingReply<OffsetCommitResponse>>& pending) {
    OffsetCommitResponse refused;
    for (auto one = missing; one != asked.end(); ++one) {
      refused.partitions.push_back({one->partition, ErrorCode::unknown_topic_or_partition});
    }
    asked.erase(missing, asked.end());
    if (asked.empty()) {
      pending->give(std::move(refused));
      return absl::OkStatus();
    }
    Reply<OffsetCommitResponse> all = [pending, refused = std::move(refused)](
                                          absl::StatusOr<OffsetCommitResponse> taken) mutable {
      if (taken.ok()) {
        const absl::Status joined = guarded([&] {
          taken->partitions.insert(taken->partitions.end(), refused.partitions.begin(),
                                   refused.partitions.end());
        });
        if (!joined.ok()) {
          taken = joined;
        }
      }
      pending->give(std::move(taken));
    };
    ask_coordinator(core, request.group, request, std::move(all));
    return absl::OkStatus();
  });
}

/// One group at a time, each by its own coordinator.
template <class Core>
class GroupDeletion final : public Counted {
 public:
  GroupDeletion(Core& core, std::vector<std::string> groups,
                Ref<PendingReply<DeleteGroupsResponse>> pending)
      : core_(&core), groups_(std::move(groups)), pending_(std::move(pending)) {}

  void go_on() {
    const absl::Status asked = guarded([this] {
      if (all_.groups.size() == groups_.size()) {
        pending_->give(std::move(all_));
        return;
      }
      const std::string& group = groups_[all_.groups.size()];
      DeleteGroupsRequest request{.groups = {group}};
      ask_coordinator(*core_, group, request,
                      Reply<DeleteGroupsResponse>([self = Ref<GroupDeletion>(this)](
                                                      absl::StatusOr<DeleteGroupsResponse> answer) {
                        self->take(std::move(answer));
                      }));
    });
    if (!asked.ok()) {
      pending_->give(asked);
    }
  }

 private:
  void take(absl::StatusOr<DeleteGroupsResponse> answer) {
    absl::Status taken = answer.status();
    if (taken.ok()) {
      taken = guarded([&] { all_.groups.push_back(std::move(answer->groups.at(0))); });
    }
    if (taken.ok()) {
      go_on();
    } else {
      pending_->give(std::move(taken));
    }
  }

  const Ref<Core> core_;
  const std::vector<std::string> groups_;
  DeleteGroupsResponse all_;
  const Ref<PendingReply<DeleteGroupsResponse>> pending_;
};

template <class Core>
void handle(Core& core, DeleteGroupsRequest request, Reply<DeleteGroupsResponse> reply) {
  answer_later(std::move(reply), [&](const Ref<PendingReply<DeleteGroupsResponse>>& pending) {
    make_ref<GroupDeletion<Core>>(core, std::move(request.groups), pending)->go_on();
    return absl::OkStatus();
  });
}

template <class Core>
void handle(Core& core, const OffsetFetchRequest& request, Reply<OffsetFetchResponse> reply) {
  reply(guarded([&]() -> absl::StatusOr<OffsetFetchResponse> {
    OTTLA_ASSIGN(const auto keeper, core.coordinator(request.group));
    return keeper->query([&](const GroupCoordinator& groups) { return groups.answer(request); });
  }));
}

template <class Core>
void handle(Core& core, const ListGroupsRequest& request, Reply<ListGroupsResponse> reply) {
  reply(guarded([&]() -> absl::StatusOr<ListGroupsResponse> {
    ListGroupsResponse all;
    OTTLA_ASSIGN(const auto keepers, core.all_coordinators());
    for (const auto& keeper : keepers) {
      auto some =
          keeper->query([&](const GroupCoordinator& groups) { return groups.answer(request); });
      for (ListGroupsResponse::Group& group : some.groups) {
        all.groups.push_back(std::move(group));
      }
    }
    std::sort(all.groups.begin(), all.groups.end(),
              [](const auto& a, const auto& b) { return a.group < b.group; });
    return all;
  }));
}

template <class Core>
void handle(Core& core, const DescribeGroupsRequest& request, Reply<DescribeGroupsResponse> reply) {
  reply(guarded([&]() -> absl::StatusOr<DescribeGroupsResponse> {
    DescribeGroupsResponse all;
    for (const std::string& group : request.groups) {
      OTTLA_ASSIGN(const auto keeper, core.coordinator(group));
      auto one = keeper->query([&](const GroupCoordinator& groups) {
        return groups.answer(DescribeGroupsRequest{.groups = {group}});
      });
      for (DescribeGroupsResponse::Group& described : one.groups) {
        all.groups.push_back(std::move(described));
      }
    }
    return all;
  }));
}

}  // namespace ottla::inline OTTLA_ABI::handlers
