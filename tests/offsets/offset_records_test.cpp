// SPDX-License-Identifier: Apache-2.0
#include <ottla/base/status.hpp>
#include <ottla/offsets/offset_records.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using golden::from_hex;
using golden::to_hex;

namespace {

const ottla::OffsetKey key{"orders-app", {"orders", ottla::PartitionId(3)}};

ottla::CommittedOffset committed() {
  return {.offset = ottla::Offset(1234),
          .leader_epoch = ottla::LeaderEpoch(7),
          .metadata = "note",
          .commit_time = ottla::Timestamp(1700000000000)};
}

ottla::CommittedOffset decoded(const std::string& hex) {
  const auto value = ottla::decode_committed_offset(from_hex(hex));
  REQUIRE(value.ok());
  return *value;
}

}  // namespace

TEST_CASE("the key of a committed offset is Kafka's") {
  const std::string hex = "0001000a6f72646572732d61707000066f726465727300000003";
  CHECK(to_hex(ottla::encode(key)) == hex);
  CHECK(*ottla::decode_offset_key(from_hex(hex)) == key);
  CHECK(*ottla::decode_offset_key(from_hex("0000" + hex.substr(4))) == key);
  CHECK(*ottla::decode_key_type(from_hex(hex)) == 1);
}

TEST_CASE("a committed offset is written in version 4, with a topic id if that is known") {
  ottla::CommittedOffset value = committed();
  const std::string plain = "000400000000000004d200000007056e6f74650000018bcfe56800";
  CHECK(to_hex(ottla::encode(value)) == plain + "00");
  CHECK(decoded(plain + "00") == value);
  value.topic_id.bytes[15] = std::byte{9};
  const std::string with_id = plain + "01001000000000000000000000000000000009";
  CHECK(to_hex(ottla::encode(value)) == with_id);
  CHECK(decoded(with_id) == value);
}

TEST_CASE("a committed offset with a time to expire is written in version 1") {
  ottla::CommittedOffset value = committed();
  value.metadata = "";
  value.expire_time = ottla::Timestamp(1700002500000);
  const std::string hex = "000100000000000004d200000000018bcfe568000000018bd00b8da0";
  CHECK(to_hex(ottla::encode(value)) == hex);
  value.leader_epoch = ottla::no_leader_epoch;
  CHECK(decoded(hex) == value);
  CHECK(decoded("000100000000000004d200000000018bcfe568000000018bd50bc400").expire_time ==
        ottla::Timestamp(1700086400000));
}

TEST_CASE("older versions of a committed offset are read") {
  ottla::CommittedOffset value = committed();
  CHECK(decoded("000300000000000004d20000000700046e6f74650000018bcfe56800") == value);
  value.leader_epoch = ottla::no_leader_epoch;
  for (const char* version : {"0000", "0002"}) {
    CHECK(decoded(version + std::string("00000000000004d200046e6f74650000018bcfe56800")) == value);
  }
}

TEST_CASE("a committed offset with tagged fields that are not known is read") {
  CHECK(decoded("000400000000000004d200000007056e6f74650000018bcfe56800"
                "010502abcd") == committed());
}

TEST_CASE("no prefix of a key or value is taken for a whole one") {
  ottla::CommittedOffset value = committed();
  value.topic_id.bytes[0] = std::byte{1};
  const std::vector<std::byte> whole_key = ottla::encode(key);
  for (std::size_t size = 0; size < whole_key.size(); ++size) {
    CHECK_FALSE(ottla::decode_offset_key(ottla::Bytes(whole_key).first(size)).ok());
  }
  for (const bool expires : {false, true}) {
    value.expire_time = ottla::Timestamp(expires ? 5 : -1);
    std::vector<std::byte> whole = ottla::encode(value);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CHECK_FALSE(ottla::decode_committed_offset(ottla::Bytes(whole).first(size)).ok());
    }
    whole.push_back(std::byte{0});
    CHECK_FALSE(ottla::decode_committed_offset(whole).ok());
  }
}

TEST_CASE("a committed offset of a version to come is unsupported, other nonsense is corrupt") {
  const auto newer = ottla::decode_committed_offset(from_hex("000500000000000004d2"));
  CHECK(ottla::fault(newer.status()) == ottla::Fault::unsupported);
  const std::string rest = "00000000000004d20000000700046e6f74650000018bcfe56800";
  CHECK(ottla::fault(ottla::decode_committed_offset(from_hex("ffff" + rest)).status()) ==
        ottla::Fault::corrupt);
  CHECK(ottla::fault(ottla::decode_key_type(from_hex("00")).status()) == ottla::Fault::corrupt);
  CHECK_FALSE(ottla::decode_offset_key(from_hex("0002000161000162"
                                                "00000000"))
                  .ok());
}

TEST_CASE("a committed offset with damaged bytes is refused, or read as one that can be written") {
  ottla::CommittedOffset value = committed();
  value.topic_id.bytes[3] = std::byte{7};
  const std::vector<std::byte> whole = ottla::encode(value);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {1, 2, 4, 0x10, 0x80, 0xff}) {
      std::vector<std::byte> damaged = whole;
      damaged[i] ^= static_cast<std::byte>(flip);
      const auto read = ottla::decode_committed_offset(damaged);
      if (read.ok()) {
        const auto again = ottla::decode_committed_offset(ottla::encode(*read));
        REQUIRE(again.ok());
        CHECK(again->offset == read->offset);
        CHECK(again->metadata == read->metadata);
      }
    }
  }
}
