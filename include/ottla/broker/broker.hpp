// SPDX-License-Identifier: Apache-2.0
//
// A broker in your process: topics on a directory, or in memory, reached by function call.
//   auto broker = ottla::Broker::open({.log_dirs = "orders-data", .log = {.retention = 24h}});
//   absl::Status made = broker->create_topic({.name = "orders", .partitions = 3});
//   auto producer = ottla::Producer<std::string, std::string>::open(*broker);
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/admin/admin.hpp>
#include <ottla/base/guard.hpp>
#include <ottla/broker/broker_core.hpp>
#include <ottla/broker/local_connection.hpp>
#include <ottla/broker/read_only_connection.hpp>
#include <ottla/env/posix/posix_env.hpp>
#include <ottla/protocol/connection.hpp>
#include <ottla/protocol/host.hpp>

namespace ottla::inline OTTLA_ABI {

/// A handle, cheap to copy and thread-safe; the broker is closed by `close`, or when its last
/// handle goes. Clients may outlive it and are answered `closed`.
template <Env E>
class BasicBroker {
 public:
  using Core = BasicBrokerCore<E>;
  using ReadOnlyCore = BasicReadOnlyCore<E>;

  /// Opens the directories (made when missing), recovers what an unclean stop left, and serves
  /// every topic in them. `locked` when another process or broker has one; `read_only` where they
  /// cannot be written; `corrupt` and the like name the file. With Access::read_only nothing is
  /// made, changed or locked (read_only_core.hpp).
  static absl::StatusOr<BasicBroker> open(BrokerConfig config) requires std::same_as<E, PosixEnv> {
    OTTLA_TRY(check_broker_config(config));
    PosixEnvOptions options{.executor = {.threads = config.threads}};
    if (config.log_dirs.in_memory()) {
      options.files = memory_files();
    } else if (config.threads > 0) {  // a lane for each directory, one for chores
      const auto lanes =
          static_cast<int>(std::min<std::size_t>(config.log_dirs.paths().size(), 64));
      options.executor.threads = std::max(config.threads, lanes + 2);
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

  // As Admin's of the same name.
  absl::Status create_topic(TopicDefinition topic) const {
    OTTLA_ASSIGN(const Admin admin, Admin::open(*this));
    return admin.create_topic(std::move(topic));
  }
  absl::Status delete_topic(std::string_view name) const {
    OTTLA_ASSIGN(const Admin admin, Admin::open(*this));
    return admin.delete_topic(name);
  }
  absl::Status add_partitions(std::string_view name, std::int32_t partitions) const {
    OTTLA_ASSIGN(const Admin admin, Admin::open(*this));
    return admin.add_partitions(name, partitions);
  }
  absl::StatusOr<std::vector<std::string>> list_topics() const {
    OTTLA_ASSIGN(const Admin admin, Admin::open(*this));
    return admin.list_topics();
  }
  absl::StatusOr<MetadataResponse::Topic> describe_topic(std::string_view name) const {
    OTTLA_ASSIGN(const Admin admin, Admin::open(*this));
    return admin.describe_topic(name);
  }

  /// Reads every partition from its first byte to its end, in this thread, and checks everything:
  /// checksums, offsets, what is noted of closed segments. Changes no byte of a log. What the
  /// kernel has cached is checked as it is there. BrokerConfig::scrubber does the same in the
  /// background.
  absl::StatusOr<VerifyReport> verify(const VerifyProgress& progress = {}) const {
    OTTLA_TRY(writable());
    return guarded([&] { return handle_->core->verify(progress); });
  }

  /// Decides what becomes of a damaged partition, in this thread: all of it is read first. Readers
  /// go on meanwhile, appends are refused; a new leader epoch begins, and committed offsets that
  /// are not there any more are lowered (event "offset_lowered"). What is taken out is kept, and
  /// told (event "repaired"). INVALID_REQUEST where it is not damaged; after other errors, and a
  /// crash, it may be repaired again. Consumers are told once of a range that is gone
  /// (`skipped_range`).
  absl::StatusOr<RepairReport> repair(const TopicPartition& partition, Repair how) const {
    OTTLA_TRY(writable());
    return guarded([&] { return handle_->core->repair(partition, how); });
  }

  /// After a step of the wall clock (event "clock_stepped") what goes by its age stays for 10
  /// minutes. This says that the clock is right as it is now: at the next look that goes on.
  absl::Status confirm_clock() const {
    OTTLA_TRY(writable());
    OTTLA_TRY(handle_->core->usable());
    handle_->core->clock().confirm();
    return absl::OkStatus();
  }

  /// For clients. Null of a handle that was moved from.
  Ref<Connection> connect() const {
    if (!handle_) {
      return {};
    }
    if (handle_->reader) {
      return make_ref<ReadOnlyConnection<E>>(handle_->reader);
    }
    return make_ref<LocalConnection<E>>(handle_->core);
  }

  /// Runs background work in this thread for `budget` at most: for brokers with `.threads = 0`. How
  /// many tasks.
  std::size_t run_once(Duration budget) const {
    return handle_
               ? handle_->with([&](auto& core) { return core.env().executor().run_once(budget); })
               : 0;
  }

  /// Writes and syncs everything, leaves the directories cleanly. Closing twice is fine. In a
  /// callback it begins, and answers `would_deadlock`: what it waits for may be that callback.
  absl::Status close(Duration timeout) const {
    OTTLA_TRY(usable());
    return handle_->with(
        [&](auto& core) { return core.close(after(core.world().steady_now(), timeout)); });
  }
  absl::Status close() const {
    OTTLA_TRY(usable());
    return close(handle_->with([](auto& core) { return core.config().close_timeout; }));
  }

 private:
  /// Of either kind.
  struct Handle {
    explicit Handle(Ref<Core> opened) : core(std::move(opened)) {}
    explicit Handle(Ref<ReadOnlyCore> opened) : reader(std::move(opened)) {}
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() {
      with([](auto& either) {
        if (either.is_inherited()) {
          return;  // who had a lock of it when the process forked has it for ever
        }
        const SteadyTime deadline =
            after(either.world().steady_now(), either.config().close_timeout);
        either.close(deadline).IgnoreError();
        either.events().mute(deadline);
      });
    }
    template <class Work>
    auto with(Work work) const {
      return reader ? work(*reader) : work(*core);
    }
    Ref<Core> core;
    Ref<ReadOnlyCore> reader;
  };

  template <class AnyCore>
  explicit BasicBroker(Ref<AnyCore> core) : handle_(std::make_shared<Handle>(std::move(core))) {}
  static absl::StatusOr<BasicBroker> open(E& env, std::unique_ptr<E> owned, BrokerConfig config) {
    if (config.access == Access::read_only) {
      OTTLA_ASSIGN(Ref<ReadOnlyCore> reader,
                   ReadOnlyCore::open(env, std::move(owned), std::move(config)));
      return BasicBroker(std::move(reader));
    }
    auto core = Core::open(env, std::move(owned), std::move(config));
    if (fault(core.status()) == Fault::read_only) {
      return annotate(core.status(),
                      "a log directory that cannot be written is opened with .access = "
                      "ottla::Access::read_only");
    }
    OTTLA_TRY(core.status());
    return BasicBroker(*std::move(core));
  }
  absl::Status usable() const {
    return handle_ ? absl::OkStatus()
                   : error(Fault::moved_from,
                           "this broker handle was moved from; use the one it went to");
  }
  absl::Status writable() const {
    OTTLA_TRY(usable());
    return handle_->reader ? handle_->reader->refusal() : absl::OkStatus();
  }

  std::shared_ptr<Handle> handle_;
};

/// On the system's files, or in memory.
using Broker = BasicBroker<PosixEnv>;
static_assert(Host<Broker>);

#ifdef OTTLA_COMPILED
extern template class MachineKeeper<MetadataMachine>;
extern template class MachineKeeper<GroupCoordinator>;
extern template class BasicBrokerCore<PosixEnv>;
extern template class LocalConnection<PosixEnv>;
extern template class BasicReadOnlyCore<PosixEnv>;
extern template class ReadOnlyConnection<PosixEnv>;
#endif

}  // namespace ottla::inline OTTLA_ABI
