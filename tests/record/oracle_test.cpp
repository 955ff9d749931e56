// SPDX-License-Identifier: Apache-2.0
//
// Batches made by Kafka's own classes: decoded, and built again from what they were built from.
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/batch_view.hpp>

#include "tests/record/batch_json.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using golden::json;

namespace {

json cases(const std::string& file) {
  return golden::read_json(golden::dir() / "oracle" / (file + ".json")).at("cases");
}

std::optional<std::vector<std::byte>> bytes_of(const json& hex) {
  if (hex.is_null()) return std::nullopt;
  return golden::from_hex(hex.get<std::string>());
}

/// The fields that a batch of `expected` was built with.
BatchFields fields_of(const json& expected) {
  BatchFields fields;
  fields.base_offset = Offset(expected.at("base_offset").get<std::int64_t>());
  fields.leader_epoch = LeaderEpoch(expected.at("partition_leader_epoch").get<std::int32_t>());
  fields.compression = compression_type(expected.at("compression").get<std::string>()).value();
  if (expected.at("timestamp_type") == "LogAppendTime") {
    fields.log_append_time = Timestamp(expected.at("max_timestamp").get<std::int64_t>());
  }
  if (!expected.at("delete_horizon").is_null()) {
    fields.delete_horizon = Timestamp(expected.at("delete_horizon").get<std::int64_t>());
  }
  fields.is_transactional = expected.at("transactional").get<bool>();
  fields.is_control = expected.at("control").get<bool>();
  fields.producer_id = ProducerId(expected.at("producer_id").get<std::int64_t>());
  fields.producer_epoch = ProducerEpoch(expected.at("producer_epoch").get<std::int16_t>());
  fields.base_sequence = expected.at("base_sequence").get<std::int32_t>();
  return fields;
}

/// Builds the batch of `expected` anew from its records and the timestamps they were given.
SealedBatch rebuild(const json& expected, const json& timestamps, Compressor& compressor) {
  if (expected.at("count") == 0) {
    const BatchHeader header{
        .base_offset = Offset(expected.at("base_offset").get<std::int64_t>()),
        .leader_epoch = LeaderEpoch(expected.at("partition_leader_epoch").get<std::int32_t>()),
        .attributes = expected.at("attributes").get<std::int16_t>(),
        .last_offset_delta =
            static_cast<std::int32_t>(expected.at("last_offset").get<std::int64_t>() -
                                      expected.at("base_offset").get<std::int64_t>()),
        .base_timestamp = Timestamp(17),
        .max_timestamp = Timestamp(expected.at("max_timestamp").get<std::int64_t>()),
        .producer_id = ProducerId(expected.at("producer_id").get<std::int64_t>()),
        .producer_epoch = ProducerEpoch(expected.at("producer_epoch").get<std::int16_t>()),
        .base_sequence = expected.at("base_sequence").get<std::int32_t>(),
        .record_count = 17};
    return emptied_batch(header);
  }
  BatchBuilder builder(fields_of(expected));
  for (std::size_t i = 0; i < expected.at("records").size(); ++i) {
    const json& record = expected.at("records").at(i);
    const auto key = bytes_of(record.at("key"));
    const auto value = bytes_of(record.at("value"));
    std::vector<std::vector<std::byte>> kept;
    kept.reserve(2 * record.at("headers").size());
    std::vector<RecordHeader> headers;
    for (const json& header : record.at("headers")) {
      RecordHeader& made = headers.emplace_back();
      made.key = as_string_view(kept.emplace_back(*bytes_of(header.at(0))));
      if (auto bytes = bytes_of(header.at(1))) made.value = kept.emplace_back(*std::move(bytes));
    }
    RecordFields fields{.timestamp = Timestamp(timestamps.at(i).get<std::int64_t>()),
                        .headers = headers};
    if (key) fields.key = *key;
    if (value) fields.value = *value;
    const std::size_t size_with = builder.size_with(fields);
    const bool is_next =
        record.at("offset") == (builder.fields().base_offset.value() + builder.record_count());
    REQUIRE(builder.append_at(Offset(record.at("offset").get<std::int64_t>()), fields).ok());
    if (is_next) REQUIRE(builder.size() == size_with);
  }
  REQUIRE(builder.set_last_offset(Offset(expected.at("last_offset").get<std::int64_t>())).ok());
  auto sealed = builder.seal(compressor);
  INFO(sealed.status());
  REQUIRE(sealed.ok());
  return *std::move(sealed);
}

struct Counts {
  std::size_t cases = 0;
  std::size_t batches = 0;
  std::size_t records = 0;
};

/// Decodes every batch of a file, and builds it again: the same bytes where `exact`, else the same
/// decode.
Counts check_file(const std::string& file, bool exact) {
  Counts counts;
  Compressor compressor;
  for (const json& one : cases(file)) {
    INFO(one.at("name"));
    const auto bytes = golden::from_hex(one.at("hex").get<std::string>());
    BatchCursor batches(bytes);
    std::size_t i = 0;
    for (const BatchView* batch = batches.next(); batch != nullptr; batch = batches.next(), ++i) {
      const json& expected = one.at("expect").at(i);
      REQUIRE(golden::to_json(*batch) == expected);
      const SealedBatch again = rebuild(expected, one.at("input_timestamps").at(i), compressor);
      if (exact) {
        REQUIRE(golden::to_hex(again.bytes()) == golden::to_hex(batch->bytes()));
      } else {
        json decoded = golden::to_json(BatchView(again.bytes()));
        decoded["crc"] = expected.at("crc");
        decoded["size"] = expected.at("size");
        REQUIRE(decoded == expected);
      }
      ++counts.batches;
      counts.records += expected.at("records").size();
    }
    REQUIRE(batches.ok());
    REQUIRE(!batches.at_partial());
    REQUIRE(i == one.at("expect").size());
    ++counts.cases;
  }
  std::cout << "oracle " << file << ": " << counts.cases << " cases, " << counts.batches
            << " batches, " << counts.records << " records\n";
  return counts;
}

}  // namespace

