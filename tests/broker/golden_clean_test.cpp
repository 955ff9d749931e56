// SPDX-License-Identifier: Apache-2.0
//
// A broker on each log directory that Kafka stopped cleanly: its clients see what Kafka's saw.
#include <set>

#include "tests/broker/golden_broker.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace served;

namespace {

struct Counts {
  int partitions = 0;
  int records = 0;
  int committed = 0;
  int lookups = 0;
  int offsets = 0;
};

void check_lookups(ServedDirectory& directory, const std::string& name, const json& client,
                   Counts& counts) {
  for (const auto& [key, isolation] :
       {std::pair("list_offsets_read_uncommitted", IsolationLevel::read_uncommitted),
        std::pair("list_offsets_read_committed", IsolationLevel::read_committed)}) {
    INFO(key);
    const json& listed = client[key];
    const auto check = [&, isolation = isolation](const json& expected, Timestamp target) {
      INFO("target " << target.value());
      json found = directory.list_offset(name, isolation, target);
      json wanted = expected;
      wanted.erase("target");
      // Kafka began an epoch with each start, which has no batch yet.
      if (target < Timestamp(0) && wanted["offset"] == listed["latest"]["offset"]) {
        found.erase("leaderEpoch");
        wanted.erase("leaderEpoch");
      }
      CHECK(found == wanted);
      ++counts.lookups;
    };
    check(listed["earliest"], at_earliest);
    check(listed["latest"], at_latest);
    check(listed["max_timestamp"], at_max_timestamp);
    for (const json& one : listed["for_timestamp"]) check(one, Timestamp(number(one["target"])));
  }
}

void check_consumers(ServedDirectory& directory, const std::string& name, const json& client,
                     const json& files, Counts& counts) {
  const json& plain = client["consumer_read_uncommitted"];
  const auto partition = *TopicPartition::parse(name);
  CHECK(test::must(directory.consumer().beginning_offsets({partition})).at(partition).value() ==
        number(plain["beginning_offset"]));
  CHECK(test::must(directory.consumer().end_offsets({partition})).at(partition).value() ==
        number(plain["end_offset"]));
  const Consumed all = consume(directory, name);
  CHECK(all.status == absl::OkStatus());
  CHECK(std::ssize(all.offsets) == number(plain["count"]));
  CHECK(ranges_of(all.offsets) == plain["offset_ranges"]);
  CHECK(all.position == number(plain["final_position"]));
  CHECK((all.records == records_of(files, number(plain["beginning_offset"]))));
  counts.records += static_cast<int>(all.offsets.size());

  const json& committed = client["consumer_read_committed"];
  const Consumed reader = consume(directory, name, IsolationLevel::read_committed);
  CHECK(std::ssize(reader.offsets) == number(committed["count"]));
  CHECK(ranges_of(reader.offsets) == committed["offset_ranges"]);
  CHECK(reader.position == number(committed["final_position"]));
  counts.committed += static_cast<int>(reader.offsets.size());
}

void check_groups(ServedDirectory& directory, const json& groups, Counts& counts) {
  for (const auto& [name, group] : groups.items()) {
    if (!group.contains("committed")) continue;
    INFO(name);
    json found = json::object();
    const auto answer = directory.ask<OffsetFetchResponse>(OffsetFetchRequest{.group = name});
    CHECK(answer.error == ErrorCode::none);
    for (const auto& one : answer.partitions) {
      found[one.partition.to_string()] = {
          {"offset", one.offset.value()},
          {"metadata", one.metadata},
          {"leaderEpoch",
           one.leader_epoch == no_leader_epoch ? json() : json(one.leader_epoch.value())}};
      ++counts.offsets;
    }
    CHECK(found == group["committed"]);
  }
}

Counts check_case(const std::string& golden_case, const std::vector<std::string>& names,
                  const std::string& client_key, const std::string& groups_key = {}) {
  INFO(golden_case << "/" << names.front());
  ServedDirectory directory(golden_case, names);
  const json& expected = directory.expected();
  Counts counts;
  for (const std::string& dir : names) {
    for (const auto& [name, files] : expected["dirs"][dir]["partitions"].items()) {
      if (!expected[client_key].contains(name)) continue;
      INFO(name);
      const json& client = expected[client_key][name];
      check_lookups(directory, name, client, counts);
      check_consumers(directory, name, client, files, counts);
      ++counts.partitions;
    }
  }
  if (expected.contains(groups_key)) check_groups(directory, expected[groups_key], counts);
  std::cout << golden_case << "/" << names.front() << ": " << counts.partitions << " partitions, "
            << counts.records << " records, " << counts.committed << " of them committed, "
            << counts.lookups << " lookups, " << counts.offsets << " committed offsets\n";
  return counts;
}

}  // namespace

