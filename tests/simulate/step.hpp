// SPDX-License-Identifier: Apache-2.0
//
// A step that makes things durable. Left out, it does nothing and answers ok: somebody has to
// notice.
#pragma once

#include <string_view>
#include <vector>

#include <ottla/env/io_reason.hpp>
#include <ottla/sim/sim_disk_faults.hpp>

namespace simulate {

using namespace ottla;

struct Step {
  IoReason reason;
  IoOperation operation;
};

/// Those of `calls`, but for the script's own.
inline std::vector<Step> steps_of(const SimFaultTable& calls) {
  std::vector<Step> steps;
  for (int reason = 0; reason < io_reasons; ++reason) {
    for (const IoOperation operation : {IoOperation::sync, IoOperation::sync_directory,
                                        IoOperation::rename, IoOperation::truncate}) {
      const Step step{static_cast<IoReason>(reason), operation};
      if (step.reason != IoReason::other &&
          calls.fired(operation, step.reason, SimFault::none) > 0) {
        steps.push_back(step);
      }
    }
  }
  return steps;
}

/// Steps that may be left out without harm to what was promised, and why; else nothing.
inline std::string_view why_harmless(const Step& step) {
  if (step.operation == IoOperation::sync_directory) {
    switch (step.reason) {
      case IoReason::recover_rewrite:
        return "An opening after a failed sync is never a clean one, so the first flush syncs the "
               "directory before it answers. Until then the old names lead to what the device has: "
               "everything below the durable point.";
      case IoReason::delete_segment:
        return "The log's start is on the device before a segment below it goes. One whose name "
               "comes back lies below that start, where recovery asks neither for whole segments "
               "nor for joined ones, and goes with the next deletion.";
      case IoReason::producer_snapshot:
        return "A snapshot that comes back lies above what the log was cut back to, and the power "
               "was cut before the next flush, which syncs the directory: so it lies above the "
               "first segment that recovery doubts, and those are dropped unread.";
      default:
        return {};
    }
  }
  if (step.operation == IoOperation::truncate && step.reason == IoReason::producer_snapshot) {
    return "A snapshot's checksum covers its file to the end. One that has more behind it is "
           "dropped like one that is cut short, and made anew from the batches.";
  }
  if (step.operation == IoOperation::truncate && step.reason == IoReason::seal) {
    return "It gives back the room that was preallocated, which is no part of the file's size; "
           "behind a failed write of index entries the next ones lie where those were, and are as "
           "many at least.";
  }
  return {};
}

/// Whether no log and no log directory takes it, so that the scenarios do not.
inline bool is_a_brokers(const Step& step) { return step.reason == IoReason::metadata; }

}  // namespace simulate
