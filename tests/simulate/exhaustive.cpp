// SPDX-License-Identifier: Apache-2.0
//
// Scripts of a log and its directory on the simulated disk, each of whose calls goes wrong once in
// each way.
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <examples/support/command_line.hpp>
#include <nlohmann/json.hpp>

#include "scenarios.hpp"
#include "sweep.hpp"

namespace {

using Json = nlohmann::ordered_json;
using namespace simulate;
using console::number_option;

constexpr std::string_view synopsis =
    "tests/simulate/run --exhaustive [--states N] [--sample N] [--every N] [--scenario TEXT]\n"
    "\n"
    "For each scenario and each of its file calls: the process dies in it, the power is cut in "
    "it,\n"
    "the call fails in each way that it can, once, and all from it on. What is owed then is asked\n"
    "for, after the death of the process and in the states that a power cut leaves: all of them,\n"
    "where they are not more than --states, else --sample.";
constexpr std::string_view notes =
    "With --table, how often each fault met each reason and call; one that could be met and was\n"
    "not is a failure. With --ignored, syncs, renames and truncations of one reason at a time do\n"
    "nothing and answer ok: somebody has to notice, but where it is known to do no harm.\n"
    "Prints the result as JSON. Exit code: 0 nothing was broken, 1 otherwise, 2 wrong usage.\n"
    "\n"
    "  tests/simulate/run --exhaustive --table --ignored\n"
    "  tests/simulate/run --exhaustive --scenario 'a roll' --call 57\n";

struct Options {
  SweepSettings sweep;
  std::uint64_t call = 0;
  std::string scenario;
  bool table = false;
  bool ignored = false;
};

std::string step_name(IoOperation operation, IoReason reason) {
  return std::string(name(operation)) +
         (carries_reason(operation) ? " " + std::string(name(reason)) : "");
}

/// Rows are what calls there were; `zeros` are what they did not meet and could.
Json table_json(const SimFaultTable& table, Json& zeros) {
  Json rows = Json::object();
  for (int i = 0; i < SimFaultTable::operations; ++i) {
    for (int j = 0; j < io_reasons; ++j) {
      const auto operation = static_cast<IoOperation>(i);
      const auto reason = static_cast<IoReason>(j);
      const std::uint64_t calls = table.fired(operation, reason, SimFault::none);
      if (calls == 0 || (carries_reason(operation) && reason == IoReason::other)) {
        continue;  // the script's own
      }
      Json& row = rows[step_name(operation, reason)] = {{"calls", calls}};
      const auto add = [&](SimFault fault) {
        if (applies(fault, operation)) {
          const std::uint64_t fired = table.fired(operation, reason, fault);
          row[std::string(name(fault))] = fired;
          if (fired == 0) {
            zeros.push_back(step_name(operation, reason) + ": " + std::string(name(fault)));
          }
        }
      };
      std::for_each(std::begin(crashes), std::end(crashes), add);
      std::for_each(std::begin(errors), std::end(errors), add);
    }
  }
  return rows;
}

Json failure_json(const SweepFailure& failure) {
  return {{"scenario", failure.scenario},
          {"seed", failure.seed},
          {"call", failure.plan.call},
          {"fault", name(failure.plan.fault)},
          {"from_then_on", failure.plan.repeat == Repeat::from_then_on},
          {"where", failure.where},
          {"property", failure.violation.property},
          {"text", failure.violation.text}};
}

/// By which scenario it is noticed that a step was left out.
Json ignore_each(const Options& options, const std::vector<Scenario>& all,
                 const SimFaultTable& calls, bool& ok) {
  Json steps = Json::array();
  for (const Step& step : steps_of(calls)) {
    Sweep sweep(options.sweep);
    for (const Scenario& scenario : all) {
      if (sweep.failures().empty()) {
        sweep.run(scenario, step);
      }
    }
    Json found = {{"step", step_name(step.operation, step.reason)},
                  {"noticed", !sweep.failures().empty()}};
    const std::string_view harmless = why_harmless(step);
    if (!sweep.failures().empty()) {
      found["by"] = failure_json(sweep.failures().front());
    } else if (!harmless.empty()) {
      found["harmless"] = harmless;
    }
    ok = ok && (!sweep.failures().empty() || !harmless.empty());
    std::cerr << found.dump() << '\n';
    steps.push_back(std::move(found));
  }
  return steps;
}

std::vector<Scenario> chosen(const Options& options) {
  std::vector<Scenario> all = scenarios();
  std::erase_if(all, [&](const Scenario& scenario) {
    return scenario.name.find(options.scenario) == std::string::npos;
  });
  return all;
}

/// Null where no call was chosen.
Json run(const Options& options, const std::vector<Scenario>& all, bool& ok) {
  Sweep sweep(options.sweep);
  for (const Scenario& scenario : all) {
    const std::uint64_t before = sweep.points();
    const std::size_t failed = sweep.failures().size();
    sweep.run(scenario);
    std::cerr << scenario.name << ": " << sweep.points() - before << " points, " << sweep.states()
              << " states so far\n";
    for (std::size_t i = failed; i < sweep.failures().size(); ++i) {
      std::cerr << failure_json(sweep.failures()[i]).dump() << '\n';
    }
  }
  if (sweep.faults() == 0 && sweep.failures().empty()) {
    return {};
  }
  Json failures = Json::array();
  for (const SweepFailure& failure : sweep.failures()) {
    failures.push_back(failure_json(failure));
  }
  ok = failures.empty();
  Json result = {{"ok", ok},
                 {"scenarios", all.size()},
                 {"points", sweep.points()},
                 {"states", sweep.states()},
                 {"points_with_more_states", sweep.sampled()}};
  Json zeros = Json::array();
  const Json table = table_json(sweep.table(), zeros);
  if (options.table) {
    result["table"] = table;
    result["zero_cells"] = zeros;
    ok = ok && zeros.empty();
  }
  if (options.ignored) {
    result["ignored"] = ignore_each(options, all, sweep.table(), ok);
  }
  result["ok"] = ok;
  result["failures"] = std::move(failures);
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  const console::CommandLine line(
      "tests/simulate/run --exhaustive", std::string(synopsis), std::string(notes),
      {number_option("--states", "N", "states of a power cut that are all visited; 4096",
                     options.sweep.states),
       number_option("--sample", "N", "states that are drawn where there are more; 64",
                     options.sweep.sample),
       number_option("--every", "N", "every N-th call goes wrong; 1", options.sweep.every),
       number_option("--seeds", "N", "of torn bytes, and of what a script's power cuts leave; 1",
                     options.sweep.seeds),
       number_option("--call", "N", "that one only", options.call),
       console::text_option("--scenario", "TEXT", "those whose name contains it", options.scenario),
       console::flag_option("--table", "which faults met which calls; none may be missing",
                            options.table),
       console::flag_option("--ignored", "each step is left out, and has to be missed",
                            options.ignored)});
  int exit_code = EXIT_SUCCESS;
  const auto operands = line.read(argc, argv, exit_code);
  if (!operands) return exit_code;
  if (!operands->empty()) return line.wrong("what is " + operands->front() + " for?");
  if (options.call > 0) {
    options.sweep.only_call = options.call;
  }
  bool ok = true;
  const std::vector<Scenario> all = chosen(options);
  if (all.empty()) return line.wrong("no scenario's name contains '" + options.scenario + "'");
  const Json result = run(options, all, ok);
  if (result.is_null()) {
    return line.wrong("no call of these scenarios is chosen by --call and --every");
  }
  std::cout << result.dump(1) << '\n';
  return ok ? 0 : 1;
}
