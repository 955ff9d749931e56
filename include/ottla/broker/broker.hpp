// SPDX-License-Identifier: Apache-2.0
//
// A broker in your process: topics on a directory, or in memory, reached by function call.
//   auto broker = ottla::Broker::open({.log_dirs = "orders-data", .log = {.retention = 24h}});
//   absl::Status made = broker->create_topic({.name = "orders", .partitions = 3});
//   auto producer = ottla::Producer<std::string, std::string>::open(*broker);
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/guard.hpp>
#include <ottla/broker/broker_core.hpp>
#include <ottla/broker/local_connection.hpp>
#include <ottla/env/posix/posix_env.hpp>
#include <ottla/protocol/connection.hpp>
#include <ottla/protocol/host.hpp>

namespace ottla::inline OTTLA_ABI {

struct TopicDefinition {
  std::string name = {};
  std::int32_t partitions = -1;                                   ///< -1: the broker's default
  std::vector<std::pair<std::string, std::string>> configs = {};  ///< by Kafka's keys
  bool if_not_exists = false;  ///< an existing topic is fine, whatever it is like
};

/// A handle, cheap to copy and thread-safe; the broker is closed by `close`, or when its last
/// handle goes. Clients may outlive it and are answered `closed`.
template <Env E>
class BasicBroker {
 public:
  using Core = BasicBrokerCore<E>;

  /// Opens the directories (made when missing), recovers what an unclean stop left, and serves
  /// every topic in them. `locked` when another process or broker has one; `corrupt` and the like
  /// name the file.
  static absl::StatusOr<BasicBroker> open(BrokerConfig config) requires std::same_as<E, PosixEnv> {
    PosixEnvOptions options{.executor = {.threads = config.threads}};
    if (config.log_dirs.in_memory()) {
      options.files = memory_files();
    }
    OTTLA_ASSIGN(auto env, PosixEnv::open(std::move(options)));
    E& world = *env;
    return open(world, std::move(env), std::move(config));
  }
  /// In a world of the caller's, which outlives every handle and client, and a closing that was
  /// late until the disk has let go.
  static absl::StatusOr<BasicBroker> open(E& env, BrokerConfig config) {
    return open(env, nullptr, std::move(config));
  }

  /// TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_PARTITIONS, INVALID_CONFIG. Where the
  /// disk fails: KAFKA_STORAGE_ERROR, UNKNOWN_SERVER_ERROR, of an unknown outcome.
  absl::Status create_topic(TopicDefinition topic) const;
  /// It is gone for clients when this answers; its files go by and by.
  absl::Status delete_topic(std::string_view name) const;
  /// `partitions`: the new total.
  absl::Status add_partitions(std::string_view name, std::int32_t partitions) const;
  /// Ascending.
  absl::StatusOr<std::vector<std::string>> list_topics() const;
  absl::StatusOr<MetadataResponse::Topic> describe_topic(std::string_view name) const;

  /// For clients. Null of a handle that was moved from.
  Ref<Connection> connect() const {
    return handle_ ? make_ref<LocalConnection<E>>(handle_->core) : Ref<Connection>();
  }

  /// Runs background work in this thread for `budget` at most: for brokers with `.threads = 0`. How
  /// many tasks.
  std::size_t run_once(std::chrono::nanoseconds budget) const {
    return handle_ ? handle_->core->env().executor().run_once(budget) : 0;
  }

  /// Writes and syncs everything, leaves the directories cleanly. Closing twice is fine. In a
  /// callback it begins, and answers `would_deadlock`: what it waits for may be that callback.
  absl::Status close(std::chrono::nanoseconds timeout) const {
    OTTLA_TRY(usable());
    return handle_->core->close(deadline(timeout));
  }
  absl::Status close() const {
    OTTLA_TRY(usable());
    return close(handle_->core->config().close_timeout);
  }

 private:
  struct Handle {
    explicit Handle(Ref<Core> opened) : core(std::move(opened)) {}
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() {
      const SteadyTime deadline = after(core->world().steady_now(), core->config().close_timeout);
      core->close(deadline).IgnoreError();
      core->events().mute(deadline);
    }
    Ref<Core> core;
  };

