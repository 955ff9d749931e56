// SPDX-License-Identifier: Apache-2.0
//
// The parent: forks children, kills them at random times and at named points, has the files judged,
// and counts. It opens nothing of the library's itself.
#pragma once

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.hpp"

namespace crash {

struct Failure {
  int run;
  std::string directory;  ///< kept; its events lie beside it
  std::string problem;
};

struct Tally {
  int runs = 0;  ///< working children that were killed
  int kills = 0;
  int in_flight = 0;  ///< kills between a send and its acknowledgement
  int at_named_points = 0;
  int while_rolling = 0;
  int while_committing = 0;
  int while_recovering = 0;
  int directories = 0;
  std::size_t sent = 0, acknowledged = 0, recovered = 0, commits = 0, segments = 0;
  std::array<std::uint64_t, points> reached{};
  std::array<std::uint32_t, points> killed{};
  std::vector<Failure> failures;
};

class Harness {
 public:
  Harness(std::filesystem::path where, std::uint64_t seed)
      : where_(std::move(where)), random_(seed), ledger_(*Ledger::make()) {}

  /// Until `runs` working children were killed, or `failures` directories are not as they should
  /// be; `progress` after each child.
  Tally run(int runs, int failures, const std::function<void(const Tally&)>& progress) {
    while (tally_.runs < runs && failures > 0) {
      begin_directory();
      bool is_good = true;
      for (std::int64_t lives = draw(random_, 1, 6); lives > 0 && is_good; --lives) {
        if (tally_.runs == runs) break;
        is_good = one_life();
        progress(tally_);
      }
      is_good ? add_directory() : void(--failures);
    }
    return std::move(tally_);
  }

 private:
  enum class Phase : std::uint8_t { working, recovering };
  struct Seen {  // of the last children of a phase
    std::array<std::uint32_t, points> reached{};
    std::array<std::uint32_t, points> in_flight{};
  };

  void begin_directory() {
    ledger_.forget_all();
    life_ = 0;
    ++tally_.directories;
    directory_ = (where_ / ("run-" + std::to_string(tally_.directories))).string();
    std::filesystem::remove_all(directory_);
    verdict_ = Verdict{};
  }

  void add_directory() {
    tally_.sent += verdict_.sent;
    tally_.acknowledged += verdict_.acknowledged;
    tally_.recovered += verdict_.recovered;
    tally_.commits += verdict_.commits;
    tally_.segments += verdict_.segments;
    std::filesystem::remove_all(directory_);
  }

  /// A child works and is killed; some more are killed while they recover; one looks; the judge.
  bool one_life() {
    const bool closes = one_in(random_, 8) && has_enough_in_flight();
    const int milliseconds = static_cast<int>(closes ? draw(random_, 10, 50) : 400);
    choose_point(Phase::working, one_in(random_, 2) || closes, closes);
    const bool at_random = ledger_.point < 0 && !closes;
    const auto working = [&](const Child& child) { return work(child, milliseconds); };
    if (!in_child(Phase::working, at_random, working)) return false;

    if (one_in(random_, 6) && has_enough_in_flight()) {
      for (std::int64_t again = draw(random_, 1, 5); again > 0; --again) {
        choose_point(Phase::recovering, !one_in(random_, 3), false);
        if (!in_child(Phase::recovering, ledger_.point < 0, recover)) return false;
      }
    }
    ledger_.point = -1;
    if (!in_child(Phase::recovering, false, look)) return false;

    const std::vector<Event> events = ledger_.events();
    verdict_ = Judge(directory_, events).judge();
    for (const std::string& problem : verdict_.problems) fail(problem);
    return verdict_.problems.empty();
  }

  /// Whether other kills may come now: well above half are to fall between a send and its
  /// acknowledgement.
  bool has_enough_in_flight() const { return tally_.in_flight * 5 > tally_.kills * 3; }

