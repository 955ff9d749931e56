// SPDX-License-Identifier: Apache-2.0
//
// The vectors of the storage specification, section 28: decoded field by field, and built byte by
// byte.
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/record/control_record.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;
using golden::from_hex;
using golden::to_hex;

namespace {

constexpr Timestamp t0{1700000000000};

struct Decoded {
  Offset offset;
  Timestamp timestamp;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;

  bool operator==(const Decoded&) const = default;
};

std::optional<std::string> text(std::optional<Bytes> bytes) {
  if (!bytes) return std::nullopt;
  return std::string(as_string_view(*bytes));
}

std::vector<Decoded> decode(const BatchView& batch) {
  Decompressor decompressor;
  RecordCursor records = batch.records(decompressor);
  std::vector<Decoded> out;
  while (const RecordView* record = records.next()) {
    Decoded& one = out.emplace_back(Decoded{.offset = record->offset(),
                                            .timestamp = record->timestamp(),
                                            .key = text(record->key()),
                                            .value = text(record->value()),
                                            .headers = {}});
    for (const RecordHeader& header : record->headers()) {
      one.headers.emplace_back(header.key, text(header.value));
    }
  }
  REQUIRE(records.ok());
  return out;
}

BatchView parse(const std::vector<std::byte>& bytes) {
  const auto batch = BatchView::parse(bytes);
  INFO(batch.status());
  REQUIRE(batch.ok());
  REQUIRE(batch->size() == bytes.size());
  return *batch;
}

std::string sealed_hex(BatchBuilder& builder) {
  const auto sealed = builder.seal();
  INFO(sealed.status());
  REQUIRE(sealed.ok());
  return to_hex(sealed->bytes());
}

const char* const two_records =
    "00000000000000000000004e000000000251a3219800000000000100"
    "00018bcfe568000000018bcfe56819ffffffffffffffffffffffffffff0000000226000000046b310476310404"
    "6831026104683201100032020101020000";
const char* const transactional =
    "000000000000002a0000003d0000000302350d68ed0010000000000000018bcfe568000000018bcfe5680000000000"
    "000003e80002000000070000000116000000000a68656c6c6f00";
const char* const commit_marker =
    "000000000000002b000000420000000302155a4ec900300000000000"
    "00018bcfe568640000018bcfe5686400000000000003e80002ffffffff0000000120000000080000"
    "00010c00000000000500";
const char* const abort_marker =
    "000000000000002b000000420000000302e16498810030000000000000018bcfe568640000018bcfe568640000"
    "0000000003e80002ffffffff000000012000000008000000000c00000000000500";
const char* const leader_change =
    "00000000000000000000005e00000004021735ab2b00200000000000"
    "00018bcfe568000000018bcfe56800ffffffffffffffffffffffffffff00000001580000000800000002440000"
    "000000010400000001000000000200000000030003000000010000000002000000";
const char* const append_time =
    "000000000000000a0000004400000001"
    "02f0b49211000800000001"
    "0000018bcfe564180000018bcfe56800ffffffffffffffffffffffffffff0000000210000000026b"
    "0276001200e80702026b027700";
const char* const emptied =
    "000000000000000a000000310000000102c06ec49c000000000003ffffffffffffffff0000018bcfe568000000"
    "00000000000700000000000500000000";

}  // namespace

TEST_CASE("28.1: two records with headers, a null key and a null value") {
  const auto bytes = from_hex(two_records);
  const BatchView batch = parse(bytes);
  CHECK(batch.header() == BatchHeader{.base_offset = Offset(0),
                                      .batch_length = 0x4e,
                                      .leader_epoch = LeaderEpoch(0),
                                      .magic = 2,
                                      .crc = 0x51a32198,
                                      .attributes = 0,
                                      .last_offset_delta = 1,
                                      .base_timestamp = t0,
                                      .max_timestamp = t0 + 25,
                                      .producer_id = no_producer_id,
                                      .producer_epoch = no_producer_epoch,
                                      .base_sequence = -1,
                                      .record_count = 2});
  CHECK(decode(batch) ==
        std::vector<Decoded>{{Offset(0), t0, "k1", "v1", {{"h1", "a"}, {"h2", std::nullopt}}},
                             {Offset(1), t0 + 25, std::nullopt, std::nullopt, {{"", ""}}}});

  BatchBuilder builder({.leader_epoch = LeaderEpoch(0)});
  const std::vector<RecordHeader> first = {{"h1", as_bytes("a")}, {"h2", std::nullopt}};
  const std::vector<RecordHeader> second = {{"", as_bytes("")}};
  REQUIRE(
      builder
          .append(
              {.timestamp = t0, .key = as_bytes("k1"), .value = as_bytes("v1"), .headers = first})
          .ok());
  REQUIRE(builder.append({.timestamp = t0 + 25, .headers = second}).ok());
  CHECK(sealed_hex(builder) == to_hex(bytes));
}

