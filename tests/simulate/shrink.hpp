// SPDX-License-Identifier: Apache-2.0
//
// The shortest run that still breaks something: fewer lives, fewer steps, fewer kinds of faults.
#pragma once

#include <functional>

#include "log_run.hpp"

namespace simulate {

inline RunOptions shrink(RunOptions options) {
  const auto fails = [](const RunOptions& tried) {
    return !LogRun(tried).run().violations.empty();
  };
  const auto keep_if = [&](const std::function<void(RunOptions&)>& change) {
    RunOptions tried = options;
    change(tried);
    const bool still = fails(tried);
    options = still ? tried : options;
    return still;
  };
  while (options.lives > 1 && keep_if([](RunOptions& tried) { --tried.lives; })) {
  }
  for (int fault = 1; fault < sim_faults; ++fault) {
    keep_if([&](RunOptions& tried) { tried.faults &= ~(1U << static_cast<unsigned>(fault)); });
  }
  for (int less = options.steps / 2; less > 0; less /= 2) {
    while (options.steps > less && keep_if([&](RunOptions& tried) { tried.steps -= less; })) {
    }
  }
  return options;
}

}  // namespace simulate
