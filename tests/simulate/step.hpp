// SPDX-License-Identifier: Apache-2.0
//
// A step that makes things durable. Left out, it does nothing and answers ok: somebody has to
// notice.
#pragma once

#include <vector>

#include <ottla/env/io_reason.hpp>
#include <ottla/sim/sim_disk_faults.hpp>

namespace simulate {

using namespace ottla;

struct Step {
  IoReason reason;
  IoOperation operation;
};

/// Those of `calls`.
inline std::vector<Step> steps_of(const SimFaultTable& calls) {
  std::vector<Step> steps;
  for (int reason = 0; reason < io_reasons; ++reason) {
    for (const IoOperation operation : {IoOperation::sync, IoOperation::sync_directory,
                                        IoOperation::rename, IoOperation::truncate}) {
      const Step step{static_cast<IoReason>(reason), operation};
      if (calls.fired(operation, step.reason, SimFault::none) > 0) {
        steps.push_back(step);
      }
    }
  }
  return steps;
}

}  // namespace simulate