TEST_CASE("Kafka's uncompressed batches decode, and are built again byte for byte", "[oracle]") {
  const Counts counts = check_file("batches_plain", true);
  CHECK(counts.cases == (golden::is_full() ? 270 : 10));
}

TEST_CASE("Kafka's control batches decode, and are built again byte for byte", "[oracle]") {
  const Counts counts = check_file("batches_control", true);
  CHECK(counts.cases == (golden::is_full() ? 150 : 10));
}

TEST_CASE("Kafka's compressed batches decode, and so do ours of the same records", "[oracle]") {
  const Counts counts = check_file("batches_compressed", false);
  CHECK(counts.cases == (golden::is_full() ? 180 : 10));
}

namespace {

/// What a reader makes of a buffer, in the oracle's words.
json read(Bytes bytes) {
  BatchCursor batches(bytes);
  Decompressor decompressor;
  std::size_t whole = 0;
  std::size_t read_records = 0;
  const auto verdict = [&](const char* outcome, const char* stage) {
    json out = {{"outcome", outcome}, {"batches", whole}, {"records", read_records}};
    if (stage != nullptr) out["stage"] = stage;
    return out;
  };
  while (const BatchView* batch = batches.next()) {
    RecordCursor records = batch->records(decompressor);
    while (records.next() != nullptr) ++read_records;
    if (!records.ok()) return verdict("error", "records");
    ++whole;
  }
  if (batches.ok()) return verdict(whole == 0 ? "no_batch" : "valid", nullptr);
  switch (batches.verdict()) {
    case BatchVerdict::whole:       // the checksum
    case BatchVerdict::too_small:   // Kafka counts it among the checksum errors
    case BatchVerdict::old_format:  // read as format 0 or 1 by Kafka, whose checksum then fails
      return verdict("crc_invalid", "crc");
    default:
      return verdict("error", "scan");
  }
}

}  // namespace

TEST_CASE("a reader's verdict over damaged batches is Kafka's", "[oracle]") {
  std::size_t count = 0;
  std::map<std::string, std::size_t> by_outcome;
  for (const json& one : cases("batches_invalid")) {
    INFO(one.at("name") << ": " << one.at("note"));
    json expected = one.at("read");
    expected.erase("exception");
    CHECK(read(golden::from_hex(one.at("hex").get<std::string>())) == expected);
    ++by_outcome[expected.at("outcome").get<std::string>() + " " + expected.value("stage", "")];
    ++count;
  }
  std::cout << "oracle batches_invalid: " << count << " cases:";
  for (const auto& [outcome, n] : by_outcome) std::cout << ' ' << n << " " << outcome << ',';
  std::cout << '\n';
  CHECK(count == (golden::is_full() ? 600 : 10));
}

TEST_CASE("sizes of records and bounds of batches are Kafka's", "[oracle]") {
  const std::vector<std::byte> filler(1 << 21, std::byte{'x'});
  const auto part = [&](const json& size) -> std::optional<Bytes> {
    const auto n = size.get<std::int64_t>();
    REQUIRE(n <= static_cast<std::int64_t>(filler.size()));
    if (n < 0) return std::nullopt;
    return Bytes(filler).first(static_cast<std::size_t>(n));
  };
  std::size_t count = 0;
  for (const json& one : cases("accumulator_sizes")) {
    if (one.at("kind") != "record") continue;
    std::vector<RecordHeader> headers;
    for (const json& header : one.at("headers")) {
      headers.push_back({as_string_view(part(header.at(0)).value()), part(header.at(1))});
    }
    const RecordFields record{
        .key = part(one.at("key_size")), .value = part(one.at("value_size")), .headers = headers};
    CHECK(record_size(one.at("offset_delta").get<std::int32_t>(),
                      one.at("timestamp_delta").get<std::int64_t>(),
                      record) == one.at("record_size"));
    CHECK(batch_size_upper_bound(record) == one.at("batch_upper_bound"));
    ++count;
  }
  std::cout << "oracle accumulator_sizes: " << count << " cases of kind record\n";
  CHECK(count > 0);
}
