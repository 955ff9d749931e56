// SPDX-License-Identifier: Apache-2.0
//
// One batch at a time: the vectors of the specification, and what becomes of what they leave.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ottla/log/batch_cleaner.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/must.hpp"

using namespace ottla;
using test::must;

namespace {

constexpr std::int64_t t0 = 1'700'000'000'000;

const char* const source =
    "0000000000000064000000540000000202db3955ff0000000000030000018bcfe568000000018bcfe5680300000000"
    "00000007000000000000000000041000000002610231001000020202620231001000040402610232000e0006060263"
    "0100";
const char* const with_horizon =
    "00000000000000640000005400000002022926c9cb0040000000030000018bd51b06400000018bcfe5680300000000"
    "00000007000000000000000000031600fdf8ac530202620231001600fbf8ac530402610232001400f9f8ac53060263"
    "0100";
const char* const without_tombstone =
    "00000000000000640000004300000002027f84978f0000000000030000018bcfe568010000018bcfe5680200000000"
    "0000000700000000000000000002100000020262023100100002040261023200";
const char* const emptied =
    "000000000000000a000000310000000102c06ec49c000000000003ffffffffffffffff0000018bcfe56800000000"
    "000000000700000000000500000000";

/// One pass over single batches.
struct Pass {
  std::int64_t now = t0 + 1'000'000;
  ActiveProducers producers = {};
  std::int64_t round_end = 1000;
  std::vector<AbortedTransaction> aborted = {};
  std::vector<std::pair<std::string, std::int64_t>> latest = {};
  std::int64_t mapped_to = 999;

  std::vector<std::byte> operator()(Bytes batch) const {
    OffsetMap map = must(OffsetMap::make(100, 1));
    for (const auto& [key, offset] : latest) {
      map.put(as_bytes(key), Offset(offset));
    }
    map.advance(Offset(mapped_to));
    CleanedTransactions transactions(aborted, Offset(0));
    Decompressor decompressor;
    Compressor compressor;
    const RetentionRules rules{map, producers, Offset(round_end), Timestamp(now)};
    BatchCleaner cleaner(rules, transactions, decompressor, compressor);
    const CleanedBatch left = must(cleaner.clean(must(BatchView::parse(batch))));
    return {left.bytes.begin(), left.bytes.end()};
  }
  std::string hex(const char* batch) const {
    return golden::to_hex((*this)(golden::from_hex(batch)));
  }
};

BatchHeader header_of(const std::vector<std::byte>& bytes) { return BatchHeader::parse(bytes); }

}  // namespace

TEST_CASE("28.7: a record that is superseded goes, and a tombstone gets its horizon") {
  const Pass pass{.latest = {{"b", 101}, {"a", 102}, {"c", 103}}};
  CHECK(pass.hex(source) == with_horizon);
}

TEST_CASE("28.7: where no tombstone is left there is no horizon") {
  const Pass pass{.latest = {{"b", 101}, {"a", 102}, {"c", 104}}};
  CHECK(pass.hex(source) == without_tombstone);
}

TEST_CASE("28.6: the last batch of an active producer stays, emptied") {
  BatchBuilder builder({.base_offset = Offset(10),
                        .leader_epoch = LeaderEpoch(1),
                        .producer_id = ProducerId(7),
                        .producer_epoch = ProducerEpoch(0),
                        .base_sequence = 5});
  for (int i = 0; i < 4; ++i) {
    must(
        builder.append({.timestamp = Timestamp(t0), .key = as_bytes("k"), .value = as_bytes("v")}));
  }
  const SealedBatch batch = must(builder.seal());
  Pass pass{.producers = {{ProducerId(7), {.last_data = Offset(13)}}}, .latest = {{"k", 20}}};
  CHECK(golden::to_hex(pass(batch.bytes())) == emptied);
  CHECK(pass.hex(emptied) == emptied);
  pass.producers[ProducerId(7)].last_data = Offset(17);
  CHECK(pass(batch.bytes()).empty());
  CHECK(pass.hex(emptied).empty());
  pass.producers.clear();
  CHECK(pass.hex(emptied).empty());
  pass.round_end = 14;
  CHECK(pass.hex(emptied) == emptied);
}

TEST_CASE("a tombstone goes once its horizon has passed, and its horizon is never moved") {
  Pass pass{.latest = {{"b", 101}, {"a", 102}, {"c", 103}}};
  pass.now = t0 + 1'000'000 + 86'400'000 - 1;
  CHECK(pass.hex(with_horizon) == with_horizon);
  pass.now += 1;
  const BatchHeader left = header_of(pass(golden::from_hex(with_horizon)));
  CHECK(left.record_count == 2);
  CHECK(left.delete_horizon() == Timestamp(pass.now));
  CHECK(left.last_offset() == Offset(103));
}

TEST_CASE("what lies behind the mapped part is left alone, whatever its key") {
  const Pass pass{.latest = {{"a", 100}}, .mapped_to = 101};
  // 101 has a key that is not in the map; the tombstone gets its horizon all the same, as in Kafka.
  CHECK(header_of(pass(golden::from_hex(source))).record_count == 4);
}

TEST_CASE("a record without a key goes") {
  BatchBuilder builder({.base_offset = Offset(10)});
  must(builder.append({.timestamp = Timestamp(t0), .value = as_bytes("v")}));
  must(builder.append({.timestamp = Timestamp(t0), .key = as_bytes(""), .value = as_bytes("v")}));
  const SealedBatch batch = must(builder.seal());
  const auto left = Pass{}(batch.bytes());
  REQUIRE(header_of(left).record_count == 1);
  CHECK(header_of(left).base_offset == Offset(10));
  RecordCursor records = BatchView(left).records();
  CHECK(records.next()->offset() == Offset(11));
}

TEST_CASE("a batch whose records cannot be read is an error, and nothing is dropped for it") {
  auto bytes = golden::from_hex(source);
  bytes[batch_header_size] = std::byte{0x7e};  // a length that no record there has
  stamp_checksum(bytes);
  OffsetMap map = must(OffsetMap::make(100, 1));
  map.advance(Offset(999));
  CleanedTransactions transactions;
  Decompressor decompressor;
  Compressor compressor;
  const ActiveProducers producers;
  const RetentionRules rules{map, producers, Offset(1000), Timestamp(t0)};
  BatchCleaner cleaner(rules, transactions, decompressor, compressor);
  CHECK(fault(cleaner.clean(BatchView(bytes)).status()) == Fault::corrupt);
}
