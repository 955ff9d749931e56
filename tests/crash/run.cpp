// SPDX-License-Identifier: Apache-2.0
//
// Kills a program that uses Ottla, again and again, and judges what lies on the disk afterwards.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <examples/support/command_line.hpp>
#include <examples/support/progress.hpp>
#include <nlohmann/json.hpp>
#include <stdlib.h>

#include "harness.hpp"

namespace {

constexpr std::string_view synopsis = R"(tests/crash/run [--runs N] [--random N] [--calls N]
                [--per-point N] [--per-reason N] [--seed S] [--failures N] [--dir DIR]

A child opens a broker on a directory, produces, reads, commits, makes and deletes topics, and is
killed: at random times, at named points (an operation for a reason: before it, in the midst of it,
after it), and at its N-th call that changes files, before the kernel sees it or before the child
sees the answer. Some of those that recover the directory are killed too; of some a sync fails, or
writes find no room. Then a fresh process opens it, and a judge with a decoder of its own compares
the files with what was sent, acknowledged, read and committed.)";
constexpr std::string_view notes =
    R"(Prints the result as JSON. Exit code: 0 nothing acknowledged was lost, nothing came twice, no
stray file, at least half of the kills of --runs and --random fell between a send and its
acknowledgement, each child of --calls died at its call, and so many died at each point that was
reached and for each reason, but for those that no child comes to; 1 otherwise, with the directory
kept; 2 wrong usage.

  tests/crash/run --runs 1000 --seed 1
  tests/crash/run --calls 200 --dir /dev/shm
  tests/crash/run --per-reason 1000 --random 2000
)";

using console::number_option;

struct Settings {
  crash::Goals goals;
  std::uint64_t seed = 1;
  int failures = 1;
  std::string dir = std::filesystem::temp_directory_path().string();
};

int kills_for(const crash::Tally& tally, int reason) {
  std::uint32_t kills = 0;
  for (int point = 0; point < crash::points; ++point) {
    if (crash::reason_of(point) == reason) kills += tally.killed[static_cast<std::size_t>(point)];
  }
  return static_cast<int>(kills);
}
bool is_reached(const crash::Tally& tally, int reason) {
  for (int point = 0; point < crash::points; ++point) {
    if (crash::reason_of(point) == reason && tally.reached[static_cast<std::size_t>(point)] > 0) {
      return true;
    }
  }
  return false;
}

/// Of the reasons that no child comes to, why; empty for the others.
std::string_view why_out_of_reach(int reason) {
  switch (static_cast<ottla::IoReason>(reason)) {
    case ottla::IoReason::truncate:
      return "no child cuts a log back on purpose";
    case ottla::IoReason::repair:
      return "no child's log is damaged";
    case ottla::IoReason::other:
      return "no child uses a component by itself";
    default:
      return "";
  }
}

std::string counted_kills(std::uint32_t kills, int goal, std::string_view where) {
  return std::to_string(kills) + " of " + std::to_string(goal) + " kills " + std::string(where);
}

void missing_of_calls(std::vector<std::string>& missing, const crash::Tally& tally) {
  if (tally.calls_outlived == 0) return;
  missing.push_back(std::to_string(tally.calls_outlived) +
                    " children outlived the call that they were to die at; one of them made " +
                    std::to_string(tally.fewest_calls));
}

void missing_of_reasons(std::vector<std::string>& missing, const crash::Tally& tally, int goal) {
  for (int reason = 0; reason <= crash::commit_reason; ++reason) {
    const auto kills = static_cast<std::uint32_t>(kills_for(tally, reason));
    if (!is_reached(tally, reason) && !why_out_of_reach(reason).empty()) continue;
    if (static_cast<int>(kills) < goal) {
      missing.push_back(
          counted_kills(kills, goal, "for " + std::string(crash::reason_name(reason))));
    }
  }
}

void missing_of_points(std::vector<std::string>& missing, const crash::Tally& tally, int goal) {
  for (int point = 0; point < crash::points; ++point) {
    const auto at = static_cast<std::size_t>(point);
    if (tally.reached[at] > 0 && static_cast<int>(tally.killed[at]) < goal) {
      missing.push_back(counted_kills(tally.killed[at], goal, "at " + crash::point_name(point)));
    }
  }
}

/// What the run has to have shown, and has not.
std::vector<std::string> shortcomings(const crash::Tally& tally, const crash::Goals& goals) {
  std::vector<std::string> missing;
  if (tally.drawn_in_flight * 2 < tally.drawn) {
    missing.emplace_back("less than half of the kills fell between a send and its acknowledgement");
  }
  missing_of_calls(missing, tally);
  // Points are those that are reached: of each reason, there is to be one.
  missing_of_reasons(missing, tally, std::max(goals.per_reason, std::min(goals.per_point, 1)));
  missing_of_points(missing, tally, goals.per_point);
  constexpr int enough_for_all = 100;
  if (goals.runs < enough_for_all) return missing;
  if (tally.at_calls == 0) missing.emplace_back("no kill at a call");
  if (tally.while_rolling == 0) missing.emplace_back("no kill while rolling");
  if (tally.while_committing == 0) missing.emplace_back("no kill while committing offsets");
  if (tally.while_recovering == 0) missing.emplace_back("no kill while recovering");
  return missing;
}

