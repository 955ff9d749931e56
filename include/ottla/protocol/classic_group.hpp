// SPDX-License-Identifier: Apache-2.0
//
// JoinGroup, SyncGroup, Heartbeat, LeaveGroup: the classic group protocol. Spec groups.md
// section 3.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ottla/base/error_code.hpp>
#include <ottla/base/ids.hpp>

namespace ottla::inline OTTLA_ABI {

struct GroupProtocol {
  std::string name = {};                 ///< an assignor's
  std::vector<std::byte> metadata = {};  ///< its subscription, opaque to the coordinator

  bool operator==(const GroupProtocol&) const = default;
};

/// Who asks: what Kafka's request header would tell.
struct ClientIdentity {
  std::string id = {};
  std::string host = "localhost/127.0.0.1";
};

struct JoinGroupRequest {
  std::int16_t version = 9;  ///< 4 and above: a member without an id is told one first
  ClientIdentity client = {};
  std::string group = {};
  std::string member_id = {};  ///< empty: a new member
  std::optional<std::string> instance_id = {};
  std::chrono::milliseconds session_timeout{45'000};
  std::chrono::milliseconds rebalance_timeout{300'000};
  std::string protocol_type = {};
  std::vector<GroupProtocol> protocols = {};  ///< in the order of preference
};

struct JoinGroupResponse {
  struct Member {
    std::string member_id = {};
    std::optional<std::string> instance_id = {};
    std::vector<std::byte> metadata = {};
  };
  ErrorCode error = ErrorCode::none;
  Generation generation{-1};
  std::optional<std::string> protocol_type = {};
  std::optional<std::string> protocol = {};
  std::string leader = {};
  bool skip_assignment = false;
  std::string member_id = {};
  std::vector<Member> members = {};  ///< only for the leader
};

struct SyncGroupRequest {
  struct Assignment {
    std::string member_id = {};
    std::vector<std::byte> assignment = {};
  };
  std::string group = {};
  Generation generation{-1};
  std::string member_id = {};
  std::optional<std::string> instance_id = {};
  std::optional<std::string> protocol_type = {};
  std::optional<std::string> protocol = {};
  std::vector<Assignment> assignments = {};  ///< only from the leader
};

struct SyncGroupResponse {
  ErrorCode error = ErrorCode::none;
  std::optional<std::string> protocol_type = {};
  std::optional<std::string> protocol = {};
  std::vector<std::byte> assignment = {};
};

struct HeartbeatRequest {
  std::string group = {};
  Generation generation{-1};
  std::string member_id = {};
  std::optional<std::string> instance_id = {};
};

struct HeartbeatResponse {
  ErrorCode error = ErrorCode::none;
};

struct LeaveGroupRequest {
  struct Member {
    std::string member_id = {};
    std::optional<std::string> instance_id = {};
    std::string reason = {};
  };
  std::string group = {};
  std::vector<Member> members = {};
};

struct LeaveGroupResponse {
  struct Member {
    std::string member_id = {};
    std::optional<std::string> instance_id = {};
    ErrorCode error = ErrorCode::none;
  };
  ErrorCode error = ErrorCode::none;
  std::vector<Member> members = {};
};

}  // namespace ottla::inline OTTLA_ABI
