// SPDX-License-Identifier: Apache-2.0
//
// InitProducerId: from a block of ids, which the metadata log gives once.
#pragma once

#include <utility>

#include <ottla/base/status.hpp>
#include <ottla/broker/handlers/topics.hpp>
#include <ottla/protocol/init_producer_id.hpp>

namespace ottla::inline OTTLA_ABI::handlers {

template <class Core>
void handle(Ref<Core> core, const InitProducerIdRequest& request,
            Reply<InitProducerIdResponse> reply) {
  if (request.transactional_id) {
    reply(request.transactional_id->empty()
              ? error(ErrorCode::invalid_request, Fault::invalid_argument,
                      "a transactional id has one character at least")
              : error(Fault::unsupported,
                      "transactions are not there yet: leave the transactional id out"));
    return;
  }
  if (const auto taken = core->producer_ids().take(); taken) {
    reply(InitProducerIdResponse{ErrorCode::none, *taken, ProducerEpoch(0)});
    return;
  }
  answer_later(std::move(reply), [&](const Ref<PendingReply<InitProducerIdResponse>>& pending) {
    core->metadata().submit(
        [floor = core->producer_ids().floor()](RequestId id) {
          return MetadataMachine::Event(MetadataMachine::AllocateProducerIds{id, floor});
        },
        [pending, core](const absl::StatusOr<MetadataMachine::Response>& answer) {
          if (!answer.ok()) {
            pending->give(answer.status());
            return;
          }
          const auto& block = std::get<MetadataMachine::ProducerIdBlock>(*answer);
          InitProducerIdResponse response{.error = block.error};
          if (block.error == ErrorCode::none) {
            response.producer_id = core->producer_ids().begin_block(block.first, block.count);
            response.producer_epoch = ProducerEpoch(0);
          }
          pending->give(response);
        });
    return absl::OkStatus();
  });
}

}  // namespace ottla::inline OTTLA_ABI::handlers
