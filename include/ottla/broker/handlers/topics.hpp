// SPDX-License-Identifier: Apache-2.0
//
// CreateTopics, DeleteTopics, CreatePartitions: decided by the metadata machine, then carried out
// on the disk.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/handlers/answering.hpp>
#include <ottla/broker/topic_config.hpp>
#include <ottla/metadata/metadata_machine.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI::handlers {

/// The answer to a topic that is in the metadata log, and could not be made on the disk.
template <class Topic>
void storage_failed(Topic& topic, const absl::Status& why) {
  topic.error = ErrorCode::kafka_storage_error;
  topic.message = std::string(sv(why.message()));
}

/// Topics of the broker's own, and those whose configs are wrong, are answered here, and never
/// reach the machine.
template <class Core>
std::vector<CreateTopicsResponse::Topic> refuse_some(Core& core, CreateTopicsRequest& request) {
  std::vector<CreateTopicsResponse::Topic> refused;
  std::erase_if(request.topics, [&](const CreateTopicsRequest::Topic& topic) {
    const std::map<std::string, std::string> configs(topic.configs.begin(), topic.configs.end());
    absl::Status resolved = absl::OkStatus();
    if (is_internal_topic(topic.name)) {
      resolved = error(ErrorCode::invalid_topic_exception,
                       absl::StrCat(topic.name, " is a name of the broker's own; choose another"));
    } else if (const auto config = resolve_topic_config(core.topic_defaults(), configs);
               !config.ok()) {
      resolved = config.status();
    } else {
      resolved = check_replication(*config, std::max<std::int32_t>(1, topic.replication_factor));
    }
    if (!resolved.ok()) {
      refused.push_back({.name = topic.name,
                         .id = {},
                         .error = error_code(resolved),
                         .message = std::string(sv(resolved.message()))});
    }
    return !resolved.ok();
  });
  return refused;
}

/// Decided by the metadata machine; `carry_out` changes its response to what becomes of it.
template <class Response, class Core, class Event, class CarryOut>
void ask_metadata(Core& core, Event event, Reply<Response> reply, CarryOut carry_out) {
  answer_later(std::move(reply), [&](const Ref<PendingReply<Response>>& pending) {
    core.metadata().submit(
        [&event](RequestId id) {
          event.request = id;
          return MetadataMachine::Event(std::move(event));
        },
        [pending, carry_out = std::move(carry_out)](
            absl::StatusOr<MetadataMachine::Response> answer) mutable {
          pending->give(guarded([&]() -> absl::StatusOr<Response> {
            OTTLA_TRY(answer.status());
            auto response = std::get<Response>(*std::move(answer));
            carry_out(response);
            return response;
          }));
        });
    return absl::OkStatus();
  });
}

template <class Core>
void handle(Ref<Core> core, CreateTopicsRequest request, Reply<CreateTopicsResponse> reply) {
  std::vector<CreateTopicsResponse::Topic> refused;
  MetadataMachine::CreateTopics event;
  const absl::Status ready = guarded([&] {
    refused = refuse_some(*core, request);
    for (std::size_t i = 0; i < request.topics.size(); ++i) {
      event.fresh_ids.push_back(core->fresh_uuid());
    }
  });
  if (!ready.ok()) {
    reply(ready);
    return;
  }
  const bool dry = request.validate_only;
  event.topics = std::move(request);
  ask_metadata(*core, std::move(event), std::move(reply),
               [core, dry, refused = std::move(refused)](CreateTopicsResponse& response) mutable {
                 for (CreateTopicsResponse::Topic& topic : response.topics) {
                   // Also one that could not be made on the disk when it was created.
                   const bool again =
                       topic.error == ErrorCode::topic_already_exists && !core->is_open(topic.name);
                   if ((topic.error == ErrorCode::none || again) && !dry) {
                     if (const absl::Status opened = core->open_topic(topic.name); !opened.ok()) {
                       storage_failed(topic, opened);
                     }
                   }
                 }
                 for (CreateTopicsResponse::Topic& topic : refused) {
                   response.topics.push_back(std::move(topic));
                 }
               });
}

template <class Core>
void handle(Ref<Core> core, DeleteTopicsRequest request, Reply<DeleteTopicsResponse> reply) {
  ask_metadata(*core, MetadataMachine::DeleteTopics{{}, std::move(request)}, std::move(reply),
               [core](DeleteTopicsResponse& response) {
                 for (DeleteTopicsResponse::Topic& topic : response.topics) {
                   if (topic.error == ErrorCode::none) {
                     if (const absl::Status dropped = core->drop_topic(topic.id); !dropped.ok()) {
                       storage_failed(topic, dropped);
                     }
                   }
                 }
               });
}

/// The topic has that many partitions, and some of them could not be opened.
template <class Core>
bool is_offline_at(Core& core, std::string_view name, std::int32_t total) {
  const bool has_them = core.metadata().query([&](const MetadataMachine& machine) {
    const MetadataTopic* known = machine.find(name);
    return known != nullptr && std::cmp_equal(known->partitions.size(), total);
  });
  return has_them && !core.is_open(name);
}

template <class Core>
void handle(Ref<Core> core, CreatePartitionsRequest request,
            Reply<CreatePartitionsResponse> reply) {
  const bool dry = request.validate_only;
  std::map<std::string, std::int32_t> totals;
  const absl::Status ready = guarded([&] {
    for (const CreatePartitionsRequest::Topic& topic : request.topics) {
      totals[topic.name] = topic.partitions;
    }
  });
  if (!ready.ok()) {
    reply(ready);
    return;
  }
  ask_metadata(*core, MetadataMachine::CreatePartitions{{}, std::move(request)}, std::move(reply),
               [core, dry, totals = std::move(totals)](CreatePartitionsResponse& response) {
                 for (CreatePartitionsResponse::Topic& topic : response.topics) {
                   // Also what could not be made on the disk when it was added.
                   const bool again = topic.error == ErrorCode::invalid_partitions &&
                                      is_offline_at(*core, topic.name, totals.at(topic.name));
                   if ((topic.error == ErrorCode::none || again) && !dry) {
                     if (const absl::Status opened = core->open_topic(topic.name); !opened.ok()) {
                       storage_failed(topic, opened);
                     } else if (again) {
                       topic.error = ErrorCode::none;
                       topic.message.clear();
                     }
                   }
                 }
               });
}

}  // namespace ottla::inline OTTLA_ABI::handlers
