// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <string>

#include <ottla/log/offset_map.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/must.hpp"

using namespace ottla;
using test::must;

TEST_CASE("an offset map answers what an ordered map does, with slots to spare or none") {
  for (const std::size_t slots : {std::size_t{700}, std::size_t{1000}, std::size_t{5000}}) {
    OffsetMap map = must(OffsetMap::make(slots, slots));
    std::map<std::string, std::int64_t> expected;
    std::uint64_t random = slots;
    std::int64_t offset = 0;
    for (; offset < 20'000 && !map.full(); ++offset) {
      random = random * 6364136223846793005U + 1442695040888963407U;
      const std::string key =
          offset % 1000 == 7 ? "" : "key-" + std::to_string((random >> 33) % 900);
      map.put(as_bytes(key), Offset(offset));
      expected[key] = offset;
    }
    CHECK(map.entries() == expected.size());
    CHECK(map.latest() == Offset(offset - 1));
    for (const auto& [key, its] : expected) {
      REQUIRE(map.find(as_bytes(key)) == Offset(its));
    }
    CHECK(!map.find(as_bytes("another")));
  }
}

TEST_CASE("an offset map is full at Kafka's load factor, and takes one key at least") {
  const auto filled = [](std::size_t slots) {
    OffsetMap map = must(OffsetMap::make(slots, 1));
    std::int64_t n = 0;
    for (; !map.full(); ++n) {
      map.put(as_bytes(std::to_string(n)), Offset(n));
    }
    CHECK(!map.find(as_bytes("another")));
    return n;
  };
  CHECK(filled(0) == 1);
  CHECK(filled(2) == 1);
  CHECK(filled(11) == 9);
  CHECK(filled(1000) == 900);
}

TEST_CASE("an offset map is mapped as far as its last offset, or what has no place in it") {
  OffsetMap map = must(OffsetMap::make(10, 1));
  CHECK(map.latest() == Offset(-1));
  map.put(as_bytes("a"), Offset(4));
  map.advance(Offset(9));
  map.advance(Offset(7));
  CHECK(map.latest() == Offset(9));
}
