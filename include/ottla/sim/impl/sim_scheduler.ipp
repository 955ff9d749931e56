// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/invariant.hpp>
#include <ottla/base/status.hpp>
#include <ottla/env/random.hpp>
#include <ottla/sim/impl/sim_actor.hpp>
#include <ottla/sim/sim_scheduler.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE SimScheduler::SimScheduler(SimSchedulerOptions options)
    : options_(options),
      end_(after(time_->now(), options.time_limit)),
      choices_(mixed(options.seed)),
      dice_(mixed(~options.seed)),
      lowest_(std::uint64_t{1} << 32),
      home_(std::make_unique<Actor>()) {
  const auto drawn = static_cast<Schedule>(draw(3));
  schedule_ = options_.schedule.value_or(drawn);
  change_one_in_ = std::uint64_t{8} << (3 * draw(4));
  until_change_ = 1 + draw(2 * change_one_in_);
  begin_process("world");
}

OTTLA_INLINE SimScheduler::~SimScheduler() {
  for (std::uint32_t process = 0; process < processes_.size(); ++process) {
    abandon(SimProcess(process), false);
  }
}

OTTLA_INLINE SimProcess SimScheduler::begin_process(std::string_view name) {
  processes_.push_back(std::make_unique<sim_impl::Process>());
  processes_.back()->name = name;
  return SimProcess(static_cast<std::uint32_t>(processes_.size() - 1));
}

OTTLA_INLINE void SimScheduler::start(SimProcess process, std::string_view name, Task body,
                                      Kind kind) {
  auto actor = std::make_unique<Actor>(*this, options_.stack_bytes, &actor_main);
  actor->id = ++last_actor_;
  actor->name = name;
  actor->process = process;
  actor->kind = kind;
  actor->body = std::move(body);
  actor->priority = (std::uint64_t{1} << 33) + draw(std::uint64_t{1} << 32);
  actor->place = runnable_.size();
  runnable_.push_back(actor.get());
  actors_.push_back(std::move(actor));
  ++(kind == Kind::foreground ? foreground_ : processes_[process.value()]->background);
}

OTTLA_INLINE void SimScheduler::actor_main(void* argument) {
  Actor& actor = *static_cast<Actor*>(argument);
  SimScheduler& world = *actor.scheduler;
  actor.begun = true;
  {
    Task body = std::move(actor.body);
    const absl::Status ran = guarded([&] { body(); });
    if (!ran.ok()) {
      world.stop(annotate(ran, absl::StrCat("'", actor.name, "' threw")));
    }
  }
  world.leave(actor);
  sim_impl::Fiber::change(actor.fiber, world.home_->fiber, true);
}

// The rest is done on another stack.
OTTLA_INLINE void SimScheduler::leave(Actor& actor) {
  sim_impl::Process& process = *processes_[actor.process.value()];
  --(actor.kind == Kind::foreground ? foreground_ : process.background);
  if (actor.state == Actor::State::waiting) {
    set_runnable(actor);
  }
  runnable_.back()->place = actor.place;
  runnable_[actor.place] = runnable_.back();
  runnable_.pop_back();
  actor.state = Actor::State::ended;
  const auto found = std::find_if(actors_.begin(), actors_.end(),
                                  [&](const auto& each) { return each.get() == &actor; });
  ended_.push_back(std::move(*found));
  actors_.erase(found);
  wake(&process, true);
  if (running_ == &actor) {
    running_ = nullptr;
  }
}

OTTLA_INLINE absl::Status SimScheduler::run() {
  if (!invariant(!inside())) {
    return broken_invariant("SimScheduler::run: called by an actor");
  }
  while (Actor* next = choose()) {
    LockScheduler* const outer = std::exchange(LockScheduler::current(), this);
    running_ = next;
    sim_impl::Fiber::change(home_->fiber, next->fiber, false);
    LockScheduler::current() = outer;
    bury();
  }
  return stopped_;
}

OTTLA_INLINE absl::Status SimScheduler::run(SimProcess process, Task body) {
  if (inside()) {
    body();
    return absl::OkStatus();
  }
  OTTLA_TRY(stopped_);
  start(process, "caller", std::move(body));
  return run();
}

OTTLA_INLINE void SimScheduler::preempt() {
  if (running_ == nullptr || running_->held > 0) {
    return;
  }
  if (drawn_one_in(options_.stall_one_in)) {
    stall();
  } else {
    reschedule();
  }
}

OTTLA_INLINE void SimScheduler::stall() {
  const auto most = static_cast<std::uint64_t>(options_.longest_stall.count());
  const std::chrono::nanoseconds length(draw(most) + 1);
  ++stalled_;
  park(&stalled_, "its processor", after(now(), length));
}

OTTLA_INLINE void SimScheduler::await_time(SteadyTime time) {
  while (now() < time && park(running_, "its time", time)) {
  }
}

OTTLA_INLINE bool SimScheduler::park(const void* on, std::string_view what, SteadyTime deadline) {
  Actor& actor = *running_;
  const bool failed = processes_[actor.process.value()]->state == sim_impl::Process::State::failed;
  actor.timed_out = deadline <= now() || (failed && deadline != never);
  if (actor.timed_out) {
    if (on == &stalled_) {
      --stalled_;
    }
    if (actor.held == 0) {
      reschedule();
    }
    return false;
  }
  actor.waits_on = on;
  actor.waits_for = what;
  actor.deadline = deadline;
  set_waiting(actor);
  reschedule();
  return !actor.timed_out;
}

