// SPDX-License-Identifier: Apache-2.0
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/record/control_record.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;
using golden::from_hex;
using golden::to_hex;

namespace {

/// A marker parsed from a record of that key and value; null where nullopt.
absl::StatusOr<EndTransactionMarker> marker_of(std::optional<std::string> key,
                                               std::optional<std::string> value) {
  const auto key_bytes = from_hex(key.value_or(""));
  const auto value_bytes = from_hex(value.value_or(""));
  BatchBuilder builder;
  RecordFields fields{.timestamp = Timestamp(0)};
  if (key) fields.key = key_bytes;
  if (value) fields.value = value_bytes;
  REQUIRE(builder.append(fields).ok());
  const auto sealed = builder.seal();
  REQUIRE(sealed.ok());
  RecordCursor records = BatchView(sealed->bytes()).records();
  return parse_marker(*records.next());
}

Uuid uuid(std::uint8_t last) {
  Uuid id;
  id.bytes[0] = std::byte{0xab};
  id.bytes[15] = std::byte{last};
  return id;
}

/// Parses what `record` encodes to, and every prefix of it, which must fail.
template <class Record, class Parse>
void check_round_trip(const Record& record, Parse parse) {
  std::vector<std::byte> bytes = encode(record);
  const auto parsed = parse(bytes);
  INFO(parsed.status());
  REQUIRE(parsed.ok());
  CHECK(*parsed == record);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    INFO(size);
    CHECK(error_code(parse(Bytes(bytes).first(size)).status()) == ErrorCode::invalid_record);
  }
  bytes.push_back(std::byte{1});
  CHECK(parse(bytes).ok());  // a later version may have more
}

}  // namespace

TEST_CASE("a control key names its type; later types are passed over, broken keys are not") {
  for (std::int16_t number = 0; number <= 6; ++number) {
    const auto type = static_cast<ControlType>(number);
    const auto key = control_key(type);
    CHECK(*parse_control_type(Bytes(key)) == type);
  }
  CHECK(to_hex(control_key(ControlType::kraft_voters)) == "00000006");
  CHECK(*parse_control_type(Bytes(from_hex("00000007"))) == ControlType::unknown);
  CHECK(*parse_control_type(Bytes(from_hex("0000ffff"))) == ControlType::unknown);
  CHECK(*parse_control_type(Bytes(from_hex("7fff000100"))) == ControlType::commit);
  CHECK(!parse_control_type(Bytes(from_hex("800000010000"))).ok());
  CHECK(!parse_control_type(Bytes(from_hex("000000"))).ok());
  CHECK(!parse_control_type(std::nullopt).ok());
  CHECK(name(ControlType::leader_change) == "LEADER_CHANGE");
  CHECK(name(ControlType::unknown) == "UNKNOWN");
}

TEST_CASE("a marker tolerates longer values and higher versions, not shorter or negative ones") {
  CHECK(*marker_of("00000001", "000000000009") == EndTransactionMarker{ControlType::commit, 9});
  CHECK(*marker_of("00000000", "0003ffffffff0102") == EndTransactionMarker{ControlType::abort, -1});
  CHECK(!marker_of("00000001", "0000000000").ok());
  CHECK(!marker_of("00000001", std::nullopt).ok());
  CHECK(!marker_of("00000001", "ffff00000009").ok());
  CHECK(!marker_of("00000002", "000000000009").ok());
  CHECK(!marker_of(std::nullopt, "000000000009").ok());
}

TEST_CASE("a marker needs a producer and a type that ends a transaction") {
  const MarkerFields fields{.producer_id = ProducerId(1), .producer_epoch = ProducerEpoch(0)};
  CHECK(marker_batch(fields, {ControlType::abort, 0})->size() == 78);
  CHECK(!marker_batch({}, {ControlType::abort, 0}).ok());
  CHECK(!marker_batch(fields, {ControlType::leader_change, 0}).ok());
}

TEST_CASE("the quorum's records come back as they were, and cut ones are refused") {
  check_round_trip(LeaderChange{.leader = 3, .voters = {{1, {}}, {2, {}}}, .granting_voters = {}},
                   parse_leader_change);
  check_round_trip(LeaderChange{.version = 1,
                                .leader = 3,
                                .voters = {{1, uuid(1)}, {2, uuid(2)}},
                                .granting_voters = {{2, uuid(2)}}},
                   parse_leader_change);
  check_round_trip(SnapshotHeader{.last_contained_log_timestamp = Timestamp(1700000000000)},
                   parse_snapshot_header);
  check_round_trip(SnapshotFooter{}, parse_snapshot_footer);
  check_round_trip(KRaftVersion{.kraft_version = 1}, parse_kraft_version);
  check_round_trip(
      KRaftVoters{.voters = {{.id = 1,
                              .directory = uuid(9),
                              .endpoints = {{"CONTROLLER", "host", 9093}, {"OTHER", "::1", 65535}},
                              .min_kraft_version = 0,
                              .max_kraft_version = 1},
                             {.id = 2, .directory = uuid(8), .endpoints = {}}}},
      parse_kraft_voters);
}

TEST_CASE("a count of voters beyond the bytes is refused before memory is taken") {
  CHECK(!parse_leader_change(from_hex("000000000001ffffffff0f")).ok());
  CHECK(!parse_kraft_voters(from_hex("0000ffffffff0f")).ok());
  CHECK(!parse_kraft_voters(from_hex("0000"
                                     "02"
                                     "00000001"
                                     "00000000000000000000000000000000"
                                     "ffffffff0f"
                                     "0000"
                                     "0000"
                                     "0000"))
             .ok());
}

TEST_CASE("voters are encoded as Kafka's schema says") {
  const KRaftVoters voters{.voters = {{.id = 1,
                                       .directory = uuid(2),
                                       .endpoints = {{"C", "h", 0x1234}},
                                       .min_kraft_version = 0,
                                       .max_kraft_version = 1}}};
  CHECK(to_hex(encode(voters)) ==
        "0000"
        "02"
        "00000001"
        "ab000000000000000000000000000002"
        "02"
        "0243"
        "0268"
        "1234"
        "00"
        "0000"
        "0001"
        "00"
        "00"
        "00");
}
