// SPDX-License-Identifier: Apache-2.0
//
// Log directories that Kafka left at a clean stop: opened, read, searched by time, as Kafka does
// it.
#include <string>

#include "golden_directory.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

struct Counts {
  int partitions = 0;
  int lookups = 0;
};

/// A flipped bit that Kafka's recovery does not look at.
bool kafka_left_damage(const std::string& partition) {
  return partition == "crash-flip-flushed-0" || partition == "crash-flip-magic-0";
}

std::vector<std::vector<std::int64_t>> epochs_of(const Log& log) {
  std::vector<std::vector<std::int64_t>> epochs;
  for (const EpochStart& entry : log.epochs().entries()) {
    epochs.push_back({entry.epoch.value(), entry.start.value()});
  }
  return epochs;
}

/// As Kafka does when it opens a log: an epoch without a batch is forgotten.
Json epochs_below(const Json& entries, Offset end) {
  Json below = Json::array();
  for (const Json& entry : entries) {
    if (number(entry[1]) < end.value()) {
      below.push_back(entry);
    }
  }
  return below;
}

void check_found(const std::optional<FoundOffset>& found, const Json& expected) {
  INFO(expected.dump());
  CHECK((found ? found->offset.value() : -1) == number(expected["offset"]));
  CHECK((found ? found->timestamp.value() : -1) == number(expected["timestamp"]));
  if (found && !expected["leaderEpoch"].is_null()) {
    CHECK(found->leader_epoch.value() == number(expected["leaderEpoch"]));
  }
}

void check_lookups(const Log& log, const Json& client, Counts& counts) {
  const LogView view = log.view();
  const Json& offsets = client["list_offsets_read_uncommitted"];
  CHECK(view.start().value() == number(offsets["earliest"]["offset"]));
  CHECK(view.end().value() == number(offsets["latest"]["offset"]));
  Decompressor decompressor;
  check_found(must(view.find_max_timestamp(view.end(), decompressor)), offsets["max_timestamp"]);
  for (const Json& lookup : offsets["for_timestamp"]) {
    check_found(
        must(view.find_timestamp(Timestamp(number(lookup["target"])), view.end(), decompressor)),
        lookup);
    ++counts.lookups;
  }
}

/// Opens every partition of a directory; `client` may be null.
Counts check_directory(const std::string& golden_case, const std::string& name,
                       const char* client_key) {
  INFO(golden_case << "/" << name);
  GoldenDirectory directory(golden_case, name);
  LogDirectory opened = directory.open();
  CHECK(directory.report.last_stop == LastStop::clean);
  CHECK_FALSE(directory.report.foreign);
  CHECK_FALSE(opened.properties().cluster_id.empty());
  Counts counts;
  for (const std::string& partition : directory.partitions()) {
    INFO(partition);
    const TopicPartition id = *TopicPartition::parse(partition);
    const Json& expected = directory.expected["partitions"][partition];
    RecoveryReport report;
    const LogOpening opening = opened.take_opening(id, Timestamp(t0));
    const Log log =
        must(Log::open(directory.files, opened.path_of(id), {}, opening, opened.health(), report));
    CHECK(report.scanned_bytes == 0);
    CHECK(log.damage() == nullptr);
    CHECK(format_partition_metadata(must(opened.topic_id(id))) == expected["partition_metadata"]);
    CHECK(Json(epochs_of(log)) == epochs_below(expected["leader_epoch_checkpoint"], log.end()));
    CHECK(log.recovery_point() == log.end());
    const LogView view = log.view();
    const std::string wanted =
        directory.batches(partition, view.start().value(), view.end().value());
    const ReadBytes all = read_bytes(view, view.start(), 1 << 20);
    const ReadBytes small = read_bytes(view, view.start(), 700);
    CHECK(same(small.bytes, all.bytes));
    if (golden_case == "crash" && kafka_left_damage(partition)) {
      CHECK(same(all.bytes, wanted.substr(0, all.bytes.size())));
      CHECK(error_code(all.status) == ErrorCode::corrupt_message);
      CHECK(small.status == all.status);
    } else {
      CHECK(same(all.bytes, wanted));
      CHECK(all.status.ok());
    }
    ++counts.partitions;
    const Json& whole = expected_of(golden_case);
    if (client_key != nullptr && whole[client_key].contains(partition)) {
      check_lookups(log, whole[client_key][partition], counts);
    }
  }
  return counts;
}

}  // namespace

TEST_CASE("Kafka's directories are served as Kafka serves them: every codec") {
  const Counts counts = check_directory("codecs", "data", "client");
  CHECK(counts.partitions > 0);
  CHECK(counts.lookups > 0);
}

TEST_CASE("Kafka's directories are served as Kafka serves them: rolled, deleted, retained") {
  const Counts counts = check_directory("rolled", "data", "client");
  CHECK(counts.partitions > 0);
  CHECK(counts.lookups > 0);
}

TEST_CASE("Kafka's directories are served as Kafka serves them: transactions") {
  const Counts counts = check_directory("txn", "data", "client");
  CHECK(counts.partitions > 0);
}

TEST_CASE("Kafka's directories are served as Kafka serves them: compacted") {
  for (const std::string name : {"before", "after1", "after2", "after3"}) {
    const Counts counts = check_directory("compaction", name, ("client_" + name).c_str());
    CHECK(counts.partitions > 0);
    CHECK(counts.lookups > 0);
  }
}

TEST_CASE("Kafka's directories are served as Kafka serves them: strange names") {
  for (const std::string name : {"data", "data2"}) {
    const Counts counts = check_directory("names", name, nullptr);
    CHECK(counts.partitions > 0);
    GoldenDirectory directory("names", name);
    const LogDirectory opened = directory.open();
    std::vector<std::string> found;
    for (const TopicPartition& partition : opened.partitions()) {
      found.push_back(partition.to_string());
    }
    CHECK(found == directory.partitions());
  }
}

TEST_CASE("What recovery left of Kafka's killed directory is served as Kafka serves it") {
  const Counts counts = check_directory("crash", "after", nullptr);
  CHECK(counts.partitions > 0);
}
