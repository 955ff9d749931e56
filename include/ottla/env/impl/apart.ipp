// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/guard.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/status.hpp>
#include <ottla/env/apart.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE absl::Status apart(World& world, std::string_view name, SteadyTime deadline,
                                absl::AnyInvocable<absl::Status(bool is_apart)> body) {
  struct Work final : Counted {
    absl::AnyInvocable<absl::Status(bool)> body;
    absl::Status answer;
    Ref<Doorbell> ended = make_ref<Doorbell>();
  };
  Ref<Work> work;
  const absl::Status begun = guarded([&] {
    work = make_ref<Work>();
    work->body = std::move(body);
    return world.spawn(name, [work] {
      work->answer = guarded([&] { return work->body(true); });
      work->body = nullptr;
      work->ended->ring();
    });
  });
  if (!begun.ok()) {
    return guarded([&] { return work ? work->body(false) : body(false); });
  }
  bool ended = false;
  guarded([&] { ended = world.await(*work->ended, deadline); }).IgnoreError();
  return ended ? std::move(work->answer)
               : error(ErrorCode::request_timed_out, Fault::timed_out,
                       "closing is not done in time, and goes on by itself", Outcome::unknown);
}

}  // namespace ottla::inline OTTLA_ABI