  /// Where the next child is to kill itself: where few did, and half of the time where records are
  /// under way. `named`: at a point at all.
  void choose_point(Phase phase, bool named, bool closes) {
    ledger_.point = -1;
    if (!named) return;
    const Seen& seen = seen_[static_cast<std::size_t>(phase)];
    const bool in_flight = phase == Phase::working && !closes && !one_in(random_, 8);
    const auto& counts = in_flight ? seen.in_flight : seen.reached;
    std::vector<int> candidates;
    for (int point = 0; point < points; ++point) {
      const auto at = static_cast<std::size_t>(point);
      if (counts[at] > 0 && (!closes || is_reason(point, ottla::IoReason::clean_stop))) {
        candidates.push_back(point);
      }
    }
    if (candidates.empty()) return;
    std::shuffle(candidates.begin(), candidates.end(), random_);
    const auto killed = [&](int point) { return tally_.killed[static_cast<std::size_t>(point)]; };
    ledger_.point = *std::min_element(candidates.begin(), candidates.end(),
                                      [&](int a, int b) { return killed(a) < killed(b); });
    const auto count = seen.reached[static_cast<std::size_t>(ledger_.point)];
    ledger_.nth = static_cast<std::uint32_t>(draw(random_, 1, std::max(1U, count)));
  }

  /// Whether it ended as it should: killed, or with exit code 0.
  template <class Body>
  bool in_child(Phase phase, bool at_random, Body body) {
    ledger_.begin_child();
    const Child child{ledger_, directory_, random_(), life_++};
    std::array<int, 2> alive{};
    if (::pipe(alive.data()) != 0) throw std::runtime_error("no pipe");
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("no child");
    if (pid == 0) {
      ::close(alive[0]);
      ::_exit(body(child));
    }
    ::close(alive[1]);
    if (at_random) kill_some_time(phase, pid, alive[0]);
    const bool hangs = !ends_within(alive[0], 120'000'000'000);
    if (hangs) ::kill(pid, SIGABRT);
    int status = 0;
    ::waitpid(pid, &status, 0);
    ::close(alive[0]);
    count_child(phase, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    if (hangs) return fail("hung");
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
      return fail("ended by signal " + std::to_string(WTERMSIG(status)));
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) return fail(ledger_.problem.data());
    return true;
  }

  void kill_some_time(Phase phase, pid_t pid, int alive) {
    std::int64_t most = 8'000'000;  // about as long as recovery takes
    if (phase == Phase::working) {
      most = 80'000'000;
      while (ledger_.sent == 0) {
        if (ends_within(alive, 500'000)) return;
      }
    }
    if (!ends_within(alive, draw(random_, 0, most))) ::kill(pid, SIGKILL);
  }

  static bool ends_within(int alive, std::int64_t nanoseconds) {
    pollfd one = {.fd = alive, .events = POLLIN, .revents = 0};
    const timespec timeout = {.tv_sec = nanoseconds / 1'000'000'000,
                              .tv_nsec = nanoseconds % 1'000'000'000};
    return ::ppoll(&one, 1, &timeout, nullptr) > 0;
  }

  void count_child(Phase phase, bool killed) {
    Seen& seen = seen_[static_cast<std::size_t>(phase)];
    for (std::size_t point = 0; point < points; ++point) {
      const std::uint32_t reached = ledger_.reached[point];
      tally_.reached[point] += reached;
      if (reached > 0) seen.reached[point] = reached;
      if (ledger_.reached_in_flight[point] > 0) {
        seen.in_flight[point] = ledger_.reached_in_flight[point];
      }
    }
    if (!killed) return;
    ++tally_.kills;
    tally_.runs += phase == Phase::working ? 1 : 0;
    tally_.while_recovering += life_ > 1 && !ledger_.opened ? 1 : 0;
    tally_.in_flight += ledger_.sent > ledger_.settled ? 1 : 0;
    tally_.while_committing += ledger_.committing > 0 ? 1 : 0;
    const int point = ledger_.killed_at;
    if (point < 0) return;
    ++tally_.at_named_points;
    ++tally_.killed[static_cast<std::size_t>(point)];
    const bool rolls =
        is_reason(point, ottla::IoReason::roll) || is_reason(point, ottla::IoReason::seal);
    tally_.while_rolling += rolls ? 1 : 0;
  }

  bool fail(const std::string& problem) {
    tally_.failures.push_back({tally_.runs, directory_, problem});
    std::ofstream out(directory_ + ".events");
    for (const Event& event : ledger_.events()) {
      out << static_cast<int>(event.kind) << " group " << static_cast<int>(event.group) << " topic "
          << topic_name(event.topic) << " client " << event.client << " partition "
          << event.partition << " n " << event.n << " offset " << event.offset << " since "
          << event.since << '\n';
    }
    return false;
  }

  std::filesystem::path where_;
  Random random_;
  Ledger& ledger_;
  std::array<Seen, 2> seen_{};
  std::string directory_;
  std::uint16_t life_ = 0;
  Verdict verdict_;
  Tally tally_;
};

}  // namespace crash
