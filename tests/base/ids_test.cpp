// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <limits>
#include <sstream>
#include <type_traits>
#include <unordered_set>

#include <absl/hash/hash.h>

#include <ottla/base/ids.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;

template <class A, class B>
concept Comparable = requires(A a, B b) {
  a == b;
};
template <class A, class B>
concept Addable = requires(A a, B b) {
  a + b;
};

TEST_CASE("An offset is no partition, no plain integer, and no plain integer is an offset") {
  STATIC_REQUIRE_FALSE(std::is_convertible_v<std::int64_t, Offset>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<Offset, std::int64_t>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<Offset, PartitionId>);
  STATIC_REQUIRE_FALSE(Comparable<Offset, ProducerId>);
  STATIC_REQUIRE_FALSE(Addable<Offset, Offset>);
  STATIC_REQUIRE(Comparable<Offset, Offset>);
  STATIC_REQUIRE(Addable<Offset, std::int64_t>);
}

TEST_CASE("Ids are as wide as on disk and start at zero") {
  STATIC_REQUIRE(sizeof(Offset) == 8);
  STATIC_REQUIRE(sizeof(PartitionId) == 4);
  STATIC_REQUIRE(sizeof(LeaderEpoch) == 4);
  STATIC_REQUIRE(sizeof(ProducerId) == 8);
  STATIC_REQUIRE(sizeof(ProducerEpoch) == 2);
  STATIC_REQUIRE(Offset() == Offset(0));
  STATIC_REQUIRE(no_leader_epoch.value() == -1);
  STATIC_REQUIRE(no_producer_id.value() == -1);
  STATIC_REQUIRE(no_producer_epoch.value() == -1);
}

TEST_CASE("Offsets add plain integers, differ by them and are ordered") {
  Offset offset(40);
  CHECK(offset + 2 == Offset(42));
  CHECK(offset - 41 == Offset(-1));
  CHECK(Offset(42) - Offset(40) == 2);
  CHECK(++offset == Offset(41));
  CHECK((offset += 9) == Offset(50));
  CHECK(Offset(49) < offset);
  CHECK(offset <= Offset(50));
  CHECK(offset != Offset(51));
  constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  CHECK(Offset(largest - 1) + 1 == Offset(largest));
  CHECK((ProducerEpoch(32766) + 1).value() == 32767);
}

TEST_CASE("Ids are printed as their number and hashed by it") {
  std::ostringstream out;
  out << Offset(7) << ' ' << PartitionId(-1);
  CHECK(out.str() == "7 -1");
  CHECK(absl::HashOf(Offset(7)) == absl::HashOf(Offset(7)));
  CHECK(absl::HashOf(Offset(7)) != absl::HashOf(Offset(8)));
  const std::unordered_set<PartitionId> set{PartitionId(1), PartitionId(2), PartitionId(1)};
  CHECK(set.size() == 2);
}

TEST_CASE("Sequence numbers wrap from the largest one to 0 and back") {
  constexpr std::int32_t largest = std::numeric_limits<std::int32_t>::max();
  // A batch that starts at 2147483646 with 4 records covers 2147483646, 2147483647, 0, 1.
  STATIC_REQUIRE(increment_sequence(largest - 1, 0) == largest - 1);
  STATIC_REQUIRE(increment_sequence(largest - 1, 1) == largest);
  STATIC_REQUIRE(increment_sequence(largest - 1, 2) == 0);
  STATIC_REQUIRE(increment_sequence(largest - 1, 3) == 1);
  STATIC_REQUIRE(increment_sequence(0, 5) == 5);
  STATIC_REQUIRE(increment_sequence(largest, largest) == largest - 1);
  STATIC_REQUIRE(decrement_sequence(5, 5) == 0);
  STATIC_REQUIRE(decrement_sequence(0, 1) == largest);
  STATIC_REQUIRE(decrement_sequence(1, 3) == largest - 1);
  STATIC_REQUIRE(decrement_sequence(0, largest) == 1);
}

TEST_CASE("Going on by n sequences and back by n ends where it began") {
  constexpr std::int32_t largest = std::numeric_limits<std::int32_t>::max();
  for (const std::int32_t sequence : {0, 1, 1000, largest - 1, largest}) {
    for (const std::int32_t n : {0, 1, 999, largest - 1, largest}) {
      CAPTURE(sequence, n);
      const std::int32_t there = increment_sequence(sequence, n);
      CHECK(there >= 0);
      CHECK(decrement_sequence(there, n) == sequence);
    }
  }
}
