// SPDX-License-Identifier: Apache-2.0
//
// DeleteRecords: partitions begin later from now on. Spec storage.md section 19.
#pragma once

#include <string>
#include <vector>

#include <ottla/base/error_code.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/topic_partition.hpp>

namespace ottla::inline OTTLA_ABI {

inline constexpr Offset before_high_watermark{-1};  ///< all that is visible

struct DeleteRecordsRequest {
  struct Partition {
    TopicPartition partition = {};
    Offset before = {};  ///< the first that stays, or before_high_watermark
  };
  std::vector<Partition> partitions = {};
};

struct DeleteRecordsResponse {
  struct Partition {
    TopicPartition partition = {};
    Offset low_watermark{-1};  ///< where it begins now
    ErrorCode error = ErrorCode::none;
    std::string message = {};  ///< of the error: what to do
  };
  std::vector<Partition> partitions = {};
};

}  // namespace ottla::inline OTTLA_ABI
