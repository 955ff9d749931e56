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
// Memory that cannot be had: a request is refused before it is decided. What is decided is carried
// out from where it stopped, by whoever comes next or after `retry_delay`; until it is, requests
// that wait behind it are refused, and due timers wait. Where there is no memory for that delay,
// everybody is told to ask again.
// What waits is bounded: `most_queued` requests without an answer, of any kind, since clients need
// not wait for it; and due timers, one for each that is armed.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <utility>
#include <variant>

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
  /// Called once, without a lock; throws nothing. `no_memory`: ask again; nothing was done, unless
  /// the outcome is unknown.
  using Reply = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

  struct Hooks {
    /// The event that a due timer is; none for machines without timers.
    std::function<Event(const Timer&)> timer_due = {};
    /// What the machine wants done beside records and answers. Called without a lock; again, where
    /// it threw.
    std::function<void(const Effect&)> effect = {};
    /// Whether the error of an append is shown to clients as another.
    ErrorCode (*translate)(ErrorCode) = [](ErrorCode code) { return code; };
    /// Of a failed append: whether who asked is told why, text and all, under the translated code,
    /// in place of what the machine answers.
    bool (*tells)(Fault) = [](Fault) { return false; };
    /// Why an append failed: answers have a code only. The first of several on end. Without a lock.
    std::function<void(const absl::Status&)> refused = {};
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

  /// `make` turns the request's id into the event. Throws nothing, also where `make` does.
  /// REQUEST_TIMED_OUT, translated, where too many wait: nothing was done.
  template <class Make>
  void submit(Make make, Reply reply) {
    Entry entry = Entry::refused;
    absl::Status queued = guarded([&] { entry = enqueue(make, reply); });
    if (reply) {  // still here: not taken
      reply(!queued.ok() ? refusal(queued) : entry == Entry::refused ? closed_error() : crowded());
    } else if (entry == Entry::pumps) {
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
    Timers timers;
    Queue queue;
    {
      Lock lock(mutex_);
      closed_ = true;
      timers.swap(timers_);
      queue.swap(queue_);
    }
    for (const auto& [timer, armed] : timers) {
      world_.cancel(armed.id);
    }
    answer_all(closed_error());
  }

  static constexpr std::chrono::milliseconds retry_delay{100};
  static constexpr std::size_t most_queued = 10'000;

 private:
  /// Counts only if it was not armed anew or disarmed before its turn.
  struct DueTimer {
    Timer timer;
    std::uint64_t generation = 0;
  };
  struct Queued {
    RequestId request;  // 0: a timer's
    std::variant<Event, DueTimer> event;
  };
  using Queue = std::list<Queued>;  // an entry is made once, and goes from one to another
  struct Armed {
    std::uint64_t generation = 0;
    TimerId id = no_timer;
    Queue due;  // its entry, until it is in the queue
  };
  using Replies = std::map<RequestId, Reply>;
  using Timers = std::map<Timer, Armed>;

  /// Of the event whose turn it is: how far it is carried out.
  enum class Step : std::uint8_t { decide, write, apply, fail, finish };
  struct Turn {
    Queue event = {};  // one; none: nobody's turn
    Step step = Step::decide;
    Decision decision = {};
    Offset base = {};           // of its records
    absl::Status refused = {};  // why they were not written
    std::size_t applied = 0;
    std::size_t answered = 0;
    std::size_t superseded = 0;
    std::size_t armed = 0;
    std::size_t caused = 0;
  };

  /// Of a request: nothing comes in any more, too many wait, or it is queued, and this thread is to
  /// pump or another one does.
  enum class Entry : std::uint8_t { refused, crowded, pumps, queued };

  /// Takes `reply` last, where the event is queued.
  template <class Make>
  Entry enqueue(Make& make, Reply& reply) {
    Lock lock(mutex_);
    if (closed_ || replies_.size() >= most_queued) {
      return closed_ ? Entry::refused : Entry::crowded;
    }
    const RequestId id(++last_request_);
    Queue queued;
    queued.push_back({id, make(id)});
    Replies entry;
    entry.emplace(id, Reply());  // the last that may throw
    entry.begin()->second = std::move(reply);
    replies_.merge(entry);
    queue_.splice(queue_.end(), queued);
    return std::exchange(busy_, true) ? Entry::queued : Entry::pumps;
  }

  absl::Status crowded() const {
    return error(hooks_.translate(ErrorCode::request_timed_out), Fault::timed_out,
                 "too many requests wait for their answers; ask again when some have them");
  }
  static absl::Status closed_error() {
    return error(Fault::closed, "the broker was closed", Outcome::unknown);
  }
  /// Of what was not decided.
  static absl::Status refusal(const absl::Status& why) {
    return fault(why) != Fault::no_memory
               ? why
               : error(Fault::no_memory, "no memory for a request; free some, then ask again");
  }
  Now now() const { return {world_.steady_now(), world_.wall_now()}; }

  /// Before: busy_ was set by this thread. Works until nothing is left to do, a write is under way,
  /// or there is no memory to go on.
  void pump();
  bool take_turn();
  bool counts(const Queued& queued) OTTLA_REQUIRES(mutex_);
  absl::Status work(bool& goes_on);
  bool write();
  absl::Status apply_records();
  void finish();
  bool tells_why() const;
  ErrorCode shown_code() const;
  bool give_way(const absl::Status& why);
  bool retry_later();
  void answer(RequestId request, absl::StatusOr<Response> with);
  void answer_all(const absl::Status& with);
  void arm(const TimerChange<Timer>& change);
  void fire(const Timer& timer, std::uint64_t generation);

  World world_;
  const Ref<Journal> journal_;
  const Hooks hooks_;
  mutable Mutex mutex_;
  M machine_;  // changed under mutex_ by whoever is busy; that thread may read it without
  Turn turn_;  // of whoever is busy, and of the journal meanwhile
  bool refusing_ = false;                 // likewise: the last append failed
  std::atomic<bool> handed_over_{false};  // of append's end and its news, one has come
  Queue queue_ OTTLA_GUARDED_BY(mutex_);
  bool busy_ OTTLA_GUARDED_BY(mutex_) = false;
  bool retrying_ OTTLA_GUARDED_BY(mutex_) = false;
  bool closed_ OTTLA_GUARDED_BY(mutex_) = false;
  std::uint64_t last_request_ OTTLA_GUARDED_BY(mutex_) = 0;
  std::uint64_t last_generation_ OTTLA_GUARDED_BY(mutex_) = 0;
  Replies replies_ OTTLA_GUARDED_BY(mutex_);
  Timers timers_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/broker/impl/machine_keeper_impl.hpp>
