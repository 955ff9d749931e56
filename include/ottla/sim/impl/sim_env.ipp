// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/sim/sim_env.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

inline void note_call(SimScheduler& world, const IoCall& call) {
  world.note(name(call.operation));
  world.note(name(call.reason));
  world.note(call.path);
  world.note(call.to);
  world.note(static_cast<std::uint64_t>(call.position));
  world.note(call.bytes);
}

// `call` is about to happen.
inline absl::Status before(SimScheduler& world, SimProcess process, const IoHook& also,
                           IoCall& call) {
  world.preempt();
  note_call(world, call);
  if (!world.alive(process)) {
    return error(Fault::closed,
                 absl::StrCat(av(name(call.operation)), " of ", av(call.path),
                              ": this simulated process is dead"),
                 Outcome::not_written);
  }
  if (also) {
    OTTLA_TRY(also(call));
  }
  world.hold(1);  // until it is done
  return absl::OkStatus();
}

OTTLA_INLINE IoHook file_hook(SimScheduler& world, SimProcess process, IoHook also) {
  return [&world, process, also = std::move(also)](IoCall& call) {
    if (!call.done) {
      return before(world, process, also, call);
    }
    world.hold(-1);
    world.note(static_cast<std::uint64_t>(call.result.code()));
    const absl::Status answer = also ? also(call) : absl::OkStatus();
    world.preempt();
    return answer;
  };
}

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI
