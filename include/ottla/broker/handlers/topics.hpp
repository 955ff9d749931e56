// SPDX-License-Identifier: Apache-2.0
//
// CreateTopics, DeleteTopics, CreatePartitions: decided by the metadata machine, then carried out
// on the disk.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
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
    } else if (config->cleanup == CleanupPolicy::compact ||
               config->cleanup == CleanupPolicy::compact_and_remove) {
      resolved =
          error(ErrorCode::invalid_config,
                "cleanup.policy: there is no compaction yet; use delete, with retention.ms=-1 "
                "to keep every record");
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

template <class Core>
void handle(Ref<Core> core, CreateTopicsRequest request, Reply<CreateTopicsResponse> reply) {
  auto refused = refuse_some(*core, request);
  const bool dry = request.validate_only;
  MetadataMachine::CreateTopics event{{}, std::move(request), {}};
  for (std::size_t i = 0; i < event.topics.topics.size(); ++i) {
    event.fresh_ids.push_back(core->fresh_uuid());
  }
  core->metadata().submit(
      [&event](RequestId id) {
        event.request = id;
        return MetadataMachine::Event(std::move(event));
      },
      [core, dry, refused = std::move(refused),
       reply = std::move(reply)](absl::StatusOr<MetadataMachine::Response> answer) mutable {
        if (!answer.ok()) {
          reply(std::move(answer).status());
          return;
        }
        auto response = std::get<CreateTopicsResponse>(*std::move(answer));
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
        reply(std::move(response));
      });
}

template <class Core>
void handle(Ref<Core> core, DeleteTopicsRequest request, Reply<DeleteTopicsResponse> reply) {
  core->metadata().submit(
      [&request](RequestId id) {
        return MetadataMachine::Event(MetadataMachine::DeleteTopics{id, std::move(request)});
      },
      [core, reply = std::move(reply)](absl::StatusOr<MetadataMachine::Response> answer) mutable {
        if (!answer.ok()) {
          reply(std::move(answer).status());
          return;
        }
        auto response = std::get<DeleteTopicsResponse>(*std::move(answer));
        for (DeleteTopicsResponse::Topic& topic : response.topics) {
          if (topic.error == ErrorCode::none) {
            if (const absl::Status dropped = core->drop_topic(topic.id); !dropped.ok()) {
              storage_failed(topic, dropped);
            }
          }
        }
        reply(std::move(response));
      });
}

template <class Core>
void handle(Ref<Core> core, CreatePartitionsRequest request,
            Reply<CreatePartitionsResponse> reply) {
  const bool dry = request.validate_only;
  core->metadata().submit(
      [&request](RequestId id) {
        return MetadataMachine::Event(MetadataMachine::CreatePartitions{id, std::move(request)});
      },
      [core, dry,
       reply = std::move(reply)](absl::StatusOr<MetadataMachine::Response> answer) mutable {
        if (!answer.ok()) {
          reply(std::move(answer).status());
          return;
        }
        auto response = std::get<CreatePartitionsResponse>(*std::move(answer));
        for (CreatePartitionsResponse::Topic& topic : response.topics) {
          if (topic.error == ErrorCode::none && !dry) {
            if (const absl::Status opened = core->open_topic(topic.name); !opened.ok()) {
              storage_failed(topic, opened);
            }
          }
        }
        reply(std::move(response));
      });
}

}  // namespace ottla::inline OTTLA_ABI::handlers
