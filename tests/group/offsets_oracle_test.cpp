// SPDX-License-Identifier: Apache-2.0
//
// Traces of Kafka's offset manager: commits, transactional commits, fetches, deletions, expiry. The
// traces of groups that use the consumer protocol are for when that is there.
#include <map>
#include <string>

#include "tests/group/kept_coordinator.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

namespace {

using namespace ottla;
using nlohmann::json;

std::string reported(const json& step) {
  return step.value("error", step.value("partition_error", "NONE"));
}

class Trace {
 public:
  explicit Trace(const json& trace)
      : kept_({.offsets = {
                   .retention =
                       std::chrono::minutes(trace["offsets.retention.minutes"].get<std::int64_t>()),
                   .metadata_max_bytes = trace["offset.metadata.max.bytes"].get<std::int32_t>()}}) {
    const std::string kind = trace["group_kind"];
    if (kind == "classic_empty") {
      group_ = GroupValue{};
    } else if (kind == "classic_stable") {
      group_ =
          GroupValue{.protocol_type = "consumer",
                     .generation = Generation(1),
                     .protocol = "range",
                     .leader = "m",
                     .members = {{.id = "m",
                                  .subscription = golden::from_hex("00000000000100027430ffffffff"),
                                  .assignment = {}}}};
      if (!trace["instance"].is_null()) {
        group_->members[0].instance_id = trace["instance"];
      }
    }
    if (group_) {
      kept_.write({{.key = encode_group_key("g"), .value = encode(*group_)}});
    }
    set_clock(trace["steps"]);
  }

  void step(const json& step, std::map<std::string, int>& counts) {
    const std::string op = step["op"];
    std::vector<MachineRecord> records;
    if (op == "commit") {
      const auto response = kept_.answer_to<OffsetCommitResponse>(commit_of(step));
      CHECK(name(response.partitions.at(0).error) == reported(step));
      records = kept_.written();
    } else if (op == "txn_commit") {
      records = commit_in_transaction(step);
      kept_.write(records, ProducerId(step["pid"].get<std::int64_t>()));
    } else if (op == "txn_commit_marker" || op == "txn_abort_marker") {
      kept_.end_transaction(
          ProducerId(step["pid"].get<std::int64_t>()),
          op == "txn_commit_marker" ? TransactionMarker::commit : TransactionMarker::abort);
    } else if (op == "fetch") {
      check_fetch(step);
    } else if (op == "delete_offsets") {
      check_deletion(step);
      records = kept_.written();
    } else {
      kept_.move_clock(step["ms"].get<std::int64_t>());
      if (op == "advance_and_expire") {
        records = expire(step["all_expired"].get<bool>());
      }
    }
    check_records(step["records"], records);
    check_offsets(step["offsets_after"]);
    ++counts[op];
  }

 private:
  /// The trace's clock shows in what it writes; its steps count from 0.
  void set_clock(const json& steps) {
    for (const json& step : steps) {
      for (const json& record : step["records"]) {
        if (!record["value"].is_null()) {
          kept_.move_clock(record["value"]["commitTimestamp"].get<std::int64_t>() -
                           step["t"].get<std::int64_t>() - kept_.now_ms());
          return;
        }
      }
    }
  }

  static OffsetCommitRequest commit_of(const json& step) {
    const json& offset = step["offset"];
    OffsetCommitRequest request{
        .version = step.value("api_version", std::int16_t{9}),
        .group = "g",
        .generation = Generation(step["generation_or_epoch"].get<std::int32_t>()),
        .member_id = step["member"],
        .partitions = {{.partition = {offset[0], PartitionId(offset[1].get<std::int32_t>())},
                        .offset = Offset(offset[2].get<std::int64_t>()),
                        .leader_epoch = LeaderEpoch(offset[3].get<std::int32_t>()),
                        .metadata = offset[4].get<std::string>()}}};
    if (!step["instance"].is_null()) {
      request.instance_id = step["instance"];
    }
    return request;
  }

  std::vector<MachineRecord> commit_in_transaction(const json& step) {
    const OffsetCommitRequest request = commit_of(step);
    const ClassicGroup* group = kept_.coordinator().find("g");
    ErrorCode error = ErrorCode::none;
    if (group != nullptr) {
      error = group->check_commit(request.member_id, request.instance_id, request.generation, true);
    } else if (request.generation.value() >= 0) {
      error = ErrorCode::illegal_generation;
    }
    std::vector<MachineRecord> records;
    if (error == ErrorCode::none) {
      error = kept_.coordinator()
                  .offsets()
                  .commit(request, kept_.now().wall, records)
                  .partitions.at(0)
                  .error;
    }
    CHECK(name(error) == reported(step));
    return records;
  }

