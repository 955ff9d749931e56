// SPDX-License-Identifier: Apache-2.0
//
// The connection of a client in the broker's own process: each request is a call of its handler,
// which throws nothing.
#pragma once

#include <utility>

#include <ottla/base/guard.hpp>
#include <ottla/broker/broker_core.hpp>
#include <ottla/broker/handlers/delete_records.hpp>
#include <ottla/broker/handlers/fetch.hpp>
#include <ottla/broker/handlers/groups.hpp>
#include <ottla/broker/handlers/init_producer_id.hpp>
#include <ottla/broker/handlers/list_offsets.hpp>
#include <ottla/broker/handlers/metadata.hpp>
#include <ottla/broker/handlers/produce.hpp>
#include <ottla/broker/handlers/topics.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI {

template <Env E>
class LocalConnection final : public Connection {
 public:
  using Core = BasicBrokerCore<E>;

  explicit LocalConnection(Ref<Core> core) : core_(std::move(core)) {}

  World& world() override { return core_->world(); }
  std::uint64_t metadata_version() const override { return core_->topics().version(); }

  void produce(ProduceRequest request) override { handlers::handle(*core_, std::move(request)); }
  absl::Status write_out(const TopicId& topic, PartitionId partition, Durability durability,
                         SteadyTime deadline) override {
    OTTLA_TRY(core_->usable());
    const auto found = core_->topics().find(topic, partition);
    return found ? guarded([&] { return found->write_out(durability, deadline); })
                 : absl::OkStatus();
  }
  absl::Status fetch(const FetchRequest& request, FetchResponse& into,
                     const Ref<Wakeable>& waiter) override {
    return handlers::handle(*core_, request, into, waiter);
  }

  void call(MetadataRequest request, Reply<MetadataResponse> reply) override {
    if (usable(reply)) handlers::handle(*core_, request, std::move(reply));
  }
  void call(CreateTopicsRequest request, Reply<CreateTopicsResponse> reply) override {
    if (usable(reply)) handlers::handle(core_, std::move(request), std::move(reply));
  }
  void call(DeleteTopicsRequest request, Reply<DeleteTopicsResponse> reply) override {
    if (usable(reply)) handlers::handle(core_, std::move(request), std::move(reply));
  }
  void call(CreatePartitionsRequest request, Reply<CreatePartitionsResponse> reply) override {
    if (usable(reply)) handlers::handle(core_, std::move(request), std::move(reply));
  }
  void call(ListOffsetsRequest request, Reply<ListOffsetsResponse> reply) override {
    if (usable(reply)) handlers::handle(*core_, request, std::move(reply));
  }
  void call(DeleteRecordsRequest request, Reply<DeleteRecordsResponse> reply) override {
    if (usable(reply)) handlers::handle(*core_, request, std::move(reply));
  }
  void call(InitProducerIdRequest request, Reply<InitProducerIdResponse> reply) override {
    if (usable(reply)) handlers::handle(core_, request, std::move(reply));
  }
  void call(JoinGroupRequest request, Reply<JoinGroupResponse> reply) override {
    coordinate(std::move(request), std::move(reply));
  }
  void call(SyncGroupRequest request, Reply<SyncGroupResponse> reply) override {
    coordinate(std::move(request), std::move(reply));
  }
  void call(HeartbeatRequest request, Reply<HeartbeatResponse> reply) override {
    coordinate(std::move(request), std::move(reply));
  }
  void call(LeaveGroupRequest request, Reply<LeaveGroupResponse> reply) override {
    coordinate(std::move(request), std::move(reply));
  }
  void call(OffsetCommitRequest request, Reply<OffsetCommitResponse> reply) override {
    if (usable(reply)) handlers::handle(*core_, std::move(request), std::move(reply));
  }
  void call(OffsetDeleteRequest request, Reply<OffsetDeleteResponse> reply) override {
    coordinate(std::move(request), std::move(reply));
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
  void call(DeleteGroupsRequest request, Reply<DeleteGroupsResponse> reply) override {
    if (usable(reply)) handlers::handle(*core_, std::move(request), std::move(reply));
  }

 private:
  template <class R>
  bool usable(R& reply) const {
    absl::Status status = core_->usable();
    if (!status.ok()) {
      reply(std::move(status));
      return false;
    }
    core_->find_lost_chores();
    return true;
  }
  template <class Request, class Response>
  void coordinate(Request request, Reply<Response> reply) {
    if (usable(reply)) {
      handlers::ask_coordinator(*core_, request.group, request, std::move(reply));
    }
  }

  const Ref<Core> core_;
};

}  // namespace ottla::inline OTTLA_ABI
