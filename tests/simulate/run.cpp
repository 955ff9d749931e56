// SPDX-License-Identifier: Apache-2.0
//
// Logs on the simulated disk, seed by seed; and the proof that these runs would notice if a step
// that makes things durable were left out.
#include <charconv>
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <examples/support/command_line.hpp>
#include <examples/support/progress.hpp>
#include <nlohmann/json.hpp>

#include "log_run.hpp"
#include "shrink.hpp"

namespace {

using Json = nlohmann::ordered_json;
using namespace simulate;

constexpr std::string_view synopsis =
    "tests/simulate/run [--cycles N] [--seed S] [--ignored N]\n"
    "\n"
    "Each seed is a log on the simulated disk, life after life: at work among faults chosen by "
    "the\n"
    "seed until its process or the machine dies, recovered (some are killed meanwhile), and asked\n"
    "for everything that was acknowledged. A cycle is a life of 50 operations at least and a "
    "roll,\n"
    "whose crash found data that was not synced.";
constexpr std::string_view notes =
    "With --ignored, syncs, renames and truncations of one reason at a time do nothing and answer\n"
    "ok, for up to N seeds each: somebody has to notice.\n"
    "Prints the result as JSON. Exit code: 0 nothing was broken (and everything ignored was\n"
    "noticed), 1 otherwise, with the seed and the shortest run that shows it, 2 wrong usage.\n"
    "\n"
    "  tests/simulate/run --cycles 1000000\n"
    "  tests/simulate/run --cycles 1 --ignored 20000\n";

struct Settings {
  std::uint64_t cycles = 10'000;
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

Json violation_json(const RunOptions& options, const std::vector<Violation>& violations) {
  return {{"seed", options.seed},
          {"lives", options.lives},
          {"steps", options.steps},
          {"faults", options.faults},
          {"property", violations.front().property},
          {"text", violations.front().text}};
}

struct Tally {
  std::uint64_t seeds = 0;
  std::uint64_t lives = 0;
  std::uint64_t cycles = 0;
  SimFaultTable faults;
  Json failures = Json::array();
};

Tally run_seeds(const Settings& settings) {
  Tally tally;
  for (std::uint64_t seed = settings.seed; tally.cycles < settings.cycles; ++seed) {
    const RunOptions options{.seed = seed};
    const RunResult result = LogRun(options).run();
    ++tally.seeds;
    tally.lives += static_cast<std::uint64_t>(result.lives);
    tally.cycles += static_cast<std::uint64_t>(result.cycles);
    tally.faults += result.faults;
    if (!result.violations.empty()) {
      const RunOptions shortest = shrink(
          options, [](const RunOptions& tried) { return !LogRun(tried).run().violations.empty(); });
      tally.failures.push_back(violation_json(shortest, LogRun(shortest).run().violations));
      if (tally.failures.size() == 10) break;
    }
  }
  return tally;
}

/// Every step that was taken in `faults`: by whom it is noticed when it is left out.
Json ignore_each(const Settings& settings, const SimFaultTable& calls, bool& all_noticed) {
  Json steps = Json::array();
  for (int reason = 0; reason < io_reasons; ++reason) {
    for (const IoOperation operation : {IoOperation::sync, IoOperation::sync_directory,
                                        IoOperation::rename, IoOperation::truncate}) {
      const Ignored step{static_cast<IoReason>(reason), operation};
      if (calls.fired(operation, step.reason, SimFault::none) == 0) continue;
      const std::string its_name =
          std::string(name(operation)) + " " + std::string(name(step.reason));
      Json found = {{"step", its_name}, {"noticed", false}};
      for (std::uint64_t i = 0; i < settings.ignored; ++i) {
        const RunResult result = LogRun({.seed = settings.seed + i, .ignored = step}).run();
        if (!result.violations.empty()) {
          found["noticed"] = true;
          found["seeds"] = i + 1;
          found["property"] = result.violations.front().property;
          break;
        }
      }
      all_noticed = all_noticed && found["noticed"] == true;
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
      "tests/simulate/run", std::string(synopsis), std::string(notes),
      {number_option("--cycles", "cycles to run; 10000", settings.cycles),
       number_option("--seed", "of the first run; 1", settings.seed),
       number_option("--ignored", "seeds for each step that is left out; 0", settings.ignored)});
  int exit_code = EXIT_SUCCESS;
  const auto operands = line.read(argc, argv, exit_code);
  if (!operands) return exit_code;
  if (!operands->empty()) return line.wrong("what is " + operands->front() + " for?");
  const Tally tally = run_seeds(settings);
  Json result;
  bool ok = tally.failures.empty();
  result["ok"] = ok;
  result["seeds"] = {settings.seed, settings.seed + tally.seeds - 1};
  result["lives"] = tally.lives;
  result["cycles"] = tally.cycles;
  for (int i = 1; i < sim_faults; ++i) {
    const auto fault = static_cast<SimFault>(i);
    result["faults"][std::string(name(fault))] = fired(tally.faults, fault);
  }
  if (settings.ignored > 0) {
    result["ignored"] = ignore_each(settings, tally.faults, ok);
    result["ok"] = ok;
  }
  result["failures"] = tally.failures;
  std::cout << result.dump(1) << '\n';
  return ok ? 0 : 1;
}
