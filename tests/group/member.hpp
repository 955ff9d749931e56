// SPDX-License-Identifier: Apache-2.0
//
// What members of the group "g" say, in few words.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ottla/group/consumer_protocol.hpp>

#include "tests/group/kept_coordinator.hpp"

namespace member {

using namespace ottla;

inline std::vector<std::byte> bytes(std::string_view text) {
  const Bytes view = as_bytes(text);
  return {view.begin(), view.end()};
}

inline GroupProtocol protocol(std::string name, std::vector<std::string> topics = {"t"}) {
  return {.name = std::move(name),
          .metadata = encode(ConsumerSubscription{.topics = std::move(topics)})};
}

inline JoinGroupRequest join(std::string member_id = {}) {
  return {.client = {.id = "client"},
          .group = "g",
          .member_id = std::move(member_id),
          .session_timeout = std::chrono::milliseconds(10'000),
          .rebalance_timeout = std::chrono::milliseconds(20'000),
          .protocol_type = "consumer",
          .protocols = {protocol("range")}};
}

inline JoinGroupRequest join_static(std::string instance_id) {
  JoinGroupRequest request = join();
  request.instance_id = std::move(instance_id);
  return request;
}

inline SyncGroupRequest sync(const JoinGroupResponse& joined,
                             std::vector<SyncGroupRequest::Assignment> assignments = {}) {
  return {.group = "g",
          .generation = joined.generation,
          .member_id = joined.member_id,
          .assignments = std::move(assignments)};
}

inline HeartbeatRequest heartbeat(const JoinGroupResponse& joined) {
  return {.group = "g", .generation = joined.generation, .member_id = joined.member_id};
}

inline LeaveGroupRequest leave(std::string member_id) {
  return {.group = "g", .members = {{.member_id = std::move(member_id)}}};
}

inline OffsetCommitRequest commit(std::int64_t offset, const JoinGroupResponse& joined = {}) {
  return {.group = "g",
          .generation = joined.generation,
          .member_id = joined.member_id,
          .partitions = {{.partition = {"t", PartitionId(0)}, .offset = Offset(offset)}}};
}

inline ErrorCode beat(KeptCoordinator& kept, const JoinGroupResponse& joined) {
  return kept.answer_to<HeartbeatResponse>(heartbeat(joined)).error;
}

/// A new member's id.
inline std::string ask_for_id(KeptCoordinator& kept) {
  const auto response = kept.answer_to<JoinGroupResponse>(join());
  CHECK(response.error == ErrorCode::member_id_required);
  return response.member_id;
}

/// `n` members, joined and with assignments "0", "1", ...; the first one leads.
inline std::vector<JoinGroupResponse> stable_group(KeptCoordinator& kept, int n) {
  std::vector<RequestId> joining;
  std::vector<std::string> ids;
  for (int i = 0; i < n; ++i) {
    ids.push_back(ask_for_id(kept));
  }
  for (const std::string& id : ids) {
    joining.push_back(kept.ask(join(id)));
  }
  kept.run_due();
  std::vector<JoinGroupResponse> joined;
  std::vector<SyncGroupRequest::Assignment> assignments;
  for (std::size_t i = 0; i < joining.size(); ++i) {
    auto response = kept.take<JoinGroupResponse>(joining[i]);
    REQUIRE(response);
    REQUIRE(response->error == ErrorCode::none);
    assignments.push_back({response->member_id, bytes(std::to_string(i))});
    joined.push_back(*std::move(response));
  }
  std::vector<RequestId> syncing;
  for (std::size_t i = 1; i < joined.size(); ++i) {
    syncing.push_back(kept.ask(sync(joined[i])));
  }
  const auto response = kept.answer_to<SyncGroupResponse>(sync(joined[0], assignments));
  REQUIRE(response.error == ErrorCode::none);
  CHECK(response.assignment == bytes("0"));
  for (std::size_t i = 0; i < syncing.size(); ++i) {
    CHECK(kept.take<SyncGroupResponse>(syncing[i])->assignment == bytes(std::to_string(i + 1)));
  }
  REQUIRE(kept.group().state() == GroupState::stable);
  return joined;
}

}  // namespace member
