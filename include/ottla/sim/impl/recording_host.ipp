// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ottla/group/consumer_protocol.hpp>
#include <ottla/sim/recording_host.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

class RecordingConnection final : public Connection {
 public:
  RecordingConnection(Ref<Connection> inner, HistoryWriter writer)
      : inner_(std::move(inner)), writer_(writer) {}

  World& world() override { return inner_->world(); }
  std::uint64_t metadata_version() const override { return inner_->metadata_version(); }
  void produce(ProduceRequest request) override { inner_->produce(std::move(request)); }
  absl::Status write_out(const TopicId& topic, PartitionId partition, Durability durability,
                         SteadyTime deadline) override {
    return inner_->write_out(topic, partition, durability, deadline);
  }
  absl::Status fetch(const FetchRequest& request, FetchResponse& into,
                     const Ref<Wakeable>& waiter) override {
    return inner_->fetch(request, into, waiter);
  }

  void call(MetadataRequest request, Reply<MetadataResponse> reply) override {
    pass(std::move(request), std::move(reply));
  }
  void call(CreateTopicsRequest request, Reply<CreateTopicsResponse> reply) override {
    pass(std::move(request), std::move(reply));
  }
  void call(DeleteTopicsRequest request, Reply<DeleteTopicsResponse> reply) override {
    pass(std::move(request), std::move(reply));
  }
  void call(CreatePartitionsRequest request, Reply<CreatePartitionsResponse> reply) override {
    pass(std::move(request), std::move(reply));
  }
  void call(ListOffsetsRequest request, Reply<ListOffsetsResponse> reply) override;
  void call(DeleteRecordsRequest request, Reply<DeleteRecordsResponse> reply) override {
    pass(std::move(request), std::move(reply));
  }
  void call(InitProducerIdRequest request, Reply<InitProducerIdResponse> reply) override {
    pass(std::move(request), std::move(reply));
  }
  void call(JoinGroupRequest request, Reply<JoinGroupResponse> reply) override {
    pass(std::move(request), std::move(reply));
  }
  void call(SyncGroupRequest request, Reply<SyncGroupResponse> reply) override;
  void call(HeartbeatRequest request, Reply<HeartbeatResponse> reply) override {
    pass(std::move(request), std::move(reply));
  }
  void call(LeaveGroupRequest request, Reply<LeaveGroupResponse> reply) override {
    pass(std::move(request), std::move(reply));
  }
  void call(OffsetCommitRequest request, Reply<OffsetCommitResponse> reply) override;
  void call(OffsetFetchRequest request, Reply<OffsetFetchResponse> reply) override;
  void call(OffsetDeleteRequest request, Reply<OffsetDeleteResponse> reply) override {
    pass(std::move(request), std::move(reply));
  }
  void call(ListGroupsRequest request, Reply<ListGroupsResponse> reply) override {
    pass(std::move(request), std::move(reply));
  }
  void call(DescribeGroupsRequest request, Reply<DescribeGroupsResponse> reply) override {
    pass(std::move(request), std::move(reply));
  }
  void call(DeleteGroupsRequest request, Reply<DeleteGroupsResponse> reply) override {
    pass(std::move(request), std::move(reply));
  }

 private:
  template <class Request, class Response>
  void pass(Request request, Reply<Response> reply) {
    inner_->call(std::move(request), std::move(reply));
  }

  const Ref<Connection> inner_;
  const HistoryWriter writer_;
};

/// Refused by a group before anything is written.
inline bool commit_was_refused(ErrorCode error) {
  switch (error) {
    case ErrorCode::illegal_generation:
    case ErrorCode::unknown_member_id:
    case ErrorCode::rebalance_in_progress:
    case ErrorCode::fenced_instance_id:
    case ErrorCode::group_id_not_found:
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::unknown_topic_id:
      return true;
    default:
      return false;
  }
}

