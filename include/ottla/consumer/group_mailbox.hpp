// SPDX-License-Identifier: Apache-2.0
//
// What a member of a group hears from other threads: answers of the coordinator, and what its
// heartbeats learn, which are a task of the world's executor. The polling thread empties it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/statusor.h>

#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/wakeups.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe. Outlives its membership while something is under way.
class GroupMailbox final : public Counted {
 public:
  /// `as`: the group, and the instance id of a static member.
  GroupMailbox(Ref<Connection> connection, Ref<Wakeable> bell, HeartbeatRequest as,
               std::chrono::nanoseconds interval, std::chrono::nanoseconds max_poll_interval)
      : connection_(std::move(connection)),
        bell_(std::move(bell)),
        interval_(interval),
        max_poll_interval_(max_poll_interval),
        as_(std::move(as)) {}

  struct News {
    std::optional<absl::StatusOr<JoinGroupResponse>> joined;
    std::optional<absl::StatusOr<SyncGroupResponse>> synced;
    ErrorCode heartbeat = ErrorCode::none;  ///< an answer other than success, since last asked
    /// The member has left: max.poll.interval passed, or there was no memory for heartbeats.
    bool left = false;
  };
  News take();

  /// Once the coordinator welcomes the member, heartbeats are sent for it, until `stop`: whether or
  /// not the polling thread has seen the answer. One that finds no memory, or the one before
  /// unanswered, is left out.
  ///
  /// An id that the coordinator makes for a dynamic member which has stopped meanwhile is given
  /// back, by a LeaveGroup: the group would wait for it.
  void join(JoinGroupRequest request);
  void sync(SyncGroupRequest request);
  /// Such an id that has come and was not taken is the caller's to give back; "": there is none.
  std::string stop();
  /// As whom the coordinator knows the member. Before: it was welcomed.
  HeartbeatRequest as() const;
  /// Another answer said it of the member of that generation.
  void heard(ErrorCode error, Generation of);
  /// Time spent inside a poll does not count as time without one.
  void enter_poll() { last_poll_.store(never, std::memory_order_relaxed); }
  void leave_poll(SteadyTime now) { last_poll_.store(now, std::memory_order_relaxed); }

 private:
  void joined(std::uint64_t request, bool nameless, absl::StatusOr<JoinGroupResponse> answer);
  void beat(std::uint64_t request, std::string member_id, Generation of);
  void arm(std::uint64_t generation);
  void tick(std::uint64_t generation) noexcept;
  void send_heartbeat();
  void answered(std::uint64_t whose);
  void send_leave(std::string member_id, std::string_view reason);

  const Ref<Connection> connection_;
  const Ref<Wakeable> bell_;
  const std::chrono::nanoseconds interval_;
  const std::chrono::nanoseconds max_poll_interval_;
  mutable Mutex mutex_{Mutex::Kind::leaf};
  News news_ OTTLA_GUARDED_BY(mutex_);
  std::uint64_t request_ OTTLA_GUARDED_BY(mutex_) = 0;  // answers to older ones are dropped
  bool nameless_ OTTLA_GUARDED_BY(mutex_) = false;      // the last JoinGroup asked for an id
  HeartbeatRequest as_ OTTLA_GUARDED_BY(mutex_);
  std::atomic<SteadyTime> last_poll_{never};
  std::uint64_t beating_ OTTLA_GUARDED_BY(mutex_) = 0;  // 0: not; else which `beat` it was
  std::uint64_t beats_ OTTLA_GUARDED_BY(mutex_) = 0;
  std::uint64_t unanswered_ OTTLA_GUARDED_BY(mutex_) = 0;  // whose heartbeat is; 0: none
  TimerId timer_ OTTLA_GUARDED_BY(mutex_) = no_timer;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/consumer/impl/group_mailbox.ipp>
#endif
