// SPDX-License-Identifier: Apache-2.0
//
// Partitions of one topic: the form in which subscriptions and assignments list them.
#pragma once

#include <string>
#include <vector>

#include <ottla/base/ids.hpp>

namespace ottla::inline OTTLA_ABI {

struct PartitionsOfTopic {
  std::string topic;
  std::vector<PartitionId> partitions;

  bool operator==(const PartitionsOfTopic&) const = default;
};

}  // namespace ottla::inline OTTLA_ABI
