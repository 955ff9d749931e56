// SPDX-License-Identifier: Apache-2.0
//
// Every record of `__consumer_offsets` that Kafka wrote reads as Kafka's own classes read it.
#include <ottla/group/group_records.hpp>
#include <ottla/offsets/offset_records.hpp>
#include <ottla/record/batch_view.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

namespace {

using nlohmann::json;

json to_json(const ottla::CommittedOffset& value, const json& like) {
  json out = {{"offset", value.offset.value()},
              {"metadata", value.metadata},
              {"commitTimestamp", value.commit_time.value()}};
  if (like.contains("leaderEpoch")) {
    out["leaderEpoch"] = value.leader_epoch.value();
  }
  if (like.contains("expireTimestamp")) {
    out["expireTimestamp"] = value.expire_time.value();
  }
  if (!value.topic_id.is_zero()) {
    out["topicId"] = value.topic_id.to_string();
  }
  return out;
}

json to_json(const ottla::GroupValue& value) {
  const auto nullable = [](const auto& text) { return text ? json(*text) : json(nullptr); };
  json members = json::array();
  for (const auto& member : value.members) {
    members.push_back({{"memberId", member.id},
                       {"groupInstanceId", nullable(member.instance_id)},
                       {"clientId", member.client_id},
                       {"clientHost", member.client_host},
                       {"rebalanceTimeout", member.rebalance_timeout.count()},
                       {"sessionTimeout", member.session_timeout.count()}});
  }
  return {{"protocolType", value.protocol_type},
          {"generation", value.generation.value()},
          {"protocol", nullable(value.protocol)},
          {"leader", nullable(value.leader)},
          {"currentStateTimestamp", value.state_time.value()},
          {"members", members}};
}

/// Without the members' bytes, which are in base64 there.
json without_bytes(json value) {
  for (json& member : value["members"]) {
    member.erase("subscription");
    member.erase("assignment");
  }
  return value;
}

struct Counts {
  int offsets = 0;
  int groups = 0;
  int others = 0;
};

void check_record(const ottla::RecordView& record, const json& decoded, Counts& counts) {
  const auto type = ottla::decode_key_type(*record.key());
  REQUIRE(type.ok());
  REQUIRE(*type == decoded["keyVersion"].get<std::int16_t>());
  if (ottla::is_offset_key(*type)) {
    const auto key = ottla::decode_offset_key(*record.key());
    REQUIRE(key.ok());
    CHECK(json{{"group", key->group},
               {"topic", key->partition.topic},
               {"partition", key->partition.partition.value()}} == decoded["key"]);
    CHECK(golden::to_hex(ottla::encode(*key)) == golden::to_hex(*record.key()));
    if (record.value()) {
      const auto value = ottla::decode_committed_offset(*record.value());
      REQUIRE(value.ok());
      CHECK(to_json(*value, decoded["value"]) == decoded["value"]);
      CHECK(golden::to_hex(ottla::encode(*value)) == golden::to_hex(*record.value()));
    }
    ++counts.offsets;
  } else if (*type == ottla::group_key_type) {
    CHECK(*ottla::decode_group_key(*record.key()) == decoded["key"]["group"]);
    if (record.value()) {
      const auto value = ottla::decode_group_value(*record.value());
      REQUIRE(value.ok());
      CHECK(to_json(*value) == without_bytes(decoded["value"]));
      CHECK(golden::to_hex(ottla::encode(*value)) == golden::to_hex(*record.value()));
    }
    ++counts.groups;
  } else {
    CHECK_FALSE(ottla::decode_offset_key(*record.key()).ok());
    CHECK_FALSE(ottla::decode_group_key(*record.key()).ok());
    ++counts.others;
  }
}

void check_log(const std::filesystem::path& file, const json& log, Counts& counts) {
  const std::vector<std::byte> bytes = golden::read_bytes(file);
  ottla::BatchCursor batches(bytes);
  for (const json& expected : log["batches"]) {
    const ottla::BatchView* batch = batches.next();
    REQUIRE(batch != nullptr);
    if (batch->header().is_control()) {
      continue;
    }
    ottla::RecordCursor records = batch->records();
    for (const json& one : expected["records"]) {
      const ottla::RecordView* record = records.next();
      REQUIRE(record != nullptr);
      INFO(one.dump());
      check_record(*record, one["decoded"], counts);
    }
  }
}

}  // namespace

TEST_CASE("records of __consumer_offsets read as Kafka reads them, and are written as it does") {
  const json expected = golden::read_json(golden::dir() / "txn" / "expected.json");
  Counts counts;
  for (const auto& [name, partition] : expected["dirs"]["data"]["partitions"].items()) {
    if (name.starts_with("__consumer_offsets-")) {
      for (const json& log : partition["logs"]) {
        check_log(golden::dir() / "txn" / "data" / name / log["file"].get<std::string>(), log,
                  counts);
      }
    }
  }
  if (golden::is_full()) {
    CHECK(counts.offsets == 27);
    CHECK(counts.groups == 6);
    CHECK(counts.others == 39);
  }
}
