// SPDX-License-Identifier: Apache-2.0
#include "tests/support/golden.hpp"

#include <cstdint>

#include "tests/support/catch.hpp"

TEST_CASE("hex digits become bytes and back, and anything else is an error") {
  CHECK(golden::to_hex(golden::from_hex("00ff1a")) == "00ff1a");
  CHECK(golden::from_hex("").empty());
  CHECK_THROWS(golden::from_hex("0"));
  CHECK_THROWS(golden::from_hex("0g"));
  CHECK_THROWS(golden::from_hex("FF"));
}

TEST_CASE("64-bit integers of golden JSON stay exact") {
  const auto parsed = nlohmann::json::parse(R"({"offset": 9223372036854775807})");
  CHECK(parsed["offset"].get<std::int64_t>() == INT64_MAX);
}

TEST_CASE("the full golden data are used where they were asked for") {
  if (golden::skip_without_full_data()) return;
  CHECK(std::filesystem::exists(golden::dir() / "oracle"));
  CHECK_THROWS(golden::read_text(golden::dir() / "no such file"));
}
