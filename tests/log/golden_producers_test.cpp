// SPDX-License-Identifier: Apache-2.0
//
// Producers and transactions in log directories that Kafka wrote: read from its snapshots, and made
// anew from its batches alone.
#include <string>
#include <vector>

#include <ottla/log/producer_snapshot.hpp>

#include "golden_directory.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

Json to_json(const ProducerStateEntry& entry) {
  const BatchMetadata batch = entry.batches.newest();
  return {{"producerId", entry.producer_id.value()},
          {"producerEpoch", entry.epoch.value()},
          {"coordinatorEpoch", entry.coordinator_epoch},
          {"lastTimestamp", entry.last_timestamp.value()},
          {"currentTxnFirstOffset",
           entry.transaction_start ? Json(entry.transaction_start->value()) : Json()},
          {"lastOffset", batch.last_offset.value()}};
}

Json to_json(const ProducerState& producers) {
  Json all = Json::array();
  for (const ProducerStateEntry& entry : producers.entries()) {
    all.push_back(to_json(entry));
  }
  return all;
}

Json to_json(const Json& snapshot) {
  Json all = Json::array();
  for (Json entry : snapshot["entries"]) {
    const Json batches = entry["batches"];
    entry.erase("batches");
    entry["lastOffset"] = batches.empty() ? Json(-1) : batches[0]["lastOffset"];
    all.push_back(entry);
  }
  return all;
}

Log open_log(GoldenDirectory& directory, const std::string& partition, LastStop stop) {
  RecoveryReport report;
  return must(Log::open(
      directory.files, "/d/" + partition,
      {.partition = PartitionId(0), .producer_id_expiration = std::chrono::milliseconds::max()},
      {.last_stop = stop, .now = Timestamp(t0)}, make_ref<DirectoryHealth>("/d"), report));
}

}  // namespace

TEST_CASE("Kafka's producer snapshots are read as Kafka reads them") {
  int entries = 0;
  for (const char* golden_case : {"txn", "rolled"}) {
    GoldenDirectory directory(golden_case, "data");
    for (const auto& [name, partition] : directory.expected["partitions"].items()) {
      for (const Json& snapshot : partition.value("snapshots", Json::array())) {
        INFO(name << " " << snapshot["file"]);
        const Offset offset(number(snapshot["offset"]));
        const auto parsed = must(parse_producer_snapshot(
            golden::read_bytes(directory.from / name / snapshot["file"].get<std::string>()),
            offset));
        ProducerState producers;
        producers.load(parsed, offset, Timestamp(0), std::chrono::milliseconds::max());
        CHECK(to_json(producers) == to_json(snapshot));
        entries += static_cast<int>(parsed.size());
      }
    }
  }
  CHECK(entries > 10);
}

TEST_CASE("What Kafka's snapshots and transaction indexes say is made anew from its batches") {
  int aborted = 0;
  for (const std::string& name : GoldenDirectory("txn", "data").partitions()) {
    if (name.starts_with("__")) {
      continue;
    }
    INFO(name);
    GoldenDirectory directory("txn", "data");
    const Json& expected = directory.expected["partitions"][name];
    const Json& client = expected_of("txn")["client"];
    const auto stable = [&](const Log& log) {
      CHECK((!client.contains(name) ||
             log.last_stable_offset(log.end()).value() ==
                 number(client[name]["list_offsets_read_committed"]["latest"]["offset"])));
    };
    stable(open_log(directory, name, LastStop::clean));
    std::vector<std::string> indexes;
    for (const DirectoryEntry& entry : must(directory.memory.list("/d/" + name))) {
      const bool is_index = entry.name.ends_with(transaction_index_suffix);
      if (is_index || entry.name.ends_with(producer_snapshot_suffix)) {
        must(directory.memory.remove("/d/" + name + "/" + entry.name, IoReason::other));
      }
      if (is_index) {
        indexes.push_back(entry.name);
      }
    }
    const Log log = open_log(directory, name, LastStop::system_crash);
    stable(log);
    for (const std::string& index : indexes) {
      CHECK(same(directory.content("/d/" + name + "/" + index),
                 golden::read_text(directory.from / name / index)));
      ++aborted;
    }
    if (const Json& snapshots = expected["snapshots"]; !snapshots.empty()) {
      CHECK(to_json(log.producers()) == to_json(snapshots.back()));
    }
  }
  CHECK(aborted >= 2);
}
