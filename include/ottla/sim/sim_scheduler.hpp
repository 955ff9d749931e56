// SPDX-License-Identifier: Apache-2.0
//
// Actors of a simulated world: each has a stack of its own, one runs at a time, in one thread, and
// the seed decides which goes on at each preemption point. Time stands still while one of them can
// run.
//   SimScheduler world({.seed = 7});
//   world.start(world.begin_process("a"), "writer", [&] { ... });
//   const absl::Status ran = world.run();
// Preemption points are every use of a Mutex or a Condition, every call of a SimEnv (reading a
// clock or a random number is none) and `preempt`. Source of `priorities`: Burckhardt and others,
// "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs" (PCT), 2010.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include <ottla/base/mutex.hpp>
#include <ottla/base/strong_int.hpp>
#include <ottla/env/executor.hpp>
#include <ottla/sim/sim_clock.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {
struct Actor;
struct Process;
struct Held;
}  // namespace sim_impl

using SimProcess = StrongInt<struct SimProcessTag, std::uint32_t>;
/// What is nobody's: clients of a test, the one that breaks things.
inline constexpr SimProcess sim_world{0};

/// How the next actor is chosen.
enum class Schedule : std::uint8_t {
  uniform,     ///< any that can run
  sticky,      ///< mostly the one that runs already
  priorities,  ///< the first by random priority; now and then the one that runs becomes the last
};

struct SimSchedulerOptions {
  std::uint64_t seed = 1;
  /// None: the seed draws one.
  std::optional<Schedule> schedule = {};
  /// Of virtual time, from the start of the world; reached, `run` answers `timed_out`.
  std::chrono::nanoseconds time_limit = std::chrono::hours(1000);
  /// Of decisions; reached, `run` answers `limit_reached`: somebody turns round and round.
  std::uint64_t step_limit = 100'000'000;
  /// One in so many preemption points holds its actor up, for up to `longest_stall`. 0: none.
  std::uint32_t stall_one_in = 0;
  std::chrono::nanoseconds longest_stall = std::chrono::milliseconds(100);
  /// One in so many waits ends without reason. 0: none.
  std::uint32_t spurious_one_in = 0;
  std::size_t stack_bytes = std::size_t{256} << 10;
};

/// One thread: the one that made it, and the actors that it runs there. The same seed and the same
/// actors make the same trace, whichever the compiler. Objects that actors share may be made,
/// looked at and destroyed outside of `run`, but not waited for. Passes std::bad_alloc on.
///
/// Actors share the thread's `thread_local` variables, `Mutex::held()` and the exceptions being
/// handled aside: what is kept in one must not be needed beyond a preemption point.
class SimScheduler final : public LockScheduler {
 public:
  explicit SimScheduler(SimSchedulerOptions options = {});
  SimScheduler(const SimScheduler&) = delete;
  SimScheduler& operator=(const SimScheduler&) = delete;
  /// Gives up every actor that is left, as `crash` does. Before: not in `run`.
  ~SimScheduler();

  SimProcess begin_process(std::string_view name);
  /// `run` does not wait for `background`: who waits for work.
  enum class Kind : bool { foreground, background };
  /// The body begins when it is chosen. What it throws ends it, and is what `run` answers. Before:
  /// the process has not crashed.
  void start(SimProcess process, std::string_view name, Task body, Kind kind = Kind::foreground);

  /// Until every foreground actor has ended, and every other one waits. `internal` for a deadlock,
  /// with who waits for what; the limits' errors; or what the first body threw. After an error the
  /// actors stay where they are, and it is answered again.
  absl::Status run();
  /// Runs `body` as an actor, with all the others: called by one, it is just called.
  absl::Status run(SimProcess process, Task body);
  /// Whether an actor runs now.
  bool inside() const { return running_ != nullptr; }

  /// Others may go on here. Outside of actors nothing happens.
  void preempt();
  /// Waits for the time. Before: inside.
  void await_time(SteadyTime time);
  /// Waits until `wake` is called with `on`, which is only compared, or for `deadline`: false then.
  /// `what` it is is for reports, and is not copied. Before: inside.
  bool park(const void* on, std::string_view what, SteadyTime deadline);
  /// All that are parked on it, or one, drawn. No preemption point.
  void wake(const void* on, bool all);
  /// Between `hold(1)` and `hold(-1)` the actor that runs is not preempted, unless it waits.
  void hold(int change);

