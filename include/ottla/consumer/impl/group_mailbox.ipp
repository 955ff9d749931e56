// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ottla/base/guard.hpp>
#include <ottla/consumer/group_mailbox.hpp>

namespace ottla::inline OTTLA_ABI {
namespace consumer_impl {

/// The id that the coordinator has made, for who asked without one; "": it has not.
inline std::string made_id(absl::StatusOr<JoinGroupResponse> answer) {
  const bool made = answer.ok() && (answer->error == ErrorCode::none ||
                                    answer->error == ErrorCode::member_id_required);
  return made ? std::move(answer->member_id) : std::string();
}

}  // namespace consumer_impl

OTTLA_INLINE GroupMailbox::News GroupMailbox::take() {
  Lock lock(mutex_);
  return std::exchange(news_, News{});
}

OTTLA_INLINE void GroupMailbox::join(JoinGroupRequest request) {
  std::uint64_t number = 0;
  const bool nameless = request.member_id.empty() && !request.instance_id;
  {
    Lock lock(mutex_);
    number = ++request_;
    nameless_ = nameless;
    news_.joined.reset();
    news_.synced.reset();
  }
  connection_->call(std::move(request),
                    Reply<JoinGroupResponse>([self = Ref<GroupMailbox>(this), number,
                                              nameless](absl::StatusOr<JoinGroupResponse> answer) {
                      self->joined(number, nameless, std::move(answer));
                    }));
}

/// A member without heartbeats would be none for long: it has to join again.
OTTLA_INLINE void GroupMailbox::joined(std::uint64_t request, bool nameless,
                                       absl::StatusOr<JoinGroupResponse> answer) {
  if (answer.ok() && answer->error == ErrorCode::none) {
    const absl::Status beats =
        guarded([&] { beat(request, answer->member_id, answer->generation); });
    if (!beats.ok()) {
      answer = beats;
    }
  }
  bool wanted = false;
  std::string id;  // of who has left
  {
    Lock lock(mutex_);
    if (request == request_) {
      news_.joined.emplace(std::move(answer));
      wanted = true;
    } else if (nameless) {
      id = consumer_impl::made_id(std::move(answer));
    }
  }
  if (wanted) {
    bell_->wake();
  } else if (!id.empty()) {
    guarded([&] { send_leave(std::move(id), "the consumer has left"); }).IgnoreError();
  }
}

OTTLA_INLINE void GroupMailbox::sync(SyncGroupRequest request) {
  std::uint64_t number = 0;
  {
    Lock lock(mutex_);
    number = ++request_;
  }
  connection_->call(std::move(request),
                    Reply<SyncGroupResponse>([self = Ref<GroupMailbox>(this),
                                              number](absl::StatusOr<SyncGroupResponse> answer) {
                      {
                        Lock lock(self->mutex_);
                        if (number != self->request_) {
                          return;
                        }
                        self->news_.synced.emplace(std::move(answer));
                      }
                      self->bell_->wake();
                    }));
}

OTTLA_INLINE void GroupMailbox::beat(std::uint64_t request, std::string member_id, Generation of) {
  std::uint64_t generation = 0;
  TimerId earlier = no_timer;  // it holds this
  {
    Lock lock(mutex_);
    if (request != request_) {
      return;
    }
    earlier = std::exchange(timer_, no_timer);
    as_.member_id = std::move(member_id);
    as_.generation = of;
    generation = beating_ = ++beats_;
  }
  if (earlier != no_timer) {
    connection_->world().cancel(earlier);
  }
  arm(generation);
}

OTTLA_INLINE std::string GroupMailbox::stop() {
  TimerId timer = no_timer;
  std::optional<absl::StatusOr<JoinGroupResponse>> untaken;
  bool nameless = false;
  {
    Lock lock(mutex_);
    beating_ = 0;
    ++request_;
    timer = std::exchange(timer_, no_timer);
    untaken = std::exchange(news_.joined, std::nullopt);
    nameless = nameless_;
  }
  if (timer != no_timer) {
    connection_->world().cancel(timer);
  }
  return nameless && untaken ? consumer_impl::made_id(*std::move(untaken)) : std::string();
}

OTTLA_INLINE HeartbeatRequest GroupMailbox::as() const {
  Lock lock(mutex_);
  return as_;
}

OTTLA_INLINE void GroupMailbox::arm(std::uint64_t generation) {
  World& world = connection_->world();
  const TimerId timer =
      world.post_at(after(world.steady_now(), interval_),
                    [self = Ref<GroupMailbox>(this), generation] { self->tick(generation); });
  bool stopped = false;
  {
    Lock lock(mutex_);
    stopped = beating_ != generation;
    if (!stopped) {
      timer_ = timer;
    }
  }
  if (stopped) {
    world.cancel(timer);
  }
}

/// The next one is armed before the work: what fails in that ends no heartbeats.
OTTLA_INLINE void GroupMailbox::tick(std::uint64_t generation) noexcept {
  const SteadyTime now = connection_->world().steady_now();
  bool leaves = false;
  bool is_static = false;
  {
    Lock lock(mutex_);
    if (beating_ != generation) {
      return;
    }
    leaves = after(last_poll_.load(std::memory_order_relaxed), max_poll_interval_) <= now;
    is_static = as_.instance_id.has_value();
  }
  if (!leaves && guarded([&] { arm(generation); }).ok()) {
    guarded([&] { send_heartbeat(); }).IgnoreError();
    return;
  }
  {
    Lock lock(mutex_);
    if (beating_ != generation) {
      return;
    }
    beating_ = 0;
    news_.left = true;
  }
  if (!is_static) {  // a static member only falls silent, so that its session ends
    guarded([&] {
      send_leave(as().member_id, leaves ? "max.poll.interval.ms passed without a poll"
                                        : "there was no memory for heartbeats");
    }).IgnoreError();
  }
  bell_->wake();
}

OTTLA_INLINE void GroupMailbox::send_leave(std::string member_id, std::string_view reason) {
  LeaveGroupRequest leave{.group = as().group, .members = {}};
  leave.members.push_back(
      {.member_id = std::move(member_id), .instance_id = {}, .reason = std::string(reason)});
  connection_->call(std::move(leave),
                    Reply<LeaveGroupResponse>([](const absl::StatusOr<LeaveGroupResponse>&) {}));
}

OTTLA_INLINE void GroupMailbox::send_heartbeat() {
  HeartbeatRequest as;
  std::uint64_t whose = 0;
  {
    Lock lock(mutex_);
    if (unanswered_ == beating_) {
      return;
    }
    as = as_;
    whose = unanswered_ = beating_;
  }
  const Generation of = as.generation;
  const absl::Status sent = guarded([&] {
    connection_->call(std::move(as), Reply<HeartbeatResponse>(
                                         [self = Ref<GroupMailbox>(this), of,
                                          whose](const absl::StatusOr<HeartbeatResponse>& answer) {
                                           self->answered(whose);
                                           if (answer.ok() && answer->error != ErrorCode::none) {
                                             self->heard(answer->error, of);
                                           }
                                         }));
  });
  if (!sent.ok()) {
    answered(whose);
  }
}

OTTLA_INLINE void GroupMailbox::answered(std::uint64_t whose) {
  Lock lock(mutex_);
  if (unanswered_ == whose) {
    unanswered_ = 0;
  }
}

OTTLA_INLINE void GroupMailbox::heard(ErrorCode error, Generation of) {
  {
    Lock lock(mutex_);
    if (beating_ == 0 || as_.generation != of) {
      return;
    }
    news_.heartbeat = error;
  }
  bell_->wake();
}

}  // namespace ottla::inline OTTLA_ABI
