// SPDX-License-Identifier: Apache-2.0
//
// The shortest run that still breaks something: fewer lives, fewer steps, fewer kinds of faults,
// fewer clients.
#pragma once

#include <functional>

#include "log_run.hpp"

namespace simulate {

/// `fails(options)`: whether a run with them breaks something.
template <class Options, class Fails>
Options shrink(Options options, Fails fails) {
  const auto keep_if = [&](const std::function<void(Options&)>& change) {
    Options tried = options;
    change(tried);
    const bool still = fails(tried);
    options = still ? tried : options;
    return still;
  };
  while (options.lives > 1 && keep_if([](Options& tried) { --tried.lives; })) {
  }
  for (int fault = 1; fault < sim_faults; ++fault) {
    keep_if([&](Options& tried) { tried.faults &= ~(1U << static_cast<unsigned>(fault)); });
  }
  if constexpr (requires { options.clients; }) {
    for (unsigned client = 0; client < 32; ++client) {
      keep_if([&](Options& tried) { tried.clients &= ~(1U << client); });
    }
  }
  for (int less = options.steps / 2; less > 0; less /= 2) {
    while (options.steps > less && keep_if([&](Options& tried) { tried.steps -= less; })) {
    }
  }
  return options;
}

}  // namespace simulate
