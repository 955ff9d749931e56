// SPDX-License-Identifier: Apache-2.0
#include <ottla/base/status.hpp>
#include <ottla/group/group_records.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using golden::from_hex;
using golden::to_hex;
using namespace std::chrono_literals;

namespace {

const std::string with_member =
    "00030008636f6e73756d657200000004000572616e676500036d2d310000018bcfe568000000000100036d2d31ffff"
    "0006636c69656e74000a2f3132372e302e302e31000493e00000afc80000001600010000000100066f7264657273ff"
    "ffffff000000000000001e00010000000100066f7264657273000000020000000000000001ffffffff";
const std::string empty = "00030008636f6e73756d657200000005ffffffff0000018bcfe5680000000000";

ottla::GroupValue group_with_member() {
  return {.protocol_type = "consumer",
          .generation = ottla::Generation(4),
          .protocol = "range",
          .leader = "m-1",
          .state_time = ottla::Timestamp(1700000000000),
          .members = {{.id = "m-1",
                       .client_id = "client",
                       .client_host = "/127.0.0.1",
                       .rebalance_timeout = 300000ms,
                       .session_timeout = 45000ms,
                       .subscription = from_hex("00010000000100066f7264657273ffffffff00000000"),
                       .assignment = from_hex(
                           "00010000000100066f7264657273000000020000000000000001ffffffff")}}};
}

ottla::GroupValue decoded(const std::string& hex) {
  const auto value = ottla::decode_group_value(from_hex(hex));
  REQUIRE(value.ok());
  return *value;
}

/// Of version 4.
const std::string flexible =
    "0004"
    "0274"
    "00000001"
    "0270"
    "026d"
    "0000000000000005"
    "02"
    "026d"
    "00"
    "0263"
    "0268"
    "00000007"
    "00000009"
    "02aa"
    "02bb"
    "00"
    "00";

}  // namespace

TEST_CASE("a group with a member is Kafka's record") {
  CHECK(to_hex(ottla::encode(group_with_member())) == with_member);
  CHECK(decoded(with_member) == group_with_member());
  const std::string key = "0002000a6f72646572732d617070";
  CHECK(to_hex(ottla::encode_group_key("orders-app")) == key);
  CHECK(*ottla::decode_group_key(from_hex(key)) == "orders-app");
}

TEST_CASE("a group that has become empty is Kafka's record") {
  const ottla::GroupValue value{.protocol_type = "consumer",
                                .generation = ottla::Generation(5),
                                .state_time = ottla::Timestamp(1700000000000)};
  CHECK(to_hex(ottla::encode(value)) == empty);
  CHECK(decoded(empty) == value);
}

TEST_CASE("a static member keeps its instance id in the record") {
  ottla::GroupValue value = group_with_member();
  value.members[0].instance_id = "shelf-1";
  const auto again = ottla::decode_group_value(ottla::encode(value));
  REQUIRE(again.ok());
  CHECK(*again == value);
}

TEST_CASE("older and flexible versions of a group are read") {
  const ottla::GroupValue::Member member{.id = "m",
                                         .client_id = "c",
                                         .client_host = "h",
                                         .rebalance_timeout = 9ms,
                                         .session_timeout = 9ms,
                                         .subscription = from_hex("aa"),
                                         .assignment = from_hex("bb")};
  ottla::GroupValue value{.protocol_type = "t",
                          .generation = ottla::Generation(1),
                          .protocol = "p",
                          .leader = "m",
                          .members = {member}};
  const std::string head =
      "000174"
      "00000001"
      "000170"
      "00016d";
  const std::string names =
      "00016d"
      "000163"
      "000168";
  const std::string tail =
      "00000009"
      "00000001aa"
      "00000001bb";
  CHECK(decoded("0000" + head + "00000001" + names + tail) == value);
  value.members[0].rebalance_timeout = 7ms;
  CHECK(decoded("0001" + head + "00000001" + names + "00000007" + tail) == value);
  value.state_time = ottla::Timestamp(5);
  CHECK(decoded("0002" + head +
                "0000000000000005"
                "00000001" +
                names + "00000007" + tail) == value);
  CHECK(decoded(flexible) == value);
}

TEST_CASE("no prefix of a group's record is taken for a whole one") {
  const std::vector<std::byte> whole = from_hex(with_member);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(ottla::decode_group_value(ottla::Bytes(whole).first(size)).ok());
  }
  CHECK_FALSE(ottla::decode_group_value(from_hex(with_member + "00")).ok());
  CHECK_FALSE(ottla::decode_group_key(from_hex("0002000a6f72646572732d6170")).ok());
}

TEST_CASE("a group that claims more members than its bytes can hold is refused before memory is") {
  const std::string many = empty.substr(0, empty.size() - 8) + "7fffffff";
  CHECK(ottla::fault(ottla::decode_group_value(from_hex(many)).status()) == ottla::Fault::corrupt);
}

TEST_CASE("a group of a version to come is unsupported") {
  CHECK(ottla::fault(ottla::decode_group_value(from_hex("0005")).status()) ==
        ottla::Fault::unsupported);
}

TEST_CASE("a group with damaged bytes is refused, or read as a group that can be written") {
  for (const std::vector<std::byte>& whole : {from_hex(with_member), from_hex(flexible)}) {
    for (std::size_t i = 0; i < whole.size(); ++i) {
      for (const int flip : {1, 2, 0x10, 0x80, 0xff}) {
        std::vector<std::byte> damaged = whole;
        damaged[i] ^= static_cast<std::byte>(flip);
        const auto read = ottla::decode_group_value(damaged);
        if (read.ok()) {
          const auto again = ottla::decode_group_value(ottla::encode(*read));
          REQUIRE(again.ok());
          CHECK(again->generation == read->generation);
          CHECK(again->members.size() == read->members.size());
        }
      }
    }
  }
}
