// SPDX-License-Identifier: Apache-2.0
//
// Kills a program that uses Ottla, again and again, and judges what lies on the disk afterwards.
#include <charconv>
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

constexpr std::string_view synopsis =
    "tests/crash/run [--runs N] [--seed S] [--failures N] [--dir DIR]\n"
    "\n"
    "A child opens a broker on a directory, produces, reads, commits, makes and deletes topics, "
    "and\n"
    "is killed: at random times, and at named points (an operation for a reason: before it, in "
    "the\n"
    "midst of it, after it). Some of those that recover the directory are killed too. Then a "
    "fresh\n"
    "process opens it, and a judge with a decoder of its own compares the files with what was "
    "sent,\n"
    "acknowledged, read and committed.";
constexpr std::string_view notes =
    "Prints the result as JSON. Exit code: 0 nothing acknowledged was lost, nothing came twice, "
    "no\n"
    "stray file, and at least half of the kills fell between a send and its acknowledgement; 1\n"
    "otherwise, with the directory kept; 2 wrong usage.\n"
    "\n"
    "  tests/crash/run --runs 1000 --seed 1\n"
    "  tests/crash/run --runs 20 --seed 7 --dir /dev/shm\n";

struct Settings {
  int runs = 200;
  std::uint64_t seed = 1;
  int failures = 1;
  std::string dir = std::filesystem::temp_directory_path().string();
};

template <class Int>
console::Option number_option(std::string name, std::string value, std::string about, Int& into) {
  return {std::move(name), std::move(value), std::move(about),
          [&into](std::string_view text) -> std::string {
            const char* end = text.data() + text.size();
            const auto [stop, problem] = std::from_chars(text.data(), end, into);
            return problem == std::errc() && stop == end && into > 0 ? "" : "not a number above 0";
          }};
}

/// What the run has to have shown, and has not.
std::vector<std::string> shortcomings(const crash::Tally& tally, int runs) {
  std::vector<std::string> missing;
  if (tally.in_flight * 2 < tally.kills) {
    missing.emplace_back("less than half of the kills fell between a send and its acknowledgement");
  }
  constexpr int enough_for_all = 100;
  if (runs < enough_for_all) return missing;
  if (tally.while_rolling == 0) missing.emplace_back("no kill while rolling");
  if (tally.while_committing == 0) missing.emplace_back("no kill while committing offsets");
  if (tally.while_recovering == 0) missing.emplace_back("no kill while recovering");
  return missing;
}

nlohmann::ordered_json report(const crash::Tally& tally, const Settings& settings,
                              const std::vector<std::string>& missing) {
  nlohmann::ordered_json result;
  result["ok"] = tally.failures.empty() && missing.empty();
  result["runs"] = tally.runs;
  result["seed"] = settings.seed;
  result["directories"] = tally.directories;
  result["kills"] = {{"all", tally.kills},
                     {"between_send_and_acknowledgement", tally.in_flight},
                     {"at_named_points", tally.at_named_points},
                     {"at_random_times", tally.kills - tally.at_named_points},
                     {"while_rolling", tally.while_rolling},
                     {"while_committing", tally.while_committing},
                     {"while_recovering", tally.while_recovering}};
  result["records"] = {
      {"sent", tally.sent}, {"acknowledged", tally.acknowledged}, {"recovered", tally.recovered}};
  result["commits"] = tally.commits;
  result["segments"] = tally.segments;
  for (int point = 0; point < crash::points; ++point) {
    const auto at = static_cast<std::size_t>(point);
    if (tally.reached[at] == 0) continue;
    result["points"][crash::point_name(point)] = {{"reached", tally.reached[at]},
                                                  {"kills", tally.killed[at]}};
  }
  result["failures"] = nlohmann::ordered_json::array();
  for (const crash::Failure& failure : tally.failures) {
    result["failures"].push_back(
        {{"run", failure.run}, {"directory", failure.directory}, {"problem", failure.problem}});
  }
  for (const std::string& what : missing) result["failures"].push_back({{"problem", what}});
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  const console::CommandLine line(
      "tests/crash/run", std::string(synopsis), std::string(notes),
      {number_option("--runs", "N", "children that work and are killed; 200 by default",
                     settings.runs),
       number_option("--seed", "S", "of all choices; 1 by default (threads make their own)",
                     settings.seed),
       number_option("--failures", "N", "stops after so many directories that are not right; 1",
                     settings.failures),
       console::text_option("--dir", "DIR", "where the directories lie; the system's temporary one",
                            settings.dir)});
  int exit_code = EXIT_SUCCESS;
  const auto operands = line.read(argc, argv, exit_code);
  if (!operands) return exit_code;
  if (!operands->empty()) return line.wrong("what is " + operands->front() + " for?");

  std::string where = settings.dir + "/ottla-crash-XXXXXX";
  if (::mkdtemp(where.data()) == nullptr) {
    console::complain("cannot make a directory in " + settings.dir + "; name another with --dir");
    return EXIT_FAILURE;
  }
  console::Progress progress("kills", false);
  const crash::Tally tally =
      crash::Harness(where, settings.seed)
          .run(settings.runs, settings.failures, [&](const crash::Tally& so_far) {
            progress.show(static_cast<std::uint64_t>(so_far.runs));
          });
  progress.clear();
  const auto missing = shortcomings(tally, settings.runs);
  if (tally.failures.empty()) std::filesystem::remove_all(where);
  std::cout << report(tally, settings, missing).dump(1) << '\n';
  return tally.failures.empty() && missing.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
}
