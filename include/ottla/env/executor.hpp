// SPDX-License-Identifier: Apache-2.0
//
// Who runs background work: linger, write-outs, retention, timeouts. Tasks are short and do not
// wait, except bodies that were spawned, and tasks of a lane, which may hang in a call of a file.
// What a task names is counted, since its owner may be gone when it runs.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <string_view>
#include <utility>

#include <absl/functional/any_invocable.h>
#include <absl/status/status.h>

#include <ottla/base/doorbell.hpp>
#include <ottla/base/time.hpp>

namespace ottla::inline OTTLA_ABI {

using Task = absl::AnyInvocable<void()>;
using TimerId = std::uint64_t;
inline constexpr TimerId no_timer = 0;
/// Names the device that a task may hang with, by the address of something of its own. Where there
/// are threads, tasks of one lane take one of them at most, and all lanes together all but one.
using TaskLane = const void*;
inline constexpr TaskLane no_lane = nullptr;  ///< it makes no call of a file

/// Marks a thread that must not hang, since others can: it runs a task without a lane. What would
/// call a file there leaves it to a task of a lane.
class BriefScope {
 public:
  explicit BriefScope(bool brief) : before_(std::exchange(here(), brief)) {}
  ~BriefScope() { here() = before_; }
  BriefScope(const BriefScope&) = delete;
  BriefScope& operator=(const BriefScope&) = delete;

  static bool active() { return here(); }

 private:
  static bool& here() {
    thread_local constinit bool brief = false;
    return brief;
  }

  const bool before_;
};

/// Thread-safe, and callable from tasks; never under a lock. Whatever was not run by the end, or is
/// posted after it, is destroyed without being run.
template <class E>
concept Executor = requires(E& executor, Task task, SteadyTime when, TimerId timer, Doorbell& bell,
                            std::string_view name, std::chrono::nanoseconds budget, TaskLane lane) {
  { executor.post(std::move(task)) } -> std::same_as<void>;
  /// Runs `task` once, at `when` or soon after, or when its lane is free.
  { executor.post_at(when, std::move(task), lane) } -> std::same_as<TimerId>;
  /// True when the task will not run any more; false when it ran, or runs now.
  { executor.cancel(timer) } -> std::same_as<bool>;
  /// A body that may wait (through `await`), on a stack of its own, joined when the executor ends:
  /// from then on `await` answers at once, `stopping` is true, and the body should return.
  /// `unsupported` where the executor starts no threads.
  { executor.spawn(name, std::move(task)) } -> std::same_as<absl::Status>;
  /// Waits until `bell` is rung (true) or `deadline` passes (false). Where no thread of the
  /// executor's own runs tasks, this runs the due ones meanwhile.
  { executor.await(bell, when) } -> std::same_as<bool>;
  /// Runs due tasks in the caller's thread, for `budget` at most; how many. For programs without
  /// threads of ours.
  { executor.run_once(budget) } -> std::same_as<std::size_t>;
  /// Whether the executor has begun to end.
  { std::as_const(executor).stopping() } -> std::same_as<bool>;
};

}  // namespace ottla::inline OTTLA_ABI