  void check_fetch(const json& step) {
    OffsetFetchRequest request{.group = "g", .partitions = {{}}, .require_stable = true};
    for (const json& one : step["result"]) {
      request.partitions->push_back({step["topic"], PartitionId(one[0].get<std::int32_t>())});
    }
    const OffsetFetchResponse response = kept_.coordinator().answer(request);
    CHECK(name(response.error) == step["group_error"].get<std::string>());
    json result = json::array();
    for (const auto& one : response.partitions) {
      result.push_back({one.partition.partition.value(), one.offset.value(),
                        one.leader_epoch.value(), one.metadata, std::string(name(one.error))});
    }
    CHECK(result == step["result"]);
  }

  void check_deletion(const json& step) {
    const auto response = kept_.answer_to<OffsetDeleteResponse>(OffsetDeleteRequest{
        .group = "g",
        .partitions = {{step["topic"], PartitionId(step["partition"].get<std::int32_t>())}}});
    CHECK(name(response.error) == step.value("error", "NONE"));
    if (step.contains("partition_error")) {
      CHECK(name(response.partitions.at(0).error) == step["partition_error"].get<std::string>());
    }
  }

  /// The trace expires offsets only; a group that is needed no more goes here at once, and comes
  /// back for the steps that follow.
  std::vector<MachineRecord> expire(bool all_expired) {
    const ClassicGroup* group = kept_.coordinator().find("g");
    const bool goes = group != nullptr && all_expired && group->state() == GroupState::empty;
    kept_.decide(GroupCoordinator::TimerDue{});
    std::vector<MachineRecord> records = kept_.written();
    if (goes) {
      REQUIRE_FALSE(records.empty());
      CHECK(records.back() == MachineRecord{.key = encode_group_key("g")});
      records.pop_back();
      CHECK(kept_.coordinator().find("g") == nullptr);
      kept_.write({{.key = encode_group_key("g"), .value = encode(GroupValue{})}});
    }
    return records;
  }

  static void check_records(const json& expected, const std::vector<MachineRecord>& records) {
    std::map<std::string, json> theirs;
    for (const json& record : expected) {
      theirs[record["key_hex"]] = record["value_hex"];
    }
    std::map<std::string, json> ours;
    for (const MachineRecord& record : records) {
      ours[golden::to_hex(*record.key)] =
          record.value ? json(golden::to_hex(*record.value)) : json(nullptr);
    }
    CHECK(json(ours) == json(theirs));
  }

  void check_offsets(const json& expected) {
    OffsetFetchRequest request{.group = "g", .partitions = {{}}, .require_stable = true};
    for (const json& one : expected) {
      request.partitions->push_back({one[0], PartitionId(one[1].get<std::int32_t>())});
    }
    json ours = json::array();
    for (const auto& one : kept_.coordinator().answer(request).partitions) {
      ours.push_back({one.partition.topic, one.partition.partition.value(), one.offset.value(),
                      one.leader_epoch.value(), one.metadata, std::string(name(one.error))});
    }
    CHECK(ours == expected);
  }

  KeptCoordinator kept_;
  std::optional<GroupValue> group_;
};

}  // namespace

TEST_CASE("offsets are committed, fetched, deleted and expire as in Kafka") {
  if (golden::skip_without_full_data()) {
    return;
  }
  const json oracle = golden::read_json(golden::dir() / "oracle" / "group_offsets.json");
  std::map<std::string, int> counts;
  for (const json& trace : oracle["cases"]) {
    if (trace["group_kind"] == "consumer") {
      ++counts["left out"];
      continue;
    }
    ++counts["traces"];
    Trace compared(trace);
    for (const json& step : trace["steps"]) {
      INFO(trace["name"] << ": " << step.dump());
      compared.step(step, counts);
    }
  }
  CHECK(counts["traces"] == 42);
  CHECK(counts["left out"] == 18);
  CHECK(counts["commit"] == 263);
  CHECK(counts["txn_commit"] == 97);
  CHECK(counts["txn_commit_marker"] + counts["txn_abort_marker"] == 61);
  CHECK(counts["fetch"] == 38);
  CHECK(counts["delete_offsets"] == 38);
  CHECK(counts["advance_and_expire"] == 52);
}
