// SPDX-License-Identifier: Apache-2.0
//
// Keeps a rule machine: one event at a time, in order.
//   submit ─ queue ─ decide ─(records)─ Journal::append ─ written ─ apply ─ answers, timers,
//   effects ─ next event
//                       └─(none)──────────────────────────────────────┘
//                                          not written: decide_failed, answers
// Nobody waits inside: the thread that submits does the work, or the one that brings the news of
// the write. No lock is held while the machine decides, the journal writes, or answers are given;
// one lock guards the queue and each change.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <absl/functional/any_invocable.h>
#include <absl/status/statusor.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/journal.hpp>
#include <ottla/env/world.hpp>
#include <ottla/protocol/decision.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe. Before: the env of `world` outlives it.
template <RuleMachine M>
class MachineKeeper final : public Counted {
 public:
  using Event = typename M::Event;
  using Decision = typename M::Decision;
  using Response = typename Decision::Response;
  using Timer = typename Decision::Timer;
  using Effect = typename Decision::Effect;
  /// Called once, without a lock.
  using Reply = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

  struct Hooks {
    /// The event that a due timer is; none for machines without timers.
    std::function<Event(const Timer&)> timer_due = {};
    /// What the machine wants done beside records and answers. Called without a lock.
    std::function<void(const Effect&)> effect = {};
    /// Whether the error of an append is shown to clients as another.
    ErrorCode (*translate)(ErrorCode) = [](ErrorCode code) { return code; };
  };

  MachineKeeper(World& world, M machine, Ref<Journal> journal, Hooks hooks = {})
      : world_(world),
        journal_(std::move(journal)),
        hooks_(std::move(hooks)),
        machine_(std::move(machine)) {}

  /// Rebuilds the machine from its journal. Before: nothing was submitted.
  absl::Status load() {
    return journal_->load([this](const WrittenRecord& record) {
      Lock lock(mutex_);
      return machine_.apply(record);
    });
  }

  /// `make` turns the request's id into the event.
  template <class Make>
  void submit(Make make, Reply reply) {
    bool mine = false;
    absl::Status queued = guarded([&] { mine = enqueue(make, reply); });
    if (reply) {  // still here: not taken
      reply(queued.ok() ? closed_error() : std::move(queued));
    } else if (mine) {
      pump();
    }
  }

  /// `ask` looks at the committed state and must not keep what it saw by reference.
  template <class Ask>
  auto query(Ask ask) const {
    Lock lock(mutex_);
    return ask(std::as_const(machine_));
  }

  /// Answers everybody `closed`, now and later; disarms every timer.
  void close() {
    std::map<RequestId, Reply> replies;
    std::map<Timer, TimerId> timers;
    {
      Lock lock(mutex_);
      closed_ = true;
      replies.swap(replies_);
      timers.swap(timers_);
      queue_.clear();
    }
    for (const auto& [timer, id] : timers) {
      world_.cancel(id);
    }
    for (auto& [id, reply] : replies) {
      reply(closed_error());
    }
  }

 private:
  /// Takes `reply` last, where the event is queued; whether this thread is to pump.
  template <class Make>
  bool enqueue(Make& make, Reply& reply) {
    Lock lock(mutex_);
    if (closed_) {
      return false;
    }
    const RequestId id(++last_request_);
    auto event = make(id);
    std::map<RequestId, Reply> entry;
    entry.emplace(id, Reply());
    queue_.push_back(std::move(event));  // the last that may throw
    entry.begin()->second = std::move(reply);
    replies_.merge(entry);
    return !std::exchange(busy_, true);
  }
  /// Counts only if it was not armed anew or disarmed before its turn.
  struct DueTimer {
    Timer timer;
    std::uint64_t generation = 0;
  };

  static absl::Status closed_error() {
    return error(Fault::closed, "the broker was closed", Outcome::unknown);
  }
  Now now() const { return {world_.steady_now(), world_.wall_now()}; }

  /// Before: busy_ was set by this thread. Works until the queue is empty, or a write is under way.
  void pump();
  std::optional<Event> next();
  /// True when the decision is carried out; false when the journal will call `resume`.
  bool carry_out(Event event);
  void written(const Event& event, Decision decision, const absl::StatusOr<Offset>& base);
  absl::Status apply_records(const Decision& decision, Offset base);
  void finish(Decision decision);
  void arm(const Timer& timer, SteadyTime deadline);
  void fire(const Timer& timer, std::uint64_t generation);

  World world_;
  const Ref<Journal> journal_;
  const Hooks hooks_;
  mutable Mutex mutex_;
  M machine_;  // changed under mutex_ by whoever is busy; that thread may read it without
  std::deque<std::variant<Event, DueTimer>> queue_ OTTLA_GUARDED_BY(mutex_);
  bool busy_ OTTLA_GUARDED_BY(mutex_) = false;
  bool closed_ OTTLA_GUARDED_BY(mutex_) = false;
  std::uint64_t last_request_ OTTLA_GUARDED_BY(mutex_) = 0;
  std::uint64_t last_generation_ OTTLA_GUARDED_BY(mutex_) = 0;
  std::map<RequestId, Reply> replies_ OTTLA_GUARDED_BY(mutex_);
  std::map<Timer, TimerId> timers_ OTTLA_GUARDED_BY(mutex_);
  std::map<Timer, std::uint64_t> generations_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/broker/impl/machine_keeper_impl.hpp>
