// SPDX-License-Identifier: Apache-2.0
//
// Clock, executor and randomness of an Env, erased once: what a client takes from its Connection,
// so that clients are no templates over worlds and never touch the system.
#pragma once

#include <ottla/env/env.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe.
class World {
 public:
  virtual SteadyTime steady_now() const = 0;
  virtual Timestamp wall_now() const = 0;
  virtual void post(Task task) = 0;
  virtual TimerId post_at(SteadyTime when, Task task) = 0;
  virtual bool cancel(TimerId timer) = 0;
  virtual bool await(Doorbell& bell, SteadyTime deadline) = 0;
  virtual std::uint64_t next_random() = 0;
  virtual std::uint64_t process_generation() const = 0;

 protected:
  ~World() = default;
};

/// Before: `env` outlives it.
template <Env E>
class WorldOf final : public World {
 public:
  explicit WorldOf(E& env) : env_(env) {}

  SteadyTime steady_now() const override { return env_.clock().steady_now(); }
  Timestamp wall_now() const override { return env_.clock().wall_now(); }
  void post(Task task) override { env_.executor().post(std::move(task)); }
  TimerId post_at(SteadyTime when, Task task) override {
    return env_.executor().post_at(when, std::move(task));
  }
  bool cancel(TimerId timer) override { return env_.executor().cancel(timer); }
  bool await(Doorbell& bell, SteadyTime deadline) override {
    return env_.executor().await(bell, deadline);
  }
  std::uint64_t next_random() override { return env_.random().next(); }
  std::uint64_t process_generation() const override { return env_.process_generation(); }

 private:
  E& env_;
};

}  // namespace ottla::inline OTTLA_ABI
