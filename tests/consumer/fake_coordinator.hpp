// SPDX-License-Identifier: Apache-2.0
//
// A coordinator on a fake connection, and its one member.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ottla/group/consumer_protocol.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/fake_connection.hpp"

namespace test {

using namespace std::chrono_literals;

using Member = ottla::Consumer<std::string, std::string>;

/// A coordinator that gives its one member the partitions in `assigned`, unless it is told to
/// answer something else.
struct Coordinator {
  Coordinator() {
    FakeConnection& broker = *host.connection;
    broker.on_join = [this](ottla::JoinGroupRequest request,
                            ottla::Reply<ottla::JoinGroupResponse> reply) {
      told.push_back("join " + (request.member_id.empty() ? "-" : request.member_id));
      joins.push_back(request);
      if (!broken.ok()) {
        reply(broken);
        return;
      }
      if (join_error != ottla::ErrorCode::none) {
        reply(ottla::JoinGroupResponse{.error = std::exchange(join_error, ottla::ErrorCode::none),
                                       .member_id = "m"});
        return;
      }
      ottla::JoinGroupResponse response{.generation = ottla::Generation(++generation),
                                        .protocol = request.protocols.at(0).name,
                                        .leader = leads ? "m" : "other",
                                        .member_id = "m"};
      if (leads) response.members.push_back({"m", {}, request.protocols[0].metadata});
      reply(std::move(response));
    };
    broker.on_sync = [this](const ottla::SyncGroupRequest& request,
                            ottla::Reply<ottla::SyncGroupResponse> reply) {
      told.push_back("sync " + std::to_string(request.generation.value()));
      syncs.push_back(request);
      ottla::SyncGroupResponse response{.error = std::exchange(sync_error, ottla::ErrorCode::none)};
      response.assignment = leads && !request.assignments.empty()
                                ? request.assignments[0].assignment
                                : ottla::encode(ottla::ConsumerAssignment{.partitions = assigned});
      reply(std::move(response));
    };
    broker.on_heartbeat = [this](const ottla::HeartbeatRequest&,
                                 ottla::Reply<ottla::HeartbeatResponse> reply) {
      ++heartbeats;
      reply(ottla::HeartbeatResponse{.error =
                                         std::exchange(heartbeat_error, ottla::ErrorCode::none)});
    };
    broker.on_leave = [this](const ottla::LeaveGroupRequest& request,
                             ottla::Reply<ottla::LeaveGroupResponse> reply) {
      told.push_back("leave " + request.members.at(0).member_id);
      reply(ottla::LeaveGroupResponse{});
    };
    broker.on_commit = [this](const ottla::OffsetCommitRequest& request,
                              ottla::Reply<ottla::OffsetCommitResponse> reply) {
      told.push_back("commit " + std::to_string(request.partitions.size()) + " in " +
                     std::to_string(request.generation.value()));
      reply(ottla::OffsetCommitResponse{});
    };
  }

  Member member(ottla::ConsumerConfig config = {}) {
    config.group = "g";
    if (config.topics.empty()) config.topics = {"orders"};
    config.offset_reset = ottla::OffsetReset::earliest;
    const auto note = [this](std::string what) {
      return [this, what](const std::vector<ottla::TopicPartition>& partitions) {
        told.push_back(what + " " + std::to_string(partitions.size()));
      };
    };
    if (!config.rebalance.assigned) config.rebalance.assigned = note("assigned");
    if (!config.rebalance.revoked) config.rebalance.revoked = note("revoked");
    if (!config.rebalance.lost) config.rebalance.lost = note("lost");
    auto opened = Member::open(host, std::move(config));
    REQUIRE(opened.ok());
    return *std::move(opened);
  }
  std::vector<std::string> take_told() { return std::exchange(told, {}); }
  ottla::MemoryEnv& env() { return host.connection->env; }

  FakeHost host;
  std::vector<std::string> told;
  std::vector<ottla::JoinGroupRequest> joins;
  std::vector<ottla::SyncGroupRequest> syncs;
  std::vector<ottla::PartitionsOfTopic> assigned{
      {"orders", {ottla::PartitionId(0), ottla::PartitionId(1)}}};
  bool leads = false;
  int generation = 0;
  int heartbeats = 0;
  absl::Status broken;  // what a join is answered
  ottla::ErrorCode join_error = ottla::ErrorCode::none;
  ottla::ErrorCode sync_error = ottla::ErrorCode::none;
  ottla::ErrorCode heartbeat_error = ottla::ErrorCode::none;
};

using Told = std::vector<std::string>;

}  // namespace test
