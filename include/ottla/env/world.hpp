// SPDX-License-Identifier: Apache-2.0
//
// Clock, executor and randomness of an Env, erased once: what a client takes from its Connection,
// so that clients are no templates over worlds and never touch the system.
#pragma once

#include <ottla/env/env.hpp>

namespace ottla::inline OTTLA_ABI {

/// A handle, two words, to be copied: what outlives the one that made it (a task, a partition that
/// a task holds) keeps its own. Thread-safe. Before: the env outlives every copy.
class World {
 public:
  SteadyTime steady_now() const { return calls_->steady_now(env_); }
  Timestamp wall_now() const { return calls_->wall_now(env_); }
  void post(Task task) { calls_->post(env_, std::move(task)); }
  TimerId post_at(SteadyTime when, Task task, TaskLane lane = no_lane) {
    return calls_->post_at(env_, when, std::move(task), lane);
  }
  bool cancel(TimerId timer) { return calls_->cancel(env_, timer); }
  absl::Status spawn(std::string_view name, Task body) {
    return calls_->spawn(env_, name, std::move(body));
  }
  bool await(Doorbell& bell, SteadyTime deadline) { return calls_->await(env_, bell, deadline); }
  std::uint64_t next_random() { return calls_->next_random(env_); }
  std::uint64_t process_generation() const { return calls_->process_generation(env_); }

 protected:
  struct Calls {
    SteadyTime (*steady_now)(void* env);
    Timestamp (*wall_now)(void* env);
    void (*post)(void* env, Task task);
    TimerId (*post_at)(void* env, SteadyTime when, Task task, TaskLane lane);
    bool (*cancel)(void* env, TimerId timer);
    absl::Status (*spawn)(void* env, std::string_view name, Task body);
    bool (*await)(void* env, Doorbell& bell, SteadyTime deadline);
    std::uint64_t (*next_random)(void* env);
    std::uint64_t (*process_generation)(void* env);
  };
  World(void* env, const Calls& calls) : env_(env), calls_(&calls) {}

 private:
  void* env_;
  const Calls* calls_;
};

/// The World of an env.
template <Env E>
class WorldOf final : public World {
 public:
  explicit WorldOf(E& env) : World(&env, calls) {}

 private:
  static E& of(void* env) { return *static_cast<E*>(env); }

  static constexpr Calls calls = {
      .steady_now = [](void* env) -> SteadyTime { return of(env).clock().steady_now(); },
      .wall_now = [](void* env) -> Timestamp { return of(env).clock().wall_now(); },
      .post = [](void* env, Task task) { of(env).executor().post(std::move(task)); },
      .post_at =
          [](void* env, SteadyTime when, Task task, TaskLane lane) {
            return of(env).executor().post_at(when, std::move(task), lane);
          },
      .cancel = [](void* env, TimerId timer) { return of(env).executor().cancel(timer); },
      .spawn = [](void* env, std::string_view name,
                  Task body) { return of(env).executor().spawn(name, std::move(body)); },
      .await = [](void* env, Doorbell& bell,
                  SteadyTime deadline) { return of(env).executor().await(bell, deadline); },
      .next_random = [](void* env) { return of(env).random().next(); },
      .process_generation = [](void* env) { return of(env).process_generation(); }};
};

}  // namespace ottla::inline OTTLA_ABI
