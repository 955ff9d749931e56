// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cmath>

#include <ottla/base/time.hpp>
#include <ottla/base/units.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;
using namespace std::chrono_literals;

TEST_CASE("A deadline is the start and the delay") {
  STATIC_REQUIRE(after(SteadyTime(5ns), 3ns) == SteadyTime(8ns));
  STATIC_REQUIRE(after(SteadyTime(5ns), 2ms) == SteadyTime(2'000'005ns));
  STATIC_REQUIRE(after(SteadyTime(5ns), -7s) == SteadyTime(-6'999'999'995ns));
  STATIC_REQUIRE(after(never, 0ns) == never);
  STATIC_REQUIRE(after(never, -1ns) < never);
}

TEST_CASE("A deadline that is too far away to count is never") {
  STATIC_REQUIRE(after(SteadyTime(0ns), std::chrono::nanoseconds::max()) == never);
  STATIC_REQUIRE(after(SteadyTime(1ns), std::chrono::nanoseconds::max()) == never);
  STATIC_REQUIRE(after(SteadyTime(-1ns), std::chrono::nanoseconds::max()) < never);
  STATIC_REQUIRE(after(SteadyTime(0ns), std::chrono::milliseconds::max()) == never);
  STATIC_REQUIRE(after(SteadyTime(0ns), std::chrono::hours::max()) == never);
  STATIC_REQUIRE(after(never, 1ns) == never);
}

TEST_CASE("A time that is too long ago to count is the smallest one") {
  STATIC_REQUIRE(after(SteadyTime(-1ns), std::chrono::nanoseconds::min()) == SteadyTime::min());
  STATIC_REQUIRE(after(SteadyTime(0ns), std::chrono::milliseconds::min()) == SteadyTime::min());
  STATIC_REQUIRE(after(SteadyTime::min(), -1ns) == SteadyTime::min());
}

TEST_CASE("A length of time that is too long to count is the longest one") {
  const auto as_taken = [](Duration length) { return std::chrono::nanoseconds(length); };
  CHECK(as_taken(5ms) == 5'000'000ns);
  CHECK(as_taken(std::chrono::duration<double>(0.5)) == 500ms);
  CHECK(as_taken(std::chrono::duration<float>(1e30F)) == std::chrono::nanoseconds::max());
  CHECK(as_taken(std::chrono::duration<double>(std::nan(""))) == std::chrono::nanoseconds::max());
  CHECK(as_taken(std::chrono::duration<std::uint32_t>(5)) == 5s);
  CHECK(as_taken(std::chrono::duration<std::uint64_t, std::milli>(5)) == 5ms);
  CHECK(as_taken(std::chrono::duration<std::uint64_t>(UINT64_MAX)) ==
        std::chrono::nanoseconds::max());
  CHECK(as_taken(std::chrono::duration<int, std::micro>(500)) == 500us);
  CHECK(as_taken(std::chrono::duration<int, std::nano>(-500)) == -500ns);
  CHECK(as_taken(std::chrono::duration<short>(5)) == 5s);
  CHECK(as_taken(-1s) == -1s);
  CHECK(as_taken(std::chrono::milliseconds::max()) == std::chrono::nanoseconds::max());
  CHECK(as_taken(std::chrono::hours::min()) == std::chrono::nanoseconds::min());
  CHECK(after(SteadyTime(5ns), Duration(std::chrono::milliseconds::max())) == never);
}

TEST_CASE("Timestamps are milliseconds, and -1 is none") {
  STATIC_REQUIRE(no_timestamp == Timestamp(-1));
  STATIC_REQUIRE(Timestamp(1'700'000'000'025) - Timestamp(1'700'000'000'000) == 25);
}

TEST_CASE("Sizes are powers of 1024") {
  using namespace ottla::units;
  STATIC_REQUIRE(1_KiB == 1024);
  STATIC_REQUIRE(32_MiB == 33'554'432);
  STATIC_REQUIRE(2_GiB == 2'147'483'648);
}
