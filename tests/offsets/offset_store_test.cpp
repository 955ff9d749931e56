// SPDX-License-Identifier: Apache-2.0
#include <ottla/base/status.hpp>
#include <ottla/offsets/offset_store.hpp>

#include "tests/support/catch.hpp"

namespace {

using ottla::ErrorCode;
using ottla::Offset;
using ottla::Timestamp;

const ottla::TopicPartition a0{"a", ottla::PartitionId(0)};
const ottla::TopicPartition a1{"a", ottla::PartitionId(1)};
const ottla::TopicPartition b0{"b", ottla::PartitionId(0)};
constexpr std::int64_t day = 24 * 60 * 60 * 1000;

/// A store and the log that it asks to write.
struct Kept {
  ottla::OffsetStore store;
  std::int64_t end = 0;

  void write(const std::vector<ottla::MachineRecord>& records,
             ottla::ProducerId producer = ottla::no_producer_id) {
    for (const ottla::MachineRecord& record : records) {
      ottla::WrittenRecord written{.key = ottla::Bytes(*record.key),
                                   .value = {},
                                   .offset = Offset(end++),
                                   .producer = producer};
      if (record.value) {
        written.value = ottla::Bytes(*record.value);
      }
      REQUIRE(store.apply(written).ok());
    }
  }
  ottla::OffsetCommitResponse commit(const ottla::TopicPartition& partition, std::int64_t offset,
                                     Timestamp now = Timestamp(0),
                                     ottla::ProducerId producer = ottla::no_producer_id) {
    std::vector<ottla::MachineRecord> records;
    auto response = store.commit(
        {.group = "g", .partitions = {{.partition = partition, .offset = Offset(offset)}}}, now,
        records);
    write(records, producer);
    return response;
  }
  std::int64_t offset(const ottla::TopicPartition& partition) const {
    const ottla::CommittedOffset* found = store.find("g", partition);
    return found == nullptr ? -1 : found->offset.value();
  }
  bool expire(ottla::OffsetExpiry expiry, std::size_t most = SIZE_MAX) {
    std::vector<ottla::MachineRecord> records;
    ottla::RecordPortion portion(records, SIZE_MAX, most);
    const bool all = store.expire("g", expiry, portion);
    write(records);
    return all;
  }
};

}  // namespace

TEST_CASE("a committed offset is what the group fetches once it is written") {
  Kept kept;
  std::vector<ottla::MachineRecord> records;
  const ottla::OffsetCommitRequest request{.group = "g",
                                           .partitions = {{.partition = a0,
                                                           .offset = Offset(7),
                                                           .leader_epoch = ottla::LeaderEpoch(3),
                                                           .metadata = "note"},
                                                          {.partition = b0, .offset = Offset(0)}}};
  const auto response = kept.store.commit(request, Timestamp(5), records);
  REQUIRE(response.partitions.size() == 2);
  CHECK(response.partitions[0].error == ErrorCode::none);
  CHECK(kept.offset(a0) == -1);
  kept.write(records);
  const auto fetched = kept.store.fetch({.group = "g", .partitions = {{a0, a1}}});
  REQUIRE(fetched.partitions.size() == 2);
  CHECK(fetched.partitions[0].offset == Offset(7));
  CHECK(fetched.partitions[0].leader_epoch == ottla::LeaderEpoch(3));
  CHECK(fetched.partitions[0].metadata == "note");
  CHECK(fetched.partitions[1].offset == Offset(-1));
  CHECK(fetched.partitions[1].error == ErrorCode::none);
  const auto all = kept.store.fetch({.group = "g"});
  REQUIRE(all.partitions.size() == 2);
  CHECK(all.partitions[0].partition == a0);
  CHECK(all.partitions[1].partition == b0);
  CHECK(kept.store.fetch({.group = "other"}).partitions.empty());
}

TEST_CASE("metadata that is too long is refused for its partition alone, counted as Java counts") {
  Kept kept;
  kept.store = ottla::OffsetStore({.metadata_max_bytes = 4});
  const auto refused = [&](const std::string& metadata) {
    std::vector<ottla::MachineRecord> records;
    const auto response = kept.store.commit(
        {.group = "g",
         .partitions = {{.partition = a0, .offset = Offset(1)},
                        {.partition = a1, .offset = Offset(1), .metadata = metadata}}},
        Timestamp(0), records);
    CHECK(response.partitions[0].error == ErrorCode::none);
    CHECK(records.size() == (response.partitions[1].error == ErrorCode::none ? 2 : 1));
    return response.partitions[1].error == ErrorCode::offset_metadata_too_large;
  };
  CHECK_FALSE(refused("abcd"));
  CHECK(refused("abcde"));
  CHECK_FALSE(refused("äöüß"));
  CHECK(refused("äöüße"));
  CHECK_FALSE(refused("\U0001F30D\U0001F30D"));
  CHECK(refused("\U0001F30D\U0001F30Dx"));
}

