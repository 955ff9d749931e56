// SPDX-License-Identifier: Apache-2.0
#include <ottla/producer/receipts.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

using State = BatchOutcomes::State;

BatchOutcome at(std::int64_t offset) { return {.status = {}, .offset = Offset(offset)}; }

}  // namespace

TEST_CASE("an outcome is pending, then done, and forgotten after many others") {
  BatchOutcomes outcomes;
  BatchOutcome outcome;
  const std::uint64_t batch = outcomes.open(nullptr);
  CHECK(outcomes.look({batch, 0}, outcome, {}) == State::pending);
  outcomes.complete(batch, at(5));
  CHECK(outcomes.look({batch, 0}, outcome, {}) == State::done);
  CHECK(outcome.offset == Offset(5));
  for (std::size_t i = 1; i < BatchOutcomes::remembered; ++i) {
    outcomes.complete(outcomes.open(nullptr), at(0));
  }
  CHECK(outcomes.look({batch, 0}, outcome, {}) == State::done);
  outcomes.open(nullptr);
  CHECK(outcomes.look({batch, 0}, outcome, {}) == State::forgotten);
  CHECK(outcomes.look({batch + BatchOutcomes::remembered + 1, 0}, outcome, {}) == State::forgotten);
}

TEST_CASE("a late batch is remembered until it is done, and then told to who waits") {
  BatchOutcomes outcomes;
  BatchOutcome outcome;
  const std::uint64_t late = outcomes.open(nullptr);
  const auto waiter = make_ref<OutcomeWaiter>();
  CHECK(outcomes.look({late, 0}, outcome, waiter) == State::pending);
  for (std::size_t i = 0; i < 2 * BatchOutcomes::remembered; ++i) {
    outcomes.complete(outcomes.open(nullptr), at(0));
  }
  CHECK(outcomes.look({late, 0}, outcome, {}) == State::pending);
  CHECK(outcomes.pending() == 1);
  CHECK_FALSE(waiter->bell->rung());
  outcomes.complete(late, at(9));
  CHECK(waiter->bell->rung());
  CHECK(waiter->outcome.offset == Offset(9));
  CHECK(outcomes.pending() == 0);
  CHECK(outcomes.done_below(outcomes.next(), {}));
}

TEST_CASE("a flush bell rings when the last batch below its number is done") {
  BatchOutcomes outcomes;
  const std::uint64_t first = outcomes.open(nullptr);
  const std::uint64_t second = outcomes.open(nullptr);
  const auto bell = make_ref<Doorbell>();
  CHECK_FALSE(outcomes.done_below(outcomes.next(), bell));
  const std::uint64_t later = outcomes.open(nullptr);
  outcomes.complete(second, {});
  CHECK_FALSE(bell->rung());
  outcomes.complete(first, {});
  CHECK(bell->rung());
  CHECK(outcomes.done_below(later, {}));
  CHECK_FALSE(outcomes.done_below(later + 1, {}));
}

TEST_CASE("only the first outcome of a batch counts") {
  BatchOutcomes outcomes;
  BatchOutcome outcome;
  const std::uint64_t batch = outcomes.open(nullptr);
  outcomes.complete(batch, at(1));
  outcomes.complete(batch, at(2));
  REQUIRE(outcomes.look({batch, 0}, outcome, {}) == State::done);
  CHECK(outcome.offset == Offset(1));
  CHECK(outcomes.pending() == 0);
}

TEST_CASE("a batch in pieces is done with its last piece, and each record has its piece's place") {
  BatchOutcomes outcomes;
  BatchOutcome outcome;
  const std::uint64_t batch = outcomes.open(nullptr);
  outcomes.split(batch, 2);
  outcomes.complete(batch, 4, at(100));
  CHECK(outcomes.look({batch, 5}, outcome, {}) == State::pending);
  outcomes.split(batch, 2);  // the first piece again
  outcomes.complete(batch, 0, {.status = absl::InternalError("x")});
  CHECK(outcomes.pending() == 1);
  outcomes.complete(batch, 2, at(50));
  REQUIRE(outcomes.look({batch, 5}, outcome, {}) == State::done);
  CHECK(outcome.offset == Offset(101));
  REQUIRE(outcomes.look({batch, 3}, outcome, {}) == State::done);
  CHECK(outcome.offset == Offset(51));
  REQUIRE(outcomes.look({batch, 1}, outcome, {}) == State::done);
  CHECK_FALSE(outcome.status.ok());
}

TEST_CASE("who gives up waiting leaves nothing behind, and is not told") {
  BatchOutcomes outcomes;
  BatchOutcome outcome;
  const std::uint64_t batch = outcomes.open(nullptr);
  const auto waiter = make_ref<OutcomeWaiter>();
  const auto bell = make_ref<Doorbell>();
  CHECK(outcomes.look({batch, 0}, outcome, waiter) == State::pending);
  CHECK_FALSE(outcomes.done_below(outcomes.next(), bell));
  CHECK(outcomes.waiters() == 2);
  outcomes.leave(*waiter);
  outcomes.leave(*waiter);
  outcomes.leave(*bell);
  CHECK(outcomes.waiters() == 0);
  outcomes.complete(batch, at(1));
  CHECK_FALSE(waiter->bell->rung());
  CHECK_FALSE(bell->rung());
}