TEST_CASE("28.2: an idempotent transactional batch") {
  const auto bytes = from_hex(transactional);
  const BatchView batch = parse(bytes);
  CHECK(batch.header().leader_epoch == LeaderEpoch(3));
  CHECK(batch.header().producer_id == ProducerId(1000));
  CHECK(batch.header().producer_epoch == ProducerEpoch(2));
  CHECK(batch.header().base_sequence == 7);
  CHECK(batch.header().is_transactional());
  CHECK(!batch.header().is_control());
  CHECK(decode(batch) == std::vector<Decoded>{{Offset(42), t0, "", "hello", {}}});

  BatchBuilder builder(
      {.base_offset = Offset(42), .leader_epoch = LeaderEpoch(3), .is_transactional = true});
  REQUIRE(builder.append({.timestamp = t0, .key = as_bytes(""), .value = as_bytes("hello")}).ok());
  builder.set_producer(ProducerId(1000), ProducerEpoch(2), 7);
  CHECK(sealed_hex(builder) == to_hex(bytes));
}

TEST_CASE("28.3: transaction markers") {
  const MarkerFields fields{.base_offset = Offset(43),
                            .leader_epoch = LeaderEpoch(3),
                            .timestamp = t0 + 100,
                            .producer_id = ProducerId(1000),
                            .producer_epoch = ProducerEpoch(2)};
  for (const auto& [hex, type] : {std::pair(commit_marker, ControlType::commit),
                                  std::pair(abort_marker, ControlType::abort)}) {
    const auto bytes = from_hex(hex);
    const BatchView batch = parse(bytes);
    CHECK(batch.size() == 78);
    CHECK(batch.header().is_transactional());
    CHECK(batch.header().is_control());
    CHECK(batch.header().base_sequence == no_sequence);
    RecordCursor records = batch.records();
    const RecordView* record = records.next();
    REQUIRE(record != nullptr);
    const auto marker = parse_marker(*record);
    REQUIRE(marker.ok());
    CHECK(*marker == EndTransactionMarker{type, 5});
    CHECK(records.next() == nullptr);
    const auto built = marker_batch(fields, {type, 5});
    REQUIRE(built.ok());
    CHECK(to_hex(built->bytes()) == to_hex(bytes));
  }
}

TEST_CASE("28.4: a leader change") {
  const auto bytes = from_hex(leader_change);
  const BatchView batch = parse(bytes);
  CHECK(!batch.header().is_transactional());
  CHECK(batch.header().is_control());
  RecordCursor records = batch.records();
  const RecordView* record = records.next();
  REQUIRE(record != nullptr);
  CHECK(*parse_control_type(record->key()) == ControlType::leader_change);
  const auto change = parse_leader_change(record->value().value());
  REQUIRE(change.ok());
  CHECK(*change == LeaderChange{.version = 0,
                                .leader = 1,
                                .voters = {{1, {}}, {2, {}}, {3, {}}},
                                .granting_voters = {{1, {}}, {2, {}}}});
  const auto built =
      quorum_batch(Offset(0), LeaderEpoch(4), t0, ControlType::leader_change, encode(*change));
  REQUIRE(built.ok());
  CHECK(to_hex(built->bytes()) == to_hex(bytes));
}

