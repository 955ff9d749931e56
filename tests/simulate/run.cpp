// SPDX-License-Identifier: Apache-2.0
//
// Logs on the simulated disk, seed by seed; and the proof that these runs would notice if a step
// that makes things durable were left out.
#include <algorithm>
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>

#include "log_run.hpp"
#include "seeds.hpp"
#include "shrink.hpp"

namespace {

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

struct Tally {
  std::uint64_t seeds = 0;
  std::uint64_t lives = 0;
  std::uint64_t cycles = 0;
  SimFaultTable faults;
  Json failures = Json::array();
};

Tally run_seeds(const Seeds& seeds) {
  Tally tally;
  for (std::uint64_t seed = seeds.first; tally.cycles < seeds.cycles; ++seed) {
    const RunOptions options{.seed = seed};
    const RunResult result = LogRun(options).run();
    ++tally.seeds;
    tally.lives += static_cast<std::uint64_t>(result.lives);
    tally.cycles += static_cast<std::uint64_t>(result.cycles);
    tally.faults += result.faults;
    if (!result.violations.empty()) {
      const RunOptions shortest = shrink(
          options, [](const RunOptions& tried) { return !LogRun(tried).run().violations.empty(); });
      tally.failures.push_back(failure_json(shortest, LogRun(shortest).run().violations.front()));
      if (tally.failures.size() == 10) break;
    }
  }
  return tally;
}

}  // namespace

int main(int argc, char** argv) {
  Seeds seeds{.cycles = 10'000};
  const console::CommandLine line("tests/simulate/run", std::string(synopsis), std::string(notes),
                                  seed_options(seeds, "cycles"));
  int exit_code = EXIT_SUCCESS;
  const auto operands = line.read(argc, argv, exit_code);
  if (!operands) return exit_code;
  if (!operands->empty()) return line.wrong("what is " + operands->front() + " for?");
  const Tally tally = run_seeds(seeds);
  Json result;
  bool ok = tally.failures.empty();
  result["ok"] = ok;
  result["seeds"] = {seeds.first, seeds.first + tally.seeds - 1};
  result["lives"] = tally.lives;
  result["cycles"] = tally.cycles;
  result["faults"] = faults_json(tally.faults);
  if (seeds.ignored > 0) {
    const auto run = [](std::uint64_t seed, Step ignored) {
      return LogRun({.seed = seed, .ignored = ignored}).run().violations;
    };
    const Json steps = ignore_each(seeds, tally.faults, run);
    ok = ok && std::all_of(steps.begin(), steps.end(),
                           [](const Json& step) { return step["noticed"] == true; });
    result["ignored"] = steps;
    result["ok"] = ok;
  }
  result["failures"] = tally.failures;
  std::cout << result.dump(1) << '\n';
  return ok ? 0 : 1;
}
