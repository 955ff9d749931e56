// SPDX-License-Identifier: Apache-2.0
//
// Kafka's dump tool reads what we recovered of Kafka's own directories: what a kill and damage
// left, and indexes, snapshots and transaction indexes that we made anew.
#include "tests/interop/recovered_directory.hpp"

#include "tests/interop/dump_checks.hpp"

using namespace ottla;
using namespace interop;

namespace {

void check(const kafka::Output& output) {
  CHECK(output.exit_status == 0);
  CHECK(kafka::complaints(output) == std::vector<std::string>());
}

void check_directory(const std::string& golden_case, const std::string& name,
                     const std::vector<std::string>& derived = {}) {
  INFO(golden_case << "/" << name);
  const RecoveredDirectory recovered(golden_case, name, derived);
  const auto logs = files_of(recovered.path(), ".log");
  check(kafka::dump({"--deep-iteration"}, logs));
  const std::size_t indexes = check_indexes(recovered.path());
  CHECK(indexes >= 2 * logs.size());
  const auto snapshots = files_of(recovered.path(), ".snapshot");
  if (!snapshots.empty()) check(kafka::dump({}, snapshots));
  for (const std::string& file : files_of(recovered.path(), ".txnindex")) {
    const auto theirs = golden::dir() / golden_case / name / partition_of(file) /
                        std::filesystem::path(file).filename();
    if (derived.empty() || !std::filesystem::exists(theirs)) continue;
    CHECK((golden::read_bytes(file) == golden::read_bytes(theirs)));
  }
  std::cout << golden_case << "/" << name << ", recovered: " << logs.size() << " logs, " << indexes
            << " indexes, " << snapshots.size() << " snapshots\n";
}

const std::vector<std::string> all_derived = {".index", ".timeindex", ".txnindex", ".snapshot"};

}  // namespace

TEST_CASE("Kafka's dump tool reads what we recovered of a killed and damaged Kafka", "[interop]") {
  if (kafka::skip_without_tools()) return;
  check_directory("crash", "before");
}

TEST_CASE("Kafka's dump tool verifies indexes and snapshots that we made anew of Kafka's logs",
          "[interop]") {
  if (kafka::skip_without_tools()) return;
  check_directory("txn", "data", all_derived);
  check_directory("rolled", "data", all_derived);
  check_directory("codecs", "data", all_derived);
  check_directory("compaction", "after1", all_derived);
}
