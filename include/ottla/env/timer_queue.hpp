// SPDX-License-Identifier: Apache-2.0
//
// Tasks by the time they are due; of one time, in the order they were added. For executors.
#pragma once

#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include <ottla/env/executor.hpp>

namespace ottla::inline OTTLA_ABI {

/// Not thread-safe. Calls no task, and destroys none but in its destructor.
class TimerQueue {
 public:
  /// std::bad_alloc: nothing is added, `task` is as before.
  TimerId add(SteadyTime when, Task&& task) { return add(when, std::move(task), ++last_); }
  /// Under an id of the caller's, for several queues with one sequence of ids.
  TimerId add(SteadyTime when, Task&& task, TimerId timer) {
    ByTime added;
    const auto entry = added.emplace(Key(when, timer), Task()).first;
    times_.emplace(timer, when);
    entry->second = std::move(task);
    by_time_.insert(added.extract(entry));
    return timer;
  }

  /// The task, or nothing when there is no such timer any more.
  std::optional<Task> remove(TimerId timer) {
    const auto time = times_.find(timer);
    if (time == times_.end()) {
      return std::nullopt;
    }
    const auto found = by_time_.find(Key(time->second, timer));
    times_.erase(time);
    return take(found);
  }

  /// The first that is due by `now`.
  std::optional<Task> take_due(SteadyTime now) {
    if (next() > now || by_time_.empty()) {
      return std::nullopt;
    }
    times_.erase(by_time_.begin()->first.second);
    return take(by_time_.begin());
  }

  /// When the first is due; `never` when there is none.
  SteadyTime next() const { return by_time_.empty() ? never : by_time_.begin()->first.first; }
  bool empty() const { return by_time_.empty(); }
  std::size_t size() const { return by_time_.size(); }
  /// How many are due by `now`.
  std::size_t due(SteadyTime now) const {
    const Key last(now, std::numeric_limits<TimerId>::max());
    return static_cast<std::size_t>(std::distance(by_time_.begin(), by_time_.upper_bound(last)));
  }

 private:
  using Key = std::pair<SteadyTime, TimerId>;
  using ByTime = std::map<Key, Task>;

  Task take(ByTime::iterator at) {
    Task task = std::move(at->second);
    by_time_.erase(at);
    return task;
  }

  ByTime by_time_;
  std::unordered_map<TimerId, SteadyTime> times_;  // Abseil's breaks where memory cannot be had
  TimerId last_ = no_timer;
};

}  // namespace ottla::inline OTTLA_ABI