  /// The process ends at once, and with it the actor that calls this where it is one of its own:
  /// then it does not return. None of its actors runs any further, its locks are free, what its
  /// executor has is not run. Stacks are freed; what they, and tasks, own is not: no destructor of
  /// a dead process runs. `leaked` counts that; leak checkers are told. Others go on.
  void crash(SimProcess process);
  /// The same without leaks: the process is dead for the world (its files, executor and timed waits
  /// fail at once), but its actors go on until they return, in no time. One that waits for ever
  /// then is a deadlock; `crash` it.
  void fail(SimProcess process);
  bool alive(SimProcess process) const;
  /// Called when the process crashes (true; nothing may run then) or fails (false), in the order
  /// they were given.
  void on_end(SimProcess process, std::function<void(bool crashed)> called);
  /// Nothing is called any more.
  void forget_end(SimProcess process);
  /// Neither run nor destroyed: what is left of the dead. Counted as leaked.
  void give_up(Task task);
  /// Waits until the background actors of a process have returned, or for `deadline`; abandons
  /// those that have not. Before: inside.
  void join(SimProcess process, SteadyTime deadline);
  /// Does not wait for them.
  void abandon_background(SimProcess process);

  struct Leaked {
    std::uint64_t actors = 0;
    std::uint64_t tasks = 0;
    std::uint64_t stack_bytes = 0;  ///< that were in use
  };
  const Leaked& leaked() const { return leaked_; }

  SteadyTime now() const { return time_->now(); }
  const Ref<SimTime>& steady_hand() const { return time_; }
  /// The world's own dice: faults, workloads. A stream apart from the one that chooses actors.
  std::uint64_t random();
  /// Evenly from [0, n); n above 0.
  std::uint64_t below(std::uint64_t n) { return scaled(random(), n); }
  /// Adds to the trace. Never an address, nor what depends on one.
  void note(std::uint64_t event);
  void note(std::string_view event);
  /// Of every decision and note so far.
  std::uint64_t trace_hash() const { return trace_; }
  Schedule schedule() const { return schedule_; }
  std::uint64_t steps() const { return steps_; }
  /// A line for each actor: who it is, what it waits for, until when, who has it.
  std::string report() const;

  void lock(Mutex& mutex) override;
  void unlock(Mutex& mutex) override;
  bool wait(Condition& condition, Mutex& mutex, SteadyTime deadline) override;
  void notify(Condition& condition, bool all) override;

 private:
  using Actor = sim_impl::Actor;

  static std::uint64_t scaled(std::uint64_t random, std::uint64_t n);
  static void actor_main(void* actor);
  std::uint64_t draw(std::uint64_t n);
  bool drawn_one_in(std::uint32_t n) { return n != 0 && draw(n) == 0; }
  void reschedule();
  Actor* choose();
  Actor* pick();
  bool on_to_next_event();
  bool stop(absl::Status why);
  void set_runnable(Actor& actor);
  void set_waiting(Actor& actor);
  void stall();
  void take(Mutex& mutex);
  void release(Mutex& mutex);
  void release_all(const Actor& actor);
  void leave(Actor& actor);
  void abandon(SimProcess process, bool background_only);
  void bury();

  const SimSchedulerOptions options_;
  const Ref<SimTime> time_ = make_ref<SimTime>();
  const SteadyTime end_;
  std::uint64_t choices_;  // the state of the stream that chooses
  std::uint64_t dice_;
  std::uint64_t trace_ = 0;
  Schedule schedule_ = Schedule::uniform;
  std::uint64_t change_one_in_ = 0;  // decisions, of `priorities`
  std::uint64_t until_change_ = 0;
  std::uint64_t lowest_;

  std::vector<std::unique_ptr<Actor>> actors_;  // in the order they were started
  std::vector<Actor*> runnable_;                // that runs, too
  std::vector<std::unique_ptr<sim_impl::Process>> processes_;
  std::vector<sim_impl::Held> held_;
  std::unique_ptr<sim_impl::Actor> home_;  // the stack of `run`
  Actor* running_ = nullptr;
  std::vector<std::unique_ptr<Actor>> ended_;  // to be freed, by another stack
  std::vector<Task> given_up_;
  std::uint64_t last_actor_ = 0;
  std::uint64_t foreground_ = 0;
  std::uint64_t waiting_ = 0;
  std::uint64_t stalled_ = 0;
  std::uint64_t steps_ = 0;
  Leaked leaked_;
  absl::Status stopped_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/sim/impl/sim_locks.ipp>
#include <ottla/sim/impl/sim_processes.ipp>
#include <ottla/sim/impl/sim_scheduler.ipp>
#endif
