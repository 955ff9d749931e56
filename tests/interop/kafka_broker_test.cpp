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

void report(const std::string& what, const std::string& view, const std::string& committed) {
  std::cout << what << ": " << lines_of(view, "R read_uncommitted") << " records, "
            << lines_of(view, "R read_committed") << " committed ones, " << lines_of(view, "T ")
            << " lookups, " << lines_of(committed, "G ") << " committed offsets\n";
}

}  // namespace

TEST_CASE("Kafka serves what we wrote, and we serve what Kafka wrote", "[interop]") {
  if (kafka::skip_without_tools()) return;
  const WrittenDirectory written;
  const TemporaryDirectory place;
  const std::string directory = place / "kafka";
  const std::string log_dir = directory + "/log";

  std::string view;
  std::string groups;
  {
    kafka::Node node(directory);
    node.client(std::vector<std::string>{"create"} + definitions());
    node.client(std::vector<std::string>{"write"} + own_topics);
    view = node.client(std::vector<std::string>{"view"} + own_topics);
    groups = node.client(std::vector<std::string>{"groups"} + own_groups);
    node.stop();
  }
  const Adopted stopped = adopt(log_dir, own_topics, own_groups);
  INFO(stopped.told);
  CHECK(kafka::difference(stopped.view, view) == "");
  CHECK(kafka::difference(stopped.committed, groups) == "");
  report("Kafka's, stopped", view, groups);

  const int partitions = install(written.path(), log_dir);
  CHECK(partitions == 12);
  const std::vector<std::string> all_topics = own_topics + WrittenDirectory::topics();
  const std::vector<std::string> all_groups = own_groups + std::vector<std::string>{"ottla-group"};
  {
    kafka::Node node(directory);
    const std::string ours =
        node.client(std::vector<std::string>{"view"} + WrittenDirectory::topics());
    CHECK(kafka::difference(ours, written.seen()) == "");
    groups = node.client({"groups", WrittenDirectory::group});
    CHECK(kafka::difference(groups, written.committed()) == "");
    report("ours, served by Kafka", ours, groups);

    node.client(std::vector<std::string>{"write"} + all_topics);
    view = node.client(std::vector<std::string>{"view"} + all_topics);
    groups = node.client(std::vector<std::string>{"groups"} + all_groups);
    node.kill();
  }
  const Adopted killed = adopt(log_dir, all_topics, all_groups);
  UNSCOPED_INFO(killed.told);
  CHECK(kafka::difference(killed.view, view) == "");
  CHECK(kafka::difference(killed.committed, groups) == "");
  report("Kafka's and ours, killed", view, groups);
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
    CHECK(kafka::difference(seen, one->seen()) == "");
    report("recovered, served by Kafka", seen, "");
  }
}
