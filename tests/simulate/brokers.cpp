// SPDX-License-Identifier: Apache-2.0
//
// Brokers and their clients in a simulated world, seed by seed.
#include <charconv>
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>

#include <examples/support/command_line.hpp>
#include <examples/support/progress.hpp>
#include <nlohmann/json.hpp>

#include "broker_run.hpp"
#include "shrink.hpp"

namespace {

using Json = nlohmann::ordered_json;
using namespace simulate;

constexpr std::string_view synopsis =
    "tests/simulate/run --brokers [--cycles N] [--seed S] [--ignored N]\n"
    "\n"
    "Each seed is a broker with producers, groups and an admin, life after life: at work among\n"
    "faults until its process or the machine dies. Then the faults stop, and within bounded time\n"
    "everything has to come to its end. What the clients were told is looked at by each checker "
    "of\n"
    "ottla/sim/checkers.hpp. One seed in a hundred runs twice, and has to leave the same trace.";
constexpr std::string_view notes =
    "With --ignored, syncs, renames and truncations of one reason at a time do nothing and answer\n"
    "ok, for up to N seeds each: who notices is in the result.\n"
    "Prints the result as JSON, and the history of a failure to standard error. Exit code: 0\n"
    "nothing was broken, 1 otherwise, with the seed and the shortest run that shows it, 2 wrong\n"
    "usage.\n"
    "\n"
    "  tests/simulate/run --brokers --cycles 10000\n"
    "  tests/simulate/run --brokers --cycles 1 --seed 4711\n";

struct Settings {
  std::uint64_t cycles = 1'000;
  std::uint64_t seed = 1;
  std::uint64_t ignored = 0;
};

console::Option number_option(std::string name, std::string about, std::uint64_t& into) {
  return {std::move(name), "N", std::move(about), [&into](std::string_view text) -> std::string {
            const char* end = text.data() + text.size();
            const auto [stop, problem] = std::from_chars(text.data(), end, into);
            return problem == std::errc() && stop == end ? "" : "not a number";
          }};
}

struct Tally {
  std::uint64_t seeds = 0;
  std::uint64_t lives = 0;
  std::uint64_t events = 0;
  SimFaultTable faults;
  Json failures = Json::array();
};

bool fails(const BrokerRunOptions& options) { return !BrokerRun(options).run().violations.empty(); }

Json failure_json(const BrokerRunOptions& options) {
  const BrokerRunResult result = BrokerRun(options).run();
  for (std::uint64_t i = 0; i < result.history.size(); ++i) {
    std::cerr << i << ' ' << text(result.history.events()[i]) << '\n';
  }
  for (const std::string& event : result.events) {
    std::cerr << "told in life " << event << '\n';
  }
  for (const Violation& each : result.violations) {
    std::cerr << each.property << ": " << each.text << '\n';
  }
  return {{"seed", options.seed},
          {"lives", options.lives},
          {"steps", options.steps},
          {"faults", options.faults},
          {"clients", options.clients},
          {"property", result.violations.front().property},
          {"text", result.violations.front().text}};
}

Tally run_seeds(const Settings& settings) {
  Tally tally;
  for (std::uint64_t seed = settings.seed; tally.lives < settings.cycles; ++seed) {
    const BrokerRunOptions options{.seed = seed};
    const BrokerRunResult result = BrokerRun(options).run();
    ++tally.seeds;
    tally.lives += static_cast<std::uint64_t>(result.lives);
    tally.events += result.history.size();
    tally.faults += result.faults;
    if (!result.violations.empty()) {
      tally.failures.push_back(failure_json(shrink(options, fails)));
    } else if (seed % 100 == 0 && BrokerRun(options).run().trace != result.trace) {
      tally.failures.push_back({{"seed", seed}, {"property", "same trace"}});
    }
    if (tally.failures.size() == 10) {
      break;
    }
  }
  return tally;
}

/// Every step that was taken in `calls`: by whom it is noticed when it is left out.
Json ignore_each(const Settings& settings, const SimFaultTable& calls) {
  Json steps = Json::array();
  for (int reason = 0; reason < io_reasons; ++reason) {
    for (const IoOperation operation : {IoOperation::sync, IoOperation::sync_directory,
                                        IoOperation::rename, IoOperation::truncate}) {
      const Ignored step{static_cast<IoReason>(reason), operation};
      if (calls.fired(operation, step.reason, SimFault::none) == 0) {
        continue;
      }
      Json found = {{"step", std::string(name(operation)) + " " + std::string(name(step.reason))},
                    {"noticed", false}};
      for (std::uint64_t i = 0; i < settings.ignored && found["noticed"] == false; ++i) {
        const BrokerRunResult result =
            BrokerRun({.seed = settings.seed + i, .ignored = step}).run();
        if (!result.violations.empty()) {
          found["noticed"] = true;
          found["seeds"] = i + 1;
          found["property"] = result.violations.front().property;
        }
      }
      steps.push_back(found);
      std::cerr << found.dump() << '\n';
    }
  }
  return steps;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  const console::CommandLine line(
      "tests/simulate/run --brokers", std::string(synopsis), std::string(notes),
      {number_option("--cycles", "lives to run; 1000", settings.cycles),
       number_option("--seed", "of the first run; 1", settings.seed),
       number_option("--ignored", "seeds for each step that is left out; 0", settings.ignored)});
  int exit_code = EXIT_SUCCESS;
  const auto operands = line.read(argc, argv, exit_code);
  if (!operands) return exit_code;
  if (!operands->empty()) return line.wrong("what is " + operands->front() + " for?");
  const Tally tally = run_seeds(settings);
  Json result;
  result["ok"] = tally.failures.empty();
  result["seeds"] = {settings.seed, settings.seed + tally.seeds - 1};
  result["lives"] = tally.lives;
  result["events"] = tally.events;
  for (int i = 1; i < sim_faults; ++i) {
    const auto fault = static_cast<SimFault>(i);
    result["faults"][std::string(name(fault))] = fired(tally.faults, fault);
  }
  if (settings.ignored > 0) {
    result["ignored"] = ignore_each(settings, tally.faults);
  }
  result["failures"] = tally.failures;
  std::cout << result.dump(1) << '\n';
  return tally.failures.empty() ? 0 : 1;
}
