// SPDX-License-Identifier: Apache-2.0
//
// Producers and transactions in log directories that Kafka wrote: read from its snapshots, and made
// anew from its batches alone.
#include <map>
#include <set>
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

namespace {

/// As expected.json writes an entry.
Json whole_entry(const ProducerStateEntry& entry) {
  Json all = to_json(entry);
  all.erase("lastOffset");
  all["batches"] = Json::array();
  for (const BatchMetadata& batch : entry.batches.all()) {
    all["batches"].push_back({{"firstSeq", batch.first_sequence()},
                              {"lastSeq", batch.last_sequence},
                              {"firstOffset", batch.first_offset().value()},
                              {"lastOffset", batch.last_offset.value()},
                              {"offsetDelta", batch.offset_delta},
                              {"timestamp", batch.timestamp.value()}});
  }
  return all;
}

/// A snapshot's entries as they are on disk: Kafka's are in no order.
std::multiset<std::string> entries_in(Bytes bytes) {
  std::multiset<std::string> entries;
  for (std::size_t at = 10; at < bytes.size(); at += 46) {
    entries.insert(golden::to_hex(bytes.subspan(at, 46)));
  }
  return entries;
}

/// How many entries it has; -1 of one that nobody can read.
int check_snapshot(const std::filesystem::path& file, const Json& expected) {
  const std::vector<std::byte> bytes = golden::read_bytes(file);
  const Offset offset(number(expected["offset"]));
  const auto parsed = parse_producer_snapshot(bytes, offset);
  CHECK(parsed.ok() == !expected.contains("error"));
  if (!parsed.ok()) {
    CHECK(fault(parsed.status()) == Fault::corrupt);
    return -1;
  }
  std::map<ProducerId, Json> sorted;
  for (const ProducerStateEntry& entry : *parsed) {
    sorted[entry.producer_id] = whole_entry(entry);
  }
  Json entries = Json::array();
  for (const auto& [id, entry] : sorted) {
    entries.push_back(entry);
  }
  CHECK(entries == expected["entries"]);
  ProducerState producers;
  producers.load(*parsed, offset, Timestamp(0), std::chrono::milliseconds::max());
  const std::vector<std::byte> ours = format_producer_snapshot(producers);
  CHECK(ours.size() == bytes.size());
  CHECK(entries_in(ours) == entries_in(bytes));
  return static_cast<int>(parsed->size());
}

}  // namespace

TEST_CASE("Kafka's producer snapshots are read as Kafka reads them, and written the same") {
  int snapshots = 0;
  int entries = 0;
  int refused = 0;
  for (const char* golden_case : {"codecs", "rolled", "txn", "compaction", "crash", "names"}) {
    for (const auto& [dir, content] : expected_of(golden_case)["dirs"].items()) {
      for (const auto& [name, partition] : content["partitions"].items()) {
        for (const Json& snapshot : partition.value("snapshots", Json::array())) {
          INFO(golden_case << "/" << dir << "/" << name << " " << snapshot["file"]);
          const int found = check_snapshot(
              golden::dir() / golden_case / dir / name / snapshot["file"].get<std::string>(),
              snapshot);
          ++snapshots;
          entries += std::max(found, 0);
          refused += found < 0 ? 1 : 0;
        }
      }
    }
  }
  std::cout << "golden: " << snapshots << " producer snapshots, " << entries << " entries, "
            << refused << " refused\n";
  CHECK(entries > 10);
  CHECK((!golden::is_full() || (snapshots == 629 && entries == 510 && refused == 1)));
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