OTTLA_INLINE void SimScheduler::wake(const void* on, bool all) {
  if (waiting_ == 0) {
    return;
  }
  std::uint64_t found = 0;
  for (const auto& actor : actors_) {
    found += std::uint64_t{actor->state == Actor::State::waiting && actor->waits_on == on};
  }
  if (found == 0) {
    return;
  }
  const std::uint64_t chosen = all ? found : draw(found);
  std::uint64_t n = 0;
  for (const auto& actor : actors_) {
    if (actor->state == Actor::State::waiting && actor->waits_on == on) {
      if (all || n == chosen) {
        set_runnable(*actor);
      }
      ++n;
    }
  }
}

OTTLA_INLINE void SimScheduler::hold(int change) {
  if (running_ != nullptr) {
    running_->held += change;
  }
}

OTTLA_INLINE std::uint64_t SimScheduler::random() {
  const std::uint64_t number = mixed(dice_++);
  note(number);
  return number;
}

OTTLA_INLINE void SimScheduler::note(std::uint64_t event) { trace_ = mixed(trace_ ^ event); }

OTTLA_INLINE void SimScheduler::note(std::string_view event) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : event) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  note(hash);
}

OTTLA_INLINE std::uint64_t SimScheduler::scaled(std::uint64_t random, std::uint64_t n) {
  return n <= (std::uint64_t{1} << 32) ? ((random >> 32) * n) >> 32 : random % n;
}

OTTLA_INLINE std::uint64_t SimScheduler::draw(std::uint64_t n) {
  return scaled(mixed(choices_++), n);
}

// Leaves the actor that runs for the next one, which may be the same.
OTTLA_INLINE void SimScheduler::reschedule() {
  Actor& from = *running_;
  if (!from.fiber.intact()) {
    stop(error(Fault::limit_reached,
               absl::StrCat("'", from.name, "' needs more stack; raise stack_bytes")));
  }
  Actor* const next = choose();
  if (next == &from) {
    return;
  }
  running_ = next;
  sim_impl::Fiber::change(from.fiber, next == nullptr ? home_->fiber : next->fiber, false);
}

// Null where nobody goes on: the actors are done, or the world was stopped.
OTTLA_INLINE SimScheduler::Actor* SimScheduler::choose() {
  while (stopped_.ok()) {
    if (++steps_ > options_.step_limit) {
      stop(error(Fault::limit_reached,
                 absl::StrCat(options_.step_limit, " steps, and no end:\n", report())));
    } else if (!runnable_.empty()) {
      Actor* const next = pick();
      note(next->id);
      return next;
    } else if (foreground_ + stalled_ == 0 || !on_to_next_event()) {
      break;
    }
  }
  return nullptr;
}

OTTLA_INLINE SimScheduler::Actor* SimScheduler::pick() {
  Actor* const last =
      running_ != nullptr && running_->state == Actor::State::runnable ? running_ : nullptr;
  if (runnable_.size() == 1) {
    return runnable_.front();
  }
  if (schedule_ != Schedule::priorities) {
    const bool goes_on = schedule_ == Schedule::sticky && last != nullptr && draw(16) != 0;
    return goes_on ? last : runnable_[draw(runnable_.size())];
  }
  if (last != nullptr && --until_change_ == 0) {
    last->priority = --lowest_;
    until_change_ = 1 + draw(2 * change_one_in_);
  }
  return *std::max_element(runnable_.begin(), runnable_.end(), [](const Actor* a, const Actor* b) {
    return a->priority != b->priority ? a->priority < b->priority : a->id < b->id;
  });
}

OTTLA_INLINE bool SimScheduler::on_to_next_event() {
  SteadyTime next = never;
  for (const auto& actor : actors_) {
    next = std::min(next, actor->deadline);
  }
  if (next == never) {
    return stop(error(Fault::internal, absl::StrCat("deadlock:\n", report()), Outcome::unknown));
  }
  if (next > end_) {
    return stop(error(Fault::timed_out, absl::StrCat("the world's time limit passed:\n", report()),
                      Outcome::unknown));
  }
  time_->move_to(next);
  note(static_cast<std::uint64_t>(next.time_since_epoch().count()));
  for (const auto& actor : actors_) {
    if (actor->deadline <= now()) {
      set_runnable(*actor);
      actor->timed_out = true;
    }
  }
  return true;
}

// False.
OTTLA_INLINE bool SimScheduler::stop(absl::Status why) {
  if (stopped_.ok()) {
    stopped_ = std::move(why);
  }
  return false;
}

OTTLA_INLINE void SimScheduler::set_runnable(Actor& actor) {
  if (actor.waits_on == &stalled_) {
    --stalled_;
  }
  --waiting_;
  actor.state = Actor::State::runnable;
  actor.waits_on = nullptr;
  actor.deadline = never;
  actor.place = runnable_.size();
  runnable_.push_back(&actor);
}

OTTLA_INLINE void SimScheduler::set_waiting(Actor& actor) {
  ++waiting_;
  actor.state = Actor::State::waiting;
  runnable_.back()->place = actor.place;
  runnable_[actor.place] = runnable_.back();
  runnable_.pop_back();
}

}  // namespace ottla::inline OTTLA_ABI
