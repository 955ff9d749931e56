// SPDX-License-Identifier: Apache-2.0
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <absl/strings/cord.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/invariant.hpp>
#include <ottla/base/status.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/stops.hpp"

using namespace ottla;

static bool says(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

TEST_CASE("An error carries Kafka's code and a message, and says that nothing was written") {
  const absl::Status status = error(ErrorCode::message_too_large, "record of 9 bytes");
  CHECK_FALSE(status.ok());
  CHECK(error_code(status) == ErrorCode::message_too_large);
  CHECK(fault(status) == Fault::none);
  CHECK(outcome(status) == Outcome::not_written);
  CHECK(sv(status.message()) == "record of 9 bytes");
}

TEST_CASE("An error of our own carries a fault, and a code where Kafka has one") {
  const absl::Status full = error(Fault::no_space, "disk full", Outcome::unknown);
  CHECK(fault(full) == Fault::no_space);
  CHECK(error_code(full) == ErrorCode::unknown_server_error);
  CHECK(outcome(full) == Outcome::unknown);
  const absl::Status both = error(ErrorCode::kafka_storage_error, Fault::io, "sync of x failed");
  CHECK(fault(both) == Fault::io);
  CHECK(error_code(both) == ErrorCode::kafka_storage_error);
  CHECK(outcome(both) == Outcome::not_written);
}

TEST_CASE("Every code and every fault comes back out of its error") {
  for (std::int16_t number = 1; number <= 133; ++number) {
    const absl::Status status = error(error_code(number), "x", Outcome::unknown);
    CAPTURE(number);
    CHECK_FALSE(status.ok());
    CHECK(error_code(status) == error_code(number));
    CHECK(outcome(status) == Outcome::unknown);
  }
  CHECK(error_code(error(ErrorCode::unknown_server_error, "x")) == ErrorCode::unknown_server_error);
  for (int number = 1; number <= static_cast<int>(Fault::internal); ++number) {
    const auto of_ours = static_cast<Fault>(number);
    CAPTURE(std::string(name(of_ours)));
    CHECK_FALSE(error(of_ours, "x").ok());
    CHECK(fault(error(of_ours, "x")) == of_ours);
  }
}

TEST_CASE("An ok status has no error in it") {
  CHECK(error_code(absl::OkStatus()) == ErrorCode::none);
  CHECK(fault(absl::OkStatus()) == Fault::none);
  CHECK_FALSE(retriable(absl::OkStatus()));
  CHECK(annotate(absl::OkStatus(), "x").ok());
}

TEST_CASE("Of a status that is not ours nothing is promised") {
  const absl::Status foreign(absl::StatusCode::kUnavailable, "theirs");
  CHECK(error_code(foreign) == ErrorCode::unknown_server_error);
  CHECK(fault(foreign) == Fault::none);
  CHECK(outcome(foreign) == Outcome::unknown);
  CHECK_FALSE(retriable(foreign));
}

TEST_CASE("A payload that we did not write is not believed") {
  const auto with = [](std::string payload) {
    absl::Status status = error(ErrorCode::not_coordinator, "x");
    std::string url;
    status.ForEachPayload([&](auto at, const absl::Cord&) { url = std::string(at); });
    status.SetPayload(av(url), absl::Cord(std::move(payload)));
    return status;
  };
  CHECK(error_code(with("")) == ErrorCode::unknown_server_error);
  CHECK(outcome(with("abc")) == Outcome::unknown);
  CHECK(outcome(with(std::string(5, '\0'))) == Outcome::unknown);
  CHECK(fault(with("\xff\xff\xff\xff")) == Fault::internal);
  CHECK(name(fault(with("\xff\xff\xff\xff"))) == "internal");
  CHECK(error_code(with("\x7f\xff\x01\x01")) == ErrorCode::unknown_server_error);
}

TEST_CASE("An annotated error says where, and stays what it was") {
  absl::Status status =
      error(ErrorCode::not_coordinator, Fault::timed_out, "no answer", Outcome::unknown);
  status.SetPayload("somebody/else", absl::Cord("kept"));
  const absl::Status longer = annotate(status, "commit of group billing");
  CHECK(sv(longer.message()) == "commit of group billing: no answer");
  CHECK(longer.code() == status.code());
  CHECK(error_code(longer) == ErrorCode::not_coordinator);
  CHECK(fault(longer) == Fault::timed_out);
  CHECK(outcome(longer) == Outcome::unknown);
  CHECK(longer.GetPayload("somebody/else").has_value());
}

TEST_CASE("An error with another outcome stays what it was") {
  const absl::Status status = error(ErrorCode::kafka_storage_error, Fault::io, "gone");
  const absl::Status same = with_outcome(status, Outcome::unknown);
  CHECK(outcome(same) == Outcome::unknown);
  CHECK(error_code(same) == ErrorCode::kafka_storage_error);
  CHECK(fault(same) == Fault::io);
  CHECK(same.message() == status.message());
  CHECK(with_outcome(absl::OkStatus(), Outcome::unknown).ok());
  const absl::Status bare = with_outcome(out_of_memory(), Outcome::not_written);
  CHECK(fault(bare) == Fault::no_memory);
  CHECK(outcome(bare) == Outcome::not_written);
}

TEST_CASE("Out of memory is told without an allocation, also when it is annotated") {
  const absl::Status status = out_of_memory();
  CHECK_FALSE(status.ok());
  CHECK(status.message().empty());
  CHECK(fault(status) == Fault::no_memory);
  CHECK(outcome(status) == Outcome::unknown);
  CHECK(retriable(status));
  CHECK(fault(annotate(status, "reading x")) == Fault::no_memory);
  CHECK(sv(annotate(status, "reading x").message()) == "reading x: ");
}

TEST_CASE("Retriable is what may succeed later without a change by the caller") {
  CHECK(retriable(error(ErrorCode::not_leader_or_follower, "x")));
  CHECK_FALSE(retriable(error(ErrorCode::message_too_large, "x")));
  const auto expected = [](Fault of_ours) {
    return of_ours == Fault::woken || of_ours == Fault::timed_out || of_ours == Fault::no_space ||
           of_ours == Fault::no_memory || of_ours == Fault::no_descriptors ||
           of_ours == Fault::locked;
  };
  for (int number = 1; number <= static_cast<int>(Fault::internal); ++number) {
    const auto of_ours = static_cast<Fault>(number);
    CAPTURE(std::string(name(of_ours)));
    CHECK(retriable(error(of_ours, "x")) == expected(of_ours));
    // A fault of ours decides, whatever Kafka's code would say.
    CHECK(retriable(error(ErrorCode::not_coordinator, of_ours, "x")) == expected(of_ours));
  }
}

TEST_CASE("Faults have the names of their enumerators") {
  CHECK(name(Fault::none) == "none");
  CHECK(name(Fault::would_deadlock) == "would_deadlock");
  CHECK(name(Fault::no_descriptors) == "no_descriptors");
  CHECK(name(Fault::limit_reached) == "limit_reached");
  CHECK(name(Fault::unsupported) == "unsupported");
  CHECK(name(Fault::internal) == "internal");
}

static absl::StatusOr<std::unique_ptr<int>> half(int n) {
  if (n % 2 != 0) {
    return error(Fault::invalid_argument, "odd");
  }
  return std::make_unique<int>(n / 2);
}

static absl::StatusOr<int> quarter(int n) {
  OTTLA_ASSIGN(const std::unique_ptr<int> once, half(n));
  OTTLA_ASSIGN(auto twice, half(*once));
  return *twice;
}

static absl::Status check_quarter(int n, int& ran_to_the_end) {
  OTTLA_TRY(quarter(n).status());
  OTTLA_TRY(absl::OkStatus());
  ++ran_to_the_end;
  return absl::OkStatus();
}

TEST_CASE("OTTLA_TRY and OTTLA_ASSIGN go on with the value or return the error") {
  CHECK(quarter(12).value() == 3);
  CHECK(fault(quarter(6).status()) == Fault::invalid_argument);
  int ran_to_the_end = 0;
  CHECK(check_quarter(8, ran_to_the_end).ok());
  CHECK(ran_to_the_end == 1);
  CHECK(fault(check_quarter(7, ran_to_the_end)) == Fault::invalid_argument);
  CHECK(ran_to_the_end == 1);
}

TEST_CASE("A guarded body answers what it answers") {
  CHECK(guarded([] { return absl::OkStatus(); }).ok());
  CHECK(fault(guarded([] { return error(Fault::closed, "x"); })) == Fault::closed);
  CHECK(guarded([]() -> absl::StatusOr<int> { return 7; }).value() == 7);
  int calls = 0;
  CHECK(guarded([&] { ++calls; }).ok());
  CHECK(calls == 1);
  const auto moved = guarded([] { return half(4); });
  CHECK(**moved == 2);
}

TEST_CASE("What a guarded body throws becomes a status") {
  const absl::Status text = guarded([] { throw std::runtime_error("their reason"); });
  CHECK(fault(text) == Fault::internal);
  CHECK(outcome(text) == Outcome::unknown);
  CHECK(sv(text.message()) == "their reason");
  const absl::StatusOr<int> memory =
      guarded([]() -> absl::StatusOr<int> { throw std::bad_alloc(); });
  CHECK(fault(memory.status()) == Fault::no_memory);
  CHECK(fault(guarded([] { throw 5; })) == Fault::internal);
}

TEST_CASE("A broken invariant stops a checked build and is an internal error in another") {
  CHECK(invariant(1 + 1 == 2));
  CHECK(stops([] { static_cast<void>(invariant(1 + 1 == 3)); }) == (OTTLA_CHECKED == 1));
#if !OTTLA_CHECKED
  CHECK_FALSE(invariant(1 + 1 == 3));
#endif
  const absl::Status status = broken_invariant("Log::append: end below start");
  CHECK(fault(status) == Fault::internal);
  CHECK(outcome(status) == Outcome::unknown);
  CHECK(says(std::string(sv(status.message())), "Log::append: end below start"));
}
