// SPDX-License-Identifier: Apache-2.0
//
// Every batch of the log directories that Kafka wrote decodes as Kafka's own classes decode it.
#include <set>

#include <ottla/record/batch_view.hpp>

#include "tests/record/batch_json.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using golden::json;

namespace {

struct Counts {
  std::size_t files = 0;
  std::size_t batches = 0;
  std::size_t records = 0;
  std::size_t control = 0;
};

void check_records_of_control(const BatchView& batch, const json& expected, Counts& counts) {
  RecordCursor records = batch.records();
  for (std::size_t i = 0; const RecordView* record = records.next(); ++i) {
    const json& one = expected.at("records").at(i);
    json control;
    golden::add_control(*record, control);
    CHECK(control.at("controlType") == one.at("controlType"));
    if (one.contains("coordinatorEpoch")) {
      CHECK(control.at("coordinatorEpoch") == one.at("coordinatorEpoch"));
    }
    ++counts.control;
  }
}

/// One log file against the list of its batches. The checksum is compared, not required: some files
/// are damaged.
void check_log(const std::filesystem::path& path, const json& log, Counts& counts) {
  INFO(path.string());
  const std::vector<std::byte> bytes = golden::read_bytes(path);
  REQUIRE(bytes.size() == log.at("size").get<std::size_t>());
  BatchCursor batches(bytes, "a golden file", CheckCrc::skip);
  std::size_t i = 0;
  std::size_t valid_bytes = 0;
  bool is_valid = true;
  for (; const BatchView* batch = batches.next(); ++i) {
    REQUIRE(i < log.at("batches").size());
    const json& expected = log.at("batches").at(i);
    INFO("batch " << i);
    CHECK(batches.position() - batch->size() == expected.at("position").get<std::size_t>());
    json decoded = golden::to_json(*batch, true);
    if (!batch->checksum_matches()) decoded["records"] = json::array();  // not listed then
    CHECK(decoded == golden::with_oracle_names(expected));
    if (batch->header().is_control()) check_records_of_control(*batch, expected, counts);
    is_valid = is_valid && batch->checksum_matches();
    if (is_valid) valid_bytes = batches.position();
    ++counts.batches;
    counts.records += expected.at("records").size();
  }
  CHECK(i == log.at("batches").size());
  // Kafka looks at the magic byte of a batch in a file only when all of the batch is there.
  const bool is_cut = batches.verdict() == BatchVerdict::corrupt_magic &&
                      load_big_endian<std::int32_t>(&bytes[batches.position() + 8]) >
                          static_cast<std::int64_t>(bytes.size() - batches.position() - 12);
  CHECK((batches.ok() || is_cut) == !log.contains("iteration_error"));
  if (log.contains("valid_bytes")) CHECK(valid_bytes == log.at("valid_bytes").get<std::size_t>());
  ++counts.files;
}

Counts check_case(const std::string& name) {
  const std::filesystem::path root = golden::dir() / name;
  const json expected = golden::read_json(root / "expected.json");
  Counts counts;
  for (const auto& [dir, content] : expected.at("dirs").items()) {
    for (const auto& [file, root_file] : content.at("root_files").items()) {
      if (root_file.contains("batches")) check_log(root / dir / file, root_file, counts);
    }
    for (const auto& [partition, files] : content.at("partitions").items()) {
      for (const json& log : files.at("logs")) {
        check_log(root / dir / partition / log.at("file").get<std::string>(), log, counts);
      }
    }
  }
  std::cout << "golden " << name << ": " << counts.files << " files, " << counts.batches
            << " batches, " << counts.records << " records, " << counts.control
            << " of them control records\n";
  return counts;
}

}  // namespace

TEST_CASE("batches of every codec decode as Kafka decodes them", "[golden]") {
  CHECK(check_case("codecs").batches > 0);
}
TEST_CASE("batches of rolled segments decode as Kafka decodes them", "[golden]") {
  CHECK(check_case("rolled").batches > 0);
}
TEST_CASE("batches of transactions decode as Kafka decodes them", "[golden]") {
  CHECK(check_case("txn").batches > 0);
}
TEST_CASE("batches left by compaction decode as Kafka decodes them", "[golden]") {
  CHECK(check_case("compaction").batches > 0);
}
TEST_CASE("batches of crashed directories decode as Kafka decodes them", "[golden]") {
  CHECK(check_case("crash").batches > 0);
}
TEST_CASE("batches in directories of odd names decode as Kafka decodes them", "[golden]") {
  CHECK(check_case("names").batches > 0);
}
