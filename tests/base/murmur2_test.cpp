// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <ottla/base/murmur2.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;

TEST_CASE("murmur2 and the partition of a key are Kafka's, by its own classes") {
  const nlohmann::json cases = golden::read_json(golden::dir() / "oracle/murmur2.json")["cases"];
  REQUIRE(cases.size() >= (golden::is_full() ? 301 : 10));
  for (const nlohmann::json& known : cases) {
    CAPTURE(known["key_hex"].get<std::string>());
    const std::vector<std::byte> key = golden::from_hex(known["key_hex"].get<std::string>());
    const std::int32_t hash = murmur2(key);
    CHECK(hash == known["murmur2"].get<std::int32_t>());
    CHECK((hash & INT32_MAX) == known["positive"].get<std::int32_t>());
    for (const auto& [partitions, expected] : known["partition"].items()) {
      CHECK(partition_for_key(key, std::stoi(partitions)) == expected.get<std::int32_t>());
    }
  }
}

TEST_CASE("murmur2 of the specification's keys") {
  struct Row {
    std::string_view key;
    std::int32_t hash, of_3, of_6, of_50;
  };
  const Row rows[] = {
      {"", 275646681, 0, 3, 31},
      {"a", -1563381124, 1, 4, 24},
      {"ab", 316155434, 2, 2, 34},
      {"abc", 479470107, 0, 3, 7},
      {"abcd", -1323649548, 2, 2, 0},
      {"abcde", 461995741, 1, 1, 41},
      {"key-0", 29210041, 1, 1, 41},
      {"key-1", 193331640, 0, 0, 40},
      {"order-42", 501153024, 0, 0, 24},
      {"foobar", -790332482, 0, 0, 16},
      {"\xc3\x9cn\xc3\xaf"
       "code \xe2\x98\x83",
       -144582050, 0, 0, 48},
      {"a-little-bit-long-string", -985981536, 2, 2, 12},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.key));
    CHECK(murmur2(as_bytes(row.key)) == row.hash);
    CHECK(partition_for_key(as_bytes(row.key), 3) == row.of_3);
    CHECK(partition_for_key(as_bytes(row.key), 6) == row.of_6);
    CHECK(partition_for_key(as_bytes(row.key), 50) == row.of_50);
  }
}

TEST_CASE("murmur2 does not depend on where the key lies in memory") {
  for (std::size_t start = 0; start < 8; ++start) {
    const std::string moved = std::string(start, 'x') + "a-little-bit-long-string";
    CHECK(murmur2(as_bytes(moved).subspan(start)) == -985981536);
  }
}

TEST_CASE("The partition of a group or transactional id is Kafka's, by its own classes") {
  const nlohmann::json cases =
      golden::read_json(golden::dir() / "oracle/string_hash.json")["cases"];
  REQUIRE(cases.size() >= (golden::is_full() ? 265 : 10));
  std::size_t strings = 0;
  for (const nlohmann::json& known : cases) {
    if (known["kind"] != "string") {
      continue;
    }
    ++strings;
    CAPTURE(known["utf8_hex"].get<std::string>());
    const std::vector<std::byte> utf8 = golden::from_hex(known["utf8_hex"].get<std::string>());
    const std::string_view text = as_string_view(utf8);
    CHECK(java_string_hash(text) == known["hash"].get<std::int32_t>());
    for (const auto& [partitions, expected] : known["partition"].items()) {
      CHECK(partition_for_id(text, std::stoi(partitions)) == expected.get<std::int32_t>());
    }
  }
  CHECK(strings > 0);
}

TEST_CASE("The partition of the specification's transactional ids") {
  CHECK(java_string_hash("tx-1") == 3572520);
  CHECK(partition_for_id("tx-1", 50) == 20);
  CHECK(java_string_hash("my-transactional-id") == -959806496);
  CHECK(partition_for_id("my-transactional-id", 50) == 46);
  CHECK(java_string_hash("orders-0") == 1234322248);
  CHECK(partition_for_id("orders-0", 50) == 48);
  CHECK(java_string_hash("a") == 97);
  CHECK(partition_for_id("a", 50) == 47);
}

TEST_CASE("The hash whose absolute value does not fit gives partition 0") {
  CHECK(java_string_hash("polygenelubricants") == INT32_MIN);
  CHECK(partition_for_id("polygenelubricants", 50) == 0);
  CHECK(partition_for_id("polygenelubricants", 1) == 0);
}

TEST_CASE("Malformed UTF-8 is hashed as Java reads it") {
  // hashCode of what Java's String makes of these bytes.
  struct Row {
    const char* hex;
    std::int32_t hash;
  };
  const Row rows[] = {
      {"80", 65533},
      {"c0af", 2097056},
      {"41c3", 67548},
      {"41c341", 2094053},
      {"e298", 65533},
      {"e29841", 2031588},
      {"e08080", 65074269},
      {"e0a041", 2031588},
      {"eda080", 65533},
      {"edbfbf41", 2031588},
      {"eda041", 2031588},
      {"ee8080", 57344},
      {"f09f98", 65533},
      {"f09f9841", 2031588},
      {"f09f41", 2031588},
      {"f0808080", 2017367872},
      {"f4908080", 2017367872},
      {"f48fbfbf", 1803232},
      {"f5808080", 2017367872},
      {"ff41", 2031588},
      {"f0", 65533},
      {"c2", 65533},
      {"e2", 65533},
  };
  for (const Row& row : rows) {
    CAPTURE(row.hex);
    CHECK(java_string_hash(as_string_view(golden::from_hex(row.hex))) == row.hash);
  }
}
