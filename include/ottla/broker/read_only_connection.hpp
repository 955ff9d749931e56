// SPDX-License-Identifier: Apache-2.0
//
// The connection of a client to a broker that was opened with Access::read_only: what reads is
// answered, what would write is refused.
#pragma once

#include <utility>

#include <ottla/base/guard.hpp>
#include <ottla/broker/handlers/fetch.hpp>
#include <ottla/broker/handlers/groups.hpp>
#include <ottla/broker/handlers/list_offsets.hpp>
#include <ottla/broker/handlers/metadata.hpp>
#include <ottla/broker/read_only_core.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI {

template <Env E>
class ReadOnlyConnection final : public Connection {
 public:
  using Core = BasicReadOnlyCore<E>;

  explicit ReadOnlyConnection(Ref<Core> core) : core_(std::move(core)) {}

  World& world() override { return core_->world(); }
  std::uint64_t metadata_version() const override { return core_->topics().version(); }

  absl::Status fetch(const FetchRequest& request, FetchResponse& into,
                     const Ref<Wakeable>& waiter) override {
    OTTLA_TRY(handlers::handle(*core_, request, into, waiter));
    if (waiter) {
      core_->follow();
    }
    return absl::OkStatus();
  }
  void call(MetadataRequest request, Reply<MetadataResponse> reply) override {
    if (usable(reply)) {
      if (const absl::Status looked = core_->look(); !looked.ok()) {
        core_->events().tell(EventLevel::warning, "topics_not_read", "", sv(looked.message()));
      }
      handlers::handle(*core_, request, std::move(reply));
    }
  }
  void call(ListOffsetsRequest request, Reply<ListOffsetsResponse> reply) override {
    if (usable(reply)) handlers::handle(*core_, request, std::move(reply));
  }
  void call(OffsetFetchRequest request, Reply<OffsetFetchResponse> reply) override {
    if (usable(reply)) handlers::handle(*core_, request, std::move(reply));
  }
  void call(ListGroupsRequest request, Reply<ListGroupsResponse> reply) override {
    if (usable(reply)) handlers::handle(*core_, request, std::move(reply));
  }
  void call(DescribeGroupsRequest request, Reply<DescribeGroupsResponse> reply) override {
    if (usable(reply)) handlers::handle(*core_, request, std::move(reply));
  }

  // Refused.
  void produce(ProduceRequest request) override {
    if (request.reply) {
      request.reply->done(core_->refusal(), std::move(request.batch));
    }
  }
  absl::Status write_out(const TopicId&, PartitionId, Durability, SteadyTime) override {
    return core_->usable();
  }
  void call(CreateTopicsRequest, Reply<CreateTopicsResponse> reply) override { refuse(reply); }
  void call(DeleteTopicsRequest, Reply<DeleteTopicsResponse> reply) override { refuse(reply); }
  void call(CreatePartitionsRequest, Reply<CreatePartitionsResponse> reply) override {
    refuse(reply);
  }
  void call(DeleteRecordsRequest, Reply<DeleteRecordsResponse> reply) override { refuse(reply); }
  void call(InitProducerIdRequest, Reply<InitProducerIdResponse> reply) override { refuse(reply); }
  void call(JoinGroupRequest, Reply<JoinGroupResponse> reply) override { refuse(reply); }
  void call(SyncGroupRequest, Reply<SyncGroupResponse> reply) override { refuse(reply); }
  void call(HeartbeatRequest, Reply<HeartbeatResponse> reply) override { refuse(reply); }
  void call(LeaveGroupRequest, Reply<LeaveGroupResponse> reply) override { refuse(reply); }
  void call(OffsetCommitRequest, Reply<OffsetCommitResponse> reply) override { refuse(reply); }
  void call(OffsetDeleteRequest, Reply<OffsetDeleteResponse> reply) override { refuse(reply); }
  void call(DeleteGroupsRequest, Reply<DeleteGroupsResponse> reply) override { refuse(reply); }

 private:
  template <class R>
  void refuse(R& reply) const {
    reply(core_->refusal());
  }
  template <class R>
  bool usable(R& reply) const {
    absl::Status status = core_->usable();
    if (!status.ok()) {
      reply(std::move(status));
      return false;
    }
    return true;
  }

  const Ref<Core> core_;
};

}  // namespace ottla::inline OTTLA_ABI