TEST_CASE("names that no record can hold are refused") {
  Kept kept;
  CHECK(kept.commit({std::string(40'000, 'x'), ottla::PartitionId(0)}, 1).partitions[0].error ==
        ErrorCode::invalid_request);
  CHECK(kept.end == 0);
}

TEST_CASE("a tombstone removes an offset, and a group without offsets is forgotten") {
  Kept kept;
  kept.commit(a0, 7);
  std::vector<ottla::MachineRecord> records;
  CHECK_FALSE(kept.store.remove("g", a1, records));
  CHECK_FALSE(kept.store.remove("other", a0, records));
  CHECK(records.empty());
  CHECK(kept.store.remove("g", a0, records));
  kept.write(records);
  CHECK(kept.offset(a0) == -1);
  CHECK_FALSE(kept.store.has_offsets("g"));
}

TEST_CASE("groups of a partition are found by pending commits too, and lose both") {
  Kept kept;
  kept.commit(a0, 7);
  kept.commit(a1, 8, Timestamp(0), ottla::ProducerId(4));
  kept.commit(b0, 9);
  std::vector<ottla::MachineRecord> records;
  ottla::RecordPortion portion(records);
  for (const auto& partition : {a0, a1}) {
    CHECK(kept.store.groups_of(partition) == std::vector<std::string>{"g"});
    CHECK(kept.store.revise("g", partition, std::nullopt, portion));
  }
  CHECK(records.size() == 2);
  kept.write(records);
  kept.store.end_transaction(ottla::ProducerId(4), true);
  CHECK(kept.offset(a0) == -1);
  CHECK(kept.offset(a1) == -1);
  CHECK(kept.offset(b0) == 9);
}

TEST_CASE("removing all offsets of a group can be done in portions") {
  Kept kept;
  kept.commit(a0, 1);
  kept.commit(a1, 2);
  kept.commit(b0, 3, Timestamp(0), ottla::ProducerId(4));
  std::vector<ottla::MachineRecord> records;
  ottla::RecordPortion two(records, SIZE_MAX, 2);
  CHECK_FALSE(kept.store.remove_all("g", two));
  CHECK(two.full());
  CHECK(records.size() == 2);
  kept.write(records);
  records.clear();
  ottla::RecordPortion small(records, 1);  // one fits always
  CHECK(kept.store.remove_all("g", small));
  CHECK(records.size() == 1);
}

TEST_CASE("a portion is full when a batch of it would be larger than it may") {
  const ottla::MachineRecord record{.key = std::vector<std::byte>(100), .value = std::nullopt};
  std::vector<ottla::MachineRecord> records;
  ottla::RecordPortion portion(records, 61 + 2 * 121);
  CHECK(portion.add(record));
  CHECK(portion.add(record));
  CHECK_FALSE(portion.full());
  CHECK_FALSE(portion.add(record));
  CHECK_FALSE(portion.add({.key = std::vector<std::byte>(1)}));
  CHECK(records.size() == 2);
}

TEST_CASE("a transaction's commit counts when its marker says so") {
  Kept kept;
  const ottla::ProducerId producer(4);
  kept.commit(a0, 1);
  kept.commit(a0, 2, Timestamp(0), producer);
  CHECK(kept.offset(a0) == 1);
  CHECK(kept.store.is_pending("g", a0));
  CHECK_FALSE(kept.store.is_pending("g", a1));
  CHECK(kept.store.has_open_transaction("g"));
  const ottla::OffsetFetchRequest stable{
      .group = "g", .partitions = {{a0}}, .require_stable = true};
  const auto fetched = kept.store.fetch(stable);
  CHECK(fetched.partitions[0].error == ErrorCode::unstable_offset_commit);
  CHECK(fetched.partitions[0].offset == Offset(-1));
  CHECK(kept.store.fetch({.group = "g", .partitions = {{a0}}}).partitions[0].offset == Offset(1));
  SECTION("committed") {
    kept.store.end_transaction(producer, true);
    CHECK(kept.offset(a0) == 2);
  }
  SECTION("aborted") {
    kept.store.end_transaction(producer, false);
    CHECK(kept.offset(a0) == 1);
  }
  SECTION("overtaken by a plain commit") {
    kept.commit(a0, 3);
    kept.store.end_transaction(producer, true);
    CHECK(kept.offset(a0) == 3);
  }
  SECTION("removed before it was decided") {
    std::vector<ottla::MachineRecord> records;
    CHECK(kept.store.remove("g", a0, records));
    kept.write(records);
    kept.store.end_transaction(producer, true);
    CHECK(kept.offset(a0) == -1);
  }
  CHECK(kept.store.fetch(stable).partitions[0].error == ErrorCode::none);
  CHECK_FALSE(kept.store.has_open_transaction("g"));
}

TEST_CASE("offsets expire a week after their commit") {
  Kept kept;
  kept.commit(a0, 1, Timestamp(1000));
  kept.commit(b0, 1, Timestamp(2000));
  CHECK_FALSE(kept.expire({.now = Timestamp(1000 + 7 * day - 1)}));
  CHECK(kept.offset(a0) == 1);
  CHECK_FALSE(kept.expire({.now = Timestamp(1000 + 7 * day)}));
  CHECK(kept.offset(a0) == -1);
  CHECK(kept.offset(b0) == 1);
  CHECK(kept.expire({.now = Timestamp(2000 + 7 * day)}));
  CHECK(kept.expire({.now = Timestamp(0)}));
}

TEST_CASE("offsets of a group that lost its members expire a week after that") {
  Kept kept;
  kept.commit(a0, 1, Timestamp(0));
  CHECK_FALSE(kept.expire({.now = Timestamp(8 * day), .empty_since = Timestamp(2 * day)}));
  CHECK(kept.expire({.now = Timestamp(9 * day), .empty_since = Timestamp(2 * day)}));
}

TEST_CASE("offsets that somebody reads, or a transaction may change, do not expire") {
  Kept kept;
  kept.commit(a0, 1);
  CHECK_FALSE(kept.expire({.now = Timestamp(8 * day),
                           .is_subscribed = [](std::string_view topic) { return topic == "a"; }}));
  kept.commit(a0, 2, Timestamp(0), ottla::ProducerId(4));
  CHECK_FALSE(kept.expire({.now = Timestamp(8 * day)}));
  kept.store.end_transaction(ottla::ProducerId(4), false);
  CHECK(kept.expire({.now = Timestamp(8 * day)}));
}

TEST_CASE("an offset with a retention of its own expires after that") {
  Kept kept;
  const auto commit = [&kept](std::int64_t retention) {
    std::vector<ottla::MachineRecord> records;
    kept.store.commit({.group = "g",
                       .retention = std::chrono::milliseconds(retention),
                       .partitions = {{.partition = a0, .offset = Offset(1)}}},
                      Timestamp(100), records);
    kept.write(records);
  };
  commit(50);
  CHECK_FALSE(kept.expire({.now = Timestamp(149), .empty_since = Timestamp(-1)}));
  CHECK(kept.expire({.now = Timestamp(150)}));
  commit(INT64_MAX);
  CHECK_FALSE(kept.expire({.now = Timestamp(400 * day)}));
}

TEST_CASE("expiry asks for no more records than it may") {
  Kept kept;
  kept.commit(a0, 1);
  kept.commit(a1, 1);
  kept.commit(b0, 1);
  CHECK_FALSE(kept.expire({.now = Timestamp(8 * day)}, 2));
  CHECK(kept.end == 5);
  CHECK(kept.expire({.now = Timestamp(8 * day)}, 2));
}

TEST_CASE("a commit time from a damaged past expires and nothing overflows") {
  Kept kept;
  kept.commit(a0, 1, Timestamp(INT64_MIN));
  kept.commit(a1, 1, Timestamp(INT64_MAX));
  CHECK_FALSE(kept.expire({.now = Timestamp(day)}));
  CHECK(kept.offset(a0) == -1);
  CHECK(kept.offset(a1) == 1);
}

TEST_CASE("a record that cannot be read changes nothing") {
  ottla::OffsetStore store;
  const std::vector<std::byte> key = ottla::encode(ottla::OffsetKey{"g", a0});
  const std::vector<std::byte> nonsense(3);
  CHECK_FALSE(store.apply({.key = ottla::Bytes(key), .value = ottla::Bytes(nonsense)}).ok());
  CHECK_FALSE(store.apply({.key = ottla::Bytes(nonsense), .value = {}}).ok());
  CHECK_FALSE(store.apply({}).ok());
  CHECK_FALSE(store.has_offsets("g"));
}

TEST_CASE("what a broker is told about offsets has Kafka's keys") {
  ottla::OffsetsConfig config;
  CHECK(ottla::config_value(config, "offsets.retention.minutes") == "10080");
  CHECK(ottla::set_config(config, "offsets.retention.minutes", "5").ok());
  CHECK(config.retention == std::chrono::minutes(5));
  CHECK_FALSE(ottla::set_config(config, "offsets.retention.minutes", "0").ok());
}