TEST_CASE("28.5: with LogAppendTime every record reads as appended then") {
  const auto bytes = from_hex(append_time);
  const BatchView batch = parse(bytes);
  CHECK(batch.header().timestamp_type() == TimestampType::log_append_time);
  CHECK(batch.header().base_timestamp == t0 + -1000);
  CHECK(decode(batch) ==
        std::vector<Decoded>{{Offset(10), t0, "k", "v", {}}, {Offset(11), t0, "k", "w", {}}});

  BatchBuilder builder(
      {.base_offset = Offset(10), .leader_epoch = LeaderEpoch(1), .log_append_time = t0});
  REQUIRE(
      builder.append({.timestamp = t0 + -1000, .key = as_bytes("k"), .value = as_bytes("v")}).ok());
  REQUIRE(
      builder.append({.timestamp = t0 + -500, .key = as_bytes("k"), .value = as_bytes("w")}).ok());
  CHECK(sealed_hex(builder) == to_hex(bytes));
}

TEST_CASE("28.6: an emptied batch keeps offsets and sequences") {
  const auto bytes = from_hex(emptied);
  const BatchView batch = parse(bytes);
  CHECK(batch.header().base_offset == Offset(10));
  CHECK(batch.header().last_offset() == Offset(13));
  CHECK(batch.header().base_sequence == 5);
  CHECK(batch.header().last_sequence() == 8);
  CHECK(decode(batch).empty());

  BatchBuilder builder({.base_offset = Offset(10),
                        .leader_epoch = LeaderEpoch(1),
                        .producer_id = ProducerId(7),
                        .producer_epoch = ProducerEpoch(0),
                        .base_sequence = 5});
  for (int i = 0; i < 4; ++i) {
    REQUIRE(builder.append({.timestamp = t0, .key = as_bytes("k"), .value = as_bytes("v")}).ok());
  }
  const auto full = builder.seal();
  REQUIRE(full.ok());
  CHECK(to_hex(emptied_batch(BatchView(full->bytes()).header()).bytes()) == to_hex(bytes));
}

TEST_CASE("28.8: a compressed batch of each codec") {
  const char* const compressed[] = {
      "000000000000000500000058000000000268ea5f5b0001000000010000018bcfe568000000018bcfe56801ffffff"
      "ffffffffffffffffffffff000000021f8b0800000000000000b362606060cb4eadd470c40218ac18989870cb02"
      "0050976dc23c000000",
      "000000000000000500000083000000000290b1888b0002000000010000018bcfe568000000018bcfe56801ffffff"
      "ffffffffffffffffffffff0000000282534e415050590000000001000000010000003e3cec3a000000066b6579"
      "284141414141414141414141414141414141414141003a000202066b6579284141414141414141414141414141"
      "41414141414100",
      "00000000000000050000007c0000000002738a3f360003000000010000018bcfe568000000018bcfe56801ffffff"
      "ffffffffffffffffffffff0000000204224d186040823c0000803a000000066b65792841414141414141414141"
      "41414141414141414141003a000202066b65792841414141414141414141414141414141414141410000000000",
      "00000000000000050000007600000000025fb8d4910004000000010000018bcfe568000000018bcfe56801ffffff"
      "ffffffffffffffffffffff0000000228b52ffd0038e101003a000000066b657928414141414141414141414141"
      "4141414141414141003a000202066b657928414141414141414141414141414141414141414100"};
  const std::string value(20, 'A');
  const std::vector<Decoded> expected = {{Offset(5), t0, "key", value, {}},
                                         {Offset(6), t0 + 1, "key", value, {}}};
  Compressor compressor;
  for (int i = 0; i < 4; ++i) {
    const auto codec = static_cast<CompressionType>(i + 1);
    INFO(name(codec));
    const auto bytes = from_hex(compressed[i]);
    const BatchView batch = parse(bytes);
    CHECK(batch.header().compression() == codec);
    CHECK(decode(batch) == expected);

    BatchBuilder builder(
        {.base_offset = Offset(5), .leader_epoch = LeaderEpoch(0), .compression = codec});
    for (std::int64_t at = 0; at < 2; ++at) {
      REQUIRE(
          builder.append({.timestamp = t0 + at, .key = as_bytes("key"), .value = as_bytes(value)})
              .ok());
    }
    const auto ours = builder.seal(compressor);
    INFO(ours.status());
    REQUIRE(ours.ok());
    CHECK(decode(BatchView(ours->bytes())) == expected);
  }
}
