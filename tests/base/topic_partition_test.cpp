// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string>
#include <string_view>

#include <absl/hash/hash.h>

#include <ottla/base/status.hpp>
#include <ottla/base/string_map.hpp>
#include <ottla/base/topic_partition.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;

static bool says(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

static TopicPartition partition(std::string topic, std::int32_t number) {
  return {std::move(topic), PartitionId(number)};
}

TEST_CASE("A partition's directory name is its topic, a dash and its number, and is read back") {
  for (const auto& [name, expected] : {
           std::pair("orders-3", partition("orders", 3)),
           std::pair("a-0-0", partition("a-0", 0)),
           std::pair("---0", partition("--", 0)),
           std::pair("-1-0", partition("-1", 0)),
           std::pair("0-0", partition("0", 0)),
           std::pair("snapshot.log-10", partition("snapshot.log", 10)),
           std::pair("foo-future-0", partition("foo-future", 0)),
           std::pair("a-2147483647", partition("a", INT32_MAX)),
       }) {
    CAPTURE(name);
    CHECK(TopicPartition::parse(name) == expected);
    CHECK(expected.to_string() == name);
  }
}

TEST_CASE("A name that no partition's directory has is not taken for one") {
  for (const char* name :
       {"", "-", "-0", "orders", "orders-", "orders-x", "orders-1x", "orders-+1", "orders- 1",
        "orders-01", "orders-00", "orders-2147483648", "orders-99999999999999999999",
        "to-delete-0.5b67cc855a0540ec84696800cad4dd0c-delete",
        "to-move-0.dd0d7f9d663242bba43ab6e0185dd766-future", "cleaner-offset-checkpoint"}) {
    CAPTURE(name);
    CHECK_FALSE(TopicPartition::parse(name));
  }
  CHECK_FALSE(TopicPartition::parse(std::string_view("a-1\0", 4)));
}

TEST_CASE("Partitions are ordered by topic, then by number, and hashed by both") {
  CHECK(partition("a", 9) < partition("b", 0));
  CHECK(partition("a", 9) < partition("a", 10));
  CHECK(absl::HashOf(partition("a", 1)) == absl::HashOf(partition("a", 1)));
  CHECK(absl::HashOf(partition("a", 1)) != absl::HashOf(partition("a", 2)));
  CHECK(absl::HashOf(partition("a", 1)) != absl::HashOf(partition("b", 1)));
}

TEST_CASE("Topic names that Kafka allows are allowed") {
  for (const std::string& name :
       {std::string("a"), std::string("..."), std::string("__"), std::string("-1"),
        std::string("aZ0._-"), std::string(".-."), std::string(249, 'x')}) {
    CAPTURE(name);
    CHECK(check_topic_name(name).ok());
  }
}

TEST_CASE("Other topic names are refused with the reason and what to do") {
  const auto refusal = [](std::string_view name) {
    const absl::Status status = check_topic_name(name);
    CHECK(error_code(status) == ErrorCode::invalid_topic_exception);
    CHECK(fault(status) == Fault::invalid_argument);
    CHECK_FALSE(retriable(status));
    return std::string(sv(status.message()));
  };
  CHECK(says(refusal(""), "is empty"));
  CHECK(says(refusal("."), "is reserved"));
  CHECK(says(refusal(".."), "is reserved"));
  CHECK(says(refusal(std::string(250, 'x')), "is too long"));
  CHECK(says(refusal("a b"), "'a b' has a character that is not allowed"));
  CHECK(says(refusal("a/b"), "use 1 to 249 of"));
  CHECK(says(refusal("caf\xc3\xa9"), "'caf\\xc3\\xa9'"));
  CHECK(says(refusal("two\nlines"), "'two\\nlines'"));
  CHECK(refusal(std::string(1'000'000, ' ')).size() < 1500);
  for (int c = 0; c < 256; ++c) {
    const bool legal = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_' || c == '-';
    CAPTURE(c);
    CHECK(check_topic_name(std::string("x") + static_cast<char>(c)).ok() == legal);
  }
}

TEST_CASE("Topic names collide when they differ only in dots against underscores") {
  CHECK(topic_names_collide("a.b_c", "a_b.c"));
  CHECK(topic_names_collide("same", "same"));
  CHECK_FALSE(topic_names_collide("a.b", "a-b"));
  CHECK_FALSE(topic_names_collide("a.b", "a.b."));
  CHECK_FALSE(topic_names_collide("", "."));
}

TEST_CASE("A string map is searched by views") {
  StringMap<int> map;
  map["orders"] = 1;
  const std::string text = "my orders";
  CHECK(map.find(std::string_view(text).substr(3)) != map.end());
  CHECK(map.find(std::string_view(text)) == map.end());
  CHECK(map.contains(std::string_view("orders")));
}
