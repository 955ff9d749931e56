// SPDX-License-Identifier: Apache-2.0
//
// A broker on a directory of a Kafka that was killed, damaged on purpose: its clients see what
// Kafka's saw after its recovery, but where that looks away or cuts too much.
#include "tests/broker/golden_broker.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace served;

namespace {

/// Where we cut, and Kafka's recovery does not see that something is wrong, or cuts too much.
std::optional<std::int64_t> own_end(const std::string& partition) {
  const std::map<std::string, std::int64_t> ends = {
      {"crash-flip-base-offset-0", 106}, {"crash-flip-magic-0", 100}, {"crash-flip-epoch-0", 83}};
  const auto end = ends.find(partition);
  return end == ends.end() ? std::nullopt : std::optional(end->second);
}

constexpr const char* flip_flushed = "crash-flip-flushed-0";
constexpr std::int64_t flip_flushed_end = 16;

/// Kafka's answers there are those of a wrong index, or of a batch that it did not check.
bool judged_by_scan(const std::string& partition) {
  return own_end(partition) || partition == "crash-stale-index-0" || partition == flip_flushed;
}

struct Counts {
  int partitions = 0;
  int records = 0;
  int committed = 0;
  int lookups = 0;
};

void check_records(ServedDirectory& directory, const std::string& name, Counts& counts) {
  const json& dirs = directory.expected()["dirs"];
  const Consumed all = consume(directory, name);
  if (name == flip_flushed) {
    CHECK(error_code(all.status) == ErrorCode::corrupt_message);
    CHECK((all.records == records_of(dirs["before"]["partitions"][name], 0, flip_flushed_end)));
    CHECK(all.position == flip_flushed_end);
  } else if (const auto end = own_end(name); end) {
    CHECK(all.status == absl::OkStatus());
    CHECK((all.records == records_of(dirs["before"]["partitions"][name], 0, *end)));
    CHECK(all.position == *end);
  } else {
    const json& client = directory.expected()["client_after_recovery"][name];
    CHECK(all.status == absl::OkStatus());
    CHECK((all.records == records_of(dirs["after"]["partitions"][name], 0)));
    CHECK(ranges_of(all.offsets) == client["consumer_read_uncommitted"]["offset_ranges"]);
    CHECK(all.position == number(client["consumer_read_uncommitted"]["final_position"]));
    const Consumed reader = consume(directory, name, IsolationLevel::read_committed);
    CHECK(ranges_of(reader.offsets) == client["consumer_read_committed"]["offset_ranges"]);
    CHECK(reader.position == number(client["consumer_read_committed"]["final_position"]));
    counts.committed += static_cast<int>(reader.offsets.size());
  }
  counts.records += static_cast<int>(all.offsets.size());
}

/// The first record at or after `target` of those that are served.
json scan(const json& records, std::int64_t target) {
  for (const json& record : records) {
    if (number(record["timestamp"]) >= target) {
      return {{"offset", record["offset"]}, {"timestamp", record["timestamp"]}};
    }
  }
  return {{"offset", -1}, {"timestamp", -1}};
}

void check_lookups(ServedDirectory& directory, const std::string& name, Counts& counts) {
  const json& client = directory.expected()["client_after_recovery"][name];
  const Consumed all = consume(directory, name);
  for (const auto& [key, isolation] :
       {std::pair("list_offsets_read_uncommitted", IsolationLevel::read_uncommitted),
        std::pair("list_offsets_read_committed", IsolationLevel::read_committed)}) {
    for (const json& one : client[key]["for_timestamp"]) {
      INFO(key << " " << one.dump());
      const std::int64_t target = number(one["target"]);
      json found = directory.list_offset(name, isolation, Timestamp(target));
      ++counts.lookups;
      json wanted = {{"offset", one["offset"]}, {"timestamp", one["timestamp"]}};
      if (judged_by_scan(name)) wanted = scan(all.records, target);
      if (name == flip_flushed && (found.contains("error") || number(wanted["offset"]) < 0)) {
        continue;  // behind the damage, or refused: nothing is known
      }
      found.erase("leaderEpoch");
      CHECK(found == wanted);
    }
    if (judged_by_scan(name)) continue;
    json largest = directory.list_offset(name, isolation, at_max_timestamp);
    CHECK(largest["offset"] == client[key]["max_timestamp"]["offset"]);
    CHECK(directory.list_offset(name, isolation, at_latest)["offset"] ==
          client[key]["latest"]["offset"]);
    ++counts.lookups;
  }
}

}  // namespace

TEST_CASE("clients of a broker on a directory of a killed Kafka see what recovery has to leave") {
  ServedDirectory directory("crash", {"before"});
  Counts counts;
  for (const auto& [name, files] : directory.expected()["dirs"]["before"]["partitions"].items()) {
    INFO(name);
    check_records(directory, name, counts);
    check_lookups(directory, name, counts);
    ++counts.partitions;
  }
  CHECK(counts.partitions == (golden::is_full() ? 26 : 3));
  std::cout << "crash/before: " << counts.partitions << " partitions, " << counts.records
            << " records, " << counts.committed << " of them committed, " << counts.lookups
            << " lookups\n";
}

TEST_CASE("what a killed Kafka left goes on in an epoch of its own, without a gap") {
  ServedDirectory directory("crash", {"before"});
  auto producer = test::must(test::TextProducer::open(directory.broker()));
  for (const auto& [name, files] : directory.expected()["dirs"]["before"]["partitions"].items()) {
    INFO(name);
    const auto partition = *TopicPartition::parse(name);
    const Offset end = test::must(directory.consumer().end_offsets({partition})).at(partition);
    const auto sent = producer.send(
        {.topic = partition.topic, .partition = partition.partition, .value = "goes on"});
    CHECK(test::must(producer.wait(test::must(sent))).offset == end);
    std::int64_t newest = -1;
    for (const json& entry : files.value("leader_epoch_checkpoint", json::array())) {
      newest = std::max(newest, number(entry[0]));
    }
    const json latest = directory.list_offset(name, IsolationLevel::read_uncommitted, at_latest);
    CHECK(number(latest["leaderEpoch"]) > newest);
  }
}

TEST_CASE("what Kafka's recovery left is served as Kafka served it") {
  ServedDirectory directory("crash", {"after"});
  const json& expected = directory.expected();
  int records = 0;
  for (const auto& [name, files] : expected["dirs"]["after"]["partitions"].items()) {
    INFO(name);
    const json& client = expected["client_after_recovery"][name]["consumer_read_uncommitted"];
    const Consumed all = consume(directory, name);
    CHECK(all.status.ok() == !client.contains("error"));
    CHECK(ranges_of(all.offsets) == client["offset_ranges"]);
    CHECK(all.position == number(client["final_position"]));
    CHECK((all.records == records_of(files, 0, all.position)));
    records += static_cast<int>(all.offsets.size());
  }
  std::cout << "crash/after: " << records << " records\n";
}
