// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <ottla/broker/machine_keeper.hpp>

namespace ottla::inline OTTLA_ABI {

template <RuleMachine M>
void MachineKeeper<M>::pump() {
  const Ref<MachineKeeper> alive(this);
  while (take_turn()) {
    bool goes_on = true;
    const absl::Status worked = guarded([&] { return work(goes_on); });
    if (!goes_on || (!worked.ok() && !give_way(worked))) {
      return;
    }
  }
}

/// The one that is not over, or the next; false, and this thread is not busy any more, without any.
template <RuleMachine M>
bool MachineKeeper<M>::take_turn() {
  Queue stale;
  Lock lock(mutex_);
  while (turn_.event.empty() && !queue_.empty()) {
    Queue& into = counts(queue_.front()) ? turn_.event : stale;
    into.splice(into.end(), queue_, queue_.begin());
  }
  busy_ = !turn_.event.empty();
  return busy_;
}

template <RuleMachine M>
bool MachineKeeper<M>::counts(const Queued& queued) {
  const auto* due = std::get_if<DueTimer>(&queued.event);
  if (due == nullptr) {
    return true;
  }
  const auto current = timers_.find(due->timer);
  if (current == timers_.end() || current->second.generation != due->generation) {
    return false;  // armed anew or disarmed meanwhile
  }
  timers_.erase(current);
  return true;
}

/// Goes on with the turn where it stopped. Not `goes_on`: the journal has it.
template <RuleMachine M>
absl::Status MachineKeeper<M>::work(bool& goes_on) {
  std::variant<Event, DueTimer>& event = turn_.event.front().event;
  if (turn_.step == Step::decide) {
    if (const auto* due = std::get_if<DueTimer>(&event)) {
      event = hooks_.timer_due(due->timer);
    }
    turn_.decision = machine_.decide(std::get<Event>(event), now());
    turn_.step = turn_.decision.records.empty() ? Step::finish : Step::write;
  }
  if (turn_.step == Step::write && !write()) {
    goes_on = false;
    return absl::OkStatus();
  }
  if (turn_.step == Step::apply) {
    refusing_ = false;
    OTTLA_TRY(apply_records());
    turn_.step = Step::finish;
  }
  if (turn_.step == Step::fail) {
    if (hooks_.refused && !std::exchange(refusing_, true)) {
      hooks_.refused(turn_.refused);
    }
    turn_.decision = machine_.decide_failed(std::get<Event>(event), shown_code(), now());
    turn_.step = Step::finish;
  }
  finish();
  turn_ = {};
  return absl::OkStatus();
}

/// Whoever comes second, the end of append() or the news of the write, goes on: no recursion when
/// it is written at once. True when that is this thread.
template <RuleMachine M>
bool MachineKeeper<M>::write() {
  handed_over_.store(false);
  journal_->append(turn_.decision.records,
                   [self = Ref<MachineKeeper>(this)](absl::StatusOr<Offset> base) {
                     self->turn_.step = base.ok() ? Step::apply : Step::fail;
                     self->turn_.base = base.ok() ? *base : Offset();
                     self->turn_.refused = std::move(base).status();
                     if (self->handed_over_.exchange(true)) {
                       self->pump();
                     }
                   });
  return handed_over_.exchange(true);
}

template <RuleMachine M>
absl::Status MachineKeeper<M>::apply_records() {
  Lock lock(mutex_);
  for (; turn_.applied < turn_.decision.records.size(); ++turn_.applied) {
    const MachineRecord& record = turn_.decision.records[turn_.applied];
    WrittenRecord written{
        .key = {}, .value = {}, .offset = turn_.base + static_cast<std::int64_t>(turn_.applied)};
    if (record.key) {
      written.key = Bytes(*record.key);
    }
    if (record.value) {
      written.value = Bytes(*record.value);
    }
    OTTLA_TRY(machine_.apply(written));
  }
  return absl::OkStatus();
}

template <RuleMachine M>
ErrorCode MachineKeeper<M>::shown_code() const {
  const ErrorCode code = error_code(turn_.refused);
  return hooks_.translate(code == ErrorCode::none ? ErrorCode::unknown_server_error : code);
}

template <RuleMachine M>
bool MachineKeeper<M>::tells_why() const {
  return !turn_.refused.ok() && hooks_.tells(fault(turn_.refused));
}

/// Answers come before timers, for which there may be no memory.
template <RuleMachine M>
void MachineKeeper<M>::finish() {
  Decision& decision = turn_.decision;
  {
    Lock lock(mutex_);
    for (auto& change : decision.soft_changes) {
      machine_.apply(std::move(change));
    }
  }
  decision.soft_changes.clear();
  while (turn_.answered < decision.answers.size()) {
    auto& [request, response] = decision.answers[turn_.answered++];
    const bool asked_now = request == turn_.event.front().request;
    if (asked_now && fault(turn_.refused) == Fault::no_memory) {
      answer(request, turn_.refused);
    } else if (asked_now && tells_why()) {
      answer(request, error(shown_code(), fault(turn_.refused), sv(turn_.refused.message()),
                            outcome(turn_.refused)));
    } else {
      answer(request, std::move(response));
    }
  }
  while (turn_.superseded < decision.superseded.size()) {
    answer(decision.superseded[turn_.superseded++],
           error(ErrorCode::request_timed_out, Fault::none,
                 "a newer request of the same member took this one's place"));
  }
  for (; turn_.armed < decision.timers.size(); ++turn_.armed) {
    arm(decision.timers[turn_.armed]);
  }
  for (; hooks_.effect && turn_.caused < decision.effects.size(); ++turn_.caused) {
    hooks_.effect(decision.effects[turn_.caused]);
  }
}

/// The turn stopped. True when it, or another event, was given up for that, and the work goes on;
/// false, and this thread is not busy any more, when all that is left has to wait.
template <RuleMachine M>
bool MachineKeeper<M>::give_way(const absl::Status& why) {
  Queue refused;
  if (fault(why) != Fault::no_memory && turn_.step == Step::apply) {
    turn_.refused = with_outcome(why, Outcome::unknown);  // it is written
    turn_.step = Step::fail;
    return true;
  }
  if (fault(why) != Fault::no_memory ||
      (turn_.step == Step::decide && turn_.event.front().request != RequestId())) {
    refused.swap(turn_.event);
    turn_ = {};
  } else {
    Lock lock(mutex_);
    const auto waiting = std::find_if(queue_.begin(), queue_.end(), [](const Queued& queued) {
      return queued.request != RequestId();
    });
    if (waiting == queue_.end()) {
      busy_ = false;
      if (std::exchange(retrying_, true)) {
        return false;
      }
    } else {
      refused.splice(refused.end(), queue_, waiting);
    }
  }
  if (refused.empty()) {
    if (!retry_later()) {
      answer_all(out_of_memory());  // so that somebody comes again
    }
    return false;
  }
  answer(refused.front().request, refusal(why));
  return true;
}

template <RuleMachine M>
bool MachineKeeper<M>::retry_later() {
  const auto go_on = [self = Ref<MachineKeeper>(this)] {
    {
      Lock lock(self->mutex_);
      self->retrying_ = false;
      if (self->closed_ || std::exchange(self->busy_, true)) {
        return;
      }
    }
    self->pump();
  };
  const absl::Status posted =
      guarded([&] { world_.post_at(after(world_.steady_now(), retry_delay), go_on); });
  if (!posted.ok()) {
    Lock lock(mutex_);
    retrying_ = false;
  }
  return posted.ok();
}

template <RuleMachine M>
void MachineKeeper<M>::answer(RequestId request, absl::StatusOr<Response> with) {
  typename Replies::node_type found;
  {
    Lock lock(mutex_);
    found = replies_.extract(request);
  }
  if (!found.empty()) {
    guarded([&] { found.mapped()(std::move(with)); }).IgnoreError();
  }
}

template <RuleMachine M>
void MachineKeeper<M>::answer_all(const absl::Status& with) {
  Replies replies;
  {
    Lock lock(mutex_);
    replies.swap(replies_);
  }
  for (auto& [request, reply] : replies) {
    guarded([&with, &reply = reply] { reply(with); }).IgnoreError();
  }
}

template <RuleMachine M>
void MachineKeeper<M>::arm(const TimerChange<Timer>& change) {
  Timers fresh;
  if (change.deadline != never) {
    fresh[change.timer].due.push_back({RequestId(), DueTimer{change.timer}});
  }
  typename Timers::node_type old;
  std::uint64_t generation = 0;
  {
    Lock lock(mutex_);
    old = timers_.extract(change.timer);
    if (!fresh.empty() && !closed_) {
      generation = ++last_generation_;
      Armed& armed = fresh.begin()->second;
      armed.generation = generation;
      std::get<DueTimer>(armed.due.front().event).generation = generation;
      timers_.merge(fresh);
    }
  }
  if (!old.empty()) {
    world_.cancel(old.mapped().id);
  }
  if (generation == 0) {
    return;
  }
  // Where this throws, the timer is armed anew when the work goes on.
  const TimerId id =
      world_.post_at(change.deadline, [self = Ref<MachineKeeper>(this), timer = change.timer,
                                       generation] { self->fire(timer, generation); });
  bool closed = false;
  {
    Lock lock(mutex_);
    const auto current = timers_.find(change.timer);
    if (current != timers_.end() && current->second.generation == generation) {
      current->second.id = id;
    }
    closed = closed_;
  }
  if (closed) {
    world_.cancel(id);
  }
}

template <RuleMachine M>
void MachineKeeper<M>::fire(const Timer& timer, std::uint64_t generation) {
  {
    Lock lock(mutex_);
    const auto current = timers_.find(timer);
    if (closed_ || current == timers_.end() || current->second.generation != generation) {
      return;  // armed anew or disarmed meanwhile
    }
    queue_.splice(queue_.end(), current->second.due);
    if (std::exchange(busy_, true)) {
      return;
    }
  }
  pump();
}

}  // namespace ottla::inline OTTLA_ABI