OTTLA_INLINE void RecordingConnection::call(OffsetCommitRequest request,
                                            Reply<OffsetCommitResponse> reply) {
  using Kind = HistoryEvent::Kind;
  struct Asked {
    TopicPartition partition;
    std::uint64_t number;
  };
  std::vector<Asked> asked;
  for (const OffsetCommitRequest::Partition& each : request.partitions) {
    asked.push_back({each.partition, writer_.note({.kind = Kind::commit,
                                                   .client = request.member_id,
                                                   .group = request.group,
                                                   .partition = each.partition,
                                                   .offset = each.offset,
                                                   .generation = request.generation})});
  }
  inner_->call(
      std::move(request),
      Reply<OffsetCommitResponse>(
          [writer = writer_, asked = std::move(asked),
           reply = std::move(reply)](absl::StatusOr<OffsetCommitResponse> answer) mutable {
            for (const Asked& each : asked) {
              Kind kind = Kind::commit_unknown;
              if (!answer.ok() && outcome(answer.status()) == Outcome::not_written) {
                kind = Kind::commit_refused;
              }
              for (std::size_t i = 0; answer.ok() && i < answer->partitions.size(); ++i) {
                const OffsetCommitResponse::Partition& its = answer->partitions[i];
                if (its.partition == each.partition) {
                  kind = its.error == ErrorCode::none    ? Kind::commit_ok
                         : commit_was_refused(its.error) ? Kind::commit_refused
                                                         : Kind::commit_unknown;
                }
              }
              writer.note({.kind = kind, .partition = each.partition, .asked = each.number});
            }
            reply(std::move(answer));
          }));
}

OTTLA_INLINE void RecordingConnection::call(OffsetFetchRequest request,
                                            Reply<OffsetFetchResponse> reply) {
  const std::string group = request.group;
  inner_->call(std::move(request),
               Reply<OffsetFetchResponse>(
                   [writer = writer_, group, asked = writer_.now(),
                    reply = std::move(reply)](absl::StatusOr<OffsetFetchResponse> answer) mutable {
                     if (answer.ok() && answer->error == ErrorCode::none) {
                       for (const OffsetFetchResponse::Partition& each : answer->partitions) {
                         if (each.error == ErrorCode::none) {
                           writer.note({.kind = HistoryEvent::Kind::committed,
                                        .group = group,
                                        .partition = each.partition,
                                        .offset = each.offset,
                                        .asked = asked});
                         }
                       }
                     }
                     reply(std::move(answer));
                   }));
}

OTTLA_INLINE void RecordingConnection::call(SyncGroupRequest request,
                                            Reply<SyncGroupResponse> reply) {
  HistoryEvent owns{.kind = HistoryEvent::Kind::owns,
                    .client = request.member_id,
                    .group = request.group,
                    .generation = request.generation};
  inner_->call(std::move(request),
               Reply<SyncGroupResponse>([writer = writer_, owns, reply = std::move(reply)](
                                            absl::StatusOr<SyncGroupResponse> answer) mutable {
                 if (answer.ok() && answer->error == ErrorCode::none) {
                   const auto assignment = decode_consumer_assignment(answer->assignment);
                   if (assignment.ok()) {
                     for (const PartitionsOfTopic& topic : assignment->partitions) {
                       for (const PartitionId partition : topic.partitions) {
                         owns.partition = {topic.topic, partition};
                         writer.note(owns);
                       }
                     }
                   }
                 }
                 reply(std::move(answer));
               }));
}

OTTLA_INLINE void RecordingConnection::call(ListOffsetsRequest request,
                                            Reply<ListOffsetsResponse> reply) {
  std::vector<Timestamp> times;
  for (const ListOffsetsRequest::Partition& each : request.partitions) {
    times.push_back(each.timestamp);
  }
  // A transaction that is open keeps what a reader of committed records sees short.
  const bool all = request.isolation == IsolationLevel::read_uncommitted;
  inner_->call(std::move(request),
               Reply<ListOffsetsResponse>([writer = writer_, times, all, asked = writer_.now(),
                                           reply = std::move(reply)](
                                              absl::StatusOr<ListOffsetsResponse> answer) mutable {
                 for (std::size_t i = 0; answer.ok() && i < answer->partitions.size(); ++i) {
                   const ListOffsetsResponse::Partition& its = answer->partitions[i];
                   const bool begin = times[i] == at_earliest;
                   if (its.error == ErrorCode::none && (begin || (all && times[i] == at_latest))) {
                     writer.note({.kind = HistoryEvent::Kind::bounds,
                                  .partition = its.partition,
                                  .offset = begin ? its.offset : Offset(-1),
                                  .end = begin ? Offset(-1) : its.offset,
                                  .asked = asked});
                   }
                 }
                 reply(std::move(answer));
               }));
}

}  // namespace sim_impl

OTTLA_INLINE Ref<Connection> RecordingHost::connect() const {
  return make_ref<sim_impl::RecordingConnection>(inner_, writer_);
}

}  // namespace ottla::inline OTTLA_ABI
