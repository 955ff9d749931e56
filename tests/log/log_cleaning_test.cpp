// SPDX-License-Identifier: Apache-2.0
//
// Compaction of whole logs: Kafka's rounds again, now in files; readers meanwhile; what changes
// under it.
#include <algorithm>

#include "cleaner_oracle.hpp"
#include "cleaning_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

namespace oracle = cleaner_oracle;

std::string log_name(Offset base) { return offset_file_name(base, log_suffix); }
std::string transactions_name(Offset base) {
  return offset_file_name(base, transaction_index_suffix);
}

void put(Disk& disk, const oracle::Segment& segment) {
  disk.put(log_name(segment.base), as_string_view(segment.bytes));
  std::string entries(segment.aborted.size() * AbortedTransaction::encoded_size, '\0');
  for (std::size_t i = 0; i < segment.aborted.size(); ++i) {
    segment.aborted[i].write(reinterpret_cast<std::byte*>(entries.data()) +
                             i * AbortedTransaction::encoded_size);
  }
  if (!entries.empty()) {
    disk.put(transactions_name(segment.base), entries);
  }
}

std::vector<AbortedTransaction> aborted_in(Disk& disk, Offset base) {
  std::vector<AbortedTransaction> all;
  if (disk.has(transactions_name(base))) {
    const std::string text = disk.content(transactions_name(base));
    for (std::size_t at = 0; at < text.size(); at += AbortedTransaction::encoded_size) {
      all.push_back(
          must(AbortedTransaction::parse(reinterpret_cast<const std::byte*>(text.data()) + at)));
    }
  }
  return all;
}

void run(const oracle::Json& trace, const oracle::Json& json) {
  Disk disk;
  disk.options.config.segment_bytes =
      static_cast<std::int32_t>(oracle::number(trace["config"]["internal.segment.bytes"]));
  disk.options.config.compact = true;
  const auto before = oracle::segments_of(json["segments_before"]);
  for (const oracle::Segment& segment : before) {
    put(disk, segment);
  }
  Log log = disk.open({.last_stop = LastStop::clean,
                       .log_start = Offset(oracle::number(json["log_start_offset"])),
                       .now = Timestamp(oracle::number(json["now"]))});
  flush(log);
  CleaningSettings settings;
  if (!json["checkpoint"].is_null()) {
    settings.checkpoint = Offset(oracle::number(json["checkpoint"]));
  }
  settings.config = oracle::config_of(trace);
  settings.last_stable = Offset(oracle::number(json["last_stable_offset"]));
  settings.options.now = Timestamp(oracle::number(json["now"]));
  settings.options.io_bytes = 200;  // many steps
  settings.options.map_bytes =
      static_cast<std::size_t>(oracle::number(json["map_slots"])) * OffsetMap::slot_size;
  settings.options.producers = {oracle::producers_of(json), oracle::aborted_of(before)};
  const auto cleaned = must(clean(log, settings));
  if (json["result"] != "ok") {
    CHECK(!cleaned);
    return;
  }
  CHECK(cleaned == Offset(oracle::number(json["new_checkpoint"])));
  const auto expected = oracle::segments_of(json["segments_after"]);
  REQUIRE(segments(log.view()).size() == expected.size());
  for (const oracle::Segment& segment : expected) {
    const std::string text = disk.content(log_name(segment.base));
    const Bytes bytes = as_bytes(text);
    CHECK(oracle::content({bytes.begin(), bytes.end()}) == oracle::content(segment.bytes));
    CHECK(aborted_in(disk, segment.base) == segment.aborted);
  }
}

}  // namespace

TEST_CASE("a log in files is compacted as Kafka's cleaner does it") {
  const oracle::Json all = golden::read_json(golden::dir() / "oracle" / "cleaner.json");
  for (const oracle::Json& trace : all["cases"]) {
    INFO(trace["name"].get<std::string>());
    for (const oracle::Json& json : trace["rounds"]) {
      INFO("now " << json["now"]);
      run(trace, json);
    }
  }
}
