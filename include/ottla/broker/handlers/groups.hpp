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

/// A topic of the name may be another one than the offset is of. An id of zero, as of clients that
/// know names only, is any's and stays zero, as with Kafka.
template <class Core>
ErrorCode check_topic(Core& core, const OffsetCommitRequest::Partition& one) {
  const auto topic = core.topics().find(one.partition.topic);
  const auto index = static_cast<std::size_t>(one.partition.partition.value());
  if (!topic || index >= topic->partitions.size()) {  // a negative one is too large
    return ErrorCode::unknown_topic_or_partition;
  }
  return one.topic_id.is_zero() || one.topic_id == topic->id ? ErrorCode::none
                                                             : ErrorCode::unknown_topic_id;
}

/// Offsets of partitions that are not there are refused, the others go to the coordinator.
template <class Core>
void handle(Core& core, OffsetCommitRequest request, Reply<OffsetCommitResponse> reply) {
  answer_later(std::move(reply), [&](const Ref<PendingReply<OffsetCommitResponse>>& pending) {
    OffsetCommitResponse refused;
    std::vector<OffsetCommitRequest::Partition> taken;
    for (OffsetCommitRequest::Partition& one : request.partitions) {
      if (const ErrorCode error = check_topic(core, one); error != ErrorCode::none) {
        refused.partitions.push_back({one.partition, error});
      } else {
        taken.push_back(std::move(one));
      }
    }
    request.partitions = std::move(taken);
    if (request.partitions.empty() && !refused.partitions.empty()) {
      pending->give(std::move(refused));
      return absl::OkStatus();
    }
    Reply<OffsetCommitResponse> all =
        [pending, refused = std::move(refused)](absl::StatusOr<OffsetCommitResponse> done) mutable {
          if (done.ok()) {
            const absl::Status joined = guarded([&] {
              done->partitions.insert(done->partitions.end(), refused.partitions.begin(),
                                      refused.partitions.end());
            });
            if (!joined.ok()) {
              done = joined;
            }
          }
          pending->give(std::move(done));
        };
    ask_coordinator(core, request.group, request, std::move(all));
    return absl::OkStatus();
  });
}

/// One group at a time, each by its own coordinator, asked until nothing of it is left.
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
    if (taken.ok() && !answer->groups.empty()) {
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

/// Nothing is committed for a topic that only has the name of the one that the offset is of.
template <class Core>
void handle(Core& core, const OffsetFetchRequest& request, Reply<OffsetFetchResponse> reply) {
  reply(guarded([&]() -> absl::StatusOr<OffsetFetchResponse> {
    OTTLA_ASSIGN(const auto keeper, core.coordinator(request.group));
    OffsetFetchResponse all =
        keeper->query([&](const GroupCoordinator& groups) { return groups.answer(request); });
    const auto is_gone = [&](const OffsetFetchResponse::Partition& one) {
      return one.offset >= Offset(0) && core.is_deleted(one.partition.topic, one.topic_id);
    };
    if (!request.partitions) {
      std::erase_if(all.partitions, is_gone);
    }
    for (OffsetFetchResponse::Partition& one : all.partitions) {
      if (is_gone(one)) {
        one = {.partition = one.partition};
      }
    }
    return all;
  }));
}

/// Without groups whose log is damaged.
template <class Core>
void handle(Core& core, const ListGroupsRequest& request, Reply<ListGroupsResponse> reply) {
  reply(guarded([&]() -> absl::StatusOr<ListGroupsResponse> {
    ListGroupsResponse all;
    absl::Status failed;
    const auto keepers = core.all_coordinators(failed);
    OTTLA_TRY(failed);
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
