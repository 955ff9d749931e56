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
    "tests/simulate/run [--cycles N] [--seed S] [--ignored N] [--lives N] [--steps N]\n"
    "                   [--faults BITS]\n"
    "\n"
    "Each seed is a log on the simulated disk, life after life: at work among faults chosen by "
    "the\n"
    "seed until its process or the machine dies, recovered (some are killed meanwhile), and asked\n"
    "for everything that was acknowledged. A cycle is a life of 50 operations at least and a "
    "roll,\n"
    "whose crash found data that was not synced.";
constexpr std::string_view notes =
    "With --ignored, syncs, renames and truncations of one reason at a time do nothing and answer\n"
    "ok, for up to N seeds each: somebody has to notice, but where it is known to do no harm. The\n"
    "steps are those that the cycles before took.\n"
    "With a million cycles or more each kind of fault has to come 1,000 times.\n"
    "Prints the result as JSON. Exit code: 0 nothing was broken (and everything ignored was\n"
    "noticed), 1 otherwise, with the seed and the shortest run that shows it, 2 wrong usage.\n"
    "\n"
    "  tests/simulate/run --cycles 1000000\n"
    "  tests/simulate/run --cycles 2000 --ignored 20000\n"
    "  tests/simulate/run --cycles 0 --seed 4711 --lives 2 --steps 9 --faults 32\n";

/// In a long run each kind comes this often.
constexpr std::uint64_t long_run = 1'000'000;  // cycles
constexpr std::uint64_t often = 1'000;

struct Tally {
  std::uint64_t seeds = 0;
  std::uint64_t lives = 0;
  std::uint64_t cycles = 0;
  SimFaultTable faults;
  Json failures = Json::array();
};

Tally run_seeds(const Seeds& seeds, RunOptions options) {
  Tally tally;
  do {
    options.seed = seeds.first + tally.seeds;
    const RunResult result = LogRun(options).run();
    ++tally.seeds;
    tally.lives += static_cast<std::uint64_t>(result.lives);
    tally.cycles += static_cast<std::uint64_t>(result.cycles);
    tally.faults += result.faults;
    if (!result.violations.empty()) {
      const RunOptions shortest = shrink(
          options, [](const RunOptions& tried) { return !LogRun(tried).run().violations.empty(); });
      tally.failures.push_back(failure_json(shortest, LogRun(shortest).run().violations.front()));
    }
  } while (tally.cycles < seeds.cycles && tally.failures.size() < 10);
  return tally;
}

Json rare_faults(const SimFaultTable& faults) {
  Json rare = Json::array();
  for (int i = 1; i < sim_faults; ++i) {
    const auto fault = static_cast<SimFault>(i);
    if (fired(faults, fault) < often) {
      rare.push_back(name(fault));
    }
  }
  return rare;
}

}  // namespace

int main(int argc, char** argv) {
  Seeds seeds{.cycles = 10'000};
  RunOptions options;
  const console::CommandLine line("tests/simulate/run", std::string(synopsis), std::string(notes),
                                  seed_options(seeds, "cycles", options));
  int exit_code = EXIT_SUCCESS;
  const auto operands = line.read(argc, argv, exit_code);
  if (!operands) return exit_code;
  if (!operands->empty()) return line.wrong("what is " + operands->front() + " for?");
  if (seeds.cycles > 0 && options.steps < 9) {
    return line.wrong("so few steps are no cycle; give --cycles 0 for the first seed alone");
  }
  const Tally tally = run_seeds(seeds, options);
  Json result;
  bool ok = tally.failures.empty();
  result["ok"] = ok;
  result["seeds"] = {seeds.first, seeds.first + tally.seeds - 1};
  result["lives"] = tally.lives;
  result["cycles"] = tally.cycles;
  result["faults"] = faults_json(tally.faults);
  if (tally.cycles >= long_run) {
    result["rare_faults"] = rare_faults(tally.faults);
    result["ok"] = ok = ok && result["rare_faults"].empty();
  }
  if (seeds.ignored > 0) {
    const auto run = [&options](std::uint64_t seed, Step ignored) {
      options.seed = seed;
      options.ignored = ignored;
      return LogRun(options).run().violations;
    };
    const Json steps = ignore_each(seeds, tally.faults, run, [](const Step&) { return true; });
    ok = all_noticed(steps) && ok;
    result["ignored"] = steps;
    result["ok"] = ok;
  }
  result["failures"] = tally.failures;
  std::cout << result.dump(1) << '\n';
  return ok ? 0 : 1;
}
