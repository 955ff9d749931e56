// SPDX-License-Identifier: Apache-2.0
//
// A real Kafka serves partitions that a broker of ours wrote, and a broker of ours those that Kafka
// wrote, stopped and killed. Clients of both see the same.
#include "tests/interop/kafka_node.hpp"
#include "tests/interop/recovered_directory.hpp"
#include "tests/interop/written_directory.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace interop;

namespace {

const std::vector<std::string> own_topics = {"own-plain", "own-rolled"};
const std::vector<std::string> own_groups = {"kafka-plain", "kafka-transactions"};

std::vector<std::string> operator+(std::vector<std::string> first,
                                   const std::vector<std::string>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

/// The topics of `WrittenDirectory` as Kafka's client makes them; Kafka is not to compact them.
std::vector<std::string> definitions() {
  std::vector<std::string> all = {
      "own-plain:1", "own-rolled:1:internal.segment.bytes=3000:index.interval.bytes=300"};
  for (const auto& [name, definition] : WrittenDirectory::definitions()) {
    std::string& line = all.emplace_back(name + ":" + std::to_string(definition.first));
    for (const auto& [key, value] : definition.second) {
      if (key == "cleanup.policy") continue;
      line += ":" + key + "=" + value;
    }
  }
  return all;
}

/// Puts the partitions of a directory of ours into those that Kafka made, which keep
/// `partition.metadata`: with indexes, which Kafka trusts after a clean stop, snapshots, epochs,
/// and our side files; of "codec-none" only the logs. How many there were.
int install(const std::string& ours, const std::string& log_dir) {
  namespace fs = std::filesystem;
  int partitions = 0;
  for (const auto& entry : fs::directory_iterator(ours)) {
    const fs::path to = fs::path(log_dir) / entry.path().filename();
    if (!entry.is_directory() || !fs::is_directory(to)) continue;
    if (entry.path().filename() == "__cluster_metadata-0") continue;
    for (const auto& file : fs::directory_iterator(to)) {
      if (file.path().filename() != "partition.metadata") fs::remove_all(file.path());
    }
    for (const auto& file : fs::directory_iterator(entry.path())) {
      const fs::path name = file.path().filename();
      const bool is_log = name.extension() == ".log";
      if (!file.is_regular_file() || name == "partition.metadata") continue;
      if (to.filename() == "codec-none-0" && !is_log) continue;
      fs::copy(file.path(), to / name);
    }
    ++partitions;
  }
  return partitions;
}

/// What a broker of ours shows of a copy of Kafka's directory.
struct Adopted {
  std::string view;
  std::string committed;
  std::string told;
};

Adopted adopt(const std::string& log_dir, const std::vector<std::string>& topics,
              const std::vector<std::string>& groups) {
  const TemporaryDirectory place;
  const std::string copy = place / "copy";
  std::filesystem::copy(log_dir, copy, std::filesystem::copy_options::recursive);
  OpenedBroker opened(copy, Timestamp(1'796'000'000'000));
  Adopted seen{view(opened.broker, topics), committed(opened.broker, groups), {}};
  test::must(opened.broker.close());
  // A second time, now as a directory of ours.
  OpenedBroker again(copy, Timestamp(1'796'000'000'000));
  CHECK(kafka::difference(view(again.broker, topics), seen.view) == "");
  CHECK(committed(again.broker, groups) == seen.committed);
  seen.told = opened.told;
  return seen;
}

/// Both are a view and what groups have committed.
void check(const std::string& what, const std::string& got, const std::string& expected) {
  CHECK(kafka::difference(got, expected) == "");
  std::cout << what << ": " << lines_of(expected, "R read_uncommitted") << " records, "
            << lines_of(expected, "R read_committed") << " committed ones, "
            << lines_of(expected, "T ") << " lookups, " << lines_of(expected, "G ")
            << " committed offsets\n";
}

/// For one run of the client.
std::vector<std::string> commands(const std::vector<std::vector<std::string>>& all) {
  std::vector<std::string> words;
  for (const auto& command : all) {
    if (!words.empty()) words.push_back("--");
    words = words + command;
  }
  return words;
}

}  // namespace

TEST_CASE("Kafka serves what we wrote, and we serve what Kafka wrote", "[interop]") {
  if (kafka::skip_without_tools()) return;
  const WrittenDirectory written;
  const TemporaryDirectory place;
  const std::string directory = place / "kafka";
  const std::string log_dir = directory + "/log";

  std::string seen;
  {
    kafka::Node node(directory);
    seen = node.client(commands({std::vector<std::string>{"create"} + definitions(),
                                 std::vector<std::string>{"write"} + own_topics,
                                 std::vector<std::string>{"view"} + own_topics,
                                 std::vector<std::string>{"groups"} + own_groups}));
    node.stop();
  }
  const Adopted stopped = adopt(log_dir, own_topics, own_groups);
  INFO(stopped.told);
  check("Kafka's, stopped", stopped.view + stopped.committed, seen);

  const int partitions = install(written.path(), log_dir);
  CHECK(partitions == 12);
  const std::vector<std::string> all_topics = own_topics + WrittenDirectory::topics();
  const std::vector<std::string> all_groups = own_groups + std::vector<std::string>{"ottla-group"};
  {
    kafka::Node node(directory);
    seen = node.client(commands({std::vector<std::string>{"view"} + WrittenDirectory::topics(),
                                 {"groups", WrittenDirectory::group}}));
    check("ours, served by Kafka", seen, written.seen() + written.committed());
    seen = node.client(commands({std::vector<std::string>{"write"} + all_topics,
                                 std::vector<std::string>{"view"} + all_topics,
                                 std::vector<std::string>{"groups"} + all_groups}));
    node.kill();
  }
  const Adopted killed = adopt(log_dir, all_topics, all_groups);
  UNSCOPED_INFO(killed.told);
  check("Kafka's and ours, killed", killed.view + killed.committed, seen);
}

// Ours are then the indexes by which Kafka finds, the snapshots that tell it which transactions are
// open, and the indexes of aborted ones.
TEST_CASE("Kafka serves what we recovered of its own directories", "[interop]") {
  if (kafka::skip_without_tools()) return;
  const std::vector<std::string> derived = {".index", ".timeindex", ".txnindex", ".snapshot"};
  const std::vector<std::unique_ptr<RecoveredDirectory>> recovered = [&] {
    std::vector<std::unique_ptr<RecoveredDirectory>> all;
    all.push_back(std::make_unique<RecoveredDirectory>("crash", "before"));
    all.push_back(std::make_unique<RecoveredDirectory>("txn", "data", derived));
    all.push_back(std::make_unique<RecoveredDirectory>("compaction", "after1", derived));
    return all;
  }();
  std::vector<std::string> create = {"create"};
  for (const auto& one : recovered) {
    for (const auto& [name, partitions] : one->definitions()) {
      create.push_back(name + ":" + std::to_string(partitions));
    }
  }
  const TemporaryDirectory place;
  {
    kafka::Node node(place / "kafka");
    node.client(create);
    node.stop();
  }
  int partitions = 0;
  for (const auto& one : recovered) partitions += install(one->path(), place / "kafka/log");
  CHECK(partitions > 8);
  kafka::Node node(place / "kafka");
  for (const auto& one : recovered) {
    const std::string seen = node.client(std::vector<std::string>{"view"} + one->topics());
    check("recovered, served by Kafka", seen, one->seen());
  }
}
