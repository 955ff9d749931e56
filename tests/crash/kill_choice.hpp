// SPDX-License-Identifier: Apache-2.0
//
// Where the next child is to die: what earlier children came to, how often each place was tried and
// died at, and which of them has had the least.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "ledger.hpp"

namespace crash {

using Random = std::mt19937_64;

enum class Phase : std::uint8_t { working, recovering };

class KillChoice {
 public:
  KillChoice(Ledger& ledger, Random& random) : ledger_(ledger), random_(random) {}

  /// What a child came to before it ended.
  void note(Phase phase) {
    Seen& seen = seen_[static_cast<std::size_t>(phase)];
    for (std::size_t point = 0; point < points; ++point) {
      if (const std::uint32_t count = ledger_.reached[point]; count > 0) {
        seen.reached[point] = count;
      }
      if (const std::uint32_t count = ledger_.reached_in_flight[point]; count > 0) {
        seen.in_flight[point] = count;
      }
    }
    seen.calls = std::max<std::uint32_t>(ledger_.calls, seen.calls / 8 * 7);
    if (const int point = ledger_.killed_at; point >= 0) {
      ++killed_[static_cast<std::size_t>(point)];
      ++killed_for_[static_cast<std::size_t>(reason_of(point))];
    }
  }

  void nowhere() {
    ledger_.point = -1;
    ledger_.call = 0;
    ledger_.fails = Failing::nothing;
  }
  /// The first time that it is reached, or the last one, or between them. `soon`: rather early, so
  /// that many die in little time.
  void at_point(Phase phase, int point, bool soon = false) {
    nowhere();
    ledger_.point = point;
    ledger_.nth = any_of(of(phase).reached[static_cast<std::size_t>(point)]);
    if (soon) ledger_.nth = any_of(any_of(ledger_.nth));
    ++tried_[static_cast<std::size_t>(point)];
  }
  void at_call(std::uint32_t number, When when) {
    nowhere();
    ledger_.call = number;
    ledger_.call_when = when;
  }
  bool at_any_call(Phase phase) {
    const std::uint32_t calls = of(phase).calls;
    if (calls > 0) at_call(any_of(calls), random_() % 2 == 0 ? When::before : When::after);
    return calls > 0;
  }

  /// Some time in the first half of a child's life; it may be killed, too.
  void disk_fails(Phase phase, Failing how) {
    ledger_.fails = how;
    ledger_.fails_from = any_of(of(phase).calls / 2);
  }

  bool is_reached(Phase phase, int point) const {
    return of(phase).reached[static_cast<std::size_t>(point)] > 0;
  }
  /// Of the points that `phase` came to, and `filter` takes, one of the reason for which fewest
  /// died, and of these one where fewest did; or -1.
  template <class Filter>
  int least_killed(Phase phase, bool in_flight, Filter filter) {
    const auto& counts = in_flight ? of(phase).in_flight : of(phase).reached;
    return least(
        [&](int point) { return counts[static_cast<std::size_t>(point)] > 0 && filter(point); });
  }

  /// A point where less than `per_point` died, or of a reason for which less than `per_reason` did;
  /// or -1. Those that were tried often enough in vain are left out.
  int neediest(int per_point, int per_reason) {
    return least([&](int point) {
      const auto at = static_cast<std::size_t>(point);
      const auto reason = static_cast<std::size_t>(reason_of(point));
      return (is_reached(Phase::working, point) || is_reached(Phase::recovering, point)) &&
             ((killed_[at] < per_point && tried_[at] < often_enough(per_point)) ||
              (killed_for_[reason] < per_reason && tried_[at] < often_enough(per_reason)));
    });
  }

 private:
  struct Seen {  // of the last children of a phase
    std::array<std::uint32_t, points> reached{};
    std::array<std::uint32_t, points> in_flight{};
    std::uint32_t calls = 0;
  };
  const Seen& of(Phase phase) const { return seen_[static_cast<std::size_t>(phase)]; }
  static int often_enough(int goal) { return 20 + 4 * goal; }
  std::uint32_t any_of(std::uint32_t count) {
    return std::uniform_int_distribution<std::uint32_t>(1, std::max(1U, count))(random_);
  }

  template <class Filter>
  int least(Filter filter) {
    std::vector<int> candidates;
    for (int point = 0; point < points; ++point) {
      if (filter(point)) candidates.push_back(point);
    }
    if (candidates.empty()) return -1;
    std::shuffle(candidates.begin(), candidates.end(), random_);
    const auto killed = [this](int point) {
      return std::pair(killed_for_[static_cast<std::size_t>(reason_of(point))],
                       killed_[static_cast<std::size_t>(point)]);
    };
    return *std::min_element(candidates.begin(), candidates.end(),
                             [&](int a, int b) { return killed(a) < killed(b); });
  }

  Ledger& ledger_;
  Random& random_;
  std::array<Seen, 2> seen_{};
  std::array<int, points> tried_{};
  std::array<int, points> killed_{};
  std::array<int, commit_reason + 1> killed_for_{};
};

}  // namespace crash
