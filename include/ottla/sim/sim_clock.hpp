// SPDX-License-Identifier: Apache-2.0
//
// The clocks of a simulated world. One steady hand for all of it, which the scheduler moves to the
// next event when everybody waits; a wall clock for each process, which may step, drift and freeze.
#pragma once

#include <ottla/base/ref.hpp>
#include <ottla/env/clock.hpp>

namespace ottla::inline OTTLA_ABI {

/// The steady hand. One thread.
class SimTime final : public Counted {
 public:
  SteadyTime now() const { return now_; }
  /// Never back: an earlier time is ignored.
  void move_to(SteadyTime time) {
    if (now_ < time) {
      now_ = time;
    }
  }

 private:
  SteadyTime now_ = SteadyTime(std::chrono::seconds(1));  // not 0, which many take for "never was"
};

/// One process's view. Copies are handles of one clock. One thread: that of its world.
class SimClock {
 public:
  explicit SimClock(Ref<SimTime> time, Timestamp wall = Timestamp(1'600'000'000'000))
      : time_(std::move(time)), wall_(make_ref<Wall>()) {
    set_wall(wall);
  }

  SteadyTime steady_now() const { return time_->now(); }
  Timestamp wall_now() const { return Timestamp(wall_nanos() / 1'000'000); }

  /// Steps the wall clock, forth or back. One that is frozen stays so, at the new time.
  void set_wall(Timestamp time) { anchor(time.value() * 1'000'000); }
  /// Microseconds that the wall clock gains (loses, below 0) in a second of steady time, from now
  /// on. Before: above -1,000,000.
  void set_drift(std::int64_t micros_a_second) {
    anchor(wall_nanos());
    wall_->drift = micros_a_second;
  }
  /// A frozen wall clock stands still; thawed it goes on from there.
  void freeze(bool frozen = true) {
    anchor(wall_nanos());
    wall_->frozen = frozen;
  }

 private:
  struct Wall final : Counted {
    SteadyTime since{};
    std::int64_t nanos = 0;  // of the wall clock, then
    std::int64_t drift = 0;
    bool frozen = false;
  };

  std::int64_t wall_nanos() const {
    if (wall_->frozen) {
      return wall_->nanos;
    }
    const std::int64_t passed = (time_->now() - wall_->since).count();
    const std::int64_t gained =
        passed / 1'000'000 * wall_->drift + passed % 1'000'000 * wall_->drift / 1'000'000;
    return wall_->nanos + passed + gained;
  }
  void anchor(std::int64_t nanos) {
    wall_->since = time_->now();
    wall_->nanos = nanos;
  }

  Ref<SimTime> time_;
  Ref<Wall> wall_;
};
static_assert(Clock<SimClock>);

}  // namespace ottla::inline OTTLA_ABI
