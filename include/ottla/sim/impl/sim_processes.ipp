// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/sim/impl/sim_actor.hpp>
#include <ottla/sim/sim_scheduler.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

// Never freed: what a dead process owned.
struct Grave {
  std::vector<Task> tasks;
  std::vector<std::vector<void*>> stacks;  // for the leak checker, which looks for pointers
};

}  // namespace sim_impl

OTTLA_INLINE void SimScheduler::crash(SimProcess process) {
  using State = sim_impl::Process::State;
  sim_impl::Process& crashed = *processes_[process.value()];
  if (std::exchange(crashed.state, State::crashed) == State::crashed) {
    return;
  }
  note("crash");
  note(process.value());
  hold(1);
  for (const auto& called : crashed.on_end) {
    called(true);
  }
  hold(-1);
  crashed.on_end.clear();
  abandon(process, false);
}

OTTLA_INLINE void SimScheduler::fail(SimProcess process) {
  using State = sim_impl::Process::State;
  sim_impl::Process& failed = *processes_[process.value()];
  if (failed.state != State::alive) {
    return;
  }
  failed.state = State::failed;
  note("fail");
  note(process.value());
  for (const auto& actor : actors_) {
    if (actor->process == process && actor->deadline != never) {
      set_runnable(*actor);
      actor->timed_out = true;
    }
  }
  const auto on_end = failed.on_end;
  for (const auto& called : on_end) {
    called(false);
  }
}

OTTLA_INLINE bool SimScheduler::alive(SimProcess process) const {
  return processes_[process.value()]->state == sim_impl::Process::State::alive;
}

OTTLA_INLINE void SimScheduler::on_end(SimProcess process, std::function<void(bool)> called) {
  processes_[process.value()]->on_end.push_back(std::move(called));
}

OTTLA_INLINE void SimScheduler::forget_end(SimProcess process) {
  processes_[process.value()]->on_end.clear();
}

OTTLA_INLINE void SimScheduler::give_up(Task task) {
  ++leaked_.tasks;
  given_up_.push_back(std::move(task));
}

OTTLA_INLINE void SimScheduler::join(SimProcess process, SteadyTime deadline) {
  sim_impl::Process& joined = *processes_[process.value()];
  const SteadyTime until = alive(process) ? deadline : never;  // a dead one takes no time
  while (joined.background > 0) {
    if (!park(&joined, "the end of a process", until)) {
      break;
    }
  }
  abandon_background(process);
}

OTTLA_INLINE void SimScheduler::abandon_background(SimProcess process) { abandon(process, true); }

// Does not return where the actor that runs is one of them: the caller's frames own nothing then.
OTTLA_INLINE void SimScheduler::abandon(SimProcess process, bool background_only) {
  Actor* const self = running_;
  for (std::size_t i = 0; i < actors_.size();) {
    Actor& actor = *actors_[i];
    if (actor.process != process || (background_only && actor.kind != Kind::background)) {
      ++i;
      continue;
    }
    ++leaked_.actors;
    release_all(actor);
    leave(actor);
    actor.given_up = true;
  }
  if (self != nullptr && running_ == nullptr) {
    sim_impl::Fiber::change(self->fiber, home_->fiber, true);
  }
  bury();
}

// Frees the stacks of those who left.
OTTLA_INLINE void SimScheduler::bury() {
  sim_impl::Grave grave;
  for (const std::unique_ptr<Actor>& actor : ended_) {
    if (!actor->given_up) {
      continue;
    }
    if (!actor->begun) {
      given_up_.push_back(std::move(actor->body));
      continue;
    }
    const std::span<const std::byte> stack = actor->fiber.in_use();
    leaked_.stack_bytes += stack.size();
    if (sim_impl::leaks_are_checked()) {
      grave.stacks.push_back(sim_impl::pointers_in(stack));
    }
  }
  ended_.clear();
  grave.tasks.swap(given_up_);
  if (!grave.tasks.empty() || !grave.stacks.empty()) {
    sim_impl::expect_leak(new sim_impl::Grave(std::move(grave)));
  }
}

OTTLA_INLINE std::string SimScheduler::report() const {
  std::vector<const void*> conditions;
  std::string text;
  for (const auto& actor : actors_) {
    absl::StrAppend(&text, "  '", actor->name, "' of '", processes_[actor->process.value()]->name,
                    "' ");
    if (actor->state != Actor::State::waiting) {
      absl::StrAppend(&text, actor.get() == running_ ? "runs\n" : "can run\n");
      continue;
    }
    absl::StrAppend(&text, "waits for ", av(actor->waits_for));
    const auto held = std::find_if(held_.begin(), held_.end(), [&](const sim_impl::Held& each) {
      return each.mutex == actor->waits_on;
    });
    if (held != held_.end()) {
      absl::StrAppend(&text, " that '", held->owner->name, "' has");
    } else {
      const auto known = std::find(conditions.begin(), conditions.end(), actor->waits_on);
      absl::StrAppend(&text, " #", known - conditions.begin() + 1);
      if (known == conditions.end()) {
        conditions.push_back(actor->waits_on);
      }
    }
    if (actor->deadline == never) {
      absl::StrAppend(&text, ", for ever\n");
    } else {
      absl::StrAppend(&text, ", until ", actor->deadline.time_since_epoch().count(), " ns\n");
    }
  }
  absl::StrAppend(&text, "  at ", now().time_since_epoch().count(), " ns, step ", steps_);
  return text;
}

}  // namespace ottla::inline OTTLA_ABI
