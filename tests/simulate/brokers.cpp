// SPDX-License-Identifier: Apache-2.0
//
// Brokers and their clients in a simulated world, seed by seed.
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>

#include <absl/strings/str_cat.h>

#include "broker_run.hpp"
#include "seeds.hpp"
#include "shrink.hpp"

namespace {

using namespace simulate;

constexpr std::string_view synopsis =
    "tests/simulate/run --brokers [--cycles N] [--seed S] [--ignored N] [--lives N] [--steps N]\n"
    "                             [--faults BITS] [--clients BITS]\n"
    "\n"
    "Each seed is a broker with producers, groups and an admin, life after life: at work among\n"
    "faults until its process or the machine dies. Then the faults stop, and within bounded time\n"
    "everything has to come to its end. What the clients were told is looked at by each checker "
    "of\n"
    "ottla/sim/checkers.hpp. One seed in a hundred runs twice, and has to leave the same trace.";
constexpr std::string_view notes =
    "With --ignored, syncs, renames and truncations of one reason at a time do nothing and answer\n"
    "ok, for up to N seeds each: who notices is in the result. Of those that only a broker takes\n"
    "somebody has to; the others are for --exhaustive. The steps are those that the lives before\n"
    "took.\n"
    "Prints the result as JSON, and the history of a failure to standard error. Exit code: 0\n"
    "nothing was broken, 1 otherwise, with the seed and the shortest run that shows it, 2 wrong\n"
    "usage.\n"
    "\n"
    "  tests/simulate/run --brokers --cycles 10000\n"
    "  tests/simulate/run --brokers --cycles 40 --ignored 500\n"
    "  tests/simulate/run --brokers --cycles 0 --seed 4711 --lives 2 --steps 9 --clients 5\n";

struct Tally {
  std::uint64_t seeds = 0;
  std::uint64_t lives = 0;
  std::uint64_t events = 0;
  std::uint64_t trace = 0;  ///< of all runs
  SimFaultTable faults;
  Json failures = Json::array();
};

bool fails(const BrokerRunOptions& options) { return !BrokerRun(options).run().violations.empty(); }

/// Tells how it comes to it, too.
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
  return failure_json(options, result.violations.front());
}

Tally run_seeds(const Seeds& seeds, BrokerRunOptions options) {
  Tally tally;
  do {
    options.seed = seeds.first + tally.seeds;
    const BrokerRunResult result = BrokerRun(options).run();
    ++tally.seeds;
    tally.lives += static_cast<std::uint64_t>(result.lives);
    tally.events += result.history.size();
    tally.trace = tally.trace * 31 + result.trace;
    tally.faults += result.faults;
    if (!result.violations.empty()) {
      tally.failures.push_back(failure_json(shrink(options, fails)));
    } else if (options.seed % 100 == 0 && BrokerRun(options).run().trace != result.trace) {
      tally.failures.push_back({{"seed", options.seed}, {"property", "same trace"}});
    }
  } while (tally.lives < seeds.cycles && tally.failures.size() < 10);
  return tally;
}

}  // namespace

int main(int argc, char** argv) {
  Seeds seeds{.cycles = 1'000};
  BrokerRunOptions options;
  const console::CommandLine line("tests/simulate/run --brokers", std::string(synopsis),
                                  std::string(notes), seed_options(seeds, "lives", options));
  int exit_code = EXIT_SUCCESS;
  const auto operands = line.read(argc, argv, exit_code);
  if (!operands) return exit_code;
  if (!operands->empty()) return line.wrong("what is " + operands->front() + " for?");
  const Tally tally = run_seeds(seeds, options);
  Json result;
  bool ok = tally.failures.empty();
  result["ok"] = ok;
  result["seeds"] = {seeds.first, seeds.first + tally.seeds - 1};
  result["lives"] = tally.lives;
  result["events"] = tally.events;
  result["trace"] = absl::StrCat(absl::Hex(tally.trace, absl::kZeroPad16));
  result["faults"] = faults_json(tally.faults);
  if (seeds.ignored > 0) {
    const auto run = [&options](std::uint64_t seed, Step ignored) {
      options.seed = seed;
      options.ignored = ignored;
      return BrokerRun(options).run().violations;
    };
    const Json steps = ignore_each(seeds, tally.faults, run, is_a_brokers);
    ok = all_noticed(steps) && ok;
    result["ignored"] = steps;
    result["ok"] = ok;
  }
  result["failures"] = tally.failures;
  std::cout << result.dump(1) << '\n';
  return ok ? 0 : 1;
}
