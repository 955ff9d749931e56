// SPDX-License-Identifier: Apache-2.0
//
// Every index file of the golden directories, as expected.json lists its entries.
#include "tests/support/golden.hpp"

#include <ottla/index/offset_index.hpp>
#include <ottla/index/time_index.hpp>
#include <ottla/index/transaction_index.hpp>

#include "tests/index/index_files.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using nlohmann::json;

namespace {

Offset base_of(const json& file) {
  return Offset(std::stoll(file["file"].get<std::string>().substr(0, 20)));
}

struct Checked {
  int offset_indexes = 0;
  int time_indexes = 0;
  int transaction_indexes = 0;
  int refused = 0;
};

// A length that is no multiple of the entry's: Kafka's `crash` case has two, made on purpose.
template <class Index>
bool refuses_odd_length(const Index& index, const json& file, std::int64_t entry_size) {
  const bool odd = file["length"].get<std::int64_t>() % entry_size != 0;
  CHECK(index.check().ok() != odd);
  return odd;
}

void check_offset_index(const json& file, Bytes content, Checked& checked) {
  IndexFiles files;
  const OffsetIndex index = OffsetIndex::open(files.open(content), base_of(file)).value();
  if (refuses_odd_length(index, file, 8)) {
    ++checked.refused;
    return;
  }
  json entries = json::array();
  for (std::int64_t from = -1;;) {
    const auto next = index.upper_bound(0, from + 1).value();
    if (!next) break;
    entries.push_back({next->offset.value(), next->position});
    CHECK(index.lookup(next->offset).value() == *next);
    from = next->position;
  }
  CHECK(entries == file["entries"]);
  ++checked.offset_indexes;
}

void check_time_index(const json& file, Bytes content, Checked& checked) {
  IndexFiles files;
  const TimeIndex index = TimeIndex::open(files.open(content), base_of(file)).value();
  if (refuses_odd_length(index, file, 12)) {
    ++checked.refused;
    return;
  }
  CHECK(index.entries() == file["entries"].size());
  for (const json& entry : file["entries"]) {
    const TimestampOffset expected{Timestamp(entry[0].get<std::int64_t>()),
                                   Offset(entry[1].get<std::int64_t>())};
    CHECK(index.lookup(expected.timestamp).value() == expected);
  }
  ++checked.time_indexes;
}

void check_transaction_index(const json& file, Bytes content, Checked& checked) {
  IndexFiles files;
  const TransactionIndex index = TransactionIndex::open(files.open(content), base_of(file)).value();
  std::vector<AbortedTransaction> found;
  REQUIRE(index.collect(Offset(0), Offset(INT64_MAX), found).ok());
  json entries = json::array();
  for (const AbortedTransaction& entry : found) {
    entries.push_back({{"version", 0},
                       {"producerId", entry.producer_id.value()},
                       {"firstOffset", entry.first_offset.value()},
                       {"lastOffset", entry.last_offset.value()},
                       {"lastStableOffset", entry.last_stable_offset.value()}});
  }
  CHECK(entries == file["entries"]);
  ++checked.transaction_indexes;
}

void check_partition(const std::filesystem::path& directory, const json& partition,
                     Checked& checked) {
  const auto each = [&](const char* kind, auto check) {
    if (!partition.contains(kind)) return;
    for (const json& file : partition[kind]) {
      const auto path = directory / file["file"].get<std::string>();
      INFO(path);
      check(file, golden::read_bytes(path), checked);
    }
  };
  each("indexes", check_offset_index);
  each("timeindexes", check_time_index);
  each("txnindexes", check_transaction_index);
}

}  // namespace

TEST_CASE("every index file that Kafka wrote is read as Kafka reads it", "[index][golden]") {
  Checked checked;
  for (const auto& entry : std::filesystem::directory_iterator(golden::dir())) {
    const auto file = entry.path() / "expected.json";
    if (!std::filesystem::exists(file)) continue;
    const json expected = golden::read_json(file);
    for (const auto& [name, dir] : expected["dirs"].items()) {
      for (const auto& [partition, content] : dir["partitions"].items()) {
        check_partition(entry.path() / name / partition, content, checked);
      }
    }
  }
  CAPTURE(checked.offset_indexes, checked.time_indexes, checked.transaction_indexes,
          checked.refused);
  if (golden::is_full()) {
    CHECK(checked.offset_indexes == 612);
    CHECK(checked.time_indexes == 611);
    CHECK(checked.transaction_indexes == 36);
    CHECK(checked.refused == 2);
  }
  CHECK(checked.offset_indexes > 0);
}
