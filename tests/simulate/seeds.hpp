// SPDX-License-Identifier: Apache-2.0
//
// Runs seed by seed: what they are asked for, and what they found as JSON.
#pragma once

#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include <examples/support/command_line.hpp>
#include <nlohmann/json.hpp>

#include "log_run.hpp"
#include "step.hpp"

namespace simulate {

using Json = nlohmann::ordered_json;

struct Seeds {
  std::uint64_t cycles;
  std::uint64_t first = 1;
  std::uint64_t ignored = 0;  ///< for each step that is left out
};

/// `about`: what cycles are.
inline std::vector<console::Option> seed_options(Seeds& seeds, const std::string& about) {
  const std::string cycles = about + " to run; " + std::to_string(seeds.cycles);
  using console::number_option;
  return {
      number_option("--cycles", "N", cycles, seeds.cycles, 0),
      number_option("--seed", "N", "of the first run; 1", seeds.first, 0),
      number_option("--ignored", "N", "seeds for each step that is left out; 0", seeds.ignored, 0)};
}

template <class Options>
Json failure_json(const Options& options, const Violation& violation) {
  Json failure = {{"seed", options.seed},
                  {"lives", options.lives},
                  {"steps", options.steps},
                  {"faults", options.faults}};
  if constexpr (requires { options.clients; }) {
    failure["clients"] = options.clients;
  }
  failure["property"] = violation.property;
  failure["text"] = violation.text;
  return failure;
}

inline Json faults_json(const SimFaultTable& faults) {
  Json fired_json;
  for (int i = 1; i < sim_faults; ++i) {
    const auto fault = static_cast<SimFault>(i);
    fired_json[std::string(name(fault))] = fired(faults, fault);
  }
  return fired_json;
}

/// Every step of `calls`: whether it is noticed when it is left out. `run(seed, step)` answers its
/// violations.
template <class Run>
Json ignore_each(const Seeds& seeds, const SimFaultTable& calls, Run run) {
  Json steps = Json::array();
  for (const Step& step : steps_of(calls)) {
    const std::string its_name =
        std::string(name(step.operation)) + " " + std::string(name(step.reason));
    Json found = {{"step", its_name}, {"noticed", false}};
    for (std::uint64_t i = 0; i < seeds.ignored && found["noticed"] == false; ++i) {
      if (const std::vector<Violation> violations = run(seeds.first + i, step);
          !violations.empty()) {
        found["noticed"] = true;
        found["seeds"] = i + 1;
        found["property"] = violations.front().property;
      }
    }
    std::cerr << found.dump() << '\n';
    steps.push_back(std::move(found));
  }
  return steps;
}

}  // namespace simulate
