// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/sim/impl/process_files.hpp>
#include <ottla/sim/sim_env.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

OTTLA_INLINE absl::Status ProcessSteps::begin(const IoCall& call) const {
  world_->preempt();
  world_->note(name(call.operation));
  world_->note(name(call.reason));
  world_->note(call.path);
  world_->note(call.to);
  world_->note(static_cast<std::uint64_t>(call.position));
  world_->note(call.bytes);
  if (!world_->alive(process_)) {
    return error(Fault::closed, absl::StrCat(av(name(call.operation)), " of ", av(call.path),
                                             ": this simulated process is dead"));
  }
  return absl::OkStatus();
}

OTTLA_INLINE void ProcessSteps::end(absl::StatusCode answer) const {
  world_->note(static_cast<std::uint64_t>(answer));
  world_->preempt();
}

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI
