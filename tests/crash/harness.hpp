// SPDX-License-Identifier: Apache-2.0
//
// The parent: forks children, kills them at random times, at named points and at their N-th file
// call, has the files judged, and counts. It opens nothing of the library's itself.
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

/// How many children are to die, and how.
struct Goals {
  int runs = 0;        ///< working ones, of each way
  int random = 0;      ///< at random times
  int calls = 0;       ///< at a call that changes files: its 1st, its 2nd, ... before and after it
  int per_point = 0;   ///< at each named point: an operation for a reason, before, in, after it
  int per_reason = 0;  ///< for each reason, at its points in turn
};

struct Tally {
  int runs = 0;  ///< working children that were killed
  int kills = 0;
  int in_flight = 0;  ///< kills between a send and its acknowledgement
  int at_named_points = 0;
  int at_calls = 0;
  int calls_outlived = 0;          ///< children that were to die at a call of theirs and did not
  std::uint32_t fewest_calls = 0;  ///< that one of those made
  int while_rolling = 0;
  int while_committing = 0;
  int while_recovering = 0;
  int drawn = 0;            ///< kills whose place was drawn: not at the next call or point in turn
  int drawn_in_flight = 0;  ///< of those, between a send and its acknowledgement
  int directories = 0;
  int failing_disks = 0;  ///< children that had one
  std::size_t sent = 0, acknowledged = 0, recovered = 0, commits = 0, segments = 0;
  std::array<std::uint64_t, points> reached{};
  std::array<std::uint32_t, points> killed{};
  std::array<std::array<std::uint32_t, 2>, interposed::kinds> killed_at_calls{};  ///< before, after
  std::vector<Failure> failures;

  int at_random_times() const { return kills - at_named_points - at_calls; }
};

class Harness {
 public:
  /// `progress` after each life.
  Harness(std::filesystem::path where, std::uint64_t seed, int failures,
          std::function<void(const Tally&)> progress)
      : where_(std::move(where)),
        random_(seed),
        ledger_(*Ledger::make()),
        choice_(ledger_, random_),
        failures_left_(failures),
        progress_(std::move(progress)) {}

  /// Until the goals are reached as far as they can be, or so many directories are not as they
  /// should be.
  Tally run(const Goals& goals) {
    drawn_ = true;
    live_until([&] { return tally_.runs >= goals.runs; }, [&] { return mixed_life(); });
    const int random = tally_.at_random_times() + goals.random;
    live_until([&] { return goals.random == 0 || tally_.at_random_times() >= random; },
               [&] { return life(Way::random_time); });
    drawn_ = false;
    for (int call = 1; call <= goals.calls; ++call) {
      for (const When when : {When::before, When::after}) {
        int lives = 2;  // of a directory that is made, and of one that is there
        live_until([&] { return lives-- == 0; },
                   [&] { return life_to_call(static_cast<std::uint32_t>(call), when); });
      }
    }
    if (goals.per_point > 0 || goals.per_reason > 0) visit_points(goals);
    return std::move(tally_);
  }

 private:
  enum class Way : std::uint8_t { random_time, named_point, call, closing };
  static constexpr int milliseconds_of_work = 400;
  static constexpr int milliseconds_to_a_call = 5'000;

  /// Lives in directories of a few lives each.
  template <class Done, class Live>
  void live_until(Done done, Live live) {
    bool is_done = false;
    while (failures_left_ > 0 && !is_done) {
      std::int64_t lives = 0;
      bool is_good = true;
      const std::int64_t most = draw(random_, 2, 6);
      while (is_good && lives < most && !(is_done = done())) {
        if (lives++ == 0) begin_directory();
        is_good = live();
        progress_(tally_);
      }
      if (lives > 0) is_good ? add_directory() : void(--failures_left_);
    }
  }

  void visit_points(const Goals& goals) {
    int getting_to_know = 24;
    int point = -1;
    const auto done = [&] {
      if (getting_to_know > 0) return false;
      point = choice_.neediest(goals.per_point, goals.per_reason);
      return point < 0;
    };
    live_until(done, [&] {
      return getting_to_know-- > 0 ? life_to_know(getting_to_know % 6) : life_to(point);
    });
  }
  /// Six of them come to whatever points children come to.
  bool life_to_know(int which) {
    return which == 0   ? life_of_failing_disk(Failing::sync, -1, -1)
           : which == 1 ? life_of_failing_disk(Failing::space, -1, -1)
                        : mixed_life();
  }

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

  bool mixed_life() {
    if (one_in(random_, 12) && has_enough_in_flight()) return life(Way::closing);
    if (one_in(random_, 12)) return mixed_life_of_failing_disk();
    const std::int64_t drawn = draw(random_, 1, 6);
    return life(drawn <= 2 ? Way::random_time : drawn <= 4 ? Way::named_point : Way::call);
  }

  /// A child works and is killed; some more may be killed while they recover.
  bool life(Way way) {
    const bool closes = way == Way::closing;
    const bool at_random = !choose(way, Phase::working) && !closes;
    const int milliseconds =
        closes ? static_cast<int>(draw(random_, 10, 50)) : milliseconds_of_work;
    if (!in_working_child(at_random, milliseconds)) return false;
    const int torn = ledger_.killed_at;
    if (is_torn_tail(torn) && one_in(random_, 2)) {
      if (!recover_at(choice_.least_killed(Phase::recovering, false, cuts_a_tail))) return false;
    }
    if (one_in(random_, 6) && has_enough_in_flight()) {
      for (std::int64_t again = draw(random_, 1, 5); again > 0; --again) {
        const Way next = at_random ? Way::random_time : static_cast<Way>(draw(random_, 0, 2));
        const bool has_place = choose(next, Phase::recovering);
        if (!in_child(Phase::recovering, !has_place, recover)) return false;
      }
    }
    return look_and_judge();
  }

  /// A child's disk fails, and it ends, or is killed at a point; another one recovers.
  bool life_of_failing_disk(Failing how, int point, int recovering_point) {
    choice_.nowhere();
    if (point >= 0) choice_.at_point(Phase::working, point, true);
    choice_.disk_fails(Phase::working, how);
    ++tally_.failing_disks;
    return in_working_child(false, milliseconds_of_work) && recover_at(recovering_point) &&
           look_and_judge();
  }
  bool mixed_life_of_failing_disk() {
    if (one_in(random_, 2)) {
      return life_of_failing_disk(Failing::sync, -1,
                                  choice_.least_killed(Phase::recovering, false, rewrites_a_tail));
    }
    return life_of_failing_disk(Failing::space,
                                choice_.least_killed(Phase::working, false, undoes_an_append), -1);
  }

  /// A life that ends at its call of this number, or counts as outlived.
  bool life_to_call(std::uint32_t number, When when) {
    choice_.at_call(number, when);
    if (!in_working_child(false, milliseconds_to_a_call)) return false;
    if (ledger_.killed_at_call < 0) {
      const std::uint32_t calls = ledger_.calls;
      tally_.fewest_calls =
          tally_.calls_outlived++ == 0 ? calls : std::min(tally_.fewest_calls, calls);
    }
    return look_and_judge();
  }

  /// A life that ends at `point`, or is meant to.
  bool life_to(int point) {
    if (rewrites_a_tail(point)) return life_of_failing_disk(Failing::sync, -1, point);
    if (undoes_an_append(point)) return life_of_failing_disk(Failing::space, point, -1);
    const bool is_near = choice_.is_reached(Phase::working, point) && !cuts_a_tail(point);
    const bool while_working =
        is_near && (!one_in(random_, 4) || !choice_.is_reached(Phase::recovering, point));
    if (while_working) {
      choice_.at_point(Phase::working, point, true);
      const bool closes = is_reason(point, ottla::IoReason::clean_stop);
      return work_and_look(closes ? static_cast<int>(draw(random_, 5, 30)) : milliseconds_of_work);
    }
    const int torn =
        cuts_a_tail(point) ? choice_.least_killed(Phase::working, false, is_torn_tail) : -1;
    if (torn >= 0) {
      choice_.at_point(Phase::working, torn, true);
    } else {
      choice_.nowhere();
    }
    return in_working_child(torn < 0, milliseconds_of_work) && recover_at(point) &&
           look_and_judge();
  }

  static bool is_torn_tail(int point) {
    return point >= 0 && point_name(point).ends_with(".write.torn") &&
           (is_reason(point, ottla::IoReason::append) ||
            is_reason(point, ottla::IoReason::metadata) || reason_of(point) == commit_reason);
  }
  static bool cuts_a_tail(int point) { return is_reason(point, ottla::IoReason::recover_cut); }

  static bool rewrites_a_tail(int point) {
    return is_reason(point, ottla::IoReason::recover_rewrite);
  }
  static bool undoes_an_append(int point) { return is_reason(point, ottla::IoReason::undo_append); }

  bool recover_at(int point) {
    choice_.nowhere();
    if (point < 0) return true;
    choice_.at_point(Phase::recovering, point);
    return in_child(Phase::recovering, false, recover);
  }

  bool in_working_child(bool at_random, int milliseconds) {
    return in_child(Phase::working, at_random,
                    [&](const Child& child) { return work(child, milliseconds); });
  }
  bool work_and_look(int milliseconds) {
    return in_working_child(false, milliseconds) && look_and_judge();
  }

  bool look_and_judge() {
    choice_.nowhere();
    if (!in_child(Phase::recovering, false, look)) return false;
    const std::vector<Event> events = ledger_.events();
    verdict_ = Judge(directory_, events).judge();
    for (const std::string& problem : verdict_.problems) fail(problem);
    return verdict_.problems.empty();
  }

  /// Whether other kills may come now: well above half are to fall between a send and its
  /// acknowledgement.
  bool has_enough_in_flight() const { return tally_.drawn_in_flight * 5 > tally_.drawn * 3; }

  /// A place where few died, and mostly where records are under way. False where there is none.
  bool choose(Way way, Phase phase) {
    choice_.nowhere();
    if (way == Way::random_time) return false;
    if (way == Way::call) return choice_.at_any_call(phase);
    const bool closes = way == Way::closing;
    const bool in_flight = phase == Phase::working && !closes && !one_in(random_, 8);
    const bool tears = in_flight && one_in(random_, 6);
    const int point = choice_.least_killed(phase, in_flight, [&](int each) {
      return closes ? is_reason(each, ottla::IoReason::clean_stop) : !tears || is_torn_tail(each);
    });
    if (point >= 0) choice_.at_point(phase, point);
    return point >= 0;
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
    choice_.note(phase);
    for (std::size_t point = 0; point < points; ++point) {
      tally_.reached[point] += ledger_.reached[point];
    }
    if (!killed) return;
    const bool in_flight = ledger_.sent > ledger_.settled;
    ++tally_.kills;
    tally_.runs += phase == Phase::working ? 1 : 0;
    tally_.while_recovering += life_ > 1 && !ledger_.opened ? 1 : 0;
    tally_.in_flight += in_flight ? 1 : 0;
    tally_.drawn += drawn_ ? 1 : 0;
    tally_.drawn_in_flight += drawn_ && in_flight ? 1 : 0;
    tally_.while_committing += ledger_.committing > 0 ? 1 : 0;
    if (const int kind = ledger_.killed_at_call; kind >= 0) {
      ++tally_.at_calls;
      ++tally_.killed_at_calls[static_cast<std::size_t>(kind)]
                              [ledger_.call_when == When::before ? 0 : 1];
    }
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
  KillChoice choice_;
  int failures_left_;
  std::function<void(const Tally&)> progress_;
  bool drawn_ = true;
  std::string directory_;
  std::uint16_t life_ = 0;
  Verdict verdict_;
  Tally tally_;
};

}  // namespace crash
