// SPDX-License-Identifier: Apache-2.0
//
// What a SimScheduler keeps of an actor, a process, a lock that somebody has.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <ottla/sim/impl/fiber.hpp>
#include <ottla/sim/sim_scheduler.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

struct Actor {
  Actor() = default;  // the one that called `run`
  Actor(SimScheduler& its_scheduler, std::size_t stack_bytes, Fiber::Entry entry)
      : scheduler(&its_scheduler), fiber(stack_bytes, entry, this) {}

  enum class State : std::uint8_t { runnable, waiting, ended };

  SimScheduler* scheduler = nullptr;
  std::uint64_t id = 0;
  std::string name;
  SimProcess process;
  SimScheduler::Kind kind = SimScheduler::Kind::foreground;
  Task body;
  std::uint64_t priority = 0;
  int held = 0;  // against preemption
  bool begun = false;
  bool given_up = false;

  State state = State::runnable;
  std::size_t place = 0;  // in the list of those that can run
  const void* waits_on = nullptr;
  std::string_view waits_for;
  SteadyTime deadline = never;
  bool timed_out = false;

  Fiber fiber;
};

struct Process {
  enum class State : std::uint8_t { alive, failed, crashed };

  std::string name;
  State state = State::alive;
  std::uint64_t background = 0;  // actors
  std::vector<std::function<void(bool)>> on_end;
};

struct Held {
  const Mutex* mutex;
  Actor* owner;
  bool wanted;
};

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI
