// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>

#include <ottla/broker/machine_keeper.hpp>

namespace ottla::inline OTTLA_ABI {

template <RuleMachine M>
std::optional<typename MachineKeeper<M>::Event> MachineKeeper<M>::next() {
  Lock lock(mutex_);
  while (!queue_.empty()) {
    std::variant<Event, DueTimer> next = std::move(queue_.front());
    queue_.pop_front();
    const auto* due = std::get_if<1>(&next);
    if (due == nullptr) {
      return std::get<0>(std::move(next));
    }
    const auto current = generations_.find(due->timer);
    if (current != generations_.end() && current->second == due->generation) {
      generations_.erase(current);
      return hooks_.timer_due(due->timer);
    }
  }
  busy_ = false;
  return std::nullopt;
}

template <RuleMachine M>
void MachineKeeper<M>::pump() {
  const Ref<MachineKeeper> alive(this);
  while (std::optional<Event> event = next()) {
    if (!carry_out(*std::move(event))) {
      return;
    }
  }
}

template <RuleMachine M>
bool MachineKeeper<M>::carry_out(Event event) {
  Decision decision = machine_.decide(event, now());
  if (decision.records.empty()) {
    finish(std::move(decision));
    return true;
  }
  // Whoever comes second, the end of append() or the news of the write, goes on: no recursion when
  // it is written at once.
  struct Write {
    Event event;
    Decision decision;
    std::atomic<bool> second{false};
  };
  auto write = std::make_shared<Write>();
  write->event = std::move(event);
  write->decision = std::move(decision);
  journal_->append(write->decision.records,
                   [self = Ref<MachineKeeper>(this), write](absl::StatusOr<Offset> base) {
                     self->written(write->event, std::move(write->decision), base);
                     if (write->second.exchange(true)) {
                       self->pump();
                     }
                   });
  return write->second.exchange(true);
}

template <RuleMachine M>
void MachineKeeper<M>::written(const Event& event, Decision decision,
                               const absl::StatusOr<Offset>& base) {
  absl::Status applied = base.status();
  if (base.ok()) {
    applied = apply_records(decision, *base);
  }
  if (applied.ok()) {
    finish(std::move(decision));
    return;
  }
  const ErrorCode code = error_code(applied);
  finish(machine_.decide_failed(
      event, hooks_.translate(code == ErrorCode::none ? ErrorCode::unknown_server_error : code),
      now()));
}

template <RuleMachine M>
absl::Status MachineKeeper<M>::apply_records(const Decision& decision, Offset base) {
  Lock lock(mutex_);
  for (const MachineRecord& record : decision.records) {
    WrittenRecord written{.key = {}, .value = {}, .offset = base};
    if (record.key) {
      written.key = Bytes(*record.key);
    }
    if (record.value) {
      written.value = Bytes(*record.value);
    }
    OTTLA_TRY(machine_.apply(written));
    ++base;
  }
  return absl::OkStatus();
}

template <RuleMachine M>
void MachineKeeper<M>::finish(Decision decision) {
  std::vector<std::pair<Reply, Response>> answers;
  std::vector<Reply> superseded;
  answers.reserve(decision.answers.size());
  superseded.reserve(decision.superseded.size());
  {
    Lock lock(mutex_);
    for (auto& change : decision.soft_changes) {
      machine_.apply(std::move(change));
    }
    for (auto& answer : decision.answers) {
      if (auto found = replies_.extract(answer.request); !found.empty()) {
        answers.emplace_back(std::move(found.mapped()), std::move(answer.response));
      }
    }
    for (const RequestId request : decision.superseded) {
      if (auto found = replies_.extract(request); !found.empty()) {
        superseded.push_back(std::move(found.mapped()));
      }
    }
  }
  for (const auto& change : decision.timers) {
    arm(change.timer, change.deadline);
  }
  for (const Effect& effect : decision.effects) {
    if (hooks_.effect) {
      hooks_.effect(effect);
    }
  }
  for (auto& [reply, response] : answers) {
    reply(std::move(response));
  }
  for (Reply& reply : superseded) {
    reply(error(ErrorCode::request_timed_out, Fault::none,
                "a newer request of the same member took this one's place"));
  }
}

template <RuleMachine M>
void MachineKeeper<M>::arm(const Timer& timer, SteadyTime deadline) {
  TimerId old = no_timer;
  std::uint64_t generation = 0;
  {
    Lock lock(mutex_);
    if (const auto found = timers_.find(timer); found != timers_.end()) {
      old = found->second;
      timers_.erase(found);
    }
    generations_.erase(timer);
    if (deadline != never && !closed_) {
      generation = ++last_generation_;
      generations_[timer] = generation;
    }
  }
  if (old != no_timer) {
    world_.cancel(old);
  }
  if (generation == 0) {
    return;
  }
  const TimerId id = world_.post_at(deadline, [self = Ref<MachineKeeper>(this), timer, generation] {
    self->fire(timer, generation);
  });
  bool closed = false;
  {
    Lock lock(mutex_);
    const auto current = generations_.find(timer);
    if (current != generations_.end() && current->second == generation) {
      timers_[timer] = id;
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
    const auto current = generations_.find(timer);
    if (closed_ || current == generations_.end() || current->second != generation) {
      return;  // armed anew or disarmed meanwhile
    }
    timers_.erase(timer);
    queue_.push_back(DueTimer{timer, generation});
    if (std::exchange(busy_, true)) {
      return;
    }
  }
  pump();
}

}  // namespace ottla::inline OTTLA_ABI
