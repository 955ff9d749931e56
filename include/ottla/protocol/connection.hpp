// SPDX-License-Identifier: Apache-2.0
//
// The one seam between clients and brokers. In process a request is a call; on the wire it is a
// frame. Clients hold a `Ref<Connection>` and cannot know who answers; a connection outlives its
// broker and answers `closed` from then on.
#pragma once

#include <optional>
#include <utility>

#include <absl/functional/any_invocable.h>
#include <absl/status/statusor.h>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/status.hpp>
#include <ottla/env/apart.hpp>
#include <ottla/env/world.hpp>
#include <ottla/protocol/classic_group.hpp>
#include <ottla/protocol/delete_records.hpp>
#include <ottla/protocol/fetch.hpp>
#include <ottla/protocol/groups.hpp>
#include <ottla/protocol/init_producer_id.hpp>
#include <ottla/protocol/list_offsets.hpp>
#include <ottla/protocol/metadata.hpp>
#include <ottla/protocol/offsets.hpp>
#include <ottla/protocol/produce.hpp>
#include <ottla/protocol/topics.hpp>

namespace ottla::inline OTTLA_ABI {

/// Called once, from any thread, without a lock held: Kafka's answer, or why nobody could be asked.
template <class Response>
using Reply = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

/// Thread-safe.
class Connection : public Counted {
 public:
  /// Clock, executor and randomness of the broker's world. Valid for the connection's life.
  virtual World& world() = 0;

  /// Grows with each change of the topics: what a client remembers of them may be old when it
  /// differs.
  virtual std::uint64_t metadata_version() const = 0;

  /// The outcome goes to `request.reply`, at once or later; the order of calls for one partition is
  /// kept.
  virtual void produce(ProduceRequest request) = 0;

  /// Somebody waits for what was produced there: brings it as far as asked for, in this thread,
  /// until `deadline`.
  virtual absl::Status write_out(const TopicId& topic, PartitionId partition, Durability durability,
                                 SteadyTime deadline) = 0;

  /// See fetch.hpp. `waiter` may be empty: then nobody is woken. What `into` held is dropped.
  virtual absl::Status fetch(const FetchRequest& request, FetchResponse& into,
                             const Ref<Wakeable>& waiter) = 0;

  virtual void call(MetadataRequest request, Reply<MetadataResponse> reply) = 0;
  virtual void call(CreateTopicsRequest request, Reply<CreateTopicsResponse> reply) = 0;
  virtual void call(DeleteTopicsRequest request, Reply<DeleteTopicsResponse> reply) = 0;
  virtual void call(CreatePartitionsRequest request, Reply<CreatePartitionsResponse> reply) = 0;
  virtual void call(ListOffsetsRequest request, Reply<ListOffsetsResponse> reply) = 0;
  virtual void call(DeleteRecordsRequest request, Reply<DeleteRecordsResponse> reply) = 0;
  virtual void call(InitProducerIdRequest request, Reply<InitProducerIdResponse> reply) = 0;
  virtual void call(JoinGroupRequest request, Reply<JoinGroupResponse> reply) = 0;
  virtual void call(SyncGroupRequest request, Reply<SyncGroupResponse> reply) = 0;
  virtual void call(HeartbeatRequest request, Reply<HeartbeatResponse> reply) = 0;
  virtual void call(LeaveGroupRequest request, Reply<LeaveGroupResponse> reply) = 0;
  virtual void call(OffsetCommitRequest request, Reply<OffsetCommitResponse> reply) = 0;
  virtual void call(OffsetFetchRequest request, Reply<OffsetFetchResponse> reply) = 0;
  virtual void call(OffsetDeleteRequest request, Reply<OffsetDeleteResponse> reply) = 0;
  virtual void call(ListGroupsRequest request, Reply<ListGroupsResponse> reply) = 0;
  virtual void call(DescribeGroupsRequest request, Reply<DescribeGroupsResponse> reply) = 0;
  virtual void call(DeleteGroupsRequest request, Reply<DeleteGroupsResponse> reply) = 0;
};

/// Asks and waits for the answer until `deadline`; `timed_out` (outcome unknown) when it passes.
template <class Response, class Request>
absl::StatusOr<Response> ask(Connection& connection, Request request, SteadyTime deadline) {
  struct Pending final : Counted {
    Ref<Doorbell> answered = make_ref<Doorbell>();
    std::optional<absl::StatusOr<Response>> answer;
  };
  const auto pending = make_ref<Pending>();
  connection.call(std::move(request), Reply<Response>([pending](absl::StatusOr<Response> answer) {
                    pending->answer.emplace(std::move(answer));
                    pending->answered->ring();
                  }));
  if (!connection.world().await(*pending->answered, deadline)) {
    return error(ErrorCode::request_timed_out, Fault::timed_out,
                 "no answer from the broker in time; try again, or allow more time",
                 Outcome::unknown);
  }
  return *std::move(pending->answer);
}

/// The same in a thread of its own (env/apart.hpp): this one ends in time though the broker's disk
/// does not answer. A request that was not made by `deadline` is not made any more.
template <class Response, class Request>
absl::StatusOr<Response> ask_apart(Connection& connection, Request request, SteadyTime deadline) {
  struct Asked final : Counted {
    std::optional<absl::StatusOr<Response>> answer;
  };
  const auto asked = make_ref<Asked>();
  OTTLA_TRY(apart(connection.world(), "ottla-ask", deadline,
                  [asked, deadline, connection = Ref<Connection>(&connection),
                   request = std::move(request)](bool) mutable -> absl::Status {
                    if (connection->world().steady_now() < deadline) {
                      asked->answer.emplace(
                          ask<Response>(*connection, std::move(request), deadline));
                    }
                    return absl::OkStatus();
                  }));
  return asked->answer ? *std::move(asked->answer)
                       : error(ErrorCode::request_timed_out, Fault::timed_out,
                               "there was no time to ask the broker", Outcome::not_written);
}

}  // namespace ottla::inline OTTLA_ABI
