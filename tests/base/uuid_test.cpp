// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <absl/hash/hash.h>

#include <ottla/base/uuid.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;

static Uuid from_hex(std::string_view hex) {
  const std::vector<std::byte> bytes = golden::from_hex(hex);
  Uuid id;
  REQUIRE(bytes.size() == id.bytes.size());
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id;
}

TEST_CASE("A uuid is 22 characters of URL-safe base64") {
  CHECK(Uuid().to_string() == "AAAAAAAAAAAAAAAAAAAAAA");
  CHECK(from_hex("00000000000000000000000000000001").to_string() == "AAAAAAAAAAAAAAAAAAAAAQ");
  CHECK(from_hex("ffffffffffffffffffffffffffffffff").to_string() == "_____________________w");
  CHECK(from_hex("fbefbefbefbefbefbefbefbefbefbefb").to_string() == "---------------------w");
  CHECK(from_hex("00112233445566778899aabbccddeeff").to_string() == "ABEiM0RVZneImaq7zN3u_w");
}

TEST_CASE("A uuid in directory names is 32 hexadecimal digits") {
  CHECK(from_hex("00112233445566778899aabbccddeeff").to_hex() ==
        "00112233445566778899aabbccddeeff");
}

TEST_CASE("A uuid's text is read back") {
  for (const char* hex : {"00000000000000000000000000000000", "ffffffffffffffffffffffffffffffff",
                          "00112233445566778899aabbccddeeff", "fbefbefbefbefbefbefbefbefbefbefb"}) {
    const Uuid id = from_hex(hex);
    CAPTURE(hex);
    CHECK(Uuid::parse(id.to_string()) == id);
  }
}

TEST_CASE("A text that no uuid has is refused") {
  CHECK_FALSE(Uuid::parse(""));
  CHECK_FALSE(Uuid::parse("AAAAAAAAAAAAAAAAAAAAA"));
  CHECK_FALSE(Uuid::parse("AAAAAAAAAAAAAAAAAAAAAAA"));
  CHECK_FALSE(Uuid::parse("AAAAAAAAAAAAAAAAAAAAAA=="));
  CHECK_FALSE(Uuid::parse("AAAAAAAAAA+AAAAAAAAAAA"));
  CHECK_FALSE(Uuid::parse("AAAAAAAAAA/AAAAAAAAAAA"));
  CHECK_FALSE(Uuid::parse("AAAAAAAAAAAAAAAAAAAAA "));
  // The last character has four bits that must be zero.
  CHECK_FALSE(Uuid::parse("AAAAAAAAAAAAAAAAAAAAAB"));
  CHECK_FALSE(Uuid::parse("AAAAAAAAAAAAAAAAAAAAAI"));
  CHECK_FALSE(Uuid::parse("AAAAAAAAAAAAAAAAAAAAAP"));
  CHECK(Uuid::parse("AAAAAAAAAAAAAAAAAAAAAg"));
}

TEST_CASE("Topic ids that Kafka wrote are read and written alike") {
  std::size_t seen = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(golden::dir())) {
    if (entry.path().filename() != "partition.metadata") {
      continue;
    }
    CAPTURE(entry.path().string());
    const std::string text = golden::read_text(entry.path());
    const std::size_t at = text.find("topic_id: ");
    REQUIRE(at != std::string::npos);
    const std::string id = text.substr(at + 10, 22);
    const auto parsed = Uuid::parse(id);
    REQUIRE(parsed.has_value());
    CHECK(parsed->to_string() == id);
    ++seen;
  }
  CHECK(seen > 0);
}

TEST_CASE("Uuids are ordered by their bytes, unsigned, and hashed by them") {
  CHECK(from_hex("7fffffffffffffffffffffffffffffff") <
        from_hex("80000000000000000000000000000000"));
  CHECK(Uuid().is_zero());
  CHECK_FALSE(from_hex("00000000000000000000000000000001").is_zero());
  CHECK(absl::HashOf(Uuid()) != absl::HashOf(from_hex("00000000000000000000000000000001")));
}
