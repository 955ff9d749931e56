// SPDX-License-Identifier: Apache-2.0
//
// ListGroups, DescribeGroups, DeleteGroups. Spec groups.md sections 3 and 4.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <ottla/base/error_code.hpp>
#include <ottla/base/ids.hpp>

namespace ottla::inline OTTLA_ABI {

struct ListGroupsRequest {
  std::vector<std::string> states = {};  ///< empty: all
};

struct ListGroupsResponse {
  struct Group {
    std::string group = {};
    std::string protocol_type = {};
    std::string state = {};  ///< Kafka's name: "Stable", "Empty", ...
  };
  ErrorCode error = ErrorCode::none;
  std::vector<Group> groups = {};  ///< ascending
};

struct DescribeGroupsRequest {
  std::vector<std::string> groups = {};
};

struct DescribeGroupsResponse {
  struct Member {
    std::string member_id = {};
    std::optional<std::string> instance_id = {};
    std::string client_id = {};
    std::string client_host = {};
    std::vector<std::byte> metadata = {};
    std::vector<std::byte> assignment = {};
  };
  struct Group {
    ErrorCode error = ErrorCode::none;
    std::string group = {};
    std::string state = {};
    std::string protocol_type = {};
    std::string protocol = {};
    std::vector<Member> members = {};  ///< ascending by id
  };
  std::vector<Group> groups = {};
};

struct DeleteGroupsRequest {
  std::vector<std::string> groups = {};
};

struct DeleteGroupsResponse {
  struct Group {
    std::string group = {};
    ErrorCode error = ErrorCode::none;
  };
  std::vector<Group> groups = {};
};

}  // namespace ottla::inline OTTLA_ABI
