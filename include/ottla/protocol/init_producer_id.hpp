// SPDX-License-Identifier: Apache-2.0
//
// InitProducerId: an id that no other producer has had, for sequence numbers. Spec producer_txn.md
// sections 4 and 7.
#pragma once

#include <optional>
#include <string>

#include <ottla/base/error_code.hpp>
#include <ottla/base/ids.hpp>

namespace ottla::inline OTTLA_ABI {

struct InitProducerIdRequest {
  std::optional<std::string> transactional_id = {};  ///< `unsupported` yet; empty: INVALID_REQUEST
};

struct InitProducerIdResponse {
  ErrorCode error = ErrorCode::none;
  ProducerId producer_id = no_producer_id;
  ProducerEpoch producer_epoch = no_producer_epoch;
};

}  // namespace ottla::inline OTTLA_ABI
