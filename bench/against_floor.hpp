// SPDX-License-Identifier: Apache-2.0
//
// Ours beside the floor: both are measured in turns in the same run, because machines are shared.
#pragma once

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <benchmark/benchmark.h>
#include <time.h>

namespace bench {

template <class T>
T must(absl::StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(value.status().ToString());
  return *std::move(value);
}
inline void must(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

inline double median(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

/// Of this thread, in seconds: says something on a busy machine, too.
inline double processor_seconds() {
  timespec time = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

struct Took {
  double seconds = 0;
  double processor_seconds = 0;
};

inline double seconds(std::chrono::steady_clock::time_point from) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
}

/// Began when it was made.
struct Timed {
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  double processor = processor_seconds();
  Took took() const { return {seconds(start), processor_seconds() - processor}; }
};

/// `ours` and `floor` answer what they took; they take turns, `rounds` of them. Counters: medians
/// in ns per item, and ratios.
template <class Ours, class Floor>
void compare(benchmark::State& state, int rounds, double items, const char* unit, Ours ours,
             Floor floor) {
  std::vector<double> mine, bare, mine_processor, bare_processor;
  for (auto _ : state) {
    for (int round = 0; round < rounds; ++round) {
      const Took theirs = floor();
      const Took its = ours();
      bare.push_back(theirs.seconds);
      bare_processor.push_back(theirs.processor_seconds);
      mine.push_back(its.seconds);
      mine_processor.push_back(its.processor_seconds);
    }
  }
  const auto per_item = [&](double time) { return time * 1e9 / items; };
  state.counters[unit] = per_item(median(mine));
  state.counters["floor"] = per_item(median(bare));
  state.counters["x_floor"] = median(mine) / median(bare);
  state.counters["x_floor_cpu"] = median(mine_processor) / median(bare_processor);
  state.counters["min"] = per_item(*std::min_element(mine.begin(), mine.end()));
  state.counters["max"] = per_item(*std::max_element(mine.begin(), mine.end()));
}

}  // namespace bench
