// SPDX-License-Identifier: Apache-2.0
#include <ottla/base/status.hpp>
#include <ottla/metadata/metadata_record.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

namespace {

using namespace ottla;

Uuid counting_uuid(int first) {
  Uuid id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    id.bytes[i] = static_cast<std::byte>(first + static_cast<int>(i));
  }
  return id;
}

const PartitionRecord partition_record{
    .partition = PartitionId(0),
    .topic = counting_uuid(0),
    .replicas = {BrokerId(1), BrokerId(2), BrokerId(3)},
    .in_sync_replicas = {BrokerId(1), BrokerId(2)},
    .removing_replicas = {},
    .adding_replicas = {},
    .leader = BrokerId(1),
    .leader_epoch = LeaderEpoch(0),
    .partition_epoch = 0,
    .directories = {counting_uuid(16), counting_uuid(16), counting_uuid(16)}};

const MetadataRecord samples[] = {
    TopicRecord{"orders", counting_uuid(1)},
    partition_record,
    ConfigRecord{ConfigRecord::Resource::topic, "orders", "retention.ms", "1000"},
    ConfigRecord{ConfigRecord::Resource::topic, "orders", "retention.ms", std::nullopt},
    PartitionChangeRecord{PartitionId(3), counting_uuid(2), {{BrokerId(1)}}, BrokerId(1)},
    PartitionChangeRecord{PartitionId(3), counting_uuid(2), std::nullopt, BrokerId(-1)},
    RemoveTopicRecord{counting_uuid(7)},
    ProducerIdsRecord{BrokerId(1), 7, ProducerId(3'000)}};

}  // namespace

TEST_CASE("a partition record has the bytes of the specification") {
  const std::string body =
      "00000000000102030405060708090a0b0c0d0e0f0400000001000000020000000303000000010000000201010000"
      "0001"
      "000000000000000004101112131415161718191a1b1c1d1e1f101112131415161718191a1b1c1d1e1f"
      "101112131415161718191a1b1c1d1e1f00";
  CHECK(golden::to_hex(encode(partition_record)) == "010301" + body);
}

TEST_CASE("a partition change record has the bytes of the specification") {
  const PartitionChangeRecord change{
      PartitionId(0), counting_uuid(0), {{BrokerId(1)}}, BrokerId(1)};
  CHECK(golden::to_hex(encode(change)) ==
        "01050000000000000102030405060708090a0b0c0d0e0f0200050200000001010400000001");
}

TEST_CASE("each metadata record survives encoding and decoding") {
  for (const MetadataRecord& record : samples) {
    const auto decoded = decode_metadata_record(encode(record));
    REQUIRE(decoded.ok());
    CHECK(*decoded == record);
  }
}

TEST_CASE("a metadata record cut anywhere is refused") {
  for (const MetadataRecord& record : samples) {
    const std::vector<std::byte> whole = encode(record);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CHECK_FALSE(decode_metadata_record(Bytes(whole).first(size)).ok());
    }
  }
}

TEST_CASE("metadata records of unknown types are skipped, of unknown versions refused") {
  CHECK(*decode_metadata_record(golden::from_hex("01140000")) ==
        MetadataRecord(OtherMetadataRecord{20}));
  const auto newer = decode_metadata_record(golden::from_hex("010309"));
  CHECK(fault(newer.status()) == Fault::unsupported);
}