  explicit BasicBroker(Ref<Core> core) : handle_(std::make_shared<Handle>(std::move(core))) {}
  static absl::StatusOr<BasicBroker> open(E& env, std::unique_ptr<E> owned, BrokerConfig config) {
    OTTLA_ASSIGN(Ref<Core> core, Core::open(env, std::move(owned), std::move(config)));
    return BasicBroker(std::move(core));
  }
  absl::Status usable() const {
    return handle_ ? absl::OkStatus()
                   : error(Fault::moved_from,
                           "this broker handle was moved from; use the one it went to");
  }
  SteadyTime deadline(std::chrono::nanoseconds timeout) const {
    return after(handle_->core->world().steady_now(), timeout);
  }
  template <class Response, class Request>
  absl::StatusOr<Response> ask_self(Request request) const {
    OTTLA_TRY(usable());
    const Ref<Connection> connection = connect();
    return ask<Response>(*connection, std::move(request), deadline(std::chrono::seconds(60)));
  }
  /// Kafka's answers have no outcome: one that tells of the disk leaves open what became of it.
  template <class Topic>
  static absl::Status status_of(const Topic& topic) {
    if (topic.error == ErrorCode::none) {
      return absl::OkStatus();
    }
    const bool of_disk = topic.error == ErrorCode::kafka_storage_error ||
                         topic.error == ErrorCode::unknown_server_error;
    return error(topic.error, topic.message, of_disk ? Outcome::unknown : Outcome::not_written);
  }

  std::shared_ptr<Handle> handle_;
};

template <Env E>
absl::Status BasicBroker<E>::create_topic(TopicDefinition topic) const {
  return guarded([&]() -> absl::Status {
    CreateTopicsRequest request;
    request.topics.push_back({.name = std::move(topic.name),
                              .partitions = topic.partitions,
                              .configs = std::move(topic.configs)});
    OTTLA_ASSIGN(const auto response, ask_self<CreateTopicsResponse>(std::move(request)));
    const CreateTopicsResponse::Topic& made = response.topics.at(0);
    const bool fine = topic.if_not_exists && made.error == ErrorCode::topic_already_exists;
    return fine ? absl::OkStatus() : status_of(made);
  });
}

template <Env E>
absl::Status BasicBroker<E>::delete_topic(std::string_view name) const {
  return guarded([&]() -> absl::Status {
    OTTLA_TRY(check_topic_name(name));
    DeleteTopicsRequest request;
    request.topics.push_back({.name = std::string(name), .id = {}});
    OTTLA_ASSIGN(const auto response, ask_self<DeleteTopicsResponse>(std::move(request)));
    return status_of(response.topics.at(0));
  });
}

template <Env E>
absl::Status BasicBroker<E>::add_partitions(std::string_view name, std::int32_t partitions) const {
  return guarded([&]() -> absl::Status {
    OTTLA_TRY(check_topic_name(name));
    CreatePartitionsRequest request;
    request.topics.push_back({std::string(name), partitions});
    OTTLA_ASSIGN(const auto response, ask_self<CreatePartitionsResponse>(std::move(request)));
    return status_of(response.topics.at(0));
  });
}

template <Env E>
absl::StatusOr<std::vector<std::string>> BasicBroker<E>::list_topics() const {
  return guarded([&]() -> absl::StatusOr<std::vector<std::string>> {
    OTTLA_ASSIGN(const auto response, ask_self<MetadataResponse>(MetadataRequest{}));
    std::vector<std::string> names;
    for (const MetadataResponse::Topic& topic : response.topics) {
      names.push_back(topic.name);
    }
    return names;
  });
}

template <Env E>
absl::StatusOr<MetadataResponse::Topic> BasicBroker<E>::describe_topic(
    std::string_view name) const {
  return guarded([&]() -> absl::StatusOr<MetadataResponse::Topic> {
    OTTLA_TRY(check_topic_name(name));
    OTTLA_ASSIGN(auto response, ask_self<MetadataResponse>(MetadataRequest{
                                    .topics = std::vector<std::string>{std::string(name)}}));
    MetadataResponse::Topic& topic = response.topics.at(0);
    if (topic.error != ErrorCode::none) {
      return error(topic.error, Fault::not_found,
                   absl::StrCat("topic '", av(name), "' does not exist; create it first"));
    }
    return std::move(topic);
  });
}

/// On the system's files, or in memory.
using Broker = BasicBroker<PosixEnv>;
static_assert(Host<Broker>);

#ifdef OTTLA_COMPILED
extern template class MachineKeeper<MetadataMachine>;
extern template class MachineKeeper<GroupCoordinator>;
extern template class BasicBrokerCore<PosixEnv>;
extern template class LocalConnection<PosixEnv>;
#endif

}  // namespace ottla::inline OTTLA_ABI
