// SPDX-License-Identifier: Apache-2.0
#include <ottla/base/status.hpp>
#include <ottla/group/consumer_protocol.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using golden::from_hex;
using golden::to_hex;

namespace {

const ottla::ConsumerSubscription subscription{
    .topics = {"a", "bc"},
    .user_data = from_hex("05"),
    .owned = {{"a", {ottla::PartitionId(0), ottla::PartitionId(3)}}},
    .generation = ottla::Generation(4),
    .rack = "r1"};
const std::string common =
    "00000002"
    "000161"
    "00026263"
    "00000001"
    "05";
const std::string owned =
    "00000001"
    "000161"
    "00000002"
    "00000000"
    "00000003";

ottla::ConsumerSubscription decoded(const std::string& hex) {
  const auto value = ottla::decode_consumer_subscription(from_hex(hex));
  REQUIRE(value.ok());
  return *value;
}

}  // namespace

TEST_CASE("a subscription is written and read in each version") {
  const std::string bytes[] = {common, common + owned, common + owned + "00000004",
                               common + owned +
                                   "00000004"
                                   "00027231"};
  ottla::ConsumerSubscription expected = subscription;
  for (std::int16_t version = 3; version >= 0; --version) {
    const std::string hex = "000" + std::to_string(version) + bytes[version];
    CHECK(to_hex(ottla::encode(subscription, version)) == hex);
    CHECK(decoded(hex) == expected);
    expected.rack.reset();
    expected.generation = version <= 2 ? ottla::Generation(-1) : expected.generation;
    if (version == 1) {
      expected.owned.clear();
    }
  }
}

TEST_CASE("the subscription and assignment of Kafka's record read as they should") {
  CHECK(decoded("00010000000100066f7264657273ffffffff00000000") ==
        ottla::ConsumerSubscription{.topics = {"orders"}});
  const std::string hex = "00010000000100066f7264657273000000020000000000000001ffffffff";
  const ottla::ConsumerAssignment assignment{
      .partitions = {{"orders", {ottla::PartitionId(0), ottla::PartitionId(1)}}}};
  CHECK(*ottla::decode_consumer_assignment(from_hex(hex)) == assignment);
  CHECK(to_hex(ottla::encode(assignment, 1)) == hex);
}

TEST_CASE("what a newer version adds behind the known fields is left alone") {
  CHECK(decoded("0009" + common + owned +
                "00000004"
                "00027231"
                "abcdef") == subscription);
  CHECK(decoded("0000" + common + "ff").topics == subscription.topics);
  CHECK(ottla::decode_consumer_assignment(from_hex("0007"
                                                   "00000000"
                                                   "ffffffff"
                                                   "01"))
            ->partitions.empty());
}

TEST_CASE("no bytes at all are an empty assignment, and no subscription") {
  CHECK(*ottla::decode_consumer_assignment({}) == ottla::ConsumerAssignment{});
  CHECK_FALSE(ottla::decode_consumer_subscription({}).ok());
}

TEST_CASE("no prefix of a subscription or assignment is taken for a whole one") {
  const std::vector<std::byte> whole = ottla::encode(subscription);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(ottla::decode_consumer_subscription(ottla::Bytes(whole).first(size)).ok());
  }
  const std::vector<std::byte> assignment =
      ottla::encode(ottla::ConsumerAssignment{.partitions = subscription.owned});
  for (std::size_t size = 1; size < assignment.size(); ++size) {
    CHECK_FALSE(ottla::decode_consumer_assignment(ottla::Bytes(assignment).first(size)).ok());
  }
}

TEST_CASE("a subscription that claims more than its bytes can hold is refused before memory is") {
  for (const char* hex : {"00037fffffff", "000300000000ffffffff7fffffff",
                          "000300000000ffffffff000000010001617fffffff", "ffff00000000ffffffff"}) {
    CHECK(ottla::fault(ottla::decode_consumer_subscription(from_hex(hex)).status()) ==
          ottla::Fault::corrupt);
  }
}

TEST_CASE("a subscription with damaged bytes is refused, or read as one that can be written") {
  const std::vector<std::byte> whole = ottla::encode(subscription);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {1, 2, 0x10, 0x80, 0xff}) {
      std::vector<std::byte> damaged = whole;
      damaged[i] ^= static_cast<std::byte>(flip);
      const auto read = ottla::decode_consumer_subscription(damaged);
      if (read.ok()) {
        const auto again = ottla::decode_consumer_subscription(ottla::encode(*read));
        REQUIRE(again.ok());
        CHECK(*again == *read);
      }
    }
  }
}
