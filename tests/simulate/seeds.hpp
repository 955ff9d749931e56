// SPDX-License-Identifier: Apache-2.0
//
// Runs seed by seed: what they are asked for, and what they found as JSON.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
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

/// `about`: what cycles are. `run`: of each seed.
template <class Options>
std::vector<console::Option> seed_options(Seeds& seeds, const std::string& about, Options& run) {
  const std::string cycles =
      about + " to run; 0: the first seed alone; " + std::to_string(seeds.cycles);
  using console::number_option;
  std::vector<console::Option> options = {
      number_option("--cycles", "N", cycles, seeds.cycles, 0),
      number_option("--seed", "N", "of the first run; 1", seeds.first, 0),
      number_option("--ignored", "N", "seeds for each step that is left out; 0", seeds.ignored, 0),
      number_option("--lives", "N", "of a run; " + std::to_string(run.lives), run.lives),
      number_option("--steps", "N", "of a life; " + std::to_string(run.steps), run.steps),
      number_option("--faults", "BITS", "the kinds that may come, as a failure has them; all",
                    run.faults, 0)};
  if constexpr (requires { run.clients; }) {
    options.push_back(number_option(
        "--clients", "BITS", "those that take part, as a failure has them; all", run.clients, 0));
  }
  return options;
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

/// Every step of `calls`: whether it is noticed when it is left out, or known to do no harm.
/// `run(seed, step)` answers its violations; `owed(step)`: whether somebody has to notice.
template <class Run, class Owed>
Json ignore_each(const Seeds& seeds, const SimFaultTable& calls, Run run, Owed owed) {
  Json steps = Json::array();
  for (const Step& step : steps_of(calls)) {
    const std::string its_name =
        std::string(name(step.operation)) + " " + std::string(name(step.reason));
    Json found = {{"step", its_name}, {"owed", owed(step)}, {"noticed", false}};
    for (std::uint64_t i = 0; i < seeds.ignored && found["noticed"] == false; ++i) {
      if (const std::vector<Violation> violations = run(seeds.first + i, step);
          !violations.empty()) {
        found["noticed"] = true;
        found["seeds"] = i + 1;
        found["property"] = violations.front().property;
      }
    }
    if (const std::string_view harmless = why_harmless(step); !harmless.empty()) {
      found["owed"] = false;
      found["harmless"] = harmless;
    }
    std::cerr << found.dump() << '\n';
    steps.push_back(std::move(found));
  }
  return steps;
}

/// Whether some were owed, and each of those was noticed.
inline bool all_noticed(const Json& steps) {
  const auto is_owed = [](const Json& step) { return step["owed"] == true; };
  const auto is_missed = [](const Json& step) {
    return step["owed"] == true && step["noticed"] == false;
  };
  return std::any_of(steps.begin(), steps.end(), is_owed) &&
         std::none_of(steps.begin(), steps.end(), is_missed);
}

}  // namespace simulate