/// Of calls, reasons and points, how often each was died at.
void report_places(nlohmann::ordered_json& result, const crash::Tally& tally,
                   const crash::Goals& goals) {
  for (std::size_t kind = 0; kind < tally.killed_at_calls.size(); ++kind) {
    const auto& [before, after] = tally.killed_at_calls[kind];
    if (before + after > 0) {
      result["calls"][std::string(interposed::names[kind])] = {{"before", before},
                                                               {"after", after}};
    }
  }
  auto& unreached = result["reasons_never_reached"] = nlohmann::ordered_json::array();
  for (int reason = 0; reason <= crash::commit_reason; ++reason) {
    const std::string name(crash::reason_name(reason));
    if (is_reached(tally, reason)) {
      result["reasons"][name] = kills_for(tally, reason);
    } else {
      unreached.push_back({{"reason", name}, {"why", why_out_of_reach(reason)}});
    }
  }
  const int enough = std::max(1, goals.per_point);
  auto& rare = result["points_with_fewer_kills_than_" + std::to_string(enough)] =
      nlohmann::ordered_json::array();
  for (int point = 0; point < crash::points; ++point) {
    const auto at = static_cast<std::size_t>(point);
    if (tally.reached[at] == 0) continue;
    const std::string name = crash::point_name(point);
    result["points"][name] = {{"reached", tally.reached[at]}, {"kills", tally.killed[at]}};
    if (static_cast<int>(tally.killed[at]) < enough) rare.push_back(name);
  }
}

nlohmann::ordered_json report(const crash::Tally& tally, const Settings& settings,
                              const std::vector<std::string>& missing) {
  nlohmann::ordered_json result;
  result["ok"] = tally.failures.empty() && missing.empty();
  result["runs"] = tally.runs;
  result["seed"] = settings.seed;
  result["directories"] = tally.directories;
  result["failing_disks"] = tally.failing_disks;
  result["kills"] = {{"all", tally.kills},
                     {"at_random_times", tally.at_random_times()},
                     {"at_named_points", tally.at_named_points},
                     {"at_calls", tally.at_calls},
                     {"between_send_and_acknowledgement", tally.in_flight},
                     {"while_rolling", tally.while_rolling},
                     {"while_committing", tally.while_committing},
                     {"while_recovering", tally.while_recovering}};
  result["records"] = {
      {"sent", tally.sent}, {"acknowledged", tally.acknowledged}, {"recovered", tally.recovered}};
  result["commits"] = tally.commits;
  result["segments"] = tally.segments;
  report_places(result, tally, settings.goals);
  result["failures"] = nlohmann::ordered_json::array();
  for (const crash::Failure& failure : tally.failures) {
    result["failures"].push_back(
        {{"run", failure.run}, {"directory", failure.directory}, {"problem", failure.problem}});
  }
  for (const std::string& what : missing) result["failures"].push_back({{"problem", what}});
  return result;
}

std::vector<console::Option> options(Settings& settings) {
  crash::Goals& goals = settings.goals;
  return {
      number_option("--runs", "N",
                    "children that work and are killed, in each of the ways; 200 where no\n"
                    "other number is given",
                    goals.runs),
      number_option("--random", "N", "kills at random times", goals.random),
      number_option("--calls", "N",
                    "kills at the first call that changes a file, at the second, ... at the\n"
                    "N-th: before and after it, in a new and in an old directory",
                    goals.calls),
      number_option("--per-point", "N", "kills at each point that is ever reached",
                    goals.per_point),
      number_option("--per-reason", "N", "kills for each reason, at its points in turn",
                    goals.per_reason),
      number_option("--seed", "S", "of all choices; 1 by default (threads make their own)",
                    settings.seed),
      number_option("--failures", "N", "stops after so many directories that are not right; 1",
                    settings.failures),
      console::text_option("--dir", "DIR", "where the directories lie; the system's temporary one",
                           settings.dir)};
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  const console::CommandLine line("tests/crash/run", std::string(synopsis), std::string(notes),
                                  options(settings));
  int exit_code = EXIT_SUCCESS;
  const auto operands = line.read(argc, argv, exit_code);
  if (!operands) return exit_code;
  if (!operands->empty()) return line.wrong("what is " + operands->front() + " for?");
  crash::Goals& goals = settings.goals;
  if (goals.random + goals.calls + goals.per_point + goals.per_reason + goals.runs == 0) {
    goals.runs = 200;
  }

  std::string where = settings.dir + "/ottla-crash-XXXXXX";
  if (::mkdtemp(where.data()) == nullptr) {
    console::complain("cannot make a directory in " + settings.dir + "; name another with --dir");
    return EXIT_FAILURE;
  }
  where = std::filesystem::canonical(where).string();  // as the kernel names it
  console::Progress progress("kills", false);
  const auto show = [&](const crash::Tally& so_far) {
    progress.show(static_cast<std::uint64_t>(so_far.kills));
  };
  const crash::Tally tally =
      crash::Harness(where, settings.seed, settings.failures, show).run(goals);
  progress.clear();
  const auto missing = shortcomings(tally, goals);
  if (tally.failures.empty()) std::filesystem::remove_all(where);
  std::cout << report(tally, settings, missing).dump(1) << '\n';
  return tally.failures.empty() && missing.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
}
