// SPDX-License-Identifier: Apache-2.0
//
// A coordinator that loads what Kafka's wrote finds the groups and offsets that Kafka's clients
// saw.
#include <ottla/base/murmur2.hpp>
#include <ottla/group/group_coordinator.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/record/control_record.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

namespace {

using namespace ottla;
using nlohmann::json;

constexpr std::int32_t partitions = 3;

void load(GroupCoordinator& coordinator, const std::filesystem::path& directory) {
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    if (file.path().extension() != ".log") {
      continue;
    }
    const std::vector<std::byte> bytes = golden::read_bytes(file.path());
    BatchCursor batches(bytes);
    while (const BatchView* batch = batches.next()) {
      RecordCursor records = batch->records();
      while (const RecordView* record = records.next()) {
        WrittenRecord written{
            .key = record->key(), .value = record->value(), .offset = record->offset()};
        if (batch->header().is_transactional()) {
          written.producer = batch->header().producer_id;
        }
        if (batch->header().is_control()) {
          written.marker = parse_control_type(record->key()).value() == ControlType::commit
                               ? TransactionMarker::commit
                               : TransactionMarker::abort;
        }
        REQUIRE(coordinator.apply(written).ok());
      }
    }
    REQUIRE(batches.ok());
  }
}

json committed(const GroupCoordinator& coordinator, const std::string& group) {
  json result = json::object();
  for (const auto& one : coordinator.answer(OffsetFetchRequest{.group = group}).partitions) {
    CHECK(one.error == ErrorCode::none);
    result[one.partition.to_string()] = {
        {"offset", one.offset.value()},
        {"metadata", one.metadata},
        {"leaderEpoch",
         one.leader_epoch == no_leader_epoch ? json(nullptr) : json(one.leader_epoch.value())}};
  }
  return result;
}

}  // namespace

TEST_CASE("groups and offsets that Kafka wrote are found again") {
  if (golden::skip_without_full_data()) {
    return;
  }
  const json expected = golden::read_json(golden::dir() / "txn" / "expected.json");
  std::vector<GroupCoordinator> coordinators(partitions);
  for (std::int32_t i = 0; i < partitions; ++i) {
    load(coordinators[static_cast<std::size_t>(i)],
         golden::dir() / "txn" / "data" / ("__consumer_offsets-" + std::to_string(i)));
  }
  int groups = 0;
  for (const auto& [name, group] : expected["groups"].items()) {
    if (!group.contains("committed")) {
      continue;
    }
    INFO(name);
    const auto home = static_cast<std::size_t>(partition_for_id(name, partitions));
    CHECK(committed(coordinators[home], name) == group["committed"]);
    if (group["type"] == "Classic") {
      const auto described =
          coordinators[home].answer(DescribeGroupsRequest{.groups = {name}}).groups.at(0);
      CHECK(described.error == ErrorCode::none);
      CHECK(described.state == group["state"]);
      CHECK(described.protocol_type == group["protocol"]);
      CHECK(described.members.size() == (group["state"] == "Stable" ? 1 : 0));
    }
    ++groups;
  }
  CHECK(groups == 7);
  for (const GroupCoordinator& coordinator : coordinators) {
    CHECK(coordinator.find("g-deleted") == nullptr);
    CHECK(coordinator.find("g-expired") == nullptr);
  }
}
