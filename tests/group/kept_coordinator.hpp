// SPDX-License-Identifier: Apache-2.0
//
// A coordinator with a keeper that writes at once, on a clock that the test moves.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <ottla/base/status.hpp>
#include <ottla/group/group_coordinator.hpp>

#include "tests/support/catch.hpp"

class KeptCoordinator {
 public:
  using Coordinator = ottla::GroupCoordinator;

  /// `life`: of a program; members of another one have other ids, which sort in another order.
  explicit KeptCoordinator(const ottla::GroupConfig& config = {}, int life = 0)
      : config_(config), coordinator_(config), life_(life) {}

  const Coordinator& coordinator() const { return coordinator_; }
  const ottla::ClassicGroup& group() const { return *coordinator_.find("g"); }
  std::int64_t now_ms() const { return now_ms_; }
  ottla::Now now() const {
    return {.steady = ottla::SteadyTime(std::chrono::milliseconds(now_ms_)),
            .wall = ottla::Timestamp(now_ms_)};
  }

  ottla::RequestId ask(Coordinator::Request request) {
    const ottla::RequestId id(++last_request_);
    ottla::Uuid unique;
    unique.bytes[15] = static_cast<std::byte>(id.value());
    unique.bytes[14] = static_cast<std::byte>(id.value() >> 8);
    unique.bytes[13] = static_cast<std::byte>(life_);
    // In the first life a later member has a higher id.
    const std::uint64_t shuffled =
        id.value() * static_cast<std::uint64_t>(life_) * 0x9E3779B97F4A7C15;
    unique.bytes[0] = static_cast<std::byte>(shuffled >> 56);
    decide(Coordinator::Asked{.id = id, .request = std::move(request), .unique = unique});
    return id;
  }

  /// Takes the answer to a request; null while it waits.
  template <class Response>
  std::optional<Response> take(ottla::RequestId id) {
    const auto found = answers_.find(id);
    if (found == answers_.end()) {
      return std::nullopt;
    }
    Response response = std::get<Response>(std::move(found->second));
    answers_.erase(found);
    return response;
  }
  /// Of a request that is answered at once.
  template <class Response>
  Response answer_to(Coordinator::Request request) {
    auto response = take<Response>(ask(std::move(request)));
    REQUIRE(response);
    return *std::move(response);
  }

  void decide(const Coordinator::Event& event) {
    ottla::GroupDecision decision = coordinator_.decide(event, now());
    written_ = decision.records;
    if (!decision.records.empty() && failure_) {
      decision = coordinator_.decide_failed(event, *std::exchange(failure_, std::nullopt), now());
      REQUIRE(decision.records.empty());
      written_.clear();
    }
    for (const ottla::MachineRecord& record : decision.records) {
      log_.push_back(record);
      REQUIRE(coordinator_.apply(as_written(log_.size() - 1)).ok());
    }
    for (ottla::GroupBecomes& change : decision.soft_changes) {
      coordinator_.apply(std::move(change));
    }
    for (const auto& [timer, deadline] : decision.timers) {
      timers_.erase(timer);
      if (deadline != ottla::never) {
        timers_[timer] = deadline;
      }
    }
    for (auto& answer : decision.answers) {
      REQUIRE(answers_.emplace(answer.request, std::move(answer.response)).second);
    }
    superseded_.insert(superseded_.end(), decision.superseded.begin(), decision.superseded.end());
  }

  /// Written by somebody else: a transaction, or another program.
  void write(const std::vector<ottla::MachineRecord>& records,
             ottla::ProducerId producer = ottla::no_producer_id) {
    for (const ottla::MachineRecord& record : records) {
      log_.push_back(record);
      ottla::WrittenRecord written = as_written(log_.size() - 1);
      written.producer = producer;
      REQUIRE(coordinator_.apply(written).ok());
    }
  }
  void end_transaction(ottla::ProducerId producer, ottla::TransactionMarker marker) {
    REQUIRE(coordinator_.apply({.producer = producer, .marker = marker}).ok());
  }

  /// What is written next fails.
  void fail_next(ottla::ErrorCode why) { failure_ = why; }

  /// Moves the clock in steps of 500 ms, deciding what is due at each.
  void advance(std::int64_t ms, std::int64_t step = 500) {
    for (const std::int64_t end = now_ms_ + ms; now_ms_ < end;) {
      now_ms_ = std::min(now_ms_ + step, end);
      run_due();
    }
  }
  void move_clock(std::int64_t ms) { now_ms_ += ms; }
  void run_due() {
    while (true) {
      auto due = timers_.end();
      for (auto timer = timers_.begin(); timer != timers_.end(); ++timer) {
        if (timer->second <= now().steady &&
            (due == timers_.end() || timer->second < due->second)) {
          due = timer;
        }
      }
      if (due == timers_.end()) {
        return;
      }
      const ottla::GroupTimer timer = due->first;
      timers_.erase(due);
      decide(Coordinator::TimerDue{timer});
      fired_records_.insert(fired_records_.end(), written_.begin(), written_.end());
    }
  }

  /// A new machine from the log, as after a restart.
  void reload(Coordinator::Loaded loaded = {}) {
    coordinator_ = Coordinator(config_);
    timers_.clear();
    answers_.clear();
    for (std::size_t i = 0; i < log_.size(); ++i) {
      REQUIRE(coordinator_.apply(as_written(i)).ok());
    }
    decide(loaded);
  }

  /// Of the last decision that did not come from a timer.
  const std::vector<ottla::MachineRecord>& written() const { return written_; }
  /// Of timers since the last call.
  std::vector<ottla::MachineRecord> take_written_by_timers() {
    return std::exchange(fired_records_, {});
  }
  std::map<ottla::RequestId, ottla::GroupResponse>& answers() { return answers_; }
  const std::vector<ottla::RequestId>& superseded() const { return superseded_; }
  const std::map<ottla::GroupTimer, ottla::SteadyTime>& timers() const { return timers_; }
  const std::vector<ottla::MachineRecord>& log() const { return log_; }

 private:
  ottla::WrittenRecord as_written(std::size_t i) const {
    ottla::WrittenRecord record{.key = ottla::Bytes(*log_[i].key),
                                .offset = ottla::Offset(static_cast<std::int64_t>(i))};
    if (log_[i].value) {
      record.value = ottla::Bytes(*log_[i].value);
    }
    return record;
  }

  ottla::GroupConfig config_;
  Coordinator coordinator_;
  int life_;
  std::int64_t now_ms_ = 1000;
  std::uint64_t last_request_ = 0;
  std::optional<ottla::ErrorCode> failure_;
  std::map<ottla::GroupTimer, ottla::SteadyTime> timers_;
  std::map<ottla::RequestId, ottla::GroupResponse> answers_;
  std::vector<ottla::RequestId> superseded_;
  std::vector<ottla::MachineRecord> written_;
  std::vector<ottla::MachineRecord> fired_records_;
  std::vector<ottla::MachineRecord> log_;
};