TEST_CASE("clients of a broker on Kafka's directory see what Kafka's saw: every codec") {
  const Counts counts = check_case("codecs", {"data"}, "client");
  CHECK((golden::is_full() ? counts.records == 3129 : counts.records > 0));
}

TEST_CASE("clients of a broker on Kafka's directory see what Kafka's saw: rolled and deleted") {
  const Counts counts = check_case("rolled", {"data"}, "client");
  CHECK((golden::is_full() ? counts.records == 2393 : counts.records > 0));
}

TEST_CASE("clients of a broker on Kafka's directory see what Kafka's saw: transactions, groups") {
  const Counts counts = check_case("txn", {"data"}, "client", "groups");
  CHECK(counts.committed < counts.records);
  CHECK((golden::is_full() ? counts.offsets == 15 : counts.offsets > 0));
}

TEST_CASE("clients of a broker on Kafka's directory see what Kafka's saw: compacted") {
  for (const std::string name : {"before", "after1", "after2", "after3"}) {
    const Counts counts = check_case("compaction", {name}, "client_" + name, "groups_" + name);
    CHECK(counts.partitions == (golden::is_full() ? 10 : 2));
    CHECK((!golden::is_full() || counts.offsets > 20));
  }
}

TEST_CASE("clients of a broker on Kafka's directory see what Kafka's saw: strange names") {
  const Counts counts = check_case("names", {"data", "data2"}, "client_second_run");
  CHECK((golden::is_full() ? counts.partitions == 15 : counts.partitions > 0));
}

TEST_CASE("of strange names, topics are served, and what Kafka set aside is left alone") {
  ServedDirectory directory("names", {"data", "data2"});
  std::set<std::string> topics;
  std::vector<std::string> set_aside;
  for (const std::string dir : {"data", "data2"}) {
    for (const auto& [name, files] : directory.expected()["dirs"][dir]["partitions"].items()) {
      const DirectoryKind kind = directory_kind(name);
      const std::string topic = name.substr(0, name.rfind('-'));
      if (kind == DirectoryKind::partition && topic != "__cluster_metadata") topics.insert(topic);
      if (kind == DirectoryKind::stray || kind == DirectoryKind::future) {
        set_aside.push_back(dir + "/" + name);
      }
    }
  }
  const auto listed = test::must(directory.broker().list_topics());
  CHECK(std::set<std::string>(listed.begin(), listed.end()) == topics);
  CHECK(set_aside.size() >= 2);
  directory.env().advance(10min);
  for (const std::string& path : set_aside) {
    INFO(path);
    const std::string name = path.substr(path.find('/') + 1);
    const std::string dir = path.substr(0, path.find('/'));
    std::set<std::string> expected;
    for (const auto& [file, size] :
         directory.expected()["dirs"][dir]["partitions"][name]["files"].items()) {
      expected.insert(file);
    }
    std::set<std::string> found;
    for (const DirectoryEntry& entry : test::must(directory.files().list(path))) {
      found.insert(entry.name);
    }
    CHECK(found == expected);
  }
}
