// SPDX-License-Identifier: Apache-2.0
#include <ottla/protocol/decision.hpp>

#include "tests/support/catch.hpp"

namespace {

using namespace ottla;

/// As little as a rule machine can be: a number that grows by what is asked for.
class Sum {
 public:
  struct Event {
    RequestId request;
    std::uint8_t more = 0;
  };
  struct SoftChange {};
  using Decision = ottla::Decision<SoftChange, int, int>;

  Decision decide(const Event& event, Now now) const {
    Decision decision;
    decision.write({}, std::vector<std::byte>{std::byte{event.more}});
    decision.answer(event.request, sum_ + event.more);
    decision.arm(1, after(now.steady, std::chrono::seconds(1)));
    decision.disarm(2);
    return decision;
  }
  Decision decide_failed(const Event& event, ErrorCode, Now) const {
    Decision decision;
    decision.answer(event.request, -1);
    return decision;
  }
  absl::Status apply(const WrittenRecord& record) {
    sum_ += std::to_integer<int>(record.value->front());
    return absl::OkStatus();
  }
  void apply(SoftChange) noexcept {}

 private:
  int sum_ = 0;
};
static_assert(RuleMachine<Sum>);

}  // namespace

TEST_CASE("a decision says what to write, to answer, to arm and to disarm") {
  Sum sum;
  const Now now{.steady = SteadyTime(std::chrono::seconds(5)), .wall = Timestamp(0)};
  const auto decision = sum.decide({.request = RequestId(7), .more = 3}, now);
  REQUIRE(decision.records.size() == 1);
  CHECK(decision.records[0].key == std::vector<std::byte>());
  REQUIRE(sum.apply({.value = Bytes(*decision.records[0].value)}).ok());
  REQUIRE(decision.answers.size() == 1);
  CHECK(decision.answers[0].request == RequestId(7));
  CHECK(decision.answers[0].response == 3);
  CHECK(sum.decide({.request = RequestId(8), .more = 1}, now).answers[0].response == 4);
  REQUIRE(decision.timers.size() == 2);
  CHECK(decision.timers[0].deadline == SteadyTime(std::chrono::seconds(6)));
  CHECK(decision.timers[1].deadline == never);
}

TEST_CASE("clients are told an append error in the words of their protocol") {
  using enum ErrorCode;
  CHECK(coordinator_error(unknown_topic_or_partition) == coordinator_not_available);
  CHECK(coordinator_error(not_enough_replicas) == coordinator_not_available);
  CHECK(coordinator_error(request_timed_out) == coordinator_not_available);
  CHECK(coordinator_error(not_leader_or_follower) == not_coordinator);
  CHECK(coordinator_error(kafka_storage_error) == not_coordinator);
  CHECK(coordinator_error(message_too_large) == unknown_server_error);
  CHECK(coordinator_error(record_list_too_large) == unknown_server_error);
  CHECK(coordinator_error(invalid_fetch_size) == unknown_server_error);
  CHECK(coordinator_error(network_exception) == coordinator_load_in_progress);
  CHECK(coordinator_error(invalid_request) == invalid_request);
}
