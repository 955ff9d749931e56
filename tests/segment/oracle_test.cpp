// SPDX-License-Identifier: Apache-2.0
//
// Where Kafka's segment puts index entries, and what it finds by timestamp: index_placement.json.
#include "tests/segment/segment_batches.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;
using nlohmann::json;

namespace {

TestBatch batch_of(const json& batch) {
  return make_batch(batch["base"].get<std::int64_t>(),
                    batch["timestamps"].get<std::vector<std::int64_t>>(),
                    {.size = batch["size"].get<std::size_t>()});
}

void check_placement(const json& expected) {
  const auto base = expected["base_offset"].get<std::int64_t>();
  SegmentDirectory directory;
  directory.options.index_interval_bytes = expected["index_interval_bytes"].get<std::int32_t>();
  Segment segment = directory.create(base);
  for (const json& append : expected["appends"]) {
    std::vector<TestBatch> batches;
    for (const json& batch : append) {
      batches.push_back(batch_of(batch));
    }
    REQUIRE(write_out(segment, batches).ok());
  }
  const SegmentEnd end = segment.end();
  CHECK(end.size == expected["size"].get<std::int64_t>());
  CHECK(json::array({end.largest.timestamp.value(), end.largest.offset.value()}) ==
        expected["max_timestamp"]);
  Decompressor decompressor;
  for (const json& lookup : expected["find_offset_by_timestamp"]) {
    const auto found = segment.find_timestamp(Timestamp(lookup[0].get<std::int64_t>()),
                                              Offset(lookup[1].get<std::int64_t>()), decompressor);
    REQUIRE(found.ok());
    const json answer =
        *found ? json({(*found)->timestamp.value(), (*found)->offset.value()}) : json();
    CHECK(answer == lookup[2]);
  }
  REQUIRE(segment.become_inactive().ok());
  CHECK(golden::to_hex(directory.content(offset_index_suffix, base)) ==
        expected["index_file"].get<std::string>());
  CHECK(golden::to_hex(directory.content(time_index_suffix, base)) ==
        expected["timeindex_file"].get<std::string>());
}

}  // namespace

TEST_CASE("index entries are placed as Kafka places them", "[segment]") {
  const json oracle = golden::read_json(golden::dir() / "oracle" / "index_placement.json");
  for (const json& expected : oracle["cases"]) {
    INFO(expected["name"]);
    check_placement(expected);
  }
  CHECK(oracle["cases"].size() >= (golden::is_full() ? 60 : 1));
}

TEST_CASE("the sixth batch of 1000 bytes gets the first index entry, the eleventh the next",
          "[segment]") {
  SegmentDirectory directory;
  Segment segment = directory.create();
  for (std::int64_t i = 0; i < 15; ++i) {
    REQUIRE(write_out(segment, {make_batch(i, {i}, {.size = 1000})}).ok());
  }
  REQUIRE(segment.become_inactive().ok());
  CHECK(golden::to_hex(directory.content(offset_index_suffix)) ==
        "0000000500001388"
        "0000000a00002710");
}
