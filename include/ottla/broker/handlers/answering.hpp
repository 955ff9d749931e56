// SPDX-License-Identifier: Apache-2.0
//
// A request is answered once, also where memory cannot be had on the way: handlers throw nothing.
#pragma once

#include <utility>

#include <ottla/base/guard.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/status.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI::handlers {

/// A reply until it is given: whoever the request was left with has a count.
template <class Response>
class PendingReply final : public Counted {
 public:
  /// Takes `reply` when there is memory for it.
  explicit PendingReply(Reply<Response>& reply) : reply_(std::move(reply)) {}
  /// Before: it was not given.
  void give(absl::StatusOr<Response> answer) { std::exchange(reply_, nullptr)(std::move(answer)); }

 private:
  Reply<Response> reply_;
};

/// `leave` leaves the request with somebody who gives the reply; an error, and what it throws, is
/// the answer.
template <class Response, class Leave>
void answer_later(Reply<Response> reply, Leave leave) {
  Ref<PendingReply<Response>> pending;
  absl::Status left = guarded([&]() -> absl::Status {
    pending = make_ref<PendingReply<Response>>(reply);
    return leave(pending);
  });
  if (left.ok()) {
    return;
  }
  if (pending) {
    pending->give(std::move(left));
  } else {
    reply(std::move(left));
  }
}

}  // namespace ottla::inline OTTLA_ABI::handlers
